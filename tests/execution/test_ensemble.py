"""Ensembles that are rows of the table: what they score, what is kept of them, and what they are not taken for."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest
import scored

import craterbench
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.plugin import UserError
from craterbench.results.store import RunFolder, Store
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

SMALL = {"dataset.name": "synthetic", "dataset.images": 30, "dataset.size": 16, "dataset.test_images": 8}
TRAINED = {"training.epochs": 5, "training.batch_size": 8, "optimizer.learning_rate": 1.0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    results = tmp_path_factory.mktemp("trained")
    return craterbench.run("logistic", seeds=3, overrides={**SMALL, **TRAINED}, results=results, quiet=True)


@pytest.fixture(scope="module")
def results(trained):
    return trained[0].folder.parents[2]


@pytest.fixture(scope="module")
def kept(trained, results):
    """The scores and the record of the three runs together."""
    scores = craterbench.evaluate(trained, ensemble=True, results=results)
    (run,) = scores.index.unique("run")
    return scores, craterbench.Run(run, results)


def test_it_scores_the_mean_of_the_probabilities(trained, kept):
    test = synthetic(Synthetic(images=30, size=16, test_images=8)).test
    mean = np.mean([run.predict(test.images) for run in trained], axis=0, dtype=np.float32)
    wanted = scored.scores(Evaluator(test.images, test.masks, test.groups, Metrics()).count(mean))
    scores, run = kept
    row = scores.loc[(run.id, "test")]
    for metric in ("balanced_accuracy", "loss", "brier"):
        assert row[metric] == pytest.approx(wanted[metric], rel=1e-6)
    alone = craterbench.evaluate(trained)
    assert row["fingerprint"] == alone.loc[(trained[0].id, "test"), "fingerprint"]
    assert row["loss"] <= alone.xs("test", level="part")["loss"].mean()  # log loss is convex: Jensen


def test_it_is_a_run_without_weights_that_names_its_members(trained, kept, results):
    _, run = kept
    record, _ = Store(results).find(run.id)  # read from the disk
    assert record.members == [each.id for each in trained]
    assert (record.status, record.benchmark, record.num_weights) == ("done", "ensemble-of-3-logistic", 18)
    assert record.config["optimizer"] == trained[0].config["optimizer"]
    assert {file.name for file in run.folder.iterdir()} == {"benchmark.toml", "record.json", "statistics.npz"}
    for ask in (lambda: craterbench.evaluate(run), lambda: run.predict(np.zeros((1, 16, 16)))):
        with pytest.raises(UserError, match=f"is an ensemble .* name the runs that it is made of: {trained[0].id}"):
            ask()


def test_it_is_a_row_of_the_table_and_the_newest_of_equal_ones_counts(trained, kept, results, bench_in):
    bench = bench_in(results)
    again = bench("evaluate", *[run.id for run in trained[::-1]], "--ensemble")
    assert again.exit_code == 0, again.output
    assert "ensemble-of-3-logistic" in again.stdout
    augmented = bench("evaluate", trained[0].id, "--ensemble", "--tta", "flips,turns")
    assert augmented.exit_code == 0, augmented.output
    shown = bench("table", "--test", "--format", "csv").stdout
    assert shown.count("ensemble-of-3-logistic") == 1
    assert shown.count("ensemble-of-1-logistic") == shown.count("tta=flips,turns") == 1
    runs = craterbench.runs(results)
    assert set(runs.loc[runs["benchmark"] == "ensemble-of-3-logistic", "seed"]) == {42}
    for form in ("rich", "markdown", "html", "json"):
        result = bench("table", "--test", "--format", form)
        assert result.exit_code == 0, result.output
    images = craterbench.per_image(results)
    assert (images["benchmark"] == "ensemble-of-3-logistic").any()


def test_no_run_is_taken_for_it_nor_it_for_a_run(trained, kept, results):
    before = len(list(results.glob("runs/*/*")))
    again = craterbench.run("logistic", seeds=3, overrides={**SMALL, **TRAINED}, results=results, quiet=True)
    assert [run.id for run in again] == [run.id for run in trained]
    assert len(list(results.glob("runs/*/*"))) == before


def test_runs_on_other_images_are_refused(trained, results, bench_in, tmp_path):
    other = {**SMALL, **TRAINED, "dataset.seed": 1}
    (stranger,) = craterbench.run("logistic", overrides=other, results=tmp_path, quiet=True)
    bench = bench_in(results)
    before = sorted(results.rglob("*"))
    result = bench("evaluate", trained[0].id, str(stranger.folder), "--ensemble")
    assert result.exit_code == 2
    assert f"{trained[0].id} and {stranger.id} were not scored on the same images" in result.stderr
    assert "take runs of one data set" in result.stderr
    said = bench("evaluate", trained[0].id, "--ensemble", "--dataset", "mars-hrsc").stderr
    assert "leave out --dataset and --data" in said
    assert "add --ensemble" in bench("evaluate", trained[0].id, "--tta", "flips").stderr
    assert "did you mean 'flips'" in bench("evaluate", trained[0].id, "--ensemble", "--tta", "flip").stderr
    assert sorted(results.rglob("*")) == before


def test_of_one_that_cannot_be_written_nothing_is_left(trained, results, bench_in, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_statistics", full)
    before = sorted(path for path in results.rglob("*") if path.is_file())
    result = bench_in(results)("evaluate", trained[0].id, "--ensemble")
    assert result.exit_code == 2
    assert "cannot be written (No space left on device); give another one with --results DIR" in result.stderr
    assert sorted(path for path in results.rglob("*") if path.is_file()) == before


def test_of_runs_that_differ_their_names_are_joined(trained, results):
    (floor,) = craterbench.run("constant", overrides=SMALL, results=results, quiet=True)
    scores = craterbench.evaluate([trained[0], floor], ensemble=True, results=results)
    (run,) = scores.index.unique("run")
    record = json.loads((craterbench.Run(run, results).folder / "record.json").read_text())
    assert record["benchmark"] == "ensemble-of-2-constant+logistic"
    assert record["config"]["model"] == {"name": "constant+logistic"}
    assert record["config"]["loss"]["name"] == "bce"
    assert "learning_rate" not in record["config"]["optimizer"]
