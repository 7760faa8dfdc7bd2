"""A plugin with three metrics, put where Python finds it, as an outside author's package is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from installed import install

_SPECS = """
from craterbench.plugin import MetricSpec, hookimpl


@hookimpl
def bench_metrics():
    return [
        MetricSpec(
            name="precision", summary="share of what is called crater that is", statistic="confusion",
            formula="outside_formulas:precision", greater_is_better=True, scale="unit", weight=(0, 1),
        ),
        MetricSpec(
            name="hausdorff_90", label="Hausdorff 90 %", summary="mean 90th percentile of the distance, in pixels",
            statistic="outside_formulas:hausdorff_90", formula="outside_formulas:mean", greater_is_better=False,
            weight=(1,),
        ),
        MetricSpec(
            name="objects_found", summary="craters of which a pixel is found, for each image",
            statistic="outside_formulas:objects_found", formula="outside_formulas:mean", greater_is_better=True,
        ),
    ]
"""

_FORMULAS = '''
import numpy as np
from scipy.ndimage import distance_transform_edt, label


def precision(confusion):
    """Return NaN where nothing is called crater."""
    return confusion[..., 0] / (confusion[..., 0] + confusion[..., 1])


def hausdorff_90(probabilities, masks):
    """Return the distance of each image, and whether it has one: both mask and prediction have a crater."""
    rows = []
    for mask, called in zip(masks[..., 0] > 0, probabilities[..., 0] > 0.5):
        if mask.any() and called.any():
            ways = distance_transform_edt(~called)[mask], distance_transform_edt(~mask)[called]
            rows.append((max(np.percentile(way, 90) for way in ways), 1.0))
        else:
            rows.append((0.0, 0.0))
    return np.array(rows)


def objects_found(probabilities, masks):
    rows = []
    for mask, called in zip(masks[..., 0], probabilities[..., 0] > 0.5):
        objects, _ = label(mask)
        rows.append((len(set(objects[called]) - {0}), 1))
    return np.array(rows)


def mean(sums):
    return sums[..., 0] / sums[..., 1]
'''


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """Install a plugin where this process and those that it starts find it."""
    install(folder, name, code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    sys.modules.pop(name, None)  # that of another test


def outside_metrics(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin."""
    found(folder, monkeypatch, "outside", _SPECS)
    (folder / "outside_formulas.py").write_text(_FORMULAS)
    sys.modules.pop("outside_formulas", None)
