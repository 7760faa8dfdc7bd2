"""The contact sheet of a data set: its images, with the outlines of their masks."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from craterbench.data.dataset import Dataset
from craterbench.results.files import write_atomically

__all__ = ["draw_contact_sheet"]

_ORANGE = (0.90, 0.62, 0.00)

#: How many images of a part are shown, and how many in a row.
_SHOWN, _COLUMNS = 48, 12


def draw_contact_sheet(path: Path, dataset: Dataset, title: str) -> None:
    """Draw images taken evenly from each part, with their numbers and groups, on one scale of grey.

    Args:
        path: the PNG file.
        title: what stands above.
    """
    parts = {"train_val": dataset.train_val} | ({"test": dataset.test} if dataset.test is not None else {})
    rows = {
        name: np.unique(np.linspace(0, len(part) - 1, min(_SHOWN, len(part))).astype(int))
        for name, part in parts.items()
    }
    heights = [math.ceil(len(shown) / _COLUMNS) for shown in rows.values()]
    figure = Figure(figsize=(_COLUMNS * 1.2, sum(heights) * 1.35 + 0.4 * len(parts) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=10)
    bands = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for band, (name, part), height in zip(bands, parts.items(), heights, strict=True):
        band.suptitle(f"{name}: {len(rows[name])} of {len(part)} images", fontsize=9)
        panels = band.subplots(height, _COLUMNS, squeeze=False).ravel()
        for panel in panels:
            panel.axis("off")
        for panel, row in zip(panels, rows[name], strict=False):
            image, mask = part.images[row, ..., 0], part.masks[row, ..., 0]
            panel.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            if (mask == 1).any() and not (mask == 1).all():
                panel.contour(mask == 1, [0.5], colors=[_ORANGE], linewidths=0.8)
            panel.set_title(f"{row} (group {part.groups[row]})", fontsize=6, pad=2)
    content = io.BytesIO()
    figure.savefig(content, dpi=120, format="png")
    write_atomically(path, content.getvalue())
