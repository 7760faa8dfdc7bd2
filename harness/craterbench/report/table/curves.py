"""The curves of a row: what its runs scored on validation images, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from craterbench.metrics.metric import HEADLINE, Metric
from craterbench.report.svg import same_look, svg
from craterbench.report.threshold_plots import CURVES, draw_thresholds

__all__ = ["draw_row", "draw_row_thresholds"]


def draw_row(
    histories: Sequence[Sequence[Mapping[str, float]]],
    limits: Mapping[str, tuple[float, float]] | None = None,
    metrics: Sequence[Metric] = HEADLINE,
) -> str:
    """Return an SVG of the validation scores over the epochs, a thin line for each run, its best epoch marked.

    Equal histories give equal bytes.

    Args:
        histories: of each run a row for each epoch, with ``epoch``, ``best`` and the columns of the metrics.
        limits: the ends of a metric's axis, by its name, so that rows can be looked at side by side.
        metrics: what is drawn, side by side.
    """
    with same_look():
        figure = Figure(figsize=(3.75 * len(metrics), 2.5), layout="constrained")
        for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            for history in histories:
                epochs, values = ([row[key] for row in history] for key in ("epoch", metric.history_column))
                axes.plot(epochs, values, color="C0", linewidth=0.9, alpha=0.8)
                best = epochs.index(history[-1]["best"])
                axes.plot(epochs[best], values[best], "o", color="C1", markersize=4)
            axes.ticklabel_format(useOffset=False)
            last = max(history[-1]["epoch"] for history in histories)
            axes.set(xlabel="epoch", ylabel=metric.label, xlim=(0.5, last + 0.5), ylim=(limits or {}).get(metric.name))
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axes.grid(alpha=0.3)
        return svg(figure)


def draw_row_thresholds(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG of the ROC, precision-recall and calibration curves of a part, a thin line for each run.

    Args:
        runs: the sums of the part, by statistic (see ``has_curves``).
    """
    with same_look():
        figure = Figure(figsize=(3.0 * len(CURVES), 2.7), layout="constrained")
        panels = figure.subplots(1, len(CURVES))
        for sums in runs:
            draw_thresholds(panels, sums, "C0-")
        for panel, name in zip(panels, CURVES, strict=True):
            panel.set_title(name, fontsize=9)
        return svg(figure)
