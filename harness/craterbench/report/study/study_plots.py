"""The drawings of a study: its history, the curves of its trials, importances, and the front of two objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from craterbench.report.study.trials import (
    highlighted,
    objective_value,
    pareto_front,
    short_names,
    sort_by_objective,
)
from craterbench.report.svg import same_look, svg
from craterbench.search.summary import StudySummary, Trial

__all__ = [
    "AMBER",
    "BLUE",
    "MANY",
    "NAMED",
    "RED",
    "draw_curves",
    "draw_front",
    "draw_history",
    "draw_importances",
    "limits",
    "roomy",
    "value_limits",
    "well",
]

# Colours that people with any colour vision can distinguish (Okabe and Ito 2008); the markers differ too.
BLUE, AMBER, RED = "#0072b2", "#e69f00", "#d55e00"

#: From how many trials on points and lines are drawn as dots of a picture, so that the page stays small.
MANY = 200

#: The axis of curves reaches this many times as far from the best as the worst quarter of them ends.
_ABOVE = 6

#: How many importances are drawn.
_BARS = 12

#: How many trials of a front have their number beside them, the best by the first objective.
NAMED = 20


def well(axes: Axes) -> None:
    """Give a drawing what all have: a faint grid, ticks that are plain numbers, no frame above and beside it."""
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def limits(values: Iterable[float], *, higher: bool) -> tuple[float, float]:
    """Return the ends between which good trials can be distinguished; what lies beyond is to be drawn at an end.

    Trials that lie far on the bad side, by Tukey's fence of 1.5 interquartile ranges, are beyond the end.
    """
    found = np.array(list(values))
    first, third = np.quantile(found, (0.25, 0.75))
    fence = 1.5 * (third - first)
    low, high = float(found.min()), float(found.max())
    if higher:
        low = max(low, float(first - fence))
    else:
        high = min(high, float(third + fence))
    return (low, high) if low < high else (low - 0.005, high + 0.005)


def roomy(ends: tuple[float, float]) -> tuple[float, float]:
    """Return an axis on which what lies at the ends can be seen fully."""
    room = 0.06 * (ends[1] - ends[0])
    return ends[0] - room, ends[1] + room


def value_limits(summary: StudySummary) -> tuple[float, float]:
    """Return the limits of the first objective: those of the complete trials, if there are any."""
    scored = _scored(summary)
    values = [value for trial, value in scored if trial.state == "complete"] or [value for _, value in scored]
    return limits(values, higher=summary.objectives[0].greater_is_better)


def _scored(summary: StudySummary) -> list[tuple[Trial, float]]:
    ordered = sorted(summary.trials, key=lambda trial: trial.number)
    return [(trial, value) for trial in ordered if (value := objective_value(trial)) is not None]


def draw_history(summary: StudySummary) -> str:
    """Return an SVG of the trials' values over their numbers, with the best so far; one trial has a value at least."""
    key = summary.objectives[0]
    scored = _scored(summary)
    ends = value_limits(summary)
    with same_look():
        figure = Figure(figsize=(7, 3.4), layout="constrained")
        axes = figure.subplots()
        many = len(summary.trials) > MANY
        size = 3 if many else 5
        for state, marker, colour in (("complete", "o", BLUE), ("pruned", "v", AMBER)):
            points = [(trial.number, value) for trial, value in scored if trial.state == state]
            if points:
                numbers, values = zip(*points, strict=True)
                axes.plot(
                    numbers, np.clip(values, *ends), marker, color=colour, markersize=size, alpha=0.8,
                    markeredgewidth=0, label=state, rasterized=many, clip_on=False,
                )  # fmt: skip
        failed = [trial.number for trial in summary.trials if trial.state == "failed"]
        if failed:
            bottom = roomy(ends)[0 if key.greater_is_better else 1]
            axes.plot(
                failed, [bottom] * len(failed), "x", color=RED, markersize=size + 1, label="failed", clip_on=False,
                rasterized=many,
            )  # fmt: skip
        better, reached = _best_so_far(scored, higher=key.greater_is_better)
        if better:
            better.append(max(trial.number for trial in summary.trials))
            reached.append(reached[-1])
            axes.step(better, reached, where="post", color="black", linewidth=1.2, label="best so far")
        axes.set(xlabel="trial", ylabel=key.label, ylim=roomy(ends))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.ticklabel_format(axis="y", useOffset=False)
        well(axes)
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        return svg(figure)


def _best_so_far(scored: Sequence[tuple[Trial, float]], *, higher: bool) -> tuple[list[int], list[float]]:
    """Return where a complete trial was better than all before it, and how good."""
    numbers: list[int] = []
    values: list[float] = []
    for trial, value in scored:
        if trial.state == "complete" and (not values or (value > values[-1] if higher else value < values[-1])):
            numbers.append(trial.number)
            values.append(value)
    return numbers, values


def draw_curves(summary: StudySummary) -> str:
    """Return an SVG of what each trial had reached after each epoch; one trial has a curve at least."""
    key = summary.objectives[0]
    best = {trial.number for trial in highlighted(summary)}
    curves = [(trial, _finite(trial.curve)) for trial in summary.trials if any(map(math.isfinite, trial.curve))]
    with same_look():
        figure = Figure(figsize=(7, 3.4), layout="constrained")
        axes = figure.subplots()
        many = len(curves) > MANY
        faint = 0.15 if many else 0.35
        named = set()
        for trial, curve in sorted(curves, key=lambda each: each[0].number in best):
            kind = "highlighted" if trial.number in best else trial.state
            colour, width, alpha, label = {
                "highlighted": ("black", 1.6, 1.0, "the best" if len(best) == 1 else "the front"),
                "pruned": (AMBER, 0.8, 2 * faint, "pruned"),
                "failed": (RED, 0.8, 2 * faint, "failed"),
            }.get(kind, (BLUE, 0.8, faint, "complete" if kind == "complete" else ""))
            epochs = range(1, len(curve) + 1)
            axes.plot(
                epochs, curve, color=colour, linewidth=width, alpha=alpha, rasterized=many and kind != "highlighted"
            )
            if kind in ("pruned", "failed"):
                axes.plot(
                    len(curve), curve[-1], "v" if kind == "pruned" else "x", color=colour, markersize=4, rasterized=many
                )
            if label and label not in named:
                named.add(label)
                axes.plot([], [], color=colour, linewidth=1.6, label=label)
        axes.set(
            xlabel="epoch", ylabel=key.label, ylim=_curve_limits([c for _, c in curves], higher=key.greater_is_better)
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.ticklabel_format(axis="y", useOffset=False)
        well(axes)
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
        return svg(figure)


def _finite(curve: Sequence[float]) -> list[float]:
    return [value if math.isfinite(value) else math.nan for value in curve]


def _curve_limits(curves: Sequence[Sequence[float]], *, higher: bool) -> tuple[float, float]:
    """Return ends of an axis on which the last epochs can be distinguished, even if the first are beyond."""
    every = [value for curve in curves for value in curve if math.isfinite(value)]
    longest = max(map(len, curves))
    reached = [curve[-1] for curve in curves if len(curve) == longest and math.isfinite(curve[-1])] or every
    best, usual = (max(every), np.quantile(reached, 0.25)) if higher else (min(every), np.quantile(reached, 0.75))
    far = best - _ABOVE * (best - float(usual))
    ends = (max(far, min(every)), best) if higher else (best, min(far, max(every)))
    return roomy(ends if ends[0] < ends[1] and len(reached) > 1 else limits(every, higher=higher))


def draw_importances(summary: StudySummary) -> str:
    """Return an SVG with a bar for each of the importances, of which there is one at least."""
    ordered = sorted(summary.importances.items(), key=lambda each: -each[1])[:_BARS]
    short = short_names([*(name for trial in summary.trials for name in trial.parameters), *summary.importances])
    with same_look():
        figure = Figure(figsize=(7, 0.7 + 0.26 * len(ordered)), layout="constrained")
        axes = figure.subplots()
        shares = [share for _, share in ordered]
        bars = axes.barh([short[name] for name, _ in ordered], shares, color=BLUE, height=0.65)
        axes.bar_label(bars, labels=[f"{share:.2f}" for share in shares], padding=3)
        axes.set(xlabel="share of the importance", xlim=(0, 1.1 * max([*shares, 0.01])))
        axes.invert_yaxis()
        well(axes)
        axes.grid(visible=False, axis="y")
        return svg(figure)


def draw_front(summary: StudySummary) -> str:
    """Return an SVG of two objectives, one over the other, with the front; one trial is complete at least."""
    first, second = summary.objectives[:2]
    best = [trial for trial in pareto_front(summary) if _both(trial)]
    others = [trial for trial in sort_by_objective(summary) if trial not in best and _both(trial)]
    with same_look():
        figure = Figure(figsize=(7, 3.8), layout="constrained")
        axes = figure.subplots()
        ends = [
            _front_limits(best, others, side, higher=key.greater_is_better) for side, key in enumerate((first, second))
        ]
        for trials, marker, colour, label in ((others, "o", BLUE, "complete"), (best, "D", RED, "the front")):
            axes.plot(
                *(np.clip([trial.values[side] for trial in trials], *ends[side]) for side in (0, 1)),
                marker, color=colour, markeredgewidth=0, markersize=5, label=label,
                clip_on=False, rasterized=len(trials) > MANY,
            )  # fmt: skip
        # what can be had of the second when at least so much of the first is wanted
        where: Literal["pre", "post"] = "pre" if first.greater_is_better else "post"
        line = sorted((trial.values[0], trial.values[1]) for trial in best)
        axes.step([x for x, _ in line], [y for _, y in line], where=where, color=RED, linewidth=1)
        for trial in best[:NAMED]:
            at = trial.values[0], trial.values[1]
            axes.annotate(str(trial.number), at, xytext=(5, -3), textcoords="offset points", va="top", fontsize=8)
        axes.set(xlabel=first.label, ylabel=second.label, xlim=roomy(ends[0]), ylim=roomy(ends[1]))
        axes.ticklabel_format(useOffset=False)
        well(axes)
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        return svg(figure)


def _front_limits(best: Sequence[Trial], others: Sequence[Trial], side: int, *, higher: bool) -> tuple[float, float]:
    """Return the limits of an objective, with the complete front between them however far that reaches."""
    values = [trial.values[side] for trial in best]
    low, high = limits([*values, *(trial.values[side] for trial in others)], higher=higher)
    return min([low, *values]), max([high, *values])


def _both(trial: Trial) -> bool:
    return len(trial.values) > 1 and all(map(math.isfinite, trial.values))
