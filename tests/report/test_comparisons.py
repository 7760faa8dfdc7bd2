"""What a table says of many differences at once: corrected, with verdicts and ranks, to any row."""

from __future__ import annotations

import itertools
import re

import pytest
from made_runs import counts, run
from parsed_page import Page
from tables import notes, rendered, rows

import craterbench
from craterbench.metrics.intervals import ResampledScores, difference
from craterbench.metrics.metric import BALANCED_ACCURACY
from craterbench.plugin import UserError
from craterbench.report.table.table import tabulate
from craterbench.report.table.table_html import page

SEEDS = (1, 2, 3)
SKILLS = {"reference": 0.8, "twin": 0.805, "dice": 0.83, "poor": 0.7}


@pytest.fixture
def compared(store):
    """Runs on the same images: a like of the reference, one a little better, one much worse."""
    for name, skill in SKILLS.items():
        for seed in SEEDS:
            run(store, name, seed, skill=skill)
    return store


def statistics(name, part="validation"):
    return {seed: counts(part, (name, seed, None), SKILLS[name]) for seed in SEEDS}


def p_values(baseline="reference"):
    scored = {name: ResampledScores.of(statistics(name), BALANCED_ACCURACY) for name in SKILLS}
    return {name: scored[name].minus(scored[baseline]) for name in SKILLS if name != baseline}


def by_name(store, **options):
    return {row["benchmark"]: row for row in rows(store, **options)}


def test_p_values_are_corrected_for_the_rows_of_the_table_and_the_line_counts_what_holds(compared):
    apart, found = p_values(), by_name(compared)
    sets = [each for size in (1, 2, 3) for each in itertools.combinations(apart, size)]
    for name in apart:
        expected = max(min(1.0, len(s) * min(apart[k].p_value for k in s)) for s in sets if name in s)
        assert float(found[name]["validation_p_holm"]) == pytest.approx(expected)
        assert float(found[name]["validation_p_better"]) == pytest.approx(apart[name].p_above)
    low, high = (float(found["poor"][f"validation_difference_simultaneous_{end}"]) for end in ("low", "high"))
    assert low < float(found["poor"]["validation_difference_low"])
    assert high > float(found["poor"]["validation_difference_high"])
    holding = [name for name in apart if float(found[name]["validation_p_holm"]) < 0.05]
    assert "poor" in holding
    assert "twin" not in holding
    better = "dice; " if "dice" in holding else ""
    said = f"of 3 differences {len(holding)} {'holds' if len(holding) == 1 else 'hold'} when corrected for their number"
    with_three = "(Holm, family-wise error 5%; with fewer than 5 seeds up to 11%)"
    assert f"validation: {said} {with_three}: {better}worse: poor\n" in notes(compared)
    assert found["reference"]["validation_p_holm"] == found["reference"]["validation_p_better"] == ""


def test_fewer_rows_are_corrected_less_and_one_difference_not_at_all(compared):
    one = by_name(compared, where=["benchmark=dice"])["dice"]
    assert float(one["validation_p_holm"]) == pytest.approx(p_values()["dice"].p_value)
    assert float(one["validation_difference_simultaneous_low"]) == float(one["validation_difference_low"])
    assert "corrected for their number" not in notes(compared, where=["benchmark=dice"])


def test_with_five_seeds_the_line_does_not_warn_of_their_number(store):
    for name, skill in SKILLS.items():
        for seed in range(5):
            run(store, name, seed, skill=skill)
    (said,) = (line for line in notes(store).splitlines() if "corrected" in line)
    assert "(Holm, family-wise error 5%): " in said


def test_where_nothing_holds_the_line_says_none(store):
    for name in ("reference", "a", "b"):
        for seed in SEEDS:
            run(store, name, seed)
    (said,) = (line for line in notes(store).splitlines() if "corrected" in line)
    assert said.endswith("of 2 differences none hold when corrected for their number (Holm, family-wise error 5%)")


def test_a_verdict_at_a_margin_is_shown_for_all_rows_but_the_baseline(compared):
    shown = rendered(compared, "markdown", columns=None, margin=0.02)
    assert "validation verdict at a margin of 0.02" in shown
    found = by_name(compared, margin=0.02, columns=None)
    assert found["poor"]["validation_verdict"] == "worse"
    assert found["reference"]["validation_verdict"] == ""
    wide = {name: row["validation_verdict"] for name, row in by_name(compared, margin=0.9).items()}
    assert wide == {"reference": "", **dict.fromkeys(("twin", "dice", "poor"), "practically equal")}
    assert "verdict" not in rendered(compared, "markdown", columns=None)


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.005, float("nan"), 5.0])
def test_a_margin_out_of_range_is_an_error_with_its_cure(compared, margin):
    with pytest.raises(UserError, match=r"margin of \S+ is not between 0 and 1: .* such as 0.005"):
        notes(compared, margin=margin)


def test_a_verdict_without_a_margin_names_the_option(compared):
    with pytest.raises(UserError, match=r"there is no column 'validation_verdict'.*--margin 0\.005 adds it"):
        rows(compared, columns=["validation_verdict"])


def test_any_row_is_a_baseline(compared):
    found = by_name(compared, baseline="dice", test=True)
    for part in ("validation", "test"):
        expected = difference(statistics("poor", part), statistics("dice", part))
        ends = [float(found["poor"][f"{part}_difference{end}"]) for end in ("", "_low", "_high")]
        assert ends == [expected.mean, expected.low, expected.high]
        assert float(found["dice"][f"{part}_difference"]) == 0
    assert "validation difference to dice" in rendered(compared, "markdown", columns=None, baseline="dice")
    assert "of balanced accuracy to dice below about" in notes(compared, baseline="dice")
    assert "differences are to" not in notes(compared, baseline="dice")
    alone = by_name(compared, baseline="dice", where=["benchmark=poor"])
    assert alone["poor"]["validation_difference"] == found["poor"]["validation_difference"]


def test_a_baseline_is_called_as_the_table_calls_it_or_by_its_whole_name(store):
    for name, more in (("reference", []), ("reference", ["model.depth=2"]), ("dice", [])):
        run(store, name, overrides=["training.epochs=3", *more], definition=f"{name}{more}", skill=0.7 if more else 0.8)
    for called in ("reference model.depth=2", "reference training.epochs=3 model.depth=2"):
        for whole in (False, True):
            found = rows(store, baseline=called, whole_names=whole)
            assert [float(row["validation_difference"]) == 0 for row in found] == [False, True, False]
    assert [float(row["validation_difference"]) == 0 for row in rows(store, baseline="reference")] == [
        True,
        False,
        False,
    ]


def test_a_baseline_that_is_no_row_is_an_error_that_names_the_nearest(bench, compared):
    with pytest.raises(UserError, match="the baseline 'dics' is no row of the table; did you mean 'dice'"):
        notes(compared, baseline="dics")
    ended = bench("table", "--baseline", "dics", "--results", str(compared.root))
    assert ended.exit_code == 2
    assert "did you mean 'dice'?" in ended.output
    assert bench("table", "--margin", "2", "--results", str(compared.root)).exit_code == 2


def test_baseline_and_margin_from_python_are_those_of_the_shell(compared):
    found = craterbench.table(compared.root, baseline="twin", margin=0.02)
    same = by_name(compared, baseline="twin", margin=0.02)
    verdicts = found["validation", "verdict", ""].fillna("").to_dict()
    assert verdicts == {name: row["validation_verdict"] for name, row in same.items()}
    assert found["validation", "p_better", "mean"]["dice"] == float(same["dice"]["validation_p_better"])
    assert any("to twin below about" in line for line in found.attrs["notes"])


def test_the_line_and_the_bars_say_how_often_a_row_is_first(compared):
    table = tabulate(compared, compared.records()[0], columns=["all"])
    ranks = table.ranks["validation"]
    assert sorted(ranks.titles) == sorted(SKILLS)
    assert ranks.titles[0] == "dice"
    assert ranks.titles[-1] == "poor"
    assert ranks.shares[-1, -1] > 0.95
    line = f"validation: rank 1 by balanced accuracy in {ranks.shares[0, 0]:.0%} of draws of groups and seeds: dice"
    assert line in "\n".join(table.lines)
    html = page(table, compared)
    (drawn,) = (html.partition('<table class="ranks">')[2].partition("</table>")[0],)
    parsed = Page(f"<table>{drawn}</table>")
    told = dict(row[::2] for row in parsed.rows[1:])
    shares = {int(rank): int(share) for rank, share in re.findall(r"(\d+):\s(\d+)%", told["dice"])}
    assert shares[1] == round(100 * ranks.shares[0, 0])
    bars = [re.findall(r'width="([\d.]+)" height="14" fill="', row) for row in drawn.split("<tr>")[2:]]
    for widths in bars:
        assert sum(map(float, widths)) == pytest.approx(260, abs=0.3)


def test_two_rows_are_not_ranked_and_rows_on_other_images_neither(store):
    for seed in SEEDS:
        run(store, "reference", seed)
        run(store, "dice", seed, skill=0.9)
        run(store, "as-published", seed, validation="others", protocol="after augmentation")
    table = tabulate(store, store.records()[0], columns=["all"], test=True)
    assert list(table.ranks) == ["test"]
    assert len(table.ranks["test"].titles) == 3


def test_a_part_of_one_group_has_no_corrected_differences_and_no_ranks(store, monkeypatch):
    from craterbench.metrics.statistics import Statistics

    beside = Statistics.beside.__func__
    monkeypatch.setattr(
        Statistics,
        "beside",
        classmethod(lambda cls, *of: cls((found := beside(cls, *of)).arrays, found.groups * 0)),
    )
    for name, skill in SKILLS.items():
        for seed in SEEDS:
            run(store, name, seed, skill=skill)
    found = by_name(store, margin=0.02)
    assert {row["validation_p_holm"] + row["validation_verdict"] for row in found.values()} == {""}
    assert "too few groups of images for an interval" in notes(store)
    assert not tabulate(store, store.records()[0]).ranks


def test_rows_of_other_seeds_than_the_rest_are_ranked_and_corrected_as_well(compared):
    for seed in (2, 3, 4, 5):
        run(compared, "focal", seed, skill=0.84)
    table = tabulate(compared, compared.records()[0], columns=["all"])
    assert "focal" in table.ranks["validation"].titles
    assert "of 4 differences" in "\n".join(table.lines)
