"""What tables and verdicts say of differences that are there at 0.5 and not at tuned thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_runs import run
from tables import notes, rendered, rows

from craterbench.metrics.histogram import EDGES
from craterbench.metrics.intervals import Estimate, difference
from craterbench.metrics.metric import BALANCED_ACCURACY, TUNED, Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.report.study.narrative import sentences
from craterbench.report.threshold_text import explained_by_threshold
from craterbench.search.confirm.scores import CandidateResult, conclude

SEEDS = (1, 2, 3)


def trained(store, name, **how):
    return [run(store, name, seed, **{"skill": 2.5, "shift": 0.0} | how) for seed in SEEDS]


def tuned(store, records) -> dict[int, Statistics]:
    """The statistics of the test part, each at the threshold of its own validation part."""
    found = {}
    for record in records:
        sums, arrays = record.parts["test"]["statistics"], store.statistics(record, "test")
        edge = TUNED.best_edge(record.parts["validation"]["statistics"])
        found[record.seed] = Statistics.beside(sums, arrays).at_threshold(edge)
    return found


@pytest.fixture
def runs(store):
    """A reference that calls too little crater, a row that only calls more, and one that knows more."""
    return {
        "reference": trained(store, "reference", shift=-1.5),
        "shifted": trained(store, "shifted", shift=0.0),
        "better": trained(store, "better", shift=-1.5, skill=3.0),
    }


def test_a_difference_that_is_the_threshold_is_told_with_what_is_left_of_it(store, runs):
    said = notes(store, test=True, columns=None)
    (line,) = (line for line in said.splitlines() if "a threshold of 0.5" in line)
    apart = difference(tuned(store, runs["shifted"]), tuned(store, runs["reference"]))
    assert line.startswith("test: shifted: the difference of balanced accuracy at a threshold of 0.5, +")
    assert f"is {apart.mean:+.4f} [{apart.low:+.4f}, {apart.high:+.4f}] at the thresholds that validation" in line
    assert "the threshold explains" in line
    assert "better:" not in said


def test_the_table_of_the_test_part_shows_both_and_the_area_side_by_side(store, runs):
    by_name = {row["benchmark"]: row for row in rows(store, test=True, columns=None)}
    for name, records in runs.items():
        at = [statistics.value(BALANCED_ACCURACY) for statistics in tuned(store, records).values()]
        assert float(by_name[name]["test_balanced_accuracy_tuned"]) == pytest.approx(np.mean(at), abs=1e-12)
        areas = [Metrics().get("auroc").score(record.parts["test"]["statistics"]) for record in records]
        assert float(by_name[name]["test_auroc"]) == pytest.approx(np.mean(areas), abs=1e-12)
        assert not any(column.startswith("validation") and "tuned" in column for column in by_name[name])
    (row,) = (
        row for row in rows(store, test=True, columns=["benchmark", "test_threshold"]) if row["benchmark"] == "shifted"
    )
    edges = [TUNED.best_edge(record.parts["validation"]["statistics"]) for record in runs["shifted"]]
    assert float(row["test_threshold"]) == pytest.approx(np.mean(EDGES[edges]))
    heading = rendered(store, "rich", test=True, columns=None)
    assert "AUROC" in heading


def test_runs_without_histograms_have_neither_and_take_nothing_from_the_others(store, runs):
    run(store, "old", 1, skill=0.8)
    by_name = {row["benchmark"]: row for row in rows(store, test=True, columns=None)}
    assert by_name["old"]["test_balanced_accuracy_tuned"] == by_name["old"]["test_auroc"] == ""
    assert by_name["old"]["test_balanced_accuracy"] != ""
    assert by_name["shifted"]["test_auroc"] != ""


@pytest.mark.parametrize(
    ("at_half", "tuned", "said"),
    [
        ((0.03, 0.02, 0.04), (0.02, 0.01, 0.03), None),
        ((0.03, 0.02, 0.04), (0.006, 0.001, 0.011), "the threshold explains about 80% of it"),
        (
            (0.03, 0.02, 0.04),
            (0.006, -0.002, 0.014),
            "the threshold explains about 80% of it, and the rest may be chance",
        ),
        ((0.03, 0.02, 0.04), (-0.001, -0.008, 0.006), "the threshold explains all of it"),
        ((0.03, 0.02, 0.04), (-0.01, -0.02, -0.001), "it turns round"),
        ((-0.03, -0.04, -0.02), (-0.02, -0.03, -0.01), None),
        ((-0.03, -0.04, -0.02), (-0.006, -0.014, 0.002), "about 80% of it"),
        ((-0.03, -0.04, -0.02), (0.01, 0.001, 0.02), "it turns round"),
        ((0.03, -0.01, 0.07), (0.0, -0.04, 0.04), None),
        ((0.03, math.nan, math.nan), (0.0, -0.04, 0.04), None),
        ((0.03, 0.02, 0.04), (0.0, math.nan, math.nan), None),
    ],
)
def test_how_much_the_threshold_explains(at_half, tuned, said):
    found = explained_by_threshold(Estimate(*at_half), Estimate(*tuned))
    assert found is None if said is None else said in found


@pytest.mark.parametrize(
    ("name", "said"), [("shifted", "the threshold explains"), ("better", "it is ahead there, too")]
)
def test_the_verdict_of_a_search_is_given_at_both(store, runs, name, said):
    candidate = CandidateResult(name=name, records=runs[name], trial=4, found=0.9)
    reference = CandidateResult(name="reference", records=runs["reference"])
    confirmation = conclude(store, [candidate], reference, objective=BALANCED_ACCURACY, tried=9)
    first, second, *_ = sentences(confirmation, BALANCED_ACCURACY)
    assert "beats the reference" in first
    apart = difference(tuned(store, runs[name]), tuned(store, runs["reference"]))
    assert f"a difference of {apart.mean:+.4f} [{apart.low:+.4f}, {apart.high:+.4f}]: {said}" in second
