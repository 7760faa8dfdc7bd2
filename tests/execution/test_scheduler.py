"""Several runs at once, in real processes."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from held_plugin import Hold, held
from processes import BENCH, PATIENCE, after, children, eventually, started

from craterbench.config.resolve import parse_override, resolve
from craterbench.execution.batch import EndedRun, train
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.plugin import UserError, hookimpl
from craterbench.plugin.registry import Registry
from craterbench.results.checkpoint import Checkpoint, write_checkpoint
from craterbench.results.store import Store

SMALL = ("--dataset", "synthetic", "--set", "dataset.images=12", "--set", "dataset.size=16")
THREE = (BENCH, "run", "logistic", *SMALL, "--seeds", "3", "--workers", "3")
ENDLESS = ("--epochs", "100000", "--set", "training.patience=100000")


def records(results: Path):
    found, damaged = Store(results).records()
    assert damaged == []
    return sorted(found, key=lambda record: record.seed)


def until_all_are_at_work(process: subprocess.Popen[str], runs: int) -> None:
    """Read what a command says until so many runs have finished an epoch."""
    assert process.stderr is not None
    seen: set[str] = set()
    for line in process.stderr:
        if "epoch" in line:
            seen.add(line.partition(":")[0])
        if len(seen) == runs:
            return
    raise AssertionError(f"only {seen}")


def test_runs_at_once_share_the_cores_and_come_to_the_digits_of_runs_one_by_one(tmp_path):
    def run(name: str, cores: set[int], *more: str):
        command = [BENCH, "run", "logistic", "constant", *SMALL, "--epochs", "4", "--json", *more]
        result = subprocess.run(
            after(f"import os; os.sched_setaffinity(0, {cores})", [*command, "--results", str(tmp_path / name)]),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(result.stdout)

    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core cannot be shared")
    at_once = run("at once", set(cores[:2]), "--seeds", "2", "--workers", "2")
    one_by_one = run("one by one", {cores[0]}, "--seeds", "2")
    assert [(record["benchmark"], record["seed"]) for record in at_once] == [
        ("logistic", 42), ("logistic", 43), ("constant", 42), ("constant", 43)
    ]  # fmt: skip
    for one, other in zip(at_once, one_by_one, strict=True):
        assert one["environment"]["threads"] == other["environment"]["threads"] == 1
        assert one["identity"] == other["identity"]
        assert one["parts"] == other["parts"]


def test_a_child_that_dies_disturbs_no_other(tmp_path):
    hold, results = Hold(tmp_path / "plugin"), tmp_path / "results"
    command = [*THREE, *held(2), "--epochs", "4", "--results", str(results)]
    process = started(command, "starting", hold.environment)
    until_all_are_at_work(process, 3)
    victim, *_ = children(process.pid)
    os.kill(victim, signal.SIGKILL)
    hold.go()
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    ended = records(results)
    assert sorted(record.status for record in ended) == ["done", "done", "failed"]
    (failed,) = (record for record in ended if record.status == "failed")
    assert f"logistic seed {failed.seed} failed: {failed.error}" in said
    for record in ended:
        if record.status == "done":
            with (Store(results).folder(record) / "history.csv").open() as file:
                assert [int(row["epoch"]) for row in csv.DictReader(file)] == [1, 2, 3, 4]


def test_ctrl_c_leaves_every_run_under_way_interrupted(tmp_path):
    process = started([*THREE, *ENDLESS, "--results", str(tmp_path)], until="starting")
    until_all_are_at_work(process, 3)
    at_work = children(process.pid)
    assert len(at_work) == 3
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not any(Path(f"/proc/{child}").exists() for child in at_work)
    assert [record.status for record in records(tmp_path)] == ["interrupted"] * 3
    assert not (tmp_path / ".running").exists()


def test_a_run_that_cannot_be_had_lets_those_beside_it_come_to_their_end(tmp_path):
    hold, results = Hold(tmp_path / "plugin"), tmp_path / "results"
    path = tmp_path / "bad.toml"
    path.write_text('summary = ""\nextends = "constant"\n[split]\nvalidation = 0.01\n')
    command = [BENCH, "run", "logistic", str(path), "constant", *SMALL, *held(1), "--epochs", "2", "--workers", "2"]
    with subprocess.Popen(
        [*command, "--results", str(results), "--json"],
        env=hold.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        refused = eventually(lambda: any(results.glob("runs/bad/*/record.json")))
        hold.go()  # only now, when it has been refused beside the other
        assert refused
        told, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    *_, last = said.splitlines()
    assert last.startswith("error: bad seed 42: ")
    assert "too small to split" in last
    ended = [("logistic", "done"), ("bad", "failed"), ("constant", "done")]
    assert [(record["benchmark"], record["status"]) for record in json.loads(told)] == ended
    (failed,) = (record for record in records(results) if record.status == "failed")
    assert "too small to split" in failed.error


class Listener:
    """A plugin that keeps what it is told, and draws no picture of the first seed."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, str]] = []

    @hookimpl
    def bench_run_started(self, run):
        self.heard.append(("started", run.seed, run.id))

    @hookimpl
    def bench_run_finished(self, run, record, samples):
        self.heard.append((record["status"], run.seed, run.id))
        if record["status"] == "done":
            assert samples["images"].shape == samples["masks"].shape == samples["probabilities"].shape
        if run.seed == 1:
            raise OSError(28, "No space left on device")
        (run.folder / "samples.png").write_bytes(b"")


def trained(results: Path, listener: Listener, *seeds: int) -> tuple[dict[int, EndedRun], list[str]]:
    """Train seeds from this process, and return what comes of them and what is said."""
    points = importlib.metadata.entry_points(group="craterbench")
    registry = Registry([*((point.name, point.load) for point in points), ("listener", lambda: listener)])
    settings = ("dataset.name=synthetic", "dataset.images=12", "dataset.size=16", "training.epochs=3")
    resolved = resolve(registry, "logistic", [parse_override(setting) for setting in settings])
    lines: list[str] = []
    factory = RunFactory(registry=registry, store=Store(results), device="cpu", log=lines.append)
    options = ExecutionOptions(device="cpu", workers=2)
    asked = [RunSpec(resolved, seed) for seed in seeds]
    return {seeds[ended.position]: ended for ended in train(factory, asked, options, resume=True)}, lines


def test_a_run_that_cannot_be_taken_up_does_not_keep_the_others_from_their_end(tmp_path, monkeypatch):
    _, _ = trained(tmp_path, Listener(), 2, 3)
    store = Store(tmp_path)
    for record in store.records()[0]:
        if record.seed == 3:
            left = replace(record, status="interrupted", parts={})
            (store.folder(record) / "record.json").write_text(json.dumps(left.as_json()))
            checkpoint = Checkpoint([{"epoch": 1}], 1, {}, {}, {})
            write_checkpoint(store.folder(record) / "state.safetensors", checkpoint)
    monkeypatch.setattr(Store, "reopen", refused)
    listener = Listener()
    ended, _ = trained(tmp_path, listener, 3, 4)
    assert ended[3].refusal == "logistic seed 3: another process is at it"
    assert (ended[3].record.status, ended[4].record.status) == ("interrupted", "done")
    assert [(what, seed) for what, seed, _ in listener.heard] == [("started", 4), ("done", 4)]


def refused(store, record):
    raise UserError("another process is at it")


def test_a_run_whose_pictures_cannot_be_drawn_is_done_without_them_and_says_so(tmp_path):
    listener = Listener()
    ended, lines = trained(tmp_path, listener, 1, 2)
    assert {seed: end.record.status for seed, end in ended.items()} == {1: "done", 2: "done"}
    assert sorted((what, seed) for what, seed, _ in listener.heard) == [
        ("done", 1), ("done", 2), ("started", 1), ("started", 2)
    ]  # fmt: skip
    assert records(tmp_path) == [ended[1].record, ended[2].record]
    (line,) = lines
    assert line == "plugin listener: bench_run_finished raised OSError: [Errno 28] No space left on device"
    assert (ended[1].record.warnings, ended[2].record.warnings) == ([line], [])
    assert not (tmp_path / ".running").exists()
