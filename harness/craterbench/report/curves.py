"""The curves of a row: what its runs scored on validation images, epoch by epoch."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["CURVES", "draw_row"]

#: The columns of a history that are drawn, and what they are called.
CURVES = {"balanced_accuracy": "balanced accuracy", "val_loss": "loss"}


def draw_row(
    histories: Sequence[Sequence[Mapping[str, float]]], limits: Mapping[str, tuple[float, float]] | None = None
) -> str:
    """Return an SVG of the validation scores over the epochs, a thin line for each run, its best epoch marked.

    Equal histories give equal bytes.

    Args:
        histories: of each run a row for each epoch, with ``epoch``, ``best`` and the columns of ``CURVES``.
        limits: the ends of a curve's axis, so that rows can be looked at side by side.
    """
    same: dict[Any, Any] = {
        "svg.hashsalt": "craterbench",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
    }
    with mpl.rc_context(same):
        figure = Figure(figsize=(7.5, 2.5), layout="constrained")
        for axes, (key, label) in zip(figure.subplots(1, 2), CURVES.items(), strict=True):
            for history in histories:
                epochs, values = [row["epoch"] for row in history], [row[key] for row in history]
                axes.plot(epochs, values, color="C0", linewidth=0.9, alpha=0.8)
                best = epochs.index(history[-1]["best"])
                axes.plot(epochs[best], values[best], "o", color="C1", markersize=4)
            axes.set(xlabel="epoch", ylabel=label, ylim=(limits or {}).get(key))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
