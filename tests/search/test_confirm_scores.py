"""What is said of a confirmation, from counts that are made: each sentence where it is due, and only there."""

from __future__ import annotations

import math
import shutil
import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_runs import counts, run
from tables import rows

from craterbench.metrics.intervals import minimum_detectable_difference
from craterbench.metrics.metric import BALANCED_ACCURACY, Metrics
from craterbench.report.study.narrative import sentences
from craterbench.search import sweep
from craterbench.search.confirm.scores import CandidateResult, conclude

SEEDS = (1, 2, 3)
LUCK_OF_50 = 2.24907  # Harter, 1961, Biometrika 48: the expected maximum of 50 normal variables


def trained(store, name, *, skill=0.8, trial=None, found=0.91, seeds=SEEDS, **changes) -> CandidateResult:
    """The runs of a config that was confirmed; how good it is, its skill says."""
    records = [run(store, name, seed, skill=skill, **changes) for seed in seeds]
    return CandidateResult(name=name, records=records, trial=trial, found=None if trial is None else found)


@pytest.fixture
def reference(store):
    return trained(store, "reference")


def conclusion(store, candidates, reference, objective="balanced_accuracy", tried=50):
    return conclude(store, candidates, reference, objective=Metrics().get(objective), tried=tried)


def scores(setting, part="validation", score="balanced_accuracy"):
    return [Metrics().get(score).score(record.parts[part]["statistics"]) for record in setting.records]


def told(values):
    return f"{statistics.fmean(values):.4f} ± {statistics.stdev(values):.4f}"


def without_test(setting):
    kept = [replace(record, parts={"validation": record.parts["validation"]}) for record in setting.records]
    return replace(setting, records=kept)


def test_scores_and_differences_are_those_of_the_table(store, reference):
    candidates = [trained(store, "candidate", skill=0.9, trial=17), trained(store, "second", trial=4)]
    *confirmed, its_own = conclusion(store, candidates, reference).rows
    table = {row["benchmark"]: row for row in rows(store, test=True)}
    assert [row.name for row in confirmed] == ["candidate", "second"]
    for row in (*confirmed, its_own):
        cells = table[row.name]
        columns = {
            "validation_balanced_accuracy": row.validation,
            "validation_loss": row.val_loss,
            "test_balanced_accuracy": row.test,
        }
        for column, score in columns.items():
            assert score.mean == pytest.approx(float(cells[column]), abs=1e-12)
            assert score.sd == pytest.approx(float(cells[f"{column}_sd"]), abs=1e-12)
            assert [score.low, score.high] == [float(cells[f"{column}_{end}"]) for end in ("low", "high")]
    for row in confirmed:
        cells = [float(table[row.name][f"test_difference{end}"]) for end in ("", "_low", "_high")]
        assert [row.difference.mean, row.difference.low, row.difference.high] == cells
    assert its_own.difference is None
    (candidate, _), pairs = candidates, zip(scores(candidates[0], "test"), scores(reference, "test"), strict=True)
    assert confirmed[0].difference.sd == pytest.approx(statistics.stdev(one - other for one, other in pairs))
    assert (confirmed[0].trial, confirmed[0].found, confirmed[0].seeds) == (17, 0.91, [1, 2, 3])
    assert confirmed[0].test.mean == pytest.approx(statistics.fmean(scores(candidate, "test")))


@pytest.mark.parametrize(
    ("skill", "verdict"),
    [
        (0.9, "the candidate, trial 17, beats the reference"),
        (0.7, "the candidate, trial 17, is worse than the reference"),
        (0.8, "it is not certain whether the candidate, trial 17, beats the reference"),
    ],
)
def test_the_first_sentence_is_what_the_interval_on_the_test_part_says(store, reference, skill, verdict):
    candidate = trained(store, "candidate", skill=skill, trial=17)
    confirmation = conclusion(store, [candidate], reference)
    gap = confirmation.rows[0].difference
    assert (gap.low > 0, gap.high < 0) == (skill == 0.9, skill == 0.7)
    first, _ = sentences(confirmation, BALANCED_ACCURACY)
    assert first.startswith(
        f"On the test part, which the search never saw, {verdict}: balanced accuracy {told(scores(candidate, 'test'))} "
        f"against {told(scores(reference, 'test'))} over 3 seeds, "
        f"a paired difference of {gap.mean:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
    )
    mine, others = ({s: counts("test", (name, s, None), skill) for s in SEEDS}
                    for name, skill in (("candidate", skill), ("reference", 0.8)))  # fmt: skip
    unseen = f"below about {minimum_detectable_difference(mine, others):.2g} would mostly go unseen"
    assert (unseen in first) == (skill == 0.8)


def test_images_of_one_group_give_no_interval(store):
    settings = [trained(store, name, num_images=1) for name in ("candidate", "reference")]
    confirmation = conclusion(store, [replace(settings[0], trial=17, found=0.9)], settings[1])
    assert math.isnan(confirmation.rows[0].difference.low)
    assert "it is not certain whether" in sentences(confirmation, BALANCED_ACCURACY)[0]
    assert "too few groups of images for an interval" in sentences(confirmation, BALANCED_ACCURACY)[0]
    assert "nan" not in sentences(confirmation, BALANCED_ACCURACY)[0]


def test_two_settings_that_predict_alike_cannot_be_told_apart(store, reference):
    candidate = trained(store, "candidate", trial=17)
    alike = []
    for mine, other in zip(candidate.records, reference.records, strict=True):
        shutil.copy(store.folder(other) / "statistics.npz", store.folder(mine) / "statistics.npz")
        alike.append(replace(mine, parts=other.parts))
    first, *_ = sentences(conclusion(store, [replace(candidate, records=alike)], reference), BALANCED_ACCURACY)
    assert "it is not certain whether the candidate, trial 17, beats the reference" in first
    assert first.endswith("a paired difference of 0: they score alike.")


@pytest.mark.parametrize(
    ("objective", "score", "name", "side"),
    [
        ("balanced_accuracy", "balanced_accuracy", "balanced accuracy", "above"),
        ("val_loss", "loss", "loss", "below"),
    ],
)
def test_luck_is_told_in_units_of_what_the_search_aimed_at(store, reference, objective, score, name, side):
    candidate = trained(store, "candidate", skill=0.9, trial=17, found=0.4321)
    confirmation = conclusion(store, [candidate], reference, objective)
    of_each = [scores(setting, score=score) for setting in (candidate, reference)]
    sd = math.sqrt(statistics.fmean(statistics.variance(values) for values in of_each))
    assert confirmation.selection_bias == pytest.approx(LUCK_OF_50 * sd, rel=1e-5)
    assert sentences(confirmation, Metrics().get(objective))[1] == (
        f"In the search trial 17 had a {name} of 0.4321 on the validation part. Of 50 equal configs the luckiest "
        f"would come out {confirmation.selection_bias:.4f} {side} their mean by chance alone; this goes by a standard "
        f"deviation "
        f"over seeds of {sd:.4f}, which 6 runs tell only roughly, and trials that were shorter than these runs may "
        f"spread more. Confirmed, it has {told(of_each[0])} on that part."
    )


def test_of_one_setting_there_was_nothing_to_choose(store, reference):
    confirmation = conclusion(store, [trained(store, "candidate", trial=0)], reference, tried=1)
    assert confirmation.selection_bias == pytest.approx(0)
    assert "selection bias" not in " ".join(sentences(confirmation, BALANCED_ACCURACY))


def test_each_of_several_winners_has_a_sentence_and_the_choice_among_them_is_told(store, reference):
    candidates = [trained(store, "a", trial=17), trained(store, "b", skill=0.9, trial=4)]
    confirmation = conclusion(store, candidates, reference)
    assert [row.name for row in confirmation.rows] == ["a", "b", "reference"]  # as the search has it, not the test part
    first, _, second, last = sentences(confirmation, BALANCED_ACCURACY)
    assert "it is not certain whether the candidate, trial 17, beats the reference" in first
    assert "trial 4 beats the reference" in second
    assert f"Confirmed, it has {told(scores(candidates[1]))}" in second
    assert "chosen once more" in last
    assert "chosen once more" not in " ".join(
        sentences(conclusion(store, candidates[:1], reference), BALANCED_ACCURACY)
    )


def test_one_seed_has_no_interval_over_seeds_and_so_no_verdict(store):
    one = trained(store, "reference", seeds=[1])
    confirmation = conclusion(store, [trained(store, "candidate", skill=0.9, trial=17, seeds=[1])], one)
    candidate, _ = confirmation.rows
    assert candidate.test.sd is None
    assert candidate.difference.low > 0
    first, second = sentences(confirmation, BALANCED_ACCURACY)
    assert "it is not certain whether the candidate, trial 17, beats the reference" in first
    assert "over 1 seed," in first
    assert "leaves out what another seed would change" in first
    assert confirmation.selection_bias is None
    assert "How far chance alone carries the best of 50 is not known" in second


@pytest.mark.parametrize(
    ("skill", "verdict"), [(0.9, "is ahead of the reference"), (0.7, "is worse than"), (0.8, "it is not certain")]
)
def test_without_a_test_part_the_validation_part_is_asked_and_what_it_chose_is_said(store, reference, skill, verdict):
    candidate = without_test(trained(store, "candidate", skill=skill, trial=17))
    confirmation = conclusion(store, [candidate], without_test(reference))
    confirmed, its_own = confirmation.rows
    assert confirmed.test is its_own.test is None
    expected = statistics.fmean(scores(candidate)) - statistics.fmean(scores(reference))
    assert confirmed.difference.mean == pytest.approx(expected)
    first = sentences(confirmation, BALANCED_ACCURACY)[0]
    assert first.startswith(
        "The data have no test part. On the validation part, which chose the epochs and by which the search chose, "
    )
    assert verdict in first
    assert "beats the reference:" not in first or skill == 0.8
    assert told(scores(candidate)) in first


@pytest.mark.parametrize("whose", ["candidate", "reference"])
def test_a_setting_of_which_a_run_failed_has_no_scores(store, whose):
    settings = {name: trained(store, name, skill=0.9) for name in ("candidate", "reference")}
    failed = run(store, whose, 3, status="failed", error="WorkerDied: the training process\nwas killed by SIGKILL")
    settings[whose] = replace(settings[whose], records=[*settings[whose].records[:2], failed])
    candidate = replace(settings["candidate"], trial=17, found=0.91)
    confirmation = conclusion(store, [candidate], settings["reference"])
    for row in confirmation.rows:
        assert (row.problem is None, row.test is None) == (row.name != whose, row.name == whose)
        assert row.difference is None
    (row,) = (row for row in confirmation.rows if row.name == whose)
    assert row.validation is row.val_loss is None
    assert row.problem == (
        f"{whose} has 1 of 3 runs without scores: seed 3 failed: WorkerDied: the training process was killed by SIGKILL"
    )
    assert sentences(confirmation, BALANCED_ACCURACY)[0] == (
        f"It cannot be said whether the candidate, trial 17, beats the reference: {row.problem}."
    )
    assert "3 runs tell only roughly" in sentences(confirmation, BALANCED_ACCURACY)[1]
    assert ("Confirmed" in sentences(confirmation, BALANCED_ACCURACY)[1]) == (whose == "reference")


def test_where_all_runs_failed_nothing_is_said_of_luck(store):
    settings = [trained(store, name, status="failed", error="NaN") for name in ("candidate", "reference")]
    confirmation = conclusion(store, [replace(settings[0], trial=17, found=0.9)], settings[1])
    assert confirmation.selection_bias is None
    assert "cannot be said" in sentences(confirmation, BALANCED_ACCURACY)[0]
    assert "is not known" in sentences(confirmation, BALANCED_ACCURACY)[1]


@pytest.mark.parametrize("damage", ["missing", "of another run"])
def test_scores_are_not_made_up_where_the_counts_behind_them_are_not_there(store, reference, damage):
    candidate = trained(store, "candidate", skill=0.9, trial=17)
    file, other = (store.folder(record) / "statistics.npz" for record in candidate.records[:2])
    file.unlink() if damage == "missing" else file.write_bytes(other.read_bytes())
    confirmation = conclusion(store, [candidate], reference)
    assert confirmation.rows[0].test is None
    assert str(file) in confirmation.rows[0].problem
    assert confirmation.rows[0].problem in sentences(confirmation, BALANCED_ACCURACY)[0]


def test_what_was_not_scored_on_the_same_images_is_not_compared(store, reference):
    candidate = trained(store, "candidate", skill=0.9, trial=17, test="others")
    confirmation = conclusion(store, [candidate], reference)
    assert confirmation.rows[0].test is not None
    assert confirmation.rows[0].difference is None
    assert "not scored on the same test images" in sentences(confirmation, BALANCED_ACCURACY)[0]
    mixed = replace(candidate, records=[*candidate.records[:2], *trained(store, "candidate", seeds=[3]).records])
    assert "not scored on the same test images" in conclusion(store, [mixed], reference).rows[0].problem


def test_the_reference_does_not_beat_itself(store, reference):
    confirmation = conclusion(store, [replace(reference, trial=0, found=0.9)], reference)
    assert sentences(confirmation, BALANCED_ACCURACY)[0] == (
        "The candidate, trial 0, is the reference's own config: there is nothing that it could beat."
    )
    sd = statistics.stdev(scores(reference))  # of three runs, not of six
    assert confirmation.selection_bias == pytest.approx(LUCK_OF_50 * sd, rel=1e-5)
    assert "3 runs tell" in sentences(confirmation, BALANCED_ACCURACY)[1]


def test_fresh_seeds_are_those_that_no_trial_of_any_study_had(monkeypatch):
    monkeypatch.setattr(sweep, "trial_seed", lambda seed, number: seed + number)

    def study(seed: int, trials: int) -> SimpleNamespace:
        numbered = [SimpleNamespace(number=number) for number in range(trials)]
        return SimpleNamespace(config=SimpleNamespace(seed=seed), trials=lambda: numbered)

    assert sweep.fresh_seeds([study(7, 3)]) == [42, 43, 44]
    assert sweep.fresh_seeds([study(42, 1), study(44, 2)]) == [43, 46, 47]
