"""How images are shown to finished runs: as those were that they were trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from craterbench.data.scale import Scale, ScaleName
from craterbench.execution.ensemble import Ensemble
from craterbench.execution.finished import FinishedRun
from craterbench.plugin.components import DatasetSpec
from craterbench.plugin.registry import Registry
from craterbench.prediction.windows import Windows
from craterbench.results.predictions_file import read_predictions
from craterbench.results.record import Record

__all__ = ["Shown", "scale_of_data", "shown_as_trained"]


@dataclass(frozen=True)
class Shown:
    """What is done to images before networks see them.

    Attributes:
        windows: of which size.
        scale: how grey values become [0, 1]: decided for a whole file, not for each window, where little contrast would
            be blown up to craters.
    """

    windows: Windows
    scale: ScaleName | Scale


def shown_as_trained(registry: Registry, ensemble: Ensemble) -> Shown:
    """Return how images are shown to runs: in windows as large as the images of their data, on their scale.

    The first run decides on the scale. Where each image of its data was stretched to the full range, each file is.
    """
    side = max(_image_side(run) for run in ensemble.runs)
    multiple = ensemble.multiple
    return Shown(Windows(-(-side // multiple) * multiple), _scale(registry, ensemble.runs[0].record))


def _image_side(run: FinishedRun) -> int:
    """Return the side of a square of as many pixels as an image of a run's data has.

    Where its predictions were not kept, as by earlier versions, only pixels that count are known of.
    """
    try:
        pixels = np.prod(read_predictions(run.folder, "validation").size)
    except ValueError:
        part = run.record.parts["validation"]
        pixels = np.sum(part["statistics"]["confusion"]) / part["num_images"]
    return math.ceil(math.sqrt(pixels))


def _scale(registry: Registry, record: Record) -> ScaleName | Scale:
    """Return the scale for a file that is shown to a run."""
    known: dict[str, DatasetSpec] = {entry.spec.name: entry.spec for entry in registry.entries("dataset")}
    spec = known.get(record.dataset["name"])
    return "minmax" if spec is not None and spec.stretched else scale_of_data(record)


def scale_of_data(record: Record) -> ScaleName | Scale:
    """Return the scale of a run's data: by its name, or where it followed from them, with what it came to."""
    for note in record.dataset.get("notes", []):
        found = Scale.parse(note)
        if found is not None and found.name == "minmax":
            return found
    name: ScaleName = record.config["dataset"].get("scale", "auto")
    return name
