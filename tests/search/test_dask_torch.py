"""Whole searches on a Dask cluster, by commands as a user gives them, some of which are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_commands import scheduler, worker_of
from processes import BENCH, PATIENCE, eventually

from craterbench.results.record import Record
from craterbench.results.store import Store
from craterbench.search.study import StudyView
from craterbench.search.summary import Trial

SEARCH = ("--benchmark", "scripted", "--vary", "model.quality", "--sampler", "random", "--confirm", "0")
SEARCH += ("--epochs", "4", "--name", "s")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def searching(address: str, results: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    words = ("sweep", *SEARCH, "--results", str(results), "--executor", "dask", "--scheduler", address, *more)
    with subprocess.Popen([BENCH, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def trials(results: Path) -> list[Trial]:
    folder = results / "studies" / "s"
    return StudyView(folder).trials() if (folder / "journal.log").exists() else []


def records(results: Path) -> dict[str, Record]:
    """Return the records of the study by their id, all of which must be whole and know nothing of the test part."""
    store = Store(results / "studies" / "s")
    assert not store.running.exists()
    found, damaged = store.records()
    assert damaged == []
    for record in found:
        assert "test" not in record.parts
        if record.epochs:
            assert len((store.folder(record) / "history.csv").read_text().splitlines()) == record.epochs + 1
        if record.status in ("done", "pruned"):
            assert record.parts.keys() == {"validation"}
            assert (store.folder(record) / "log.txt").read_text().split() == ["trained"] * record.epochs
    return {record.id: record for record in found}


def test_a_search_comes_to_its_end_with_a_worker_that_joins_late_and_is_killed(script, bench, tmp_path):
    script.change("self.epoch += 1", "self.epoch += 1; print('trained')")
    script.say(start_0="wait", start_1="wait")
    script.change("self.epoch = 0", "self.epoch = 0; note('parents', os.getppid())")
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(tmp_path))
        stack.enter_context(worker_of(address, tmp_path))
        search = stack.enter_context(searching(address, bench.results, "--trials", "7"))
        assert eventually(lambda: len(script.starts()) == 1)
        stack.enter_context(worker_of(address, tmp_path))  # while the only trial that runs says nothing
        assert eventually(lambda: len(script.starts()) == 2)
        late, _ = script.starts()[1]
        os.kill(parent(late), signal.SIGKILL)
        assert eventually(lambda: "failed" in [trial.state for trial in trials(bench.results)])
        script.go()
        _, said = search.communicate(timeout=PATIENCE)
        assert search.returncode == 0, said
        assert eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker, _ in script.starts()))
    found, kept = trials(bench.results), records(bench.results)
    ended = [trial for trial in found if trial.state in ("complete", "pruned")]
    assert (len(ended), len(found), len(kept)) == (7, 8, 8)
    (lost,) = (trial for trial in found if trial.state == "failed")
    assert re.fullmatch(r"the Dask worker at tcp://127.0.0.1:\d+ was lost: it was killed, or .*", lost.reason or "")
    (again,) = (trial for trial in found if trial.retry_of is not None)
    assert (again.retry_of, again.parameters) == (lost.number, lost.parameters)
    for trial in found:
        status = {"complete": "done"}.get(trial.state, trial.state)
        assert (kept[trial.record].status, kept[trial.record].error) == (status, trial.reason)
    assert len(set(script.reads())) == 1  # the images came to the workers from the search


def test_the_loss_of_the_scheduler_ends_the_search_and_is_laid_at_no_trial_s_door(script, bench, tmp_path):
    script.say(start_0="wait", start_1="wait")
    with ExitStack() as stack:
        address, process = stack.enter_context(scheduler(tmp_path))
        for _ in range(2):
            stack.enter_context(worker_of(address, tmp_path))
        search = stack.enter_context(searching(address, bench.results, "--trials", "3"))
        assert eventually(lambda: len(script.starts()) == 2)
        process.kill()
        _, said = search.communicate(timeout=PATIENCE)
    assert search.returncode == 2, said
    assert f"the Dask scheduler at {address} is gone or cannot be reached" in said
    assert "go on with: bench sweep --resume s" in said
    found, kept = trials(bench.results), records(bench.results)
    assert [trial.state for trial in found] == ["failed", "failed", "waiting", "waiting"]
    assert [trial.reason for trial in found[:2]] == ["the search was interrupted"] * 2
    assert [record.status for record in kept.values()] == ["interrupted"] * 2
    assert [trial.retry_of for trial in found[2:]] == [0, 1]


def test_runs_train_on_a_cluster_and_one_whose_worker_is_killed_goes_on_from_its_last_epoch(script, bench, tmp_path):
    script.say(start_1="die")  # in its second epoch, in the process that trains on the first Dask worker
    asked = ("run", "scripted", "--seeds", "2", "--device", "cpu", "--executor", "dask", "--json")
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(tmp_path))
        stack.enter_context(worker_of(address, tmp_path))
        first = bench(*asked, "--scheduler", address)
        assert first.exit_code == 1, first.output
        one, other = json.loads(first.stdout)
        assert (one["status"], other["status"]) == ("done", "failed")
        assert re.search("killed by SIGKILL.*, on the Dask worker at", other["error"])
        store = Store(bench.results)
        (left,) = (record for record in store.records()[0] if record.status == "failed")
        checkpoint = store.checkpoint(left)
        assert len(checkpoint.history) == 1  # it came from the other machine
        second = bench(*asked, "--scheduler", address, "--resume")
    assert second.exit_code == 0, second.output
    assert f"scripted seed 42: done already, {one['id']}" in second.stderr
    found = {record.seed: record for record in store.records()[0]}
    assert {seed: (record.id, record.status, record.epochs) for seed, record in found.items()} == {
        42: (one["id"], "done", 4), 43: (other["id"], "done", 4)
    }  # fmt: skip
    assert not store.running.exists()
    assert not any(Path(f"/proc/{worker}").exists() for worker, _ in script.starts())


@pytest.mark.usefixtures("undrawn")
def test_what_was_found_on_a_cluster_is_trained_anew_there(script, bench, tmp_path):
    script.change("self.epoch = 0", "self.epoch = 0; note('parents', os.getppid())")
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(tmp_path))
        stack.enter_context(worker_of(address, tmp_path))
        search = ("--trials", "2", "--executor", "dask", "--scheduler", address)
        result = bench("sweep", *SEARCH, *search, "--confirm", "1", "--device", "cpu")
        assert result.exit_code == 0, result.output
    assert len(script.starts()) == 2 + 6
    (dask_worker,) = set((script.folder / "parents").read_text().split())
    assert int(dask_worker) != os.getpid()
    anew = Store(bench.results).records()[0]
    assert sorted((record.benchmark, record.seed) for record in anew) == [
        (name, seed) for name in ("s", "scripted") for seed in (42, 43, 44)
    ]
    assert {record.status for record in anew} == {"done"}
