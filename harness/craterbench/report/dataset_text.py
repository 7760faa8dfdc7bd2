"""What is in a data set, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from craterbench.data.dataset import IGNORED, Dataset, Subset

__all__ = ["describe_dataset", "render_dataset"]


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Return what ``bench data info --json`` prints."""
    parts = {"train_val": dataset.train_val} | ({"test": dataset.test} if dataset.test is not None else {})
    given = dataset.validation
    return {
        "parts": {name: _describe(part) for name, part in parts.items()},
        "validation": "by split.validation" if given is None else f"{int(given.sum())} images, by the data",
        "notes": list(dataset.notes),
        "warnings": list(dataset.warnings),
        "fingerprint": dataset.digest(),
    }


def render_dataset(described: dict[str, Any]) -> list[str]:
    """Return the lines that ``bench data info`` prints."""
    lines = []
    for name, part in described["parts"].items():
        height, width = part["size"]
        lines.append(f"{name}: {part['images']} images of {height}x{width}, {part['with_craters']} with craters")
        low, high, mean = part["grey_values"]
        lines.append(f"  grey values: {low:.3f} to {high:.3f}, mean {mean:.3f}, after scaling to 0 to 1")
        ignored = f", {part['ignored_share']:.1%} ignored" if part["ignored_share"] else ""
        lines.append(f"  crater pixels: {part['crater_share']:.1%}{ignored}")
        sizes = part["group_sizes"]
        each = f"{min(sizes)} to {max(sizes)} images, median {np.median(sizes):g}"
        if min(sizes) == max(sizes):
            each = f"{sizes[0]} image{'s' if sizes[0] > 1 else ''} each"
        lines.append(f"  groups: {len(sizes)} of {each}")
    lines.append(f"validation: {described['validation']}")
    lines += [f"note: {note}" for note in described["notes"]]
    lines += [f"warning: {warning}" for warning in described["warnings"]]
    return [*lines, f"fingerprint: {described['fingerprint']}"]


def _describe(part: Subset) -> dict[str, Any]:
    known = int((part.masks != IGNORED).sum())
    images = part.images
    return {
        "images": len(part),
        "size": list(images.shape[1:3]),
        "with_craters": int((part.crater_pixels() > 0).sum()),
        "grey_values": [float(images.min()), float(images.max()), float(images.mean(dtype=np.float64))],
        "crater_share": int(part.crater_pixels().sum()) / max(1, known),
        "ignored_share": 1 - known / part.masks.size,
        "group_sizes": sorted(np.unique(part.groups, return_counts=True)[1].tolist(), reverse=True),
    }
