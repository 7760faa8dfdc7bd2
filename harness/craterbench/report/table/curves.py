"""The curves of a row: what its runs scored on validation images, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from craterbench.report.svg import same_look, svg

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
    with same_look():
        figure = Figure(figsize=(7.5, 2.5), layout="constrained")
        for axes, (key, label) in zip(figure.subplots(1, 2), CURVES.items(), strict=True):
            for history in histories:
                epochs, values = [row["epoch"] for row in history], [row[key] for row in history]
                axes.plot(epochs, values, color="C0", linewidth=0.9, alpha=0.8)
                best = epochs.index(history[-1]["best"])
                axes.plot(epochs[best], values[best], "o", color="C1", markersize=4)
            axes.ticklabel_format(useOffset=False)
            last = max(history[-1]["epoch"] for history in histories)
            axes.set(xlabel="epoch", ylabel=label, xlim=(0.5, last + 0.5), ylim=(limits or {}).get(key))
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axes.grid(alpha=0.3)
        return svg(figure)
