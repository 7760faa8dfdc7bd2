"""What is said and shown of several benchmarks that were searched alike, from scores that are made."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from made_findings import study
from rich.console import Console

from craterbench.metrics.intervals import Estimate
from craterbench.report.study.several_html import several_page
from craterbench.report.study.several_narrative import several_sentences
from craterbench.report.study.several_text import render_several
from craterbench.search.several.compare import MemberSummary, SweepsSummary
from craterbench.search.summary import Confirmation, ConfirmedScores

SEEDS = (42, 43, 44)


def row(name: str, trial: int | None, *, gap: float | None = None, tuned_gap: float | None = None, **more):
    """A row whose differences are these, each with an interval of 0.01 to both sides."""
    scores = {key: Estimate(mean=0.9, sd=0.01, low=0.88, high=0.92) for key in ("validation", "test", "tuned")}
    apart = {
        key: None if mean is None else Estimate(mean=mean, low=mean - 0.01, high=mean + 0.01)
        for key, mean in (("difference", gap), ("difference_tuned", tuned_gap))
    }
    return ConfirmedScores(**{"name": name, "trial": trial, "seeds": SEEDS, **scores, **apart, **more})


def member(benchmark: str, *, gain: float, gap: float | None, **more) -> MemberSummary:
    confirmation = Confirmation(
        rows=[row(f"s-{benchmark}", 7, gap=gain, tuned_gap=gain / 100), row(benchmark, None)],
        selection_bias=0.01,
        tried=12,
        unvaried={"training.monitor": ["balanced_accuracy", "val_loss"]},
    )
    return MemberSummary(
        benchmark=benchmark,
        defined_by={"loss.name": benchmark, "augmentation.flips": True},
        alone=[f"loss.{benchmark}=0..1"],
        study=study(12, name=f"s-{benchmark}", confirmation=confirmation),
        rows=[row(f"s-{benchmark}", 7, gap=gap, tuned_gap=gap, **more), row(benchmark, None, gap=-0.03)],
    )


@pytest.fixture
def several() -> SweepsSummary:
    members = [
        member("reference", gain=0.03, gap=None),
        member("dice", gain=-0.02, gap=0.05),
        member("focal", gain=0.004, gap=0.003),
    ]
    return SweepsSummary(name="s", settings={"trials": "12 for each"}, alike=["model.depth=2..4"], members=members)


def shown(summary: SweepsSummary, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    render_several(summary, console)
    return console.file.getvalue()


def test_it_is_said_who_beats_the_tuned_reference_and_what_tuning_gained_each(several):
    dice, focal, number, *gains, chosen, unvaried = several_sentences(several)
    assert dice.startswith(
        "On the test part, which the searches never saw, dice, tuned (trial 7), beats reference, tuned alike: balanced "
        "accuracy 0.9000 ± 0.0100 against 0.9000 ± 0.0100 over 3 seeds, a paired difference of +0.0500 "
        "[+0.0400, +0.0600]."
    )
    assert "At the thresholds that their validation parts chose" in dice
    assert "it is not certain whether focal, tuned (trial 7), beats reference, tuned alike" in focal
    assert "These 2 differences to reference are not corrected" in number
    assert "bench table --test --baseline s-reference" in number
    assert gains == [
        "What tuning gained reference: +0.0300 [+0.0200, +0.0400]; at the thresholds that the validation parts chose "
        "not certainly anything, +0.0003 [-0.0097, +0.0103].",
        "What tuning gained dice: a loss, -0.0200 [-0.0300, -0.0100]; at the thresholds that the validation parts "
        "chose not certainly anything, -0.0002 [-0.0102, +0.0098].",
        "What tuning gained focal: not certainly anything, +0.0040 [-0.0060, +0.0140]; at the thresholds that the "
        "validation parts chose not certainly anything, +0.0000 [-0.0100, +0.0100].",
    ]
    assert chosen.startswith("These are 3 tuned rows.")
    assert unvaried.endswith("training.monitor balanced_accuracy instead of val_loss (reference, dice, focal).")


def test_what_failed_and_what_is_its_own_config_has_no_gain_and_one_seed_is_not_enough(several):
    first, second, third = several.members

    def changed(of: MemberSummary, **fields) -> MemberSummary:
        best, *others = of.study.confirmation.rows
        confirmation = replace(of.study.confirmation, rows=[replace(best, **fields), *others])
        return replace(of, study=replace(of.study, confirmation=confirmation))

    broken = {"difference": None, "difference_tuned": None, "incomparable": "a run failed"}
    members = [changed(first, same=True), changed(second, **broken), changed(third, seeds=(42,))]
    said = several_sentences(replace(several, members=members))
    assert "Tuning gained reference nothing: the best trial is reference as it is." in said
    assert "What tuning gained dice cannot be said: a run failed." in said
    assert any(line.startswith("What tuning gained focal: not certainly anything, +0.0040") for line in said)


@pytest.mark.parametrize("width", [80, 200])
def test_a_table_for_each_score_has_every_row_once(several, width):
    text, page = shown(several, width), several_page(several)
    named = [f"{name}, {what}" for name in ("reference", "dice", "focal") for what in ("trial 7", "untuned")]
    lines = [line.strip() for line in text.splitlines()]
    assert [name for line in lines for name in named if line.startswith(name)] == [*named, *named]
    assert max(map(len, text.splitlines())) <= width
    assert [page.count(f'<th scope="row">{name}</th>') for name in named] == [2] * 6
    for kept in ("loss.name=dice, augmentation.flips=true", "loss.dice=0..1", "model.depth=2..4"):
        assert kept in text
        assert kept in page
    assert "difference to reference, trial 7" in " ".join(text.split()) or width == 80


def test_without_tuned_thresholds_and_without_a_test_part_there_is_one_table(several):
    members = [
        replace(
            each,
            rows=[replace(one, test=None, tuned=None, difference_tuned=None) for one in each.rows],
        )
        for each in several.members
    ]
    text = shown(replace(several, members=members, part="validation"))
    assert text.count("on seeds that no search had used") == 1
    assert "Balanced accuracy of the validation part, at a threshold of 0.5" in text


def test_where_nothing_is_compared_there_is_no_table_and_no_verdict(several):
    bare = replace(several, members=[replace(each, rows=[]) for each in several.members], notes=["go on"])
    text, page = shown(bare), several_page(bare)
    assert several_sentences(bare) == []
    assert "gained" not in text + page
    assert "go on" in text
    assert "go on" in page
