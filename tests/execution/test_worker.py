from __future__ import annotations

import multiprocessing.context
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from processes import eventually, trained_and_evaluated

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.resolve import parse_override, resolve
from craterbench.execution.devices import environment
from craterbench.execution.worker import TRAIN_AND_EVALUATE, WorkerError, WorkerProcess
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.results.checkpoint import read_checkpoint
from craterbench.training.experiment import train_and_evaluate


def small(*settings: str) -> BenchmarkConfig:
    common = ("dataset.name=synthetic", "dataset.images=12", "dataset.size=16", "training.epochs=3")
    overrides = [parse_override(setting) for setting in (*common, *settings)]
    return resolve(Registry.installed(), "logistic", overrides).benchmark


@pytest.fixture(scope="module")
def child():
    with WorkerProcess(environment(threads=1, device="cpu", framework={})) as process:
        yield process


def rows(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def test_a_warm_child_gives_the_digits_of_a_fresh_one_and_of_this_process(child, tmp_path):
    task = {"seed": 3, "log": tmp_path / "log.txt"}
    first = trained_and_evaluated(child, small(), **task)
    second = trained_and_evaluated(child, small(), **task)
    other = trained_and_evaluated(child, small(), **task | {"seed": 4})
    here = train_and_evaluate(small(), seed=3)
    assert rows(first.training.history) == rows(second.training.history) == rows(here.training.history)
    assert rows(first.training.history) != rows(other.training.history)
    assert first.scored["validation"].fingerprint == other.scored["validation"].fingerprint


def test_epochs_are_told_as_they_end(child, tmp_path):
    heard = []
    outcome = trained_and_evaluated(child, small(), seed=1, on_epoch=heard.append, log=tmp_path / "log.txt")
    assert heard == outcome.training.history


def test_a_child_writes_what_a_run_can_go_on_from_where_it_is_asked_to_and_else_tells_it(child, tmp_path):
    def checkpoints(**where):
        child.ask(TRAIN_AND_EVALUATE, {"benchmark": small(), "seed": 1, "device": "cpu", **where}, tmp_path / "log.txt")
        told = []
        while (heard := child.hear())[0] != "finished":
            told += [heard[1]] if heard[0] == "checkpoint" else []
        return told

    file = tmp_path / "state.safetensors"
    assert checkpoints(checkpoint_file=file) == [None] * 3
    told = checkpoints()
    assert [len(checkpoint.history) for checkpoint in told] == [1, 2, 3]
    assert rows(read_checkpoint(file).history) == rows(told[-1].history)
    untold = checkpoints(checkpoint_file=tmp_path / "nowhere" / "state.safetensors")
    assert len(untold) == 3
    assert all("No such file" in cause for cause in untold)


def test_a_task_that_raises_is_a_cause_and_a_log_and_the_child_lives_on(child, tmp_path):
    broken = replace(small(), loss=replace(small().loss, target="craterbench_losses.sklearn:hinge"))
    log = tmp_path / "log.txt"
    with pytest.raises(WorkerError, match=r"AttributeError: .*hinge"):
        trained_and_evaluated(child, broken, seed=1, log=log)
    assert "Traceback" in log.read_text()
    assert trained_and_evaluated(child, small(), seed=1, log=log).training.history


def test_running_out_of_memory_is_a_cause(child, tmp_path):
    huge = replace(small(), dataset=replace(small().dataset, target="numpy:empty", parameters=2**58))
    with pytest.raises(WorkerError, match="out of memory"):
        trained_and_evaluated(child, huge, seed=1, log=tmp_path / "log.txt")


def test_a_task_that_cannot_be_done_as_asked_is_refused(child, tmp_path):
    with pytest.raises(UserError, match="trains on the CPU"):
        trained_and_evaluated(child, small(), seed=1, device="gpu", log=tmp_path / "log.txt")


def test_a_child_that_is_killed_is_a_cause(tmp_path):
    with WorkerProcess({}) as process, pytest.raises(WorkerError, match=r"killed by SIGKILL .*memory"):
        trained_and_evaluated(
            process,
            small("training.epochs=10000", "training.patience=10000"),
            seed=1,
            on_epoch=lambda row: os.kill(process.pid, signal.SIGKILL),
            log=tmp_path / "log.txt",
        )


def test_the_environment_of_the_parent_is_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    variables = environment(threads=1, device="cpu", framework={"SOME_THREADS": "{threads}"})
    assert variables["SOME_THREADS"] == variables["OMP_NUM_THREADS"] == "1"
    with WorkerProcess(variables) as process:
        while not (started := Path(f"/proc/{process.pid}/environ").read_text().split("\0"))[0]:
            time.sleep(0.01)  # between fork and exec a process has no environment yet
        assert {"OMP_NUM_THREADS=1", "SOME_THREADS=1", "CUDA_VISIBLE_DEVICES=-1"} <= set(started)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_ctrl_c_is_for_the_parent_to_decide(child, tmp_path):
    def interrupt(row):
        os.kill(child.pid, signal.SIGINT)

    outcome = trained_and_evaluated(child, small(), seed=1, on_epoch=interrupt, log=tmp_path / "log.txt")
    assert len(outcome.training.history) == 3


@pytest.fixture
def ctrl_c_raises():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_a_child_is_being_started_comes_after_that_and_not_to_the_child(
    ctrl_c_raises, tmp_path, monkeypatch
):
    start = multiprocessing.context.SpawnProcess.start
    children = []

    def interrupted_start(process):
        start(process)
        children.append(process)
        os.kill(process.pid, signal.SIGINT)  # before its first instruction, as of the whole group of processes
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", interrupted_start)
    with pytest.raises(KeyboardInterrupt):
        WorkerProcess({})
    (child,) = children
    child.join()
    assert child.exitcode == 1  # it saw that its pipe was closed


def busy(file: Path) -> None:
    """Be data that take for ever, and say so in a file."""
    file.touch()
    time.sleep(3600)


def test_a_child_does_not_outlive_a_parent_that_is_killed_even_while_it_is_busy(tmp_path):
    script = f"""
        import sys
        sys.path[:0] = {[str(folder) for folder in (Path(__file__).parent, Path(__file__).parents[1] / "support")]!r}
        from dataclasses import replace
        from pathlib import Path
        from test_worker import WorkerProcess, small, trained_and_evaluated
        if __name__ == "__main__":
            data = replace(small().dataset, target="test_worker:busy", parameters=Path("busy"))
            busy = replace(small(), dataset=data)
            with WorkerProcess({{}}) as process:
                print(process.pid, flush=True)
                trained_and_evaluated(process, busy, seed=1, log=Path("log.txt"))
    """
    (tmp_path / "parent.py").write_text(textwrap.dedent(script))
    parent = subprocess.Popen([sys.executable, "parent.py"], cwd=tmp_path, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert eventually((tmp_path / "busy").exists)
    assert Path(f"/proc/{child}").exists()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert eventually(lambda: not Path(f"/proc/{child}").exists())
