"""A finished network as a file for those who have no craterbench; this runs in a worker process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.padding import pad_to_multiple
from craterbench.plugin import ExportSpec, UserError
from craterbench.plugin.components import load
from craterbench.training.experiment import open_weights, predict
from craterbench.training.parts import train_val
from craterbench.training.session import image_multiple

__all__ = ["ExportedWeights", "export_weights", "predict_sizes"]

#: How many images the file is tried on at once. Not 1 or a power of 2: to either a graph is easily bound.
_IMAGES = 3

#: What the sides of the images are where the data cannot be had.
_SIDE = 128


@dataclass(frozen=True)
class ExportedWeights:
    """A file, and what it was tried on: several images, and one that is twice as wide.

    Attributes:
        content: what is in the file.
        real: whether the images are of the run's data, or, where those cannot be had, drawn at random.
        images: float32 (N, H, W, 1), one array for each size.
        probabilities: what the file gives for each.
        predicted: what the session predicts for each.
        multiple: what the sides of images have to be multiples of; the file does not pad them.
    """

    content: bytes
    real: bool
    images: tuple[npt.NDArray[np.float32], ...]
    probabilities: tuple[npt.NDArray[np.float32], ...]
    predicted: tuple[npt.NDArray[np.float32], ...]
    multiple: int


def export_weights(benchmark: BenchmarkConfig, *, weights: Path, export: ExportSpec, device: str) -> ExportedWeights:
    """Write the weights of a finished run to a file in this process, and run it.

    Args:
        benchmark: that of the run, or its twin in the framework that writes the file.

    Raises:
        UserError: the weights are missing or of another model, or the network cannot be written so.
    """
    images, real = _images(benchmark)
    multiple = image_multiple(benchmark)
    images, _ = pad_to_multiple(images, multiple)
    wide = np.concatenate([images[:1], images[:1, :, ::-1]], axis=2)
    session = open_weights(benchmark, weights, images.shape[1:3], device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"exported{export.suffix}"
        try:
            run = load(export.target)(session, path)
            content = path.read_bytes()
            probabilities = run(images), run(wide)
        except UserError:
            raise
        except Exception as error:  # of the libraries, on what they do not know of the networks of plugins
            what = f"the network {benchmark.model.name!r} cannot be exported to {export.name}"
            raise UserError(f"{what}: {type(error).__name__}: {error}") from error
    predicted = predict_sizes(benchmark, weights=weights, images=(images, wide), device=device)
    return ExportedWeights(content, real, (images, wide), probabilities, predicted, multiple)


def predict_sizes(
    benchmark: BenchmarkConfig, *, weights: Path, images: tuple[npt.NDArray[np.float32], ...], device: str
) -> tuple[npt.NDArray[np.float32], ...]:
    """Return what the weights of a finished run predict in this process for images of several sizes.

    Args:
        images: float32 (N, H, W, 1), one array for each size; what is returned has the same shapes.

    Raises:
        UserError: the weights are missing or of another model, or the model is none for images of such sizes.
    """
    return tuple(predict(open_weights(benchmark, weights, each.shape[1:3], device), each) for each in images)


def _images(benchmark: BenchmarkConfig) -> tuple[npt.NDArray[np.float32], bool]:
    """Return images of the run's data, evenly through them, or others where they have moved or are somewhere else."""
    try:
        part = train_val(benchmark).part
    except UserError:
        drawn = np.random.default_rng(0).uniform(size=(_IMAGES, _SIDE, _SIDE, 1))
        return drawn.astype(np.float32), False
    rows = np.unique(np.linspace(0, len(part) - 1, _IMAGES).astype(int))
    return part.images[rows], True
