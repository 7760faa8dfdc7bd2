"""The drawings of a study: what stands where, as it was drawn."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import pytest

from craterbench.metrics.metric import Metrics
from craterbench.report.study.scales import AxisScale
from craterbench.report.study.space_plots import draw_parallel, draw_slices
from craterbench.report.study.study_plots import AMBER, BLUE, NAMED, RED, draw_front, draw_history, limits
from craterbench.search.summary import StudySummary, Trial

BLACK = "#000000"
SVG = "{http://www.w3.org/2000/svg}"

#: Balanced accuracies, one of them far worse than the others, and learning rates.
ACCURACIES = [0.84, 0.861, 0.85, 0.30, 0.882, 0.874, 0.893, 0.857, 0.888, 0.865]
RATES = [1e-4, 3e-2, 5e-3, 2e-4, 1e-3, 7e-4, 2.5e-3, 1e-2, 4e-4, 1.5e-3]
BEST = 6

OBJECTIVES = pytest.mark.parametrize("objective", ["balanced_accuracy", "val_loss"])


def scored(objective: str) -> tuple[StudySummary, list[float]]:
    """Return ten complete trials and a pruned one, trial 2, that was better than all, and the values of the ten."""
    higher = objective == "balanced_accuracy"
    values = ACCURACIES if higher else [1 - value for value in ACCURACIES]
    trials = [
        Trial(
            number=place + (place >= 2),
            state="complete",
            parameters={"rate": rate, "dropout": 0.03 * place, "flips": place % 3 == 0},
            values=[value],
        )
        for place, (value, rate) in enumerate(zip(values, RATES, strict=True))
    ]
    best = trials[BEST].number
    better = Trial(number=2, state="pruned", parameters=trials[0].parameters, values=[0.95 if higher else 0.05])
    trials.insert(2, better)
    importances = {"rate": 0.6, "dropout": 0.3, "flips": 0.1}
    summary = StudySummary(
        name="a",
        settings={},
        objectives=[Metrics().get(objective)],
        wanted=11,
        trials=trials,
        importances=importances,
        logarithmic=["rate"],
        front=[best],
    )
    return summary, values


def panels(drawing: str) -> list[ElementTree.Element]:
    return [
        group for group in ElementTree.fromstring(drawing).iter(f"{SVG}g") if group.get("id", "").startswith("axes_")
    ]


def marks(panel: ElementTree.Element, colour: str) -> list[tuple[float, float]]:
    """Return where the data of a colour are marked, in the order they were drawn; y counts downwards."""
    return [
        (float(mark.attrib["x"]), float(mark.attrib["y"]))
        for line in panel.findall(f"{SVG}g")
        if line.get("id", "").startswith("line2d_")
        for mark in line.iter(f"{SVG}use")
        if f"fill: {colour}" in mark.attrib["style"]
    ]


def path(line: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", line.attrib["d"])]


def lines(group: ElementTree.Element, colour: str = "#") -> list[ElementTree.Element]:
    return [line for line in group.findall(f"{SVG}path") if f"stroke: {colour}" in line.get("style", "")]


def texts(panel: ElementTree.Element) -> list[tuple[str, float, float]]:
    found = panel.iter(f"{SVG}text")
    return [(text.text or "", float(text.attrib["x"]), float(text.attrib["y"])) for text in found if "x" in text.attrib]


def lightness(colour: str) -> float:
    return float(np.dot([int(colour[place : place + 2], 16) for place in (0, 2, 4)], (0.2126, 0.7152, 0.0722)))


def score_labels(panel: ElementTree.Element) -> list[float]:
    """Return what is written along the last axis, from below."""
    last = max(x for _, x, _ in texts(panel))
    return [float(text) for text, x, y in sorted(texts(panel), key=lambda each: -each[2]) if x == last]


def fenced(values: Sequence[float], *, higher: bool) -> tuple[float, float]:
    """Return the same limits by another way: the quartiles of Python's own statistics."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    fence = 1.5 * (third - first)
    return (max(min(values), first - fence), max(values)) if higher else (min(values), min(max(values), third + fence))


def in_line(drawn: Sequence[float], values: Sequence[float], *, upwards: bool) -> bool:
    """Tell whether what was drawn is where a linear axis has the values, which grow as y decreases if upwards."""
    slope, offset = np.polyfit(values, drawn, 1)
    exact = np.allclose(drawn, slope * np.array(values) + offset, rtol=0, atol=1e-3)
    return bool(exact and (slope < 0 if upwards else slope > 0))


@pytest.mark.parametrize("higher", [True, False])
def test_limits_leave_out_only_what_is_far_on_the_bad_side(higher):
    rng = np.random.default_rng(5)
    for number in (4, 7, 50):
        values = [*rng.normal(0.8, 0.01, number), 0.2, 1.6]
        low, high = limits(values, higher=higher)
        assert (low, high) == pytest.approx(fenced(values, higher=higher))
        assert (high == 1.6 and low > 0.2) if higher else (low == 0.2 and high < 1.6)
    low, high = limits([0.7, 0.7], higher=higher)
    assert low < 0.7 < high


def test_a_scale_places_numbers_on_a_line_or_by_their_ratios():
    line = AxisScale.of([0.5, 2.0, 1.0], logarithmic=False)
    assert [line.at(value) for value in (0.5, 1.25, 2.0)] == [0.0, 0.5, 1.0]
    ratios = AxisScale.of([1e-4, 1e-2, 5e-3], logarithmic=True)
    assert [ratios.share(value) for value in (1e-4, 1e-3, 1e-2)] == pytest.approx([0.0, 0.5, 1.0])
    assert AxisScale.of(range(9), logarithmic=False).at(2) == 0.25
    for scale, value in (
        (AxisScale.of([0.3], logarithmic=True), 0.3),
        (AxisScale.of(["adam"], logarithmic=False), "adam"),
    ):
        assert scale.share(value) == 0.5


def test_a_scale_places_what_is_no_number_or_few_whole_numbers_on_steps():
    flags = AxisScale.of([True, False, True], logarithmic=False)
    assert [(flags.at(value), flags.share(value)) for value in (False, True)] == [(0.0, 0.0), (1.0, 1.0)]
    assert AxisScale.of([0.5, False], logarithmic=False).steps == ["0.5", "false"]
    sizes = AxisScale.of([32, 8, 16, 8], logarithmic=True)
    assert [(sizes.at(value), sizes.share(value)) for value in (8, 16, 32)] == [(0.0, 0.0), (1.0, 0.5), (2.0, 1.0)]


@OBJECTIVES
def test_the_history_has_the_best_so_far_and_what_is_far_worse_at_its_edge(objective):
    summary, values = scored(objective)
    higher = objective == "balanced_accuracy"
    (panel,) = panels(draw_history(summary))
    dots = marks(panel, BLUE)
    assert in_line([y for _, y in dots], np.clip(values, *fenced(values, higher=higher)), upwards=True)
    assert len(marks(panel, AMBER)) == 1
    (step,) = [line for group in panel.findall(f"{SVG}g") for line in lines(group, BLACK) if len(path(line)) > 2]
    reached = [[y for x, y in path(step) if x < at + 1e-3][-1] for at, _ in dots]
    best = np.minimum if higher else np.maximum  # as y counts downwards
    assert reached == pytest.approx(best.accumulate([y for _, y in dots]), abs=1e-3)


@OBJECTIVES
def test_slices_have_the_values_over_each_parameter_on_its_own_axis(objective):
    summary, values = scored(objective)
    rates, dropouts, flips = panels(draw_slices(summary))
    clipped = np.clip(values, *fenced(values, higher=objective == "balanced_accuracy"))
    others = [number for number in range(len(values)) if number != BEST]
    for panel in (rates, dropouts, flips):
        drawn = [*marks(panel, BLUE), *marks(panel, RED)]
        assert in_line([y for _, y in drawn], clipped[[*others, BEST]], upwards=True)
    drawn = [x for x, _ in marks(rates, BLUE)]
    assert in_line(drawn, [math.log(RATES[number]) for number in others], upwards=False)
    assert in_line([x for x, _ in marks(dropouts, BLUE)], others, upwards=False)
    sides = [[x for (x, _), number in zip(marks(flips, BLUE), others, strict=True) if (number % 3 == 0) is side]
             for side in (False, True)]  # fmt: skip
    assert max(sides[0]) < min(sides[1])


@OBJECTIVES
def test_parallel_coordinates_are_darker_the_better_and_the_best_lies_on_top(objective):
    summary, values = scored(objective)
    higher = objective == "balanced_accuracy"
    (panel,) = panels(draw_parallel(summary))
    drawn = [
        line for group in panel.findall(f"{SVG}g") if "LineCollection" in group.get("id", "") for line in lines(group)
    ]
    low, high = fenced(values, higher=higher)
    clipped = np.clip(sorted(values, reverse=not higher), low, high)
    assert in_line([path(line)[-1][1] for line in drawn], clipped, upwards=True)
    light = [lightness(re.search(r"stroke: #(\w{6})", line.attrib["style"]).group(1)) for line in drawn]
    assert light == sorted(light, reverse=True)
    assert len(set(light)) == len(light)
    ticks = score_labels(panel)
    assert ticks[0] == pytest.approx(low, abs=5e-4)
    assert ticks[-1] == pytest.approx(high, abs=5e-4)
    order = sorted(range(len(values)), key=values.__getitem__, reverse=not higher)
    assert in_line([path(line)[0][1] for line in drawn], [math.log(RATES[place]) for place in order], upwards=True)


def test_scores_that_lie_close_together_have_labels_that_differ():
    summary, _ = scored("balanced_accuracy")
    close = [
        Trial(number=trial.number, state="complete", parameters=trial.parameters, values=[0.9 + 1e-4 * trial.number])
        for trial in summary.trials
    ]
    ticks = score_labels(panels(draw_parallel(StudySummary(**vars(summary) | {"trials": close})))[0])
    assert ticks == pytest.approx(np.linspace(0.9, 0.901, 5), abs=2e-5)
    assert len(set(ticks)) == 5


@pytest.mark.parametrize("objectives", [("balanced_accuracy", "val_loss"), ("val_loss", "balanced_accuracy")])
@pytest.mark.parametrize("number", [5, NAMED + 5])
def test_the_front_is_drawn_whole_and_the_best_of_it_have_their_numbers(objectives, number):
    first = 1 if objectives[0] == "balanced_accuracy" else -1
    # each gains in one what it loses in the other; the last is far from them in both
    steps = [*range(number - 1), 20 * number]
    front = [(0.9 - 0.001 * step, 0.5 - 0.001 * step) for step in steps]
    beaten = [(0.88 - 0.001 * step, 0.52 + 0.001 * step) for step in range(2 * number)] + [(0.1, 3.0)]
    trials = [
        Trial(number=100 + place, state="complete", parameters={}, values=values[::first])
        for place, values in enumerate([*front, *beaten])
    ]
    summary = StudySummary(
        name="a",
        settings={},
        objectives=[Metrics().get(name) for name in objectives],
        wanted=9,
        trials=trials,
        front=range(100, 100 + number),
    )
    (panel,) = panels(draw_front(summary))
    ordered = sorted(trials[:number], key=lambda trial: -first * trial.values[0])
    diamonds, dots = marks(panel, RED), marks(panel, BLUE)
    assert in_line([x for x, _ in diamonds], [trial.values[0] for trial in ordered], upwards=False)
    assert in_line([y for _, y in diamonds], [trial.values[1] for trial in ordered], upwards=True)
    named = {text: (x, y) for text, x, y in texts(panel) if re.fullmatch(r"1\d\d", text)}
    assert list(named) == [str(trial.number) for trial in ordered[:NAMED]]
    beside = np.array(list(named.values())) - diamonds[:NAMED]
    assert np.ptp(beside, axis=0) == pytest.approx(0, abs=1e-3)
    (frame,) = [g.find(f"{SVG}path") for g in panel.findall(f"{SVG}g") if g.get("id") == "patch_2"]
    corners = np.array(path(frame))
    assert (np.ptp(diamonds, axis=0) > 0.5 * np.ptp(corners, axis=0)).all()  # what is far worse takes no room
    for points in (diamonds, dots):
        assert (points >= corners.min(axis=0)).all()
        assert (points <= corners.max(axis=0)).all()
