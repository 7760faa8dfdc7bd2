"""A study's journal: what is on the disk when, and that plain Optuna reads it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from study_plan import PLAN

from craterbench.search.study import Study, StudyView

ENDED = ("complete", "pruned", "failed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "studies" / "s"


def opened(folder: Path, **changed) -> Study:
    return Study(folder, replace(PLAN, **changed))


def ended(study: StudyView) -> list[object]:
    """Return all that is known of the trials that have ended."""
    return [replace(trial, seconds=None) for trial in study.trials() if trial.state in ENDED]


def plain(folder: Path) -> optuna.Study:
    """Return a study as Optuna alone reads it, and writes it."""
    storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    return optuna.load_study(study_name=PLAN.name, storage=storage)


class Disk:
    """Remembers what of each file was on the disk when something last waited for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.safe: dict[int, bytes] = {}
        self.waits = 0
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, file: int) -> None:
        self._fsync(file)
        self.waits += 1
        path = Path(f"/proc/self/fd/{file}").readlink()
        if path.is_file():
            self.safe[path.stat().st_ino] = path.read_bytes()

    def after_power_cut(self, folder: Path, copy: Path) -> Path:
        """Return a copy of a folder that lacks all that nothing had waited for."""
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        for path in folder.iterdir():
            if path.stat().st_ino in self.safe:
                (copy / path.name).write_bytes(self.safe[path.stat().st_ino])
        return copy


def steps(study: Study):
    """Try one thing after the other, and stop after each."""
    yield
    for number in range(6):
        trial = study.ask()
        yield
        for name in "abc":
            trial.suggest_float(name, 0, 1)
            yield
        study.begin(trial, f"record-{number}")
        for epoch in (1, 2, 3):
            study.report(trial, number + epoch / 10, epoch)
            yield
        match number % 3:
            case 0:
                study.complete(trial, [float(number)], epochs=3)
            case 1:
                study.prune(trial, epochs=3)
            case 2:
                study.fail(trial, "it died", again=True, epochs=3)
        yield


def test_a_power_cut_takes_no_trial_that_had_ended_and_the_search_goes_on(folder, tmp_path, monkeypatch):
    disk = Disk(monkeypatch)
    with opened(folder) as study:
        for _ in steps(study):
            before, counted = ended(study), study.counted
            left = disk.after_power_cut(folder, tmp_path / "left" / "s")
            with opened(left) as rescued:
                assert rescued.notes == []
                kept = ended(rescued)
                assert kept[: len(before)] == before
                assert all(trial.reason for trial in kept[len(before) :])  # what was under way
                assert rescued.counted == counted
                while rescued.counted < PLAN.trials:
                    again = rescued.ask()
                    again.suggest_float("a", 0, 1)
                    rescued.complete(again, [0.5])
            assert sum(trial.state in ("complete", "pruned") for trial in StudyView(left).trials()) == PLAN.trials


def test_a_trial_waits_once_for_the_disk_however_many_parameters_and_epochs_it_has(folder, monkeypatch):
    disk = Disk(monkeypatch)
    with opened(folder, trials=99) as study:
        for number in range(3):
            before = disk.waits
            trial = study.ask()
            for name in "abcdefghijklmno":
                trial.suggest_float(name, 0, 1)
            study.begin(trial, "record")
            for epoch in range(1, 11):
                study.report(trial, 0.5, epoch)
            assert disk.waits == before
            assert StudyView(folder).trials()[number].epochs == 10  # others see it all the same
            study.complete(trial, [0.5], epochs=10)
            assert disk.waits == before + 1


def test_what_a_process_had_told_before_it_was_killed_is_there_and_plain_optuna_reads_the_same(folder):
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
        from dataclasses import replace
        from pathlib import Path
        from study_plan import PLAN
        from craterbench.search.study import Study

        study = Study(Path({str(folder)!r}), replace(PLAN, trials=10**6))
        for number in range(10**6):
            trial = study.ask()
            value = trial.suggest_float("x", 0, 1)
            study.report(trial, value, 1)
            study.complete(trial, [value], epochs=1)
            print(repr(value), flush=True)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [float(process.stdout.readline()) for _ in range(20)]
    process.kill()
    told += [float(line) for line in process.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    complete = [trial for trial in StudyView(folder).trials() if trial.state == "complete"]
    assert [trial.values for trial in complete[: len(told)]] == [[value] for value in told]
    assert len(complete) <= len(told) + 1  # the one that it had no time to tell
    with opened(folder, trials=10**6) as study:
        assert study.counted == len(complete)
        other = plain(folder).get_trials()
        assert [(trial.number, trial.params, trial.values) for trial in other] == [
            (trial.number, dict(trial.parameters), list(trial.values) or None) for trial in study.trials()
        ]


def test_what_others_write_into_the_journal_meanwhile_is_kept_and_seen(folder):
    with opened(folder, trials=9) as study:
        first = study.ask()
        first.suggest_float("x", 0, 1)
        dashboard = plain(folder)
        dashboard.set_user_attr("note", "look at this")
        dashboard.enqueue_trial({"x": 0.25})
        study.complete(first, [0.5])
        second = study.ask()
        assert (second.number, second.suggest_float("x", 0, 1)) == (1, 0.25)
        dashboard.enqueue_trial({"x": 0.75})
        third = study.ask()  # made by a line that stands behind the other's
        third.suggest_float("x", 0, 1)
        study.complete(second, [0.6])
        study.complete(third, [0.7])
        here = [(trial.number, trial.state, trial.values) for trial in study.trials()]
    there = plain(folder)
    assert [(trial.number, trial.state.name.lower(), trial.values or []) for trial in there.get_trials()] == here
    assert there.user_attrs == {"note": "look at this"}


def test_what_a_full_disk_leaves_half_written_is_taken_back(folder):
    with opened(folder) as study:
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        journal = folder / "journal.log"
        whole = journal.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                study.complete(trial, [0.5])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert journal.read_bytes() == whole
        study.complete(trial, [0.5])
    assert StudyView(folder).best() == [0]


def test_a_lock_of_optunas_that_a_dead_process_left_is_not_waited_for(folder, monkeypatch):
    with opened(folder) as study:
        study.complete(study.ask(), [0.5])
    (folder / "journal.log.lock").symlink_to(folder / "journal.log")
    monkeypatch.setattr(JournalFileSymlinkLock, "acquire", lambda lock: pytest.fail("it waits for a dead process"))
    with opened(folder) as study:
        study.complete(study.ask(), [0.6])
    assert StudyView(folder).best() == [1]
