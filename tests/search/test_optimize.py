"""A search in this process, its trials in real children, with a model that goes wrong when a script says so."""

from __future__ import annotations

import csv
import os
import platform
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import trained_and_evaluated

from craterbench.execution import scheduler
from craterbench.execution.devices import environment
from craterbench.execution.executor import ExecutionOptions, open_executor
from craterbench.execution.worker import WorkerProcess
from craterbench.metrics.metric import BALANCED_ACCURACY
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.results.record import Record
from craterbench.results.store import Store
from craterbench.search import optimize, setup
from craterbench.search.optimize import trial_seed
from craterbench.search.setup import PreparedSweep, create_sweep, load_sweep
from craterbench.search.study import Study, StudyView
from craterbench.search.summary import Trial
from craterbench.search.sweep import search
from craterbench.search.sweep_config import SweepConfig


class EarlyStopping:
    """A progress that keeps what it is told, and calls a function with each trial as it is now."""

    def __init__(self, then: Callable[[Trial], None] = lambda trial: None) -> None:
        self.then = then
        self.told: list[Trial] = []
        self.lines: list[str] = []

    def trial(self, trial: Trial, *, most: int) -> None:
        self.told.append(trial)
        self.then(trial)

    def progress(self, **where: object) -> None:
        pass

    def log(self, line: str) -> None:
        self.lines.append(line)


def planned(*, trials: int, **more) -> PreparedSweep:
    asked = {
        "name": "s",
        "benchmark": "scripted",
        "epochs": 4,
        "vary": ["model.quality"],
        "sampler": "random",
        "pruner": "none",
        "trials": trials,
        "confirm": 0,
        "device": "cpu",
    }
    return create_sweep(Registry.installed(), **asked | more)


def conducted(
    results: Path, prepared: PreparedSweep, progress: EarlyStopping | None = None, *, workers: int = 1, timeout=None
) -> bool:
    """Search, and say whether it gave up."""
    options = ExecutionOptions(device="cpu", workers=workers)
    with (
        open_executor(prepared.registry, options) as executor,
        Study(results / "studies" / "s", prepared.config) as study,
    ):
        return search(study, prepared, executor, progress or EarlyStopping(), device="cpu", timeout=timeout)


def trials(results: Path) -> list[Trial]:
    return StudyView(results / "studies" / "s").trials()


def states(results: Path) -> list[str]:
    return [trial.state for trial in trials(results)]


def records(results: Path) -> dict[str, Record]:
    """Return the records of a study by their id, all of which must be whole."""
    store = Store(results / "studies" / "s")
    assert not store.running.exists()
    found, damaged = store.records()
    assert damaged == []
    assert not {"running"} & {record.status for record in found}
    assert not any("test" in record.parts for record in found)
    return {record.id: record for record in found}


def history(results: Path, record: Record) -> list[dict[str, str]]:
    with (Store(results / "studies" / "s").folder(record) / "history.csv").open() as file:
        return [{key: cell for key, cell in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_each_trial_leaves_its_record_and_none_but_the_first_process_reads_the_test_part(script, tmp_path):
    prepared = planned(trials=4)
    assert not conducted(tmp_path, prepared, workers=2)
    found, kept = trials(tmp_path), records(tmp_path)
    assert [trial.state for trial in found] == ["complete"] * 4
    for trial in found:
        record = kept[trial.record]
        assert (record.benchmark, record.seed) == (f"trial-{trial.number}", trial_seed(0, trial.number))
        assert record.parts.keys() == {"validation"}
        assert BALANCED_ACCURACY.score(record.parts["validation"]["statistics"]) == trial.values[0]
        assert trial.values[0] == pytest.approx(0.5 + trial.parameters["model.quality"] / 2, abs=0.01)
        assert trial.epochs == len(trial.curve) == len(history(tmp_path, record)) == 4
    (reader,) = script.reads()  # a trial is sent what it may see
    assert reader not in {os.getpid(), *(worker for worker, _ in script.starts())}
    assert not hasattr(prepared.train_val, "test")
    assert len({worker for worker, _ in script.starts()}) <= 2


def test_the_digits_of_a_trial_follow_from_its_number_in_a_warm_child_as_in_a_fresh_one(script, tmp_path):
    prepared = planned(trials=3, fix=["model.quality=0.5"], vary=["optimizer.learning_rate"])
    conducted(tmp_path, prepared)
    *_, last = trials(tmp_path)
    assert len({worker for worker, _ in script.starts()}) == 1
    warm = history(tmp_path, records(tmp_path)[last.record])
    resolved = prepared.trial(2, prepared.space.overrides(last.parameters))
    with WorkerProcess(environment(threads=1, device="cpu", framework={})) as child:
        seeds = (trial_seed(0, 2), trial_seed(0, 1))
        same, other = (
            trained_and_evaluated(child, resolved.benchmark, seed=seed, log=tmp_path / "log.txt").training.history
            for seed in seeds
        )
    assert [row["val_loss"] for row in warm] == [str(row["val_loss"]) for row in same]
    assert [row["val_loss"] for row in warm] != [str(row["val_loss"]) for row in other]


def test_a_record_tells_of_the_machine_that_trained_and_not_of_the_one_that_searches(script, tmp_path, monkeypatch):
    there = (platform.python_version(), f"{platform.system()} {platform.machine()}")
    prepared = planned(trials=1)
    monkeypatch.setattr(platform, "machine", lambda: "of this process alone")
    monkeypatch.setattr(platform, "python_version", lambda: "0.1")
    conducted(tmp_path, prepared)
    (record,) = records(tmp_path).values()
    assert (record.environment["python"], record.environment["machine"]) == there


def test_a_worker_that_is_killed_takes_its_trial_with_it_which_is_tried_once_more_but_not_twice(script, tmp_path):
    script.say(start_1="die", start_2="die", start_4="die")
    assert not conducted(tmp_path, planned(trials=4))
    found, kept = trials(tmp_path), records(tmp_path)
    assert [trial.state for trial in found] == [
        *("complete", "failed", "failed", "complete", "failed", "complete", "complete")
    ]  # fmt: skip
    assert [trial.retry_of for trial in found] == [None, None, 1, None, None, 4, None]
    assert found[2].parameters == found[1].parameters
    assert found[5].parameters == found[4].parameters
    for trial in (found[1], found[2], found[4]):
        assert "killed by SIGKILL" in trial.reason
        assert kept[trial.record].status == "failed"
        assert kept[trial.record].error == trial.reason
        assert trial.epochs == len(trial.curve) == kept[trial.record].epochs == 1
    workers = [worker for worker, _ in script.starts()]
    assert workers[0] == workers[1] != workers[2] != workers[3] == workers[4] != workers[5] == workers[6]


def test_a_worker_that_is_killed_while_it_has_nothing_to_do_costs_no_trial(script, tmp_path):
    def kill(trial: Trial) -> None:
        if trial.state == "complete":
            worker, _ = script.starts()[-1]
            process = os.pidfd_open(worker)
            os.kill(worker, signal.SIGKILL)
            select.select([process], [], [])  # all its threads are gone
            os.close(process)

    conducted(tmp_path, planned(trials=2), EarlyStopping(kill))
    assert states(tmp_path) == ["complete", "complete"]


def test_a_trial_that_goes_wrong_has_failed_with_its_reason_and_its_worker_goes_on_where_it_can(script, tmp_path):
    script.say(start_0="raise", start_1="nan", start_2="memory", start_3="refuse")
    assert not conducted(tmp_path, planned(trials=5, trial_timeout=1e300))
    found, kept = trials(tmp_path), records(tmp_path)
    assert [trial.state for trial in found] == ["failed"] * 4 + ["complete"] * 5
    said = [trial.reason for trial in found[:4]]
    assert said[0] == "ValueError: the script says so"
    assert said[1].startswith("FloatingPointError: epoch 1: the network predicts NaN")
    assert said[2] == "out of memory"
    assert said[3] == "the depth does not divide the image"
    assert [trial.retry_of for trial in found] == [None] * 9
    for trial in found[:4]:
        assert (kept[trial.record].status, kept[trial.record].error) == ("failed", trial.reason)
    assert len({worker for worker, _ in script.starts()}) == 1


@pytest.fixture
def clock(monkeypatch):
    """The time that a search sees: it stands still until the test moves it, however busy the machine is."""
    seconds = SimpleNamespace(passed=lambda: 0.0)
    for module in (optimize, scheduler):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: seconds.passed(), sleep=time.sleep))
    monkeypatch.setattr(scheduler, "_LONGEST_WAIT", 0.05)  # before it looks at the clock again
    return seconds


def test_a_trial_that_hangs_has_failed_and_its_worker_is_replaced(script, tmp_path, clock):
    script.say(start_0="hang")
    clock.passed = lambda: 5.1 if script.hangs() else 0.0
    assert conducted(tmp_path, planned(trials=1, trial_timeout=5))
    clock.passed = lambda: 0.0
    script.say()
    assert not any(Path(f"/proc/{worker}").exists() for worker, _ in script.starts())
    (trial,) = trials(tmp_path)
    assert trial.reason == "it took longer than 5 s, the --trial-timeout"
    assert records(tmp_path)[trial.record].error == trial.reason
    assert not conducted(tmp_path, load_sweep(Registry.installed(), tmp_path / "studies" / "s", {}))
    assert states(tmp_path) == ["failed", "complete"]
    assert trials(tmp_path)[1].retry_of is None


def test_a_definition_that_is_refused_fails_its_trial_before_it_has_a_record(script, tmp_path):
    prepared = planned(trials=2)
    refused = type(prepared).trial

    class Refusing(PreparedSweep):
        def trial(self, number, tried):
            if number == 0:
                raise UserError("benchmark 'trial-0' cannot be run: no")
            return refused(self, number, tried)

    assert not conducted(tmp_path, Refusing(**vars(prepared)))
    assert states(tmp_path) == ["failed", "complete", "complete"]
    assert trials(tmp_path)[0].reason == "benchmark 'trial-0' cannot be run: no"


def test_ten_failures_in_a_row_end_the_search_and_those_that_are_not_in_a_row_do_not(script, tmp_path):
    script.say(always="raise", start_4="")
    progress = EarlyStopping()
    assert conducted(tmp_path, planned(trials=20), progress)
    assert states(tmp_path) == ["failed"] * 4 + ["complete"] + ["failed"] * 10
    told = "too many trials in a row failed, after 1 of 20 trials; bench sweep --resume s goes on"
    assert progress.lines[-1] == told
    script.say()
    prepared = load_sweep(Registry.installed(), tmp_path / "studies" / "s", {"trials": 3})
    assert not conducted(tmp_path, prepared)
    assert states(tmp_path)[15:] == ["complete"] * 2  # failed trials do not count


def test_a_study_that_goes_on_counts_what_there_is_and_draws_what_it_has_not_drawn(script, tmp_path):
    conducted(tmp_path, planned(trials=3))
    folder = tmp_path / "studies" / "s"
    more = load_sweep(Registry.installed(), folder, {"trials": 5})
    assert not conducted(tmp_path, more)
    found = trials(tmp_path)
    assert [trial.state for trial in found] == ["complete"] * 5
    assert len({trial.parameters["model.quality"] for trial in found}) == 5
    assert not conducted(tmp_path, load_sweep(Registry.installed(), folder, {}))  # nothing is left to do
    assert len(trials(tmp_path)) == 5
    assert StudyView(folder).config.trials == 5


def test_what_is_pruned_counts_and_leaves_a_record_with_its_history_and_counts(script, tmp_path):
    prepared = planned(trials=8, pruner="median", epochs=6)
    script.say(start_6="die")  # an answer that never comes disturbs no other
    assert not conducted(tmp_path, prepared, workers=2)
    found, kept = trials(tmp_path), records(tmp_path)
    ended = [trial for trial in found if trial.state in ("complete", "pruned")]
    assert len(ended) == 8
    pruned = [trial for trial in ended if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        record = kept[trial.record]
        assert record.status == "pruned"
        assert 2 <= trial.epochs == len(history(tmp_path, record)) < 6
        scored = record.parts["validation"]
        assert list(trial.values) == [BALANCED_ACCURACY.score(scored["statistics"])] == trial.curve[-1:]
        statistics = Store(tmp_path / "studies" / "s").statistics(record, "validation")
        assert statistics["groups"].size == scored["num_images"]
        better = [each.curve[trial.epochs - 1] for each in ended if len(each.curve) >= trial.epochs]
        assert trial.values[0] < sorted(better)[len(better) // 2]


def test_with_two_objectives_nothing_is_pruned(script, tmp_path):
    both = ["balanced_accuracy", "val_loss"]
    conducted(tmp_path, planned(trials=7, pruner="median", objectives=both))
    assert states(tmp_path) == ["complete"] * 7
    assert all(len(trial.values) == 2 for trial in trials(tmp_path))


def test_what_a_trial_reports_is_what_it_would_be_worth_if_it_ended_there(tmp_path):
    fix = ["dataset.name=synthetic", "dataset.images=30", "dataset.size=16", "training.monitor=val_loss"]
    vary = ["optimizer.learning_rate=0.5..9:log"]
    conducted(tmp_path, planned(benchmark="logistic", trials=4, epochs=9, vary=vary, fix=fix))
    unlike = 0
    for record in records(tmp_path).values():
        accuracy = [float(row["balanced_accuracy"]) for row in history(tmp_path, record)]
        losses = [float(row["val_loss"]) for row in history(tmp_path, record)]
        (trial,) = (trial for trial in trials(tmp_path) if trial.record == record.id)
        kept = [losses.index(min(losses[:end])) for end in range(1, len(losses) + 1)]
        assert trial.curve == pytest.approx([accuracy[epoch] for epoch in kept], abs=1e-6)
        assert trial.curve[-1] == trial.values[0]
        unlike += accuracy[kept[-1]] != max(accuracy)
    assert unlike  # else the best of all epochs would do


@pytest.fixture
def ctrl_c():
    """Have Ctrl-C do what it does, also where whoever runs the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("when", ["running", "written"])
def test_ctrl_c_breaks_nothing_off_while_it_is_written(script, tmp_path, when, ctrl_c):
    def press(trial: Trial) -> None:
        if (trial.number, trial.state, when) == (1, "running", "running"):
            os.kill(os.getpid(), signal.SIGINT)

    if when == "written":
        script.press_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        conducted(tmp_path, planned(trials=4), EarlyStopping(press))
    assert "running" not in states(tmp_path)
    left = [trial for trial in trials(tmp_path) if trial.state == "failed"]
    assert len(left) == 1
    assert left[0].reason == "the search was interrupted"
    assert records(tmp_path)[left[0].record].status == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not conducted(tmp_path, load_sweep(Registry.installed(), tmp_path / "studies" / "s", {}))
    found = trials(tmp_path)
    assert sum(trial.state == "complete" for trial in found) == 4
    (again,) = (trial for trial in found if trial.retry_of is not None)
    assert (again.retry_of, again.parameters) == (left[0].number, left[0].parameters)
    assert len(found) == 5


def test_no_trial_is_started_after_the_time_is_up(script, tmp_path, clock):
    def wait(trial: Trial) -> None:
        if trial.state == "complete":
            clock.passed = lambda: 2.0

    assert not conducted(tmp_path, planned(trials=50), EarlyStopping(wait), timeout=1.5)
    assert "running" not in states(tmp_path)
    assert len(trials(tmp_path)) == 1


SPEC, QUALITY = 'ModelSpec(name="scripted"', "quality: Annotated[float, Range(0, 1)]"
CHANGES = [
    ("rate = 1e-3", "rate = 2e-3", "optimizer.learning_rate: 0.001 when it began, 0.002 now"),
    (SPEC, SPEC.replace("(", "(version=2, "), "version of model scripted: 1 when it began, 2 now"),
    (QUALITY, QUALITY.replace("1)", "2)"), "space: model.quality: "),
    ("default_rng(parameters.seed)", "default_rng(parameters.seed + 1)", "data: "),
]


def test_a_study_does_not_go_on_with_what_it_did_not_begin_with(script, tmp_path, monkeypatch):
    folder = tmp_path / "studies" / "s"
    with Study(folder, planned(trials=2).config):
        pass
    for old, new, told in CHANGES:
        script.change(old, new)
        with pytest.raises(UserError) as refused:
            load_sweep(Registry.installed(), folder, {})
        first, *changes, last = str(refused.value).splitlines()
        assert first == "study 's' cannot go on, for it would not be the same search:"
        assert last == "bring back what it began with, or start another study"
        assert [change[: len(told) + 2] for change in changes] == [f"  {told}"]
        script.change(new, old)
    assert load_sweep(Registry.installed(), folder, {}).config == SweepConfig.read(folder)
    monkeypatch.setattr(setup, "EVALUATOR_VERSION", 99)
    with pytest.raises(UserError, match="version of evaluator: 1 when it began, 99 now"):
        load_sweep(Registry.installed(), folder, {})


def test_another_version_of_what_only_trials_have_is_noticed(script, tmp_path):
    script.change(
        '        LossSpec(name="lone"',
        '        LossSpec(name="other", summary="", target="scripted:Quality"), LossSpec(name="lone"',
    )
    with Study(tmp_path / "studies" / "s", planned(trials=2, vary=["loss.name"]).config):
        pass
    script.change('name="other"', 'version=2, name="other"')
    with pytest.raises(UserError, match="version of loss other: 1 when it began, 2 now"):
        load_sweep(Registry.installed(), tmp_path / "studies" / "s", {})


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ü", "-x", "a\n"])
def test_a_name_that_no_definition_could_carry_is_refused_before_anything_is_read(script, name):
    with pytest.raises(UserError, match=r"--name .* letters, digits"):
        planned(trials=1, name=name)
    assert not (script.folder / "reads").exists()
