"""The best of a search are confirmed beside the reference, in real children."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import tomllib
from pathlib import Path

import pytest
from processes import children
from tables import rows

from craterbench.config.identity import config_digest
from craterbench.config.resolve import resolve
from craterbench.execution import devices
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.run import RunFactory
from craterbench.metrics.metric import BALANCED_ACCURACY
from craterbench.plugin import hookimpl
from craterbench.plugin.registry import Registry
from craterbench.report.study.narrative import sentences
from craterbench.search.confirm.confirm import Candidate, confirm, write_best

SETTINGS = """
[dataset]
name = "synthetic"
images = 30
test_images = 12
size = 16

[augmentation]
copies = 0

[optimizer]
learning_rate = 2.0

[training]
monitor = "balanced_accuracy"
epochs = {epochs}
patience = {epochs}
"""


class Saboteur:
    """A plugin that does something, once, after the third epoch of the second seed of what is called quick."""

    def __init__(self, what) -> None:
        self.what = what
        self.done = False

    @hookimpl
    def bench_epoch_finished(self, run, epoch):
        if (run.config["name"], run.seed, epoch["epoch"]) == ("quick", 2, 3) and not self.done:
            self.done = True
            self.what()


def factory(store, *plugins, lines: list[str] | None = None) -> RunFactory:
    points = importlib.metadata.entry_points(group="craterbench")
    others = [(f"plugin {number}", lambda plugin=plugin: plugin) for number, plugin in enumerate(plugins)]
    registry = Registry([*((point.name, point.load) for point in points), *others])
    return RunFactory(registry=registry, store=store, device="cpu", log=print if lines is None else lines.append)


def resolved(folder: Path, name: str, extends: str = "logistic", epochs: int = 20):
    file = folder / f"{name}.toml"
    file.write_text(f'summary = ""\nextends = "{extends}"\n{SETTINGS.format(epochs=epochs)}')
    return resolve(Registry.installed(), str(file))


def scripted(folder: Path, name: str, quality: float):
    file = folder / f"{name}.toml"
    file.write_text(f'summary = ""\nextends = "scripted"\nmodel.quality = {quality}\n')
    return resolve(Registry.installed(), str(file))


def train_confirmation(factory, candidates, reference, *, seeds=(1, 2), workers=1):
    candidates = [
        Candidate(trial=number, found=0.9, resolved=candidate) for number, candidate in enumerate(candidates, start=17)
    ]
    return confirm(
        factory,
        candidates,
        reference,
        ExecutionOptions(device="cpu", workers=workers),
        seeds=seeds,
        objective=BALANCED_ACCURACY,
        tried=50,
    )


def ends(store):
    found, damaged = store.records()
    assert damaged == []
    return {(record.benchmark, record.seed): (record.id, record.status) for record in found}


def test_a_confirmation_is_ordinary_runs_and_says_what_their_table_says(store, tmp_path):
    candidate, reference = resolved(tmp_path, "quick"), resolved(tmp_path, "reference", "constant")
    confirmation = train_confirmation(factory(store), [candidate], reference)
    assert {key: status for key, (_, status) in ends(store).items()} == {
        (name, seed): "done" for name in ("quick", "reference") for seed in (1, 2)
    }
    table = {row["benchmark"]: row for row in rows(store, test=True)}
    confirmed, its_own = confirmation.rows
    assert (confirmed.name, confirmed.trial, confirmed.found) == ("quick", 17, 0.9)
    assert (its_own.name, its_own.trial, its_own.difference) == ("reference", None, None)
    for row in confirmation.rows:
        cells = {
            key: float(cell) for key, cell in table[row.name].items() if cell and key.startswith(("validation", "test"))
        }
        for score, column in ((row.validation, "validation_balanced_accuracy"), (row.val_loss, "validation_loss"),
                              (row.test, "test_balanced_accuracy"), (row.difference, "test_difference")):  # fmt: skip
            if score is not None:
                found = [score.mean, score.low, score.high]
                assert found == pytest.approx([cells[column + end] for end in ("", "_low", "_high")], abs=1e-12)
    assert confirmed.difference.sd > 0  # else nothing was shown
    assert confirmed.difference.mean == pytest.approx(confirmed.test.mean - 0.5)  # what sees nothing has a half
    assert "the candidate, trial 17," in sentences(confirmation, BALANCED_ACCURACY)[0]


def test_what_is_done_is_not_repeated(store, tmp_path):
    candidate, reference = resolved(tmp_path, "quick"), resolved(tmp_path, "reference", "constant")
    first, before = train_confirmation(factory(store), [candidate], reference, seeds=[1]), ends(store)
    assert train_confirmation(factory(store), [candidate], reference, seeds=[1]) == first
    assert ends(store) == before
    more = train_confirmation(factory(store), [candidate], reference)
    assert {key: end for key, end in ends(store).items() if key[1] == 1} == before
    assert [row.seeds for row in more.rows] == [[1, 2], [1, 2]]
    assert len(store.records()[0]) == 4


def test_a_winner_that_is_the_reference_is_not_trained_twice(store, tmp_path):
    candidate, reference = resolved(tmp_path, "quick", "constant"), resolved(tmp_path, "reference", "constant")
    confirmation = train_confirmation(factory(store), [candidate], reference)
    assert ends(store).keys() == {("reference", 1), ("reference", 2)}
    assert "is the reference's own config" in sentences(confirmation, BALANCED_ACCURACY)[0]


def test_a_child_that_is_killed_is_gone_on_with_once(store, script, tmp_path):
    candidate, reference = scripted(tmp_path, "quick", 0.8), scripted(tmp_path, "reference", 0.5)
    script.say(start_1="die")
    lines: list[str] = []
    at_work = factory(store, lines=lines)
    confirmation = train_confirmation(at_work, [candidate], reference)
    assert len(script.starts()) == 5
    assert {status for _, status in ends(store).values()} == {"done"}
    assert any(line.startswith("quick seed 2 failed: ") for line in lines)
    assert [row.problem for row in confirmation.rows] == [None, None]


def test_a_child_that_is_killed_again_costs_its_setting_the_scores_until_it_is_tried_again(store, script, tmp_path):
    candidate, reference = scripted(tmp_path, "quick", 0.8), scripted(tmp_path, "reference", 0.5)
    script.say(start_1="die", start_4="die")
    lines: list[str] = []
    at_work = factory(store, lines=lines)
    broken = train_confirmation(at_work, [candidate], reference)
    before = ends(store)
    assert [key for key, (_, status) in before.items() if status != "done"] == [("quick", 2)]
    confirmed, its_own = broken.rows
    assert confirmed.validation is confirmed.test is confirmed.difference is None
    assert confirmed.problem.startswith("quick has 1 of 2 runs without scores: seed 2 failed: ")
    assert "killed by SIGKILL" in confirmed.problem
    assert its_own.test is not None
    assert (
        sentences(broken, BALANCED_ACCURACY)[0]
        == f"It cannot be said whether the candidate, trial 17, beats the reference: {confirmed.problem}."
    )
    assert any(line.startswith("quick seed 2 failed: ") for line in lines)
    mended = train_confirmation(at_work, [candidate], reference)
    assert {key: run for key, (run, _) in ends(store).items()} == {key: run for key, (run, _) in before.items()}
    assert mended.rows[0].problem is None
    assert mended.rows[0].difference is not None


def test_ctrl_c_passes_through_and_what_it_broke_off_is_gone_on_with(store, tmp_path):
    candidate, reference = resolved(tmp_path, "quick", epochs=40), resolved(tmp_path, "reference", "constant")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
    at_work = factory(store, Saboteur(lambda: signal.raise_signal(signal.SIGINT)))
    try:
        with pytest.raises(KeyboardInterrupt):
            train_confirmation(at_work, [candidate], reference)
    finally:
        signal.signal(signal.SIGINT, before)
    run, status = ends(store)["quick", 2]
    assert status == "interrupted"
    assert not children(os.getpid())
    mended = train_confirmation(at_work, [candidate], reference)
    assert ends(store)["quick", 2] == (run, "done")
    assert mended.rows[0].problem is None


def test_every_definition_can_be_written_and_is_the_same_when_it_is_read(tmp_path):
    registry, file = Registry.installed(), tmp_path / "best.toml"
    for name in registry.names("benchmark"):
        of = resolve(registry, name)
        write_best(file, of, name="study-1", summary='trial 17 of "study-1"')
        read = resolve(registry, str(file))
        assert config_digest(read.benchmark) == config_digest(of.benchmark)
        assert read.benchmark.dataset == of.benchmark.dataset
        assert (read.benchmark.name, read.benchmark.summary) == ("study-1", 'trial 17 of "study-1"')
    assert file.read_text().startswith("# What bench sweep found")
    assert "extends" not in tomllib.loads(file.read_text())
    assert list(tmp_path.iterdir()) == [file]


def test_what_was_confirmed_is_done_for_bench_run_too_whatever_its_threads(bench, store, tmp_path, monkeypatch):
    file = tmp_path / "best.toml"
    write_best(file, resolved(tmp_path, "quick"), name="study-1", summary="trial 17")
    best = resolve(Registry.installed(), str(file))
    train_confirmation(factory(store), [best], resolved(tmp_path, "reference", "constant"), seeds=[1], workers=1000)
    (trained,) = (record for record in store.records()[0] if record.benchmark == "study-1")
    assert trained.environment["threads"] == 1
    monkeypatch.setattr(devices, "available_cores", lambda: 5)
    result = bench("run", str(file), "--seed", "1")
    assert result.exit_code == 0, result.output
    assert f"study-1 seed 1: done already with threads 1, {trained.id}" in result.output
    assert len(store.records()[0]) == 2
