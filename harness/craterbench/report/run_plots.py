"""The pictures of a run: its curves, and a sheet of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from craterbench.data.dataset import IGNORED
from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS, Metric, Metrics
from craterbench.plugin import RunContext, hookimpl
from craterbench.report.threshold_plots import CURVES, draw_thresholds, has_curves
from craterbench.results.store import read_history
from craterbench.training.experiment import Samples

__all__ = ["RunPlots", "draw_curves", "draw_samples", "save_plots"]

# Two colours that people with any colour vision can distinguish (Okabe and Ito 2008).
_MISSED = (0.34, 0.71, 0.91)  # sky blue: crater, called background
_INVENTED = (0.90, 0.62, 0.00)  # orange: background, called crater


class RunPlots:
    """A listener that adds the pictures of each run to its folder.

    Attributes:
        metrics: those that a run may be monitored by.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    @hookimpl
    def bench_run_finished(
        self, run: RunContext, record: Mapping[str, Any], samples: Mapping[str, npt.NDArray[Any]] | None
    ) -> None:
        """Draw them of a run that has been scored."""
        if samples is not None:
            save_plots(run, record, samples, self.metrics)


def save_plots(
    run: RunContext, record: Mapping[str, Any], samples: Mapping[str, npt.NDArray[Any]], metrics: Metrics
) -> None:
    """Add the pictures of a run to its folder."""
    title = " ".join([run.title, *record["overrides"]])
    shown = metrics.in_history(run.config["training"]["monitor"])
    history = read_history(run.folder)
    others = [metric for metric in shown if metric not in (LOSS, BALANCED_ACCURACY)]
    parts = {name: part["statistics"] for name, part in record["parts"].items()}
    draw_curves(run.folder / "curves.png", history, title, others, parts)
    draw_samples(run.folder / "samples.png", Samples(**samples), f"{title}: validation images")


def draw_curves(
    path: Path,
    history: Sequence[Mapping[str, Any]],
    title: str,
    others: Sequence[Metric] = (),
    parts: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Draw loss and balanced accuracy over the epochs, on training and validation images, with the best epoch.

    Below them stand the ROC, precision-recall and calibration curves of the best epoch's weights.

    Args:
        path: the PNG file.
        history: a row for each epoch.
        title: what stands above.
        others: metrics that are drawn beside them, on validation images.
        parts: by the name of a part that was scored, its sums by statistic.
    """
    scored = {name: sums for name, sums in (parts or {}).items() if has_curves(sums)}
    figure = Figure(figsize=(10 + 5 * len(others), 8 if scored else 4), layout="constrained")
    figure.suptitle(title)
    above, *below = figure.subfigures(2 if scored else 1, 1, squeeze=False)[:, 0]
    losses, accuracies, *more = above.subplots(1, 2 + len(others))
    for panels in (figure.subplots(1, len(CURVES)) for figure in below):
        for (name, sums), style in zip(scored.items(), ("C1-", "C2-"), strict=False):
            draw_thresholds(panels, sums, style, name)
        for panel, curve_name in zip(panels, CURVES, strict=True):
            panel.set_title(curve_name, fontsize=9)
            panel.legend(fontsize=8)
    epochs = [row["epoch"] for row in history]
    best = int(history[-1]["best"])

    def curve(axes: Axes, key: str, label: str, style: str) -> None:
        axes.plot(epochs, [row[key] for row in history], style, label=label, markersize=3)

    curve(losses, "objective", "objective (augmented, with dropout)", "C7:")
    curve(losses, "training_loss", "training", "C0.-")
    curve(losses, "val_loss", "validation", "C1.-")
    curve(accuracies, "training_balanced_accuracy", "training", "C0.-")
    curve(accuracies, "balanced_accuracy", "validation", "C1.-")
    for axes, metric in zip(more, others, strict=True):
        curve(axes, metric.history_column, "validation", "C1.-")
    for axes, metric in zip((losses, accuracies, *more), (LOSS, BALANCED_ACCURACY, *others), strict=True):
        axes.axvline(best, color="C7", linewidth=0.8)
        label_at = {"xytext": (3, -3), "textcoords": "offset points", "va": "top", "fontsize": 8}
        axes.annotate(f"best: {best}", (best, 1.0), xycoords=("data", "axes fraction"), **label_at)
        axes.set(xlabel="epoch", ylabel=metric.label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def draw_samples(path: Path, samples: Samples, title: str) -> None:
    """Draw a column for each sample: input, ground truth, prediction, and where they differ."""
    number = len(samples.images)
    figure = Figure(figsize=(1.25 * number + 1.0, 6.2), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(4, number, squeeze=False)
    for column in range(number):
        image, truth = samples.images[column, ..., 0], samples.masks[column, ..., 0]
        probability = samples.probabilities[column, ..., 0]
        shown = np.where(truth == IGNORED, 0.5, truth)  # neither crater nor background
        panels = (image, shown, probability, _difference(image, truth, probability))
        for axis, panel in zip(axes[:, column], panels, strict=True):
            axis.imshow(panel, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        if probability.min() <= THRESHOLD < probability.max():
            axes[2, column].contour(probability, [THRESHOLD], colors=[_INVENTED], linewidths=0.8)
    for axis, label in zip(axes[:, 0], ("input", "ground truth", "prediction", "difference"), strict=True):
        axis.set_ylabel(label)
    figure.supxlabel(
        "prediction: probability, outlined at 0.5;  difference: blue is missed, orange is invented", fontsize=9
    )
    figure.savefig(path, dpi=120)


def _difference(
    image: npt.NDArray[np.float32], truth: npt.NDArray[np.uint8], probability: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the image, dimmed, in colour (H, W, 3), with what was missed and what was invented painted over."""
    called = probability > THRESHOLD
    picture = np.repeat(0.15 + 0.5 * image[..., np.newaxis], 3, axis=-1)
    picture[(truth == 1) & ~called] = _MISSED
    picture[(truth == 0) & called] = _INVENTED
    return picture
