"""A study's folder, whatever became of the process that owned it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from study_plan import PLAN

from craterbench.plugin import UserError
from craterbench.search.study import Study, StudyView
from craterbench.search.sweep_config import SweepConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "studies" / "s"


def opened(folder: Path, **changed) -> Study:
    return Study(folder, replace(PLAN, **changed))


def tried(study: Study, value: float | None = None):
    """Ask for a trial of one parameter, and let it come to its end if it has a value."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    if value is not None:
        study.complete(trial, [value])
    return trial


def states(study: StudyView) -> list[str]:
    return [trial.state for trial in study.trials()]


def abandon(study: Study) -> None:
    """Leave a study as a process does that is killed: nothing is written, the system lets go of the lock."""
    study._lock.release()


def test_what_a_dead_process_left_running_has_failed_and_is_tried_once_more_and_only_once(folder):
    dead = opened(folder)
    tried(dead, 0.5)
    left = tried(dead)
    abandon(dead)
    with opened(folder) as study:
        assert states(study) == ["complete", "failed", "waiting"]
        assert study.trials()[1].reason == "the search stopped in the middle of it"
        assert study.trials()[1].seconds is None  # it took the time until now, or none of it
        again = tried(study)
        assert study.retry_of(again) == left.number
        assert again.params == left.params
        abandon(study)
    with opened(folder) as study:  # it took the machine with it twice
        assert states(study) == ["complete", "failed", "failed"]
        assert tried(study).number == 3
        assert study.counted == 1


def test_a_crash_between_the_wish_to_try_again_and_the_word_of_the_failure_does_not_try_twice(folder):
    dead = opened(folder)
    left = tried(dead)
    dead._optuna.enqueue_trial(left.params, user_attrs={"retry_of": left.number})
    abandon(dead)
    for _ in range(2):
        with opened(folder) as study:
            assert states(study) == ["failed", "waiting"]


def test_a_trial_that_was_asked_for_and_has_no_parameters_yet_is_not_repeated(folder):
    dead = opened(folder)
    dead.ask()
    abandon(dead)
    with opened(folder) as study:
        assert states(study) == ["failed"]


@pytest.mark.parametrize("torn", [b'{"op_code":5,"wor', b"\0" * 40, b"[1]\n", b'{"a":1}\n', b"\xff\xfe\n"])
def test_a_torn_line_at_the_end_of_the_journal_is_cut_off_and_the_damaged_file_is_kept(folder, torn):
    with opened(folder) as study:
        for value in (0.5, 0.6):
            tried(study, value)
    journal = folder / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + torn)
    with opened(folder) as study:
        (note,) = study.notes
        assert "1 damaged line at its end cut off" in note
        (kept,) = folder.glob("journal.log.damaged-*")
        assert kept.name in note
        assert kept.read_bytes() == whole + torn
        assert [trial.values for trial in study.trials()] == [[0.5], [0.6]]
        assert tried(study, 0.7).number == 2
    assert StudyView(folder).best() == [2]
    assert opened(folder).notes == []


def test_damage_in_the_middle_of_the_journal_costs_what_stands_behind_it_and_no_more(folder):
    with opened(folder) as study:
        for value in (0.5, 0.6, 0.7, 0.8):
            tried(study, value)
    journal = folder / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    middle = next(number for number, line in enumerate(lines) if b'"trial_id":2' in line)
    journal.write_bytes(b"".join([*lines[:middle], lines[middle][:9] + b"\n", *lines[middle + 1 :]]))
    with pytest.raises(UserError, match="bench sweep --resume s mends it"):
        StudyView(folder)
    with opened(folder) as study:
        assert f"{len(lines) - middle} damaged lines" in study.notes[0]
        assert states(study) == ["complete", "complete", "failed"]  # the third was under way then
        assert study.counted == 2
        while study.counted < 5:
            tried(study, 0.9)
        assert [trial.number for trial in study.trials()] == list(range(len(study.trials())))


def test_a_journal_that_is_lost_or_empty_begins_anew(folder):
    with opened(folder) as study:
        tried(study, 0.5)
    journal = folder / "journal.log"
    for damage in (journal.unlink, lambda: journal.write_bytes(b"")):
        damage()
        with pytest.raises(UserError, match="missing, damaged or empty; bench sweep --resume s"):
            StudyView(folder)
        with opened(folder) as study:
            assert study.counted == 0


def test_a_study_has_one_owner_and_the_second_is_told_who_it_is(folder):
    with opened(folder):
        with pytest.raises(UserError, match=rf"by another command: process {os.getpid()} on .+, since 20\d\d-.+ UTC"):
            opened(folder)
        assert StudyView(folder).owned
        (folder / "owner.json").write_text("{")  # the moment before it is written
        with pytest.raises(UserError, match=r"'s' is being searched by another command$"):
            opened(folder)
        assert StudyView(folder).owned
    assert not StudyView(folder).owned
    opened(folder).__exit__()


def test_a_study_that_came_by_meanwhile_is_not_written_over(folder):
    with opened(folder) as study:
        tried(study, 0.5)
    with pytest.raises(UserError, match="there is a study 's' by now"):
        opened(folder, created="2026-01-02T03:04:06Z", trials=7)
    assert StudyView(folder).config.trials == 5
    with opened(folder, trials=7):
        assert SweepConfig.read(folder).trials == 7


def test_a_folder_that_cannot_be_written_is_an_error_with_its_cure(folder):
    folder.parent.mkdir()
    folder.write_text("a file")
    with pytest.raises(UserError, match=r"cannot be written .+ --results DIR"):
        opened(folder)
    folder.unlink()
    (folder / "study.json.part").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot be written .+ --results DIR"):
        opened(folder)
    (folder / "study.json.part").rmdir()
    opened(folder).__exit__()  # nobody holds it


@pytest.mark.parametrize("content", ["", "[]", "null", '{"name": "s"}', "\0\0"])
def test_a_plan_that_cannot_be_read_is_an_error(folder, content):
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(content)
    with pytest.raises(UserError, match=r"study\.json cannot be read"):
        StudyView(folder)


def test_a_key_that_is_not_known_is_passed_over_and_a_newer_schema_is_told(folder):
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(vars(PLAN) | {"later": 1}))
    assert SweepConfig.read(folder) == PLAN
    (folder / "study.json").write_text(json.dumps(vars(PLAN) | {"schema": 99}))
    with pytest.raises(UserError, match="newer schema 99, here 1: update craterbench"):
        SweepConfig.read(folder)


def test_a_study_in_the_folder_of_another_is_not_taken_for_it(folder):
    with opened(folder) as study:
        tried(study, 0.5)
    folder.rename(folder.with_name("copy"))
    with pytest.raises(UserError, match="holds the study 's'"):
        SweepConfig.read(folder.with_name("copy"))


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_that_goes_on_does_not_draw_from_its_beginning_again(folder, sampler):
    def drawn(number: int) -> list[float]:
        with opened(folder, sampler=sampler, trials=9) as study:
            return [tried(study, 0.5).params["x"] for _ in range(number)]

    assert len(set(drawn(3) + drawn(3) + drawn(2))) == 8


def test_the_median_prunes_what_lags_behind_and_two_objectives_prune_nothing(folder):
    def asked(study: Study, value: float) -> list[bool]:
        trial = tried(study)
        answers = [study.report(trial, value, epoch) for epoch in (1, 2, 3, 4)]
        if any(answers):
            study.prune(trial)
        else:
            study.complete(trial, [value] * len(study.config.objectives))
        return answers

    with opened(folder) as study:
        for value in (0.5, 0.6, 0.7, 0.8, 0.9):
            assert not any(asked(study, value))
        assert asked(study, 0.65) == [False, True, True, True]
        assert not any(asked(study, 0.75))
        assert study.counted == 7
        assert study.trials()[5].values == [0.65]
    both = folder.with_name("both")
    with Study(both, replace(PLAN, name="both", objectives=["balanced_accuracy", "val_loss"])) as study:
        for value in (0.5, 0.6, 0.7, 0.8, 0.9, 0.1):
            assert not any(asked(study, value))


def test_a_new_study_that_ends_in_an_error_before_anything_was_tried_leaves_nothing_behind(folder):
    with pytest.raises(UserError, match="no worker"), opened(folder):
        raise UserError("no worker")
    assert not folder.parent.exists()
    with opened(folder) as study:
        tried(study)
    for _ in range(2):
        with pytest.raises(UserError, match="no worker"), opened(folder):
            raise UserError("no worker")
    assert StudyView(folder).trials()


@pytest.mark.parametrize(
    "objectives",
    [["balanced_accuracy"], ["val_loss"], ["balanced_accuracy", "val_loss"], ["val_loss", "balanced_accuracy"]],
)
def test_what_decides_who_is_among_the_best_is_the_most_important(folder, objectives):
    sign = 1 if objectives[0] == "balanced_accuracy" else -1
    with opened(folder, objectives=objectives) as study:
        for _ in range(80):
            trial = study.ask()
            top, bottom = trial.suggest_float("top", 0, 1), trial.suggest_float("bottom", 0, 1)
            # `top` alone tells good trials apart, `bottom` alone poor ones
            value = 1 + top if bottom > 0.5 else 2 * bottom
            study.complete(trial, [sign * value, 0.0][: len(objectives)])
        shares = study.importances()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["top"] > shares["bottom"]


def test_of_few_trials_nobody_can_tell_what_matters(folder):
    with opened(folder, trials=99) as study:
        for number in range(40):
            trial = study.ask()
            always = trial.suggest_float("always", 0, 1)
            if number % 4 == 0:
                trial.suggest_float("rarely", 0, 1)
            if number == 19:
                assert study.importances() == {}
            study.complete(trial, [always])
        assert study.importances() == {"always": 1.0}


def test_what_is_left_of_a_study_that_was_not_begun_does_not_turn_another_round(folder):
    with opened(folder):
        pass
    (folder / "study.json").unlink()
    with opened(folder, objectives=["val_loss"]) as study:
        tried(study, 0.2), tried(study, 0.1)
        assert study.best() == [1]


def test_a_front_begins_with_what_is_best_in_the_first_objective(folder):
    with opened(folder, objectives=["balanced_accuracy", "val_loss"]) as study:
        for values in ([0.6, 0.1], [0.9, 0.3], [0.8, 0.2], [0.5, 0.2]):
            trial = study.ask()
            trial.suggest_float("x", 0, 1)
            study.complete(trial, values)
        assert study.best() == [1, 2, 0]
