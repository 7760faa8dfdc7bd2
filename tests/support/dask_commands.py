"""A Dask cluster as a user starts it, by commands, to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client
from processes import PATIENCE, eventually

DASK = str(Path(sys.executable).with_name("dask"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def command(*words: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``dask`` as a user does, in a group of its own, which is interrupted at the end as by Ctrl-C."""
    process = subprocess.Popen(
        [DASK, *words],
        env=os.environ | variables,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    address = f"127.0.0.1:{free_port()}"
    words = ("scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard")
    with command(*words, folder=folder) as process:
        assert eventually(lambda: listens(address))
        yield address, process


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@contextmanager
def worker_of(address: str, folder: Path, *, threads: int = 1, **variables: str) -> Iterator[None]:
    words = ("worker", address, "--nthreads", str(threads), "--no-dashboard")
    with Client(address, set_as_default=False) as client:
        before = len(client.nthreads())
        with command(*words, folder=folder, **variables):
            client.wait_for_workers(before + 1, timeout=PATIENCE)
            yield
