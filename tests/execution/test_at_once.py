"""Commands that are given at the same time, in real processes: nothing is trained twice, nor waited for in vain.

What trains is the scripted plugin, which waits in its first epoch until it may go on: no test goes by the clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from processes import BENCH, children, started

from craterbench.config.resolve import parse_override, resolve
from craterbench.execution.batch import train
from craterbench.execution.devices import available_cores, fitting_workers
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.plugin.registry import Registry
from craterbench.results.store import Store

WAITING = "another command is training it"


@pytest.fixture
def other(tmp_path) -> str:
    """A second benchmark of the scripted plugin."""
    path = tmp_path / "other.toml"
    path.write_text(tomli_w.dumps({"summary": "", "extends": "scripted"}))
    return str(path)


def command(results: Path, *names: str) -> list[str]:
    return [BENCH, "run", *names, "--results", str(results)]


def until(true) -> None:
    deadline = time.monotonic() + 100
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sessions(script) -> int:
    return len(script.starts())


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for a command that ends well, and return what it said since it was started."""
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    return said


def records(results: Path):
    found, damaged = Store(results).records()
    assert damaged == []
    assert not (results / ".running").exists()
    return found


def test_what_another_command_is_training_is_waited_for_while_others_train_and_taken_over(script, tmp_path, other):
    script.say(start_0="wait")
    first = started(command(tmp_path, "scripted"), until="starting")
    until(lambda: sessions(script) == 1)
    (under_way,) = (file.parent.name for file in (tmp_path / ".running").glob("*/record.json"))
    second = started(command(tmp_path, "scripted", other, "--workers", "1"), until="other seed 42: done")
    assert sessions(script) == 2  # it trained the other meanwhile
    script.go()
    ended(first)
    assert f"scripted seed 42: done already, {under_way} (" in ended(second)
    assert sessions(script) == 2
    assert sorted((record.benchmark, record.status) for record in records(tmp_path)) == [
        ("other", "done"), ("scripted", "done")
    ]  # fmt: skip


def test_that_it_waits_is_said_once_with_the_run_it_waits_for(script, tmp_path):
    script.say(start_0="wait")
    first = started(command(tmp_path, "scripted"), until="starting")
    until(lambda: sessions(script) == 1)
    second = subprocess.Popen(
        [*command(tmp_path, "scripted"), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr is not None
    line = second.stderr.readline()
    time.sleep(1.2)  # for it to look again, of which nothing is said; the test holds however slow that is
    script.go()
    ended(first)
    out, said = second.communicate(timeout=100)
    (record,) = json.loads(out)
    assert line == f"scripted seed 42: {WAITING}, {record['id']}; waiting\n"
    assert WAITING not in said
    assert [record["id"]] == [each.id for each in records(tmp_path)]


def test_two_commands_that_ask_for_the_same_in_another_order_both_come_to_their_end(script, tmp_path, other):
    script.say(always="wait")
    one = started(command(tmp_path, "scripted", other, "--workers", "1"), until="scripted seed 42: starting")
    two = started(command(tmp_path, other, "scripted", "--workers", "1"), until="other seed 42: starting")
    until(lambda: sessions(script) == 2)
    script.go()
    ended(one)
    ended(two)
    assert sessions(script) == len(records(tmp_path)) == 2


def test_many_commands_at_the_same_moment_train_each_run_once(script, tmp_path, other):
    script.say()
    commands = [subprocess.Popen(command(tmp_path, "scripted", other, "--quiet")) for _ in range(4)]
    assert [process.wait(timeout=100) for process in commands] == [0] * 4
    assert sessions(script) == len(records(tmp_path)) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_another_command_broke_off_is_trained_anew_by_the_one_that_waited(script, tmp_path, how):
    script.say(start_0="wait")
    first = started(command(tmp_path, "scripted"), until="starting")
    until(lambda: sessions(script) == 1)
    second = started(command(tmp_path, "scripted"), until=WAITING)
    os.killpg(first.pid, how)
    first.communicate(timeout=60)
    said = ended(second)
    broken, anew = records(tmp_path)
    assert (broken.status, anew.status) == ("interrupted", "done")
    assert (f"scripted {broken.id}: its process died; it is interrupted" in said) == (how is signal.SIGKILL)


def test_what_failed_in_another_command_is_trained_by_the_one_that_waited(script, tmp_path):
    script.say(start_0="wait")
    first = started(command(tmp_path, "scripted"), until="starting")
    until(lambda: sessions(script) == 1)
    second = started(command(tmp_path, "scripted"), until=WAITING)
    (child,) = children(first.pid)
    os.kill(child, signal.SIGKILL)
    first.communicate(timeout=60)
    assert first.returncode == 1
    ended(second)
    assert [record.status for record in records(tmp_path)] == ["failed", "done"]


LONG = ("logistic", "--dataset", "synthetic", "--set", "dataset.images=12", "--set", "dataset.size=16")
LONG += ("--epochs", "150", "--set", "training.patience=150")


def test_with_resume_the_one_that_waited_goes_on_with_what_a_kill_broke_off(tmp_path):
    first = started(command(tmp_path, *LONG), until="epoch 20/")
    at_work = [first.pid, *children(first.pid)]
    for process in at_work:
        os.kill(process, signal.SIGSTOP)  # it lives, and comes to no end meanwhile
    second = started([*command(tmp_path, *LONG), "--resume"], until=WAITING)
    for process in at_work:
        os.kill(process, signal.SIGKILL)
    first.communicate(timeout=60)
    said = ended(second)
    assert "logistic seed 42: going on after epoch " in said
    (record,) = records(tmp_path)
    assert (record.status, record.epochs) == ("done", 150)


def test_ctrl_c_ends_a_command_that_waits_and_leaves_the_other_alone(script, tmp_path):
    script.say(start_0="wait")
    first = started(command(tmp_path, "scripted"), until="starting")
    until(lambda: sessions(script) == 1)
    second = started(command(tmp_path, "scripted"), until=WAITING)
    os.killpg(second.pid, signal.SIGINT)
    second.communicate(timeout=60)
    assert second.returncode == 130
    script.go()
    ended(first)
    assert [record.status for record in records(tmp_path)] == ["done"]


def test_again_waits_for_nobody(script, tmp_path):
    script.say(start_0="wait")
    first = started(command(tmp_path, "scripted"), until="starting")
    until(lambda: sessions(script) == 1)
    result = subprocess.run([*command(tmp_path, "scripted"), "--force"], capture_output=True, text=True, check=True)
    assert WAITING not in result.stderr
    script.go()
    ended(first)
    assert sessions(script) == len(records(tmp_path)) == 2


def test_a_run_on_data_that_have_changed_is_another_run_and_waits_for_none(script, tmp_path):
    def write(seed: int) -> None:
        images = np.random.default_rng(seed).uniform(size=(30, 8, 8))
        np.savez(tmp_path / "data.npz", images=images, masks=images > 0.7)

    def known() -> bool:
        files = (tmp_path / ".running").glob("*/record.json")
        return any(json.loads(file.read_text())["identity"] for file in files)

    script.say(start_0="wait")
    asked = [*command(tmp_path, "scripted"), "--dataset", "npz", "--data", str(tmp_path / "data.npz")]
    write(1)
    first = started(asked, until="starting")
    until(known)
    write(2)
    result = subprocess.run(asked, capture_output=True, text=True, timeout=100, check=True)
    assert WAITING not in result.stderr
    script.go()
    ended(first)
    assert sessions(script) == len(records(tmp_path)) == 2


def test_two_names_of_the_same_run_train_it_once(script, tmp_path):
    script.say()
    path = tmp_path / "scripted.toml"
    path.write_text(tomli_w.dumps({"summary": "the same by the same name", "extends": "scripted"}))
    result = subprocess.run(
        [*command(tmp_path / "results", "scripted", str(path), "scripted", "--seeds", "2"), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [record["seed"] for record in json.loads(result.stdout)] == [42, 43]
    assert sessions(script) == 2


def test_several_runs_train_at_once_unless_something_else_is_asked_for(script, tmp_path):
    if fitting_workers("cpu") < 2:
        pytest.skip("neither cores nor memory for two")
    script.say(always="wait")
    process = started(command(tmp_path, "scripted", "--seeds", "2"), until="starting")
    until(lambda: sessions(script) == 2)  # neither has ended
    script.go()
    ended(process)
    threads = {record.environment["threads"] for record in records(tmp_path)}
    assert threads == {available_cores() // 2}


def test_two_that_look_at_once_whether_a_run_is_under_way_do_not_both_start_it(tmp_path):
    overrides = [parse_override(setting) for setting in ("dataset.name=synthetic", "training.epochs=2")]
    asked = [RunSpec(resolve(Registry.installed(), "constant", overrides), seed=1)]
    ready, found = threading.Barrier(2), []

    def one(store: Store) -> None:
        factory = RunFactory(registry=Registry.installed(), store=store, device="cpu", log=print)
        ready.wait()
        found.extend(ended.record.id for ended in train(factory, asked, ExecutionOptions(device="cpu", workers=1)))

    with Store(tmp_path).start_lock():
        both = [threading.Thread(target=one, args=(Store(tmp_path),)) for _ in range(2)]
        for each in both:
            each.start()
        ready_by = time.monotonic() + 1
        while time.monotonic() < ready_by and not found:  # both stand at the door, or soon will
            time.sleep(0.02)
        assert found == []
    for each in both:
        each.join(timeout=100)
    (record,) = records(tmp_path)
    assert found == [record.id] * 2
