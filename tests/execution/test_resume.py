"""Runs that are broken off by real signals go on to the digits of an unbroken one."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from held_plugin import Hold, held
from processes import BENCH, PATIENCE, children, started
from resuming import check_every_epoch
from safetensors.numpy import load_file

from craterbench.config.resolve import parse_override, resolve
from craterbench.execution.cache import RunCache
from craterbench.execution.devices import available_cores
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.execution.worker import WorkerProcess
from craterbench.plugin.registry import Registry
from craterbench.results.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from craterbench.results.store import Store

DATA = ("dataset.name=synthetic", "dataset.images=12", "dataset.size=16")


@pytest.mark.parametrize(
    "settings",
    [
        ("augmentation.drawn=every-epoch", "training.epochs=5"),
        ("schedule.name=plateau", "schedule.patience=1", "training.epochs=6", "optimizer.learning_rate=0.5"),
        ("training.patience=2", "training.epochs=20", "optimizer.learning_rate=0.5"),
    ],
)
@pytest.mark.parametrize("name", ["logistic", "constant"])
def test_a_run_goes_on_from_any_epoch_to_the_same_digits(name, settings, tmp_path):
    overrides = [parse_override(setting) for setting in (*DATA, *settings)]
    outcome = check_every_epoch(resolve(Registry.installed(), name, overrides).benchmark, tmp_path)
    if "training.patience=2" in settings:
        assert len(outcome.training.history) < 20  # else nothing was shown of early stopping


def test_a_checkpoint_survives_its_file_to_the_last_bit(tmp_path):
    generator = np.random.default_rng(1)
    generator.integers(2)  # half of a word is kept for the next
    arrays = {
        "a": np.arange(6.0).reshape(2, 3).T,
        "b": np.array(3),
        "c d": np.array([2**32 - 1], np.uint32),
        "e": np.zeros((0, 2), bool),
    }
    history = [{"epoch": 1, "val_loss": 1 / 3, "objective": float("nan"), "best": 1}]
    written = Checkpoint(history, 7, arrays, arrays, {"order": generator.bit_generator.state})
    write_checkpoint(tmp_path / "state", written)
    read = read_checkpoint(tmp_path / "state")
    assert repr(read.history) == repr(history)
    assert read.generators == written.generators
    for found in (read.session, read.best_weights):
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(found[name], array)
    for damaged in (b"", (tmp_path / "state").read_bytes()[:-5]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(ValueError):  # noqa: PT011 - whatever the library says
            read_checkpoint(tmp_path / "damaged")


# Real processes

EPOCHS, BROKEN_OFF = 12, 6
RUN = ("logistic", "--dataset", "synthetic", "--set", "dataset.images=12", "--set", "dataset.size=16")
RUN += ("--epochs", str(EPOCHS), "--set", f"training.patience={EPOCHS}", "--set", "augmentation.drawn=every-epoch")


def command(results: Path, *more: str) -> list[str]:
    return [BENCH, "run", *RUN, *held(BROKEN_OFF), "--results", str(results), *more]


@pytest.fixture(scope="module")
def free(tmp_path_factory) -> Hold:
    """Processes in this environment are held by nothing."""
    hold = Hold(tmp_path_factory.mktemp("free"))
    hold.go()
    return hold


def again(results: Path, free: Hold, *more: str) -> dict:
    asked = [*command(results, *more), "--json"]
    result = subprocess.run(asked, env=free.environment, capture_output=True, text=True, check=False)
    assert result.stdout, result.stderr
    (record,) = json.loads(result.stdout)
    return record


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, free) -> tuple[Path, dict]:
    results = tmp_path_factory.mktemp("unbroken")
    return results, again(results, free)


def files(results: Path, record: dict) -> tuple[list[dict[str, str]], dict[str, np.ndarray], dict[str, np.ndarray]]:
    folder = results / "runs" / record["benchmark"] / record["id"]
    with (folder / "history.csv").open() as file:
        history = [{key: cell for key, cell in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    with np.load(folder / "statistics.npz") as counts:
        return history, load_file(folder / "weights.safetensors"), dict(counts)


def broken(results: Path, hold: Hold, whom: str, how: signal.Signals, *more: str) -> dict:
    """Start a run, break it off in the middle, where it is held, and return the record that it leaves."""
    process = started(command(results, *more), f"epoch {BROKEN_OFF}/", hold.environment)
    if whom == "parent":
        os.killpg(process.pid, how) if how is signal.SIGINT else process.send_signal(how)
    else:
        os.kill(children(process.pid)[0], how)
    process.communicate(timeout=PATIENCE)
    store = Store(results)
    store.recover()
    (left,), _ = store.records()
    assert len(store.history(left)) == BROKEN_OFF
    return left.as_json()


@pytest.mark.xdist_group("of the unbroken run")  # so that only one process runs it
@pytest.mark.parametrize(
    ("whom", "how", "status"),
    [
        ("parent", signal.SIGKILL, "interrupted"),
        ("parent", signal.SIGINT, "interrupted"),
        ("child", signal.SIGKILL, "failed"),
    ],
)
def test_a_run_that_was_broken_off_goes_on_to_the_digits_of_an_unbroken_one(
    tmp_path, free, unbroken, whom, how, status
):
    left = broken(tmp_path / "results", Hold(tmp_path / "plugin"), whom, how)
    assert left["status"] == status
    record = again(tmp_path / "results", free, "--resume")
    assert (record["id"], record["status"], record["epochs"]) == (left["id"], "done", EPOCHS)
    assert record["error"] is None
    assert record["parts"] == unbroken[1]["parts"]
    assert record["identity"] == unbroken[1]["identity"]
    for ours, theirs in zip(files(tmp_path / "results", record), files(*unbroken), strict=True):
        if isinstance(ours, list):
            assert ours == theirs
        else:
            assert ours.keys() == theirs.keys()
            for name, array in theirs.items():
                np.testing.assert_array_equal(ours[name], array)
    folder = tmp_path / "results" / "runs" / "logistic" / record["id"]
    assert not list(folder.glob("state*"))
    assert not (tmp_path / "results" / ".running").exists()
    assert Store(tmp_path / "results").records()[0][0].id == record["id"]


def test_what_cannot_be_gone_on_with_starts_anew_and_says_why(tmp_path):
    hold, results = Hold(tmp_path / "plugin"), tmp_path / "results"
    broken(results, hold, "parent", signal.SIGINT)
    store = Store(results)
    (left,), _ = store.records()
    folder = store.folder(left)

    def said(*more: str) -> str:
        process = subprocess.Popen(
            command(results, "--resume", *more),
            stderr=subprocess.PIPE,
            env=hold.environment,
            text=True,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        store.recover()
        for record in store.records()[0]:
            if record.id != left.id:  # what was started anew, if it came that far, is not to be gone on with next time
                shutil.rmtree(store.folder(record))
        return line

    def leave(**environment: object) -> None:
        changed = replace(left, environment=left.environment | environment)
        (folder / "record.json").write_text(json.dumps(changed.as_json()))

    leave(device="gpu")
    assert f"{left.id} cannot be gone on with, it was on gpu, not cpu; starting from the beginning" in said(
        "--device", "cpu"
    )
    leave(packages={"numpy": "1"})
    assert "other versions of its packages" in said()
    leave()
    (folder / "state.safetensors").write_bytes(b"damaged")
    assert "no state that can be read" in said()


@pytest.mark.xdist_group("of the unbroken run")
def test_a_run_that_began_with_other_threads_goes_on_with_them_whatever_it_would_have_now(tmp_path, unbroken):
    hold, results = Hold(tmp_path / "plugin"), tmp_path / "results"
    left = broken(results, hold, "parent", signal.SIGKILL, "--workers", "1000")
    hold.go()
    record = again(results, hold, "--workers", "1", "--resume")
    assert [hold.threads(epoch) for epoch in (1, BROKEN_OFF + 1, EPOCHS)] == [1, 1, 1]
    assert (record["id"], record["status"], record["environment"]["threads"]) == (left["id"], "done", 1)
    assert record["parts"] == unbroken[1]["parts"]
    anew = again(results, hold, "--workers", "1", "--force")
    assert hold.threads(1) == anew["environment"]["threads"] == available_cores()


def test_what_threads_and_device_were_part_of_goes_on_too(tmp_path, free):
    results = tmp_path / "results"
    left = broken(results, Hold(tmp_path / "plugin"), "parent", signal.SIGINT)
    told = {"definition": left["definition"], "data": left["dataset"]["digest"], "seed": 42, "fold": None}
    trained = {key: left["environment"][key] for key in ("threads", "device")}
    former = hashlib.sha256(json.dumps(told | trained).encode()).hexdigest()[:16]
    file = results / "runs" / "logistic" / left["id"] / "record.json"
    file.write_text(json.dumps(left | {"identity": former}))
    record = again(results, free, "--resume")
    assert (record["id"], record["status"]) == (left["id"], "done")
    assert record["identity"] == left["identity"] != former


def test_a_run_whose_device_is_gone_is_left_as_it_was_and_the_cure_starts_it_anew(tmp_path, free):
    results = tmp_path / "results"
    left = broken(results, Hold(tmp_path / "plugin"), "parent", signal.SIGINT)
    file = results / "runs" / "logistic" / left["id"] / "record.json"
    on_gpu = left | {"environment": left["environment"] | {"device": "gpu"}}
    file.write_text(json.dumps(on_gpu))

    def resumed(*more: str) -> subprocess.CompletedProcess[str]:
        asked = command(results, "--resume", *more)
        return subprocess.run(asked, env=free.environment, capture_output=True, text=True, check=False)

    result = resumed()
    assert result.returncode == 2
    assert "logistic seed 42 cannot go on, it began with device gpu: " in result.stderr
    assert "use --device cpu" in result.stderr
    assert json.loads(file.read_text()) == on_gpu
    result = resumed("--device", "cpu", "--json")
    assert f"{left['id']} cannot be gone on with, it was on gpu, not cpu; starting from the beginning" in result.stderr
    (record,) = json.loads(result.stdout)
    assert (record["status"], record["environment"]["device"]) == ("done", "cpu")
    assert record["id"] != left["id"]


def test_a_run_whose_data_change_just_before_it_goes_on_is_left_as_it_was(tmp_path):
    def write(value: float) -> None:
        images = np.random.default_rng(0).uniform(size=(10, 16, 16)) * value
        np.savez(tmp_path / "data.npz", images=images, masks=images > value * 0.7)

    write(1.0)
    more = ["--set", "training.patience=100000", "--set", f"dataset.path={tmp_path / 'data.npz'}"]
    results = tmp_path / "results"
    asked = [BENCH, "run", "logistic", "--set", "dataset.name=npz", "--epochs", "100000", *more]
    process = started([*asked, "--results", str(results)], until="epoch 2/")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    store = Store(results)
    (left,), _ = store.records()
    registry = Registry.installed()
    overrides = [parse_override(setting) for setting in left.overrides]
    wanted = RunSpec(resolve(registry, "logistic", overrides), seed=42)
    found = RunCache(store).interrupted(wanted, device="auto")
    assert isinstance(found, tuple)
    write(0.9)
    run = RunFactory(registry=registry, store=store, device="auto", log=print).resume(wanted, *found)
    with WorkerProcess(run.variables) as worker:
        run.begin(worker, train_val=None, prunable=False, shares_files=True)
        run.advance()
    assert (run.ended, run.refused, run.record) == (True, True, left)
    assert "its data have just changed" in run.cause
    assert store.records() == ([left], [])
    assert store.checkpoint(left) is not None
    assert not store.running.exists()
