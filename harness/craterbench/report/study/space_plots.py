"""Where in the space of parameters good trials lie: slices, and parallel coordinates."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from craterbench.report.study.scales import AxisScale
from craterbench.report.study.study_plots import AMBER, BLUE, MANY, RED, limits, roomy, value_limits, well
from craterbench.report.study.trials import highlighted, objective_value, short_names, value_text, varied
from craterbench.report.svg import same_look, svg
from craterbench.search.summary import StudySummary, Trial

__all__ = ["LINES", "PARALLEL", "draw_parallel", "draw_slices"]

#: How many slices stand side by side.
_COLUMNS = 5

#: How many parameters have an axis of parallel coordinates.
PARALLEL = 8

#: How many trials have a line there, the best: of more nobody sees any.
LINES = 300

#: Of a category so many characters are written, and of the categories of a parameter about so many.
_LETTERS, _LABELS = 16, 12

#: Where a parameter that a trial does not have is drawn, below the axis from 0 to 1.
_GAP = -0.14

#: Turns by this share of a step spread the trials of a category evenly, however many there are (the golden ratio).
_TURN = (math.sqrt(5) - 1) / 2


def draw_slices(summary: StudySummary) -> str:
    """Return an SVG with a panel for each varied parameter: the value of the trials over it."""
    key = summary.objectives[0]
    scored = [
        trial
        for trial in summary.trials
        if objective_value(trial) is not None and trial.state in ("complete", "pruned")
    ]
    names = [name for name in varied(summary) if any(name in trial.parameters for trial in scored)]
    short = short_names(name for trial in summary.trials for name in trial.parameters)
    ends = value_limits(summary)
    best = {trial.number for trial in highlighted(summary)}
    rows = math.ceil(len(names) / _COLUMNS)
    with same_look():
        figure = Figure(figsize=(14, 0.3 + 2.3 * rows), layout="constrained")
        every = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True)
        for position, axes in enumerate(every.flat):
            if position >= len(names):
                axes.remove()
                continue
            name = names[position]
            having = [trial for trial in scored if name in trial.parameters]
            _slice(axes, having, name, _scale(summary, name), best, ends)
            axes.set(title=short[name], ylim=roomy(ends))
            axes.title.set_fontsize(10)
            if position % _COLUMNS == 0:
                axes.set_ylabel(key.label)
        every[0, 0].ticklabel_format(axis="y", useOffset=False)
        return svg(figure)


def _scale(summary: StudySummary, name: str) -> AxisScale:
    tried = (trial.parameters[name] for trial in summary.trials if name in trial.parameters)
    return AxisScale.of(tried, logarithmic=name in summary.logarithmic)


def _slice(
    axes: Axes, trials: Sequence[Trial], name: str, scale: AxisScale, best: set[int], ends: tuple[float, float]
) -> None:
    many = len(trials) > MANY
    kinds = (
        ("pruned", "v", AMBER, [trial for trial in trials if trial.state == "pruned" and trial.number not in best]),
        ("complete", "o", BLUE, [trial for trial in trials if trial.state == "complete" and trial.number not in best]),
        ("best", "D", RED, [trial for trial in trials if trial.number in best]),
    )
    well(axes)
    for kind, marker, colour, shown in kinds:
        x = [_place(scale, trial, name) for trial in shown]
        y = np.clip([trial.values[0] for trial in shown], *ends)
        axes.plot(
            x, y, marker, color=colour, alpha=1 if kind == "best" else 0.6, markeredgewidth=0,
            markersize=6 if kind == "best" else 3 if many else 4, rasterized=many and kind != "best",
        )  # fmt: skip
    if scale.steps:
        _label_steps(axes, scale)
    elif scale.logarithmic:
        axes.set_xscale("log")
        narrow = math.log10(scale.high / scale.low) < 2.5
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if narrow else (1,), numticks=6))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=isinstance(trials[0].parameters[name], int)))
    if not scale.steps:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: value_text(float(value), digits=4)))


def _place(scale: AxisScale, trial: Trial, name: str) -> float:
    value = trial.parameters[name]
    if not scale.steps:
        return float(value)
    return scale.at(value) + 0.5 * _beside(trial)


def _beside(trial: Trial) -> float:
    """Return where among its equals a trial is drawn, from -0.5 to 0.5; the same whenever the page is made."""
    return (trial.number * _TURN) % 1 - 0.5


def _label_steps(axes: Axes, scale: AxisScale) -> None:
    labels = list(_step_labels(scale).values())
    crowded = sum(len(label) + 2 for label in labels) > 36
    axes.set_xlim(-0.6, len(scale.steps) - 0.4)
    axes.xaxis.set_major_locator(FixedLocator(list(_step_labels(scale))))
    axes.set_xticklabels(labels, rotation=30 if crowded else 0, ha="right" if crowded else "center")
    axes.grid(visible=False, axis="x")


def _step_labels(scale: AxisScale) -> dict[int, str]:
    """Return what is written at the steps; where they are many, not at each."""
    every = math.ceil(len(scale.steps) / _LABELS)
    return {place: _shortened(step) for place, step in enumerate(scale.steps) if place % every == 0}


def _shortened(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def draw_parallel(summary: StudySummary) -> str:
    """Return an SVG with an axis for each of the most important parameters and a line for each complete trial.

    The colour of a line is its value; where a trial does not have a parameter, it runs below the axis.
    """
    key = summary.objectives[0]
    scored = [(value, trial) for trial in summary.trials if (value := objective_value(trial)) is not None]
    complete = [(value, trial) for value, trial in scored if trial.state == "complete"]
    complete.sort(key=lambda each: each[0] if key.greater_is_better else -each[0])  # the best is drawn last, on top
    complete = complete[-LINES:]
    names = [name for name in varied(summary) if any(name in trial.parameters for _, trial in complete)][:PARALLEL]
    short = short_names(name for trial in summary.trials for name in trial.parameters)
    low, high = limits([value for value, _ in complete], higher=key.greater_is_better)
    with same_look():
        figure = Figure(figsize=(14, 4.6), layout="constrained")
        axes = figure.subplots()
        scales = [_scale(summary, name) for name in names]
        lines = np.array(
            [
                [
                    *(
                        (position, _height(scale, trial, name))
                        for position, (name, scale) in enumerate(zip(names, scales, strict=True))
                    ),
                    (len(names), (min(max(value, low), high) - low) / (high - low)),
                ]
                for value, trial in complete
            ]
        )
        colours = mpl.colormaps["viridis_r" if key.greater_is_better else "viridis"]  # the best are dark
        drawn = LineCollection(
            list(lines),
            cmap=colours,
            norm=Normalize(low, high),
            linewidths=1.1,
            alpha=0.75,
        )
        drawn.set_array(np.array([value for value, _ in complete]))
        axes.add_collection(drawn, autolim=False)
        for position, (name, scale) in enumerate(zip(names, scales, strict=True)):
            missing = any(name not in trial.parameters for _, trial in complete)
            _draw_axis(axes, position, _wrapped(short[name]), _ticks(scale), gap=missing)
        _draw_axis(axes, len(names), _wrapped(key.label), _score_ticks(low, high), gap=False)
        axes.set(xlim=(-0.1, len(names) + 0.5), ylim=(_GAP - 0.06, 1.02))
        axes.set_axis_off()
        return svg(figure)


def _height(scale: AxisScale, trial: Trial, name: str) -> float:
    spread = _beside(trial)
    if name not in trial.parameters:
        return _GAP + 0.05 * spread
    return scale.share(trial.parameters[name]) + (0.08 * spread if scale.steps else 0.0)


def _ticks(scale: AxisScale) -> dict[float, str]:
    """Return what is written along an axis, by its height: every step, or the ends and the middle."""
    if scale.steps:
        last = max(1, len(scale.steps) - 1)
        return {0.5 if len(scale.steps) == 1 else p / last: label for p, label in _step_labels(scale).items()}
    if scale.low == scale.high:
        return {0.5: value_text(scale.low)}
    middle = math.sqrt(scale.low * scale.high) if scale.logarithmic else (scale.low + scale.high) / 2
    return {0.0: value_text(scale.low), 0.5: value_text(middle), 1.0: value_text(scale.high)}


def _score_ticks(low: float, high: float) -> dict[float, str]:
    decimals = max(0, 2 - math.floor(math.log10(high - low)))
    return {share: f"{low + share * (high - low):.{decimals}f}" for share in (0.0, 0.25, 0.5, 0.75, 1.0)}


def _draw_axis(axes: Axes, position: int, name: str, ticks: Mapping[float, str], *, gap: bool) -> None:
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
    axes.plot([position, position], [0, 1], color="black", linewidth=1)
    axes.annotate(name, (position, 1.0), xytext=(0, 8), textcoords="offset points", ha="center", va="bottom")
    for height, label in [*ticks.items(), *([(_GAP, "not set")] if gap else [])]:
        axes.plot(position, height, "_", color="black", markersize=6)
        axes.annotate(
            label, (position, height), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8, bbox=behind
        )


def _wrapped(name: str) -> str:
    """Return a name in lines that fit between two axes, broken after what joins its words."""
    lines = [""]
    for piece in re.findall(r"[^ ._-]*[ ._-]?", name):
        if len(lines[-1]) + len(piece) > _LETTERS:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
