"""Workers on a Dask cluster: real processes on loopback, killed with real signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_commands import scheduler, worker_of
from dask_workers import ENDLESS, acquired, begin, executor_options, heard, small, variables
from processes import PATIENCE, eventually

from craterbench.execution.devices import environment
from craterbench.execution.worker import TRAIN_AND_EVALUATE, WorkerDied, WorkerError, WorkerProcess
from craterbench.plugin import UserError
from craterbench.training.parts import train_val
from craterbench_executors import dask, relay


def training_processes(dask_worker: int) -> list[int]:
    """The children of a Dask worker that train; its resource tracker does not."""
    below = Path(f"/proc/{dask_worker}/task").glob("*/children")
    pids = [int(pid) for listed in below for pid in listed.read_text().split()]
    return [pid for pid in pids if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def without_seconds(told: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for kind, row in told if kind == "epoch"]


def same(one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> bool:
    """Say whether two trials have told the same epochs and brought home the same counts and weights."""
    mine, theirs = one[-1][1], other[-1][1]
    weights = mine.training.best_weights
    return (
        without_seconds(one) == without_seconds(other)
        and mine.scored.keys() == theirs.scored.keys() == {"validation"}
        and mine.scored["validation"].statistics.sums() == theirs.scored["validation"].statistics.sums()
        and weights.keys() == theirs.training.best_weights.keys()
        and all(np.array_equal(weights[name], theirs.training.best_weights[name]) for name in weights)
    )


def test_what_comes_back_is_what_a_process_here_brings_home(executor, tmp_path):
    assert (executor.workers, executor.threads) == (2, 1)
    benchmark = small("training.epochs=150", "training.patience=150")
    with WorkerProcess(environment(threads=1, device="cpu", framework={})) as child:
        begin(child, benchmark, tmp_path / "here.txt", seed=3)
        here = [told for told in heard(child) if told[0] != "checkpoint"]
    workers = [acquired(executor), acquired(executor)]
    assert executor.acquire(variables()) is None
    for worker in workers:
        begin(worker, benchmark, tmp_path / "there.txt", seed=3, interactive=True)
    for worker in workers:
        there = heard(worker, should_prune=lambda epoch: True)
        assert [kind for kind, _ in there] == ["start", *["epoch"] * 150, "finished"]  # nothing lost, nothing twice
        assert [row for kind, row in there if kind == "epoch"] == there[-1][1].training.history
        assert there[0][1] == here[0][1]
        assert same(there, here)


def test_a_warm_worker_stays_warm_and_is_told_when_to_stop(executor, dask_pids, tmp_path):
    worker = acquired(executor)
    begin(worker, small(), tmp_path / "log.txt")
    first = heard(worker)
    busy = [pid for dask_worker in dask_pids().values() for pid in training_processes(dask_worker)]
    executor.release(worker, usable=True)
    assert executor.acquire(variables()) is worker
    begin(worker, small(*ENDLESS), tmp_path / "log.txt", interactive=True)
    assert len(heard(worker, should_prune=lambda epoch: epoch < 7)[-1][1].training.history) == 7
    begin(worker, small(), tmp_path / "log.txt")
    assert same(heard(worker), first)
    assert [pid for dask_worker in dask_pids().values() for pid in training_processes(dask_worker)] == busy


def test_a_worker_that_is_ready_before_its_task_is_known_to_be_submitted_is_used(executor, tmp_path, monkeypatch):
    """As on a busy machine, where the thread that submits may stand still meanwhile."""
    heard_of, submit = threading.Event(), executor._client.submit

    def on_event(event):
        executor._on_event(event)
        heard_of.set()

    def late(*task, **options):
        future = submit(*task, **options)
        assert heard_of.wait(PATIENCE)
        return future

    executor._client.subscribe_topic(relay.TOPIC, on_event)
    monkeypatch.setattr(executor._client, "submit", late)
    worker = acquired(executor)
    begin(worker, small(), tmp_path / "log.txt")
    assert heard(worker)[-1][0] == "finished"


def test_a_task_that_raises_is_a_cause_and_a_log_and_the_worker_lives_on(executor, tmp_path):
    worker, log = acquired(executor), tmp_path / "log.txt"
    broken = replace(small(), loss=replace(small().loss, target="craterbench_losses.sklearn:hinge"))
    begin(worker, broken, log)
    with pytest.raises(WorkerError, match=r"AttributeError: .*hinge"):
        heard(worker)
    assert "Traceback" in log.read_text()
    worker.ask(TRAIN_AND_EVALUATE, {"benchmark": small(), "seed": 1, "device": "gpu"}, log)
    with pytest.raises(UserError, match="trains on the CPU"):
        heard(worker)
    begin(worker, small(), log)
    assert heard(worker)


def test_a_dask_worker_that_is_killed_in_the_middle_is_lost_at_once_and_another_is_hired(executor, dask_pids, tmp_path):
    worker, other = acquired(executor), acquired(executor)
    for one in (worker, other):
        begin(one, small(*ENDLESS), tmp_path / "log.txt", interactive=one is other)
    assert [worker.hear()[0] for _ in range(20)].count("epoch") > 5
    assert [other.hear()[0] for _ in range(2)] == ["start", "epoch"]
    os.kill(dask_pids()[worker.address], signal.SIGKILL)
    with pytest.raises(WorkerDied, match=re.escape(f"the Dask worker at {worker.address} was lost: it was killed")):
        heard(worker)
    executor.release(worker, usable=False)
    successor = acquired(executor)
    assert successor.address not in (worker.address, other.address)  # the nanny's
    begin(successor, small(), tmp_path / "log.txt")
    assert heard(successor)
    other.answer(should_continue=True)
    assert other.hear()[0] == "epoch"  # the rest goes on
    running = [pid for dask_worker in dask_pids().values() for pid in training_processes(dask_worker)]
    assert len(running) == 2  # nothing of the lost trial was started again


def test_a_training_process_that_is_killed_is_a_cause_and_its_dask_worker_is_hired_again(executor, dask_pids, tmp_path):
    worker = acquired(executor)
    begin(worker, small(*ENDLESS), tmp_path / "log.txt", interactive=True)
    assert worker.hear()[0] == "start"
    (child,) = training_processes(dask_pids()[worker.address])
    os.kill(child, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="killed by SIGKILL"):
        heard(worker)
    executor.release(worker, usable=False)
    begin(again := acquired(executor), small(), tmp_path / "log.txt")
    assert heard(again)


def test_who_is_stopped_in_the_middle_leaves_and_so_does_everyone_when_the_engine_closes(address, dask_pids, tmp_path):
    with dask.open_executor(executor_options(address, workers=1)) as executor:
        worker = acquired(executor)
        assert executor.workers == 1
        assert executor.acquire(variables()) is None
        begin(worker, small(*ENDLESS), tmp_path / "log.txt")
        assert worker.hear()[0] == "start"
        dask_worker = dask_pids()[worker.address]
        (child,) = training_processes(dask_worker)
        executor.release(worker, usable=False)
        assert eventually(lambda: not Path(f"/proc/{child}").exists())
        begin(another := acquired(executor), small(), tmp_path / "log.txt")
        assert heard(another)
    assert eventually(lambda: not [pid for pid in dask_pids().values() if training_processes(pid)])


def test_a_coordinator_that_is_killed_leaves_nothing_running(address, dask_pids, tmp_path):
    script = f"""
        import sys, time
        sys.path[:0] = {[str(folder) for folder in (Path(__file__).parent, Path(__file__).parents[1] / "support")]!r}
        from pathlib import Path
        from test_dask_torch import ENDLESS, begin, dask, executor_options, acquired, small
        executor = dask.open_executor(executor_options({address!r}))
        idle, asking = acquired(executor), acquired(executor)
        begin(idle, small(), Path("log.txt"))
        while idle.hear()[0] != "finished":
            pass
        begin(asking, small(*ENDLESS), Path("log.txt"), interactive=True)
        print(asking.hear()[0], flush=True)
        time.sleep(600)
    """
    (tmp_path / "loop.py").write_text(textwrap.dedent(script))
    with subprocess.Popen([sys.executable, "loop.py"], cwd=tmp_path, stdout=subprocess.PIPE) as loop:
        assert loop.stdout is not None
        assert loop.stdout.readline() == b"start\n"
        assert all(training_processes(pid) for pid in dask_pids().values())
        loop.kill()
    assert eventually(lambda: not [pid for pid in dask_pids().values() if training_processes(pid)])


@contextmanager
def counted(address: str) -> Iterator[tuple[str, list[int]]]:
    """Stand before an address, pass on what comes, and count the bytes that go to it."""
    host, _, port = address.rpartition(":")
    sizes: list[int] = []

    def pump(source: socket.socket, sink: socket.socket, sizes: list[int]) -> None:
        with source, sink:
            try:
                while piece := source.recv(2**16):
                    sizes.append(len(piece))
                    sink.sendall(piece)
                sink.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                caller, _ = door.accept()
            except OSError:
                return
            there = socket.create_connection((host, int(port)))
            for source, sink, counts in ((caller, there, sizes), (there, caller, [])):
                threading.Thread(target=pump, args=(source, sink, counts), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{door.getsockname()[1]}", sizes
        door.shutdown(socket.SHUT_RDWR)


def test_images_are_sent_once_to_each_dask_worker(address, dask_pids, tmp_path):
    many = small("dataset.images=200", "dataset.size=32", "dataset.seed=5", "training.epochs=1")
    part = train_val(many).part
    size = part.images.nbytes + part.masks.nbytes
    with counted(address) as (door, sizes), dask.open_executor(executor_options(door)) as executor:
        workers = [acquired(executor), acquired(executor)]
        for number in range(3):
            for worker in workers:
                begin(worker, many, tmp_path / "log.txt", seed=number)
            for worker in workers:
                heard(worker)
        assert 2 * size < sum(sizes) < 2.2 * size
        executor.release(workers[0], usable=False)  # another child on the same Dask worker
        begin(again := acquired(executor), many, tmp_path / "log.txt")
        heard(again)
        assert sum(sizes) < 2.3 * size


def test_dask_commands_as_their_documentation_says_and_a_worker_that_joins_later(tmp_path, capfd):
    benchmark = small("training.epochs=5")
    with WorkerProcess(environment(threads=1, device="cpu", framework={})) as child:
        begin(child, benchmark, tmp_path / "here.txt")
        here = heard(child)
    with ExitStack() as cluster:
        address, process = cluster.enter_context(scheduler(tmp_path))
        cluster.enter_context(worker_of(address, tmp_path))
        executor = cluster.enter_context(dask.open_executor(executor_options(address)))
        first = acquired(executor)  # its Dask worker has a nanny, and is a daemon itself
        begin(first, benchmark, tmp_path / "there.txt")
        assert same(heard(first), here)
        assert executor.acquire(variables()) is None
        cluster.enter_context(worker_of(address, tmp_path))
        second = acquired(executor)
        assert executor.workers == 2
        begin(second, small(*ENDLESS), tmp_path / "there.txt", interactive=True)
        assert second.hear()[0] == "start"
        process.kill()
        with pytest.raises(WorkerDied, match="lost"):
            heard(second)
        with pytest.raises(UserError, match=rf"the Dask scheduler at {address} is gone"):
            eventually(lambda: executor.acquire(variables()))
    assert capfd.readouterr() == ("", "")  # Dask says nothing on the terminal of the search


def test_the_framework_is_imported_with_its_threads_and_never_by_the_dask_worker(address, dask_pids, tmp_path):
    benchmark = small("model.depth=2", "training.epochs=1", name="torch-twin")
    with dask.open_executor(executor_options(address, benchmark)) as executor:
        worker = acquired(executor, benchmark)
        begin(worker, benchmark, tmp_path / "log.txt")
        heard(worker)
        dask_worker = dask_pids()[worker.address]
        (child,) = training_processes(dask_worker)
        assert "OMP_NUM_THREADS=1" in Path(f"/proc/{child}/environ").read_text().split("\0")
        assert "libtorch" in Path(f"/proc/{child}/maps").read_text()
        assert "libtorch" not in Path(f"/proc/{dask_worker}/maps").read_text()
