"""Who is hired on a Dask cluster, and who is refused with what cure."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import replace

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_commands import free_port, scheduler, worker_of
from dask_workers import ENDLESS, acquired, begin, executor_options, heard, small, variables

from craterbench.config.resolve import resolve
from craterbench.execution.worker import WorkerDied
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench_executors import dask


def test_no_scheduler_no_worker_and_no_address_are_told_with_their_cure(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--scheduler HOST:PORT"):
        dask.open_executor(replace(executor_options(""), address=None))
    for wrong in ("localhost", "8786", "host:port", "a b:1"):
        with pytest.raises(UserError, match="give HOST:PORT"):
            dask.open_executor(executor_options(wrong))
    monkeypatch.setattr(dask, "_PATIENCE", 2)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=rf"no Dask scheduler answers at {nobody} .*dask scheduler --port"):
        dask.open_executor(executor_options(nobody))
    with socket.create_server(("127.0.0.1", 0)) as mute:  # somebody else's port
        door = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no Dask scheduler answers at {door}"):
            dask.open_executor(executor_options(door))
    monkeypatch.undo()
    with (
        scheduler(tmp_path) as (address, _),
        pytest.raises(UserError, match=f"at {address} has no workers; .*dask worker {address}"),
    ):
        dask.open_executor(executor_options(address))


def test_other_versions_on_a_dask_worker_are_refused_with_both(tmp_path, monkeypatch):
    metadata = tmp_path / "other" / "scipy-0.1.dist-info" / "METADATA"  # what the worker says that it has installed
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.1\n")
    path = os.pathsep.join([str(tmp_path / "other"), os.environ.get("PYTHONPATH", "")])
    with scheduler(tmp_path) as (address, _), worker_of(address, tmp_path, PYTHONPATH=path):
        here = executor_options(address).packages["scipy"]
        with pytest.raises(UserError, match=rf"(?s)other versions.*tcp://127.0.0.1:\d+: scipy 0.1 \(here {here}\)$"):
            dask.open_executor(executor_options(address))
        wanted = {"torch-of-nobody": "2.6"}
        with pytest.raises(UserError, match=r"torch-of-nobody is missing \(here 2.6\)$"):
            dask.open_executor(executor_options(address, packages=wanted))
        ours = platform.machine()
        monkeypatch.setattr(platform, "machine", lambda: "vax")
        with pytest.raises(UserError, match=rf"architecture {ours} \(here vax\)"):
            dask.open_executor(executor_options(address))


def test_another_dask_at_the_scheduler_is_refused_with_both_before_anything_else_is_asked_of_it(tmp_path):
    script = """
        import asyncio
        from distributed.core import Server

        def versions(packages):
            return {"host": {}, "packages": {"python": "3.9.1.final.0", "distributed": "1.2.3"}}

        async def main():
            server = Server({"versions": versions})
            await server.listen("tcp://127.0.0.1:0")
            print(server.address, flush=True)
            await server.finished()

        asyncio.run(main())
    """
    (tmp_path / "old.py").write_text(textwrap.dedent(script))
    with subprocess.Popen([sys.executable, "old.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as old:
        assert old.stdout is not None
        try:
            with pytest.raises(UserError, match=r"the scheduler: python 3.9 \(here .*distributed 1.2.3 \(here"):
                dask.open_executor(executor_options(old.stdout.readline().strip()))
        finally:
            old.kill()


def test_a_dask_worker_that_does_not_answer_is_named(address, dask_pids, monkeypatch):
    monkeypatch.setattr(dask, "_PATIENCE", 2)
    mute, pid = next(iter(dask_pids().items()))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(UserError, match=rf"Dask workers that do not answer: {mute}; stop them"):
            dask.open_executor(executor_options(address))
    finally:
        os.kill(pid, signal.SIGCONT)


def test_dask_workers_that_are_at_work_for_another_search_are_hired_when_they_are_free(executor, address, tmp_path):
    for worker in (acquired(executor), acquired(executor)):
        begin(worker, small(*ENDLESS), tmp_path / "log.txt", interactive=True)
        assert worker.hear()[0] == "start"
    with dask.open_executor(executor_options(address)) as other:
        assert (other.workers, other.acquire(variables())) == (0, None)
        executor.release(worker, usable=False)
        begin(free := acquired(other), small(), tmp_path / "other.txt")
        assert heard(free)
        assert free.address == worker.address


def test_a_late_worker_with_fewer_threads_is_not_hired_and_ends_the_search_only_after_a_while(tmp_path, monkeypatch):
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(tmp_path))
        with worker_of(address, tmp_path, threads=2):
            executor = stack.enter_context(dask.open_executor(executor_options(address)))
            first = acquired(executor)
            stack.enter_context(worker_of(address, tmp_path, threads=1))
        with pytest.raises(WorkerDied):
            heard(first)
        executor.release(first, usable=False)
        assert (executor.threads, executor.workers, executor.acquire(variables())) == (2, 0, None)
        monkeypatch.setattr(dask, "_UNFIT", 0)
        with pytest.raises(
            UserError, match=r"(?s)no Dask worker is left that could be used.*its --nthreads is 1, and trials use 2"
        ):
            executor.acquire(variables())


def test_a_dask_worker_that_cannot_read_a_trial_is_lost_and_not_hired_again(address, script, tmp_path):
    benchmark = resolve(Registry.installed(), "scripted", []).benchmark
    with dask.open_executor(executor_options(address, benchmark)) as executor:
        begin(worker := acquired(executor, benchmark), benchmark, tmp_path / "log.txt")
        with pytest.raises(WorkerDied, match="cannot read a trial: ModuleNotFoundError: No module named 'scripted'"):
            heard(worker)
        executor.release(worker, usable=False)
        assert executor.workers == 1
        assert acquired(executor, benchmark).address != worker.address


def test_a_plugin_that_no_dask_worker_has_is_told_before_anything_is_tried(address, script, bench):
    result = bench("sweep", "--benchmark", "scripted", "--executor", "dask", "--scheduler", address)
    assert result.exit_code == 2
    assert "scripted is missing (here 1)" in result.stderr
    assert not (bench.results / "studies").exists()
