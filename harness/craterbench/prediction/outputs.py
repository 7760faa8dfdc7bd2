"""What is written of an image: mask, probabilities and overlay, a band of rows at a time, in the kind of its file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Output", "image_output", "save_stack"]

#: The colour of craters in an overlay, and the share of it that is mixed with the grey value.
_COLOUR, _SHARE = np.array([255, 96, 0], np.float32), np.float32(0.4)


class Output(Protocol):
    """Takes the rows of an image from top to bottom."""

    def write(self, grey: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], threshold: float) -> None:
        """Take rows, each (rows, W) in [0, 1]."""


@contextmanager
def image_output(source: Path, shape: tuple[int, int], stem: Path) -> Iterator[Output]:
    """Write ``STEM-mask``, ``STEM-probabilities`` and ``STEM-overlay`` of an image (H, W), in the kind of its file.

    A mask is 255 where a probability is above the threshold, else 0. Probabilities are float32, but in a PNG, for which
    they are 16-bit whole numbers of which 65535 is 1. TIFFs have the georeference of their source.
    """
    suffix = source.suffix.lower()
    if suffix in (".tif", ".tiff") and _has_rasterio():
        with _GeoTiff(source, shape, stem) as tiff:
            yield tiff
    elif suffix in (".npy", ".npz"):
        yield _Npy(shape, stem)
    else:
        picture = _Picture(shape, stem, ".tif" if suffix in (".tif", ".tiff") else ".png")
        yield picture
        picture.save()


def save_stack(
    source: Path,
    grey: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
    threshold: float,
    stem: Path,
) -> None:
    """Write what ``image_output`` does of images (N, H, W), as (N, H, W, 1) and overlays (N, H, W, 3), in arrays.

    Those of an npz file are in npz files, as ``masks``, ``probabilities`` and ``overlays``.
    """
    arrays: dict[str, tuple[str, npt.NDArray[Any]]] = {
        "mask": ("masks", _mask(probabilities, threshold)[..., np.newaxis]),
        "probabilities": ("probabilities", probabilities[..., np.newaxis]),
        "overlay": ("overlays", _overlay(grey, probabilities, threshold)),
    }
    for name, (key, array) in arrays.items():
        file = stem.with_name(f"{stem.name}-{name}{source.suffix.lower()}")
        if file.suffix == ".npz":
            np.savez_compressed(file, allow_pickle=False, **{key: array})
        else:
            np.save(file, array)


class _Npy:
    """Arrays of one image, which stay on the disk while they are written."""

    def __init__(self, shape: tuple[int, int], stem: Path) -> None:
        kinds = {"mask": (np.uint8, shape), "probabilities": (np.float32, shape), "overlay": (np.uint8, (*shape, 3))}
        self._arrays = [
            np.lib.format.open_memmap(stem.with_name(f"{stem.name}-{name}.npy"), "w+", dtype, size)
            for name, (dtype, size) in kinds.items()
        ]
        self._row = 0

    def write(self, grey: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], threshold: float) -> None:
        rows = slice(self._row, self._row + len(grey))
        found = (_mask(probabilities, threshold), probabilities, _overlay(grey, probabilities, threshold))
        for array, values in zip(self._arrays, found, strict=True):
            array[rows] = values
        self._row += len(grey)


class _Picture:
    """Pictures, which are encoded as a whole: no larger ones than can be read."""

    def __init__(self, shape: tuple[int, int], stem: Path, suffix: str) -> None:
        self._stem, self._suffix, self._row = stem, suffix, 0
        self._mask, self._overlay = np.empty(shape, np.uint8), np.empty((*shape, 3), np.uint8)
        self._probabilities = np.empty(shape, np.uint16 if suffix == ".png" else np.float32)

    def write(self, grey: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], threshold: float) -> None:
        rows = slice(self._row, self._row + len(grey))
        self._mask[rows] = _mask(probabilities, threshold)
        self._overlay[rows] = _overlay(grey, probabilities, threshold)
        self._probabilities[rows] = np.rint(probabilities * 65535) if self._suffix == ".png" else probabilities
        self._row += len(grey)

    def save(self) -> None:
        """Write the files."""
        arrays = {"mask": self._mask, "probabilities": self._probabilities, "overlay": self._overlay}
        for name, array in arrays.items():
            file = self._stem.with_name(f"{self._stem.name}-{name}{self._suffix}")
            if self._suffix == ".png":
                from PIL import Image

                Image.fromarray(array).save(file)
            else:
                import tifffile

                tifffile.imwrite(file, array)


class _GeoTiff:
    """GeoTIFFs with the georeference of their source, written in strips."""

    def __init__(self, source: Path, shape: tuple[int, int], stem: Path) -> None:
        self._source, self._shape, self._stem, self._row = source, shape, stem, 0
        self._stack = ExitStack()

    def __enter__(self) -> _GeoTiff:
        import rasterio

        self._stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(self._source, driver="GTiff") as source:
            place = {"crs": source.crs, "transform": source.transform}
        common = {
            **place, "driver": "GTiff", "height": self._shape[0], "width": self._shape[1], "compress": "deflate",
            "bigtiff": "if_safer",
        }  # fmt: skip
        own = {
            "mask": {"dtype": "uint8", "count": 1},
            "probabilities": {"dtype": "float32", "count": 1},
            "overlay": {"dtype": "uint8", "count": 3, "photometric": "rgb"},
        }
        self._files = [
            self._stack.enter_context(
                rasterio.open(self._stem.with_name(f"{self._stem.name}-{name}.tif"), "w", **common, **each)
            )
            for name, each in own.items()
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, grey: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], threshold: float) -> None:
        from rasterio.windows import Window

        window = Window(0, self._row, self._shape[1], len(grey))
        mask, chances, overlay = self._files
        mask.write(_mask(probabilities, threshold), 1, window=window)
        chances.write(probabilities, 1, window=window)
        overlay.write(np.moveaxis(_overlay(grey, probabilities, threshold), -1, 0), window=window)
        self._row += len(grey)


def _mask(probabilities: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.uint8]:
    return np.where(probabilities > threshold, 255, 0).astype(np.uint8)


def _overlay(
    grey: npt.NDArray[np.float32], probabilities: npt.NDArray[np.float32], threshold: float
) -> npt.NDArray[np.uint8]:
    """Return the grey image in RGB, (..., 3), with the craters in colour."""
    image = np.repeat(np.nan_to_num(grey)[..., np.newaxis] * np.float32(255), 3, axis=-1)
    crater = probabilities > threshold
    image[crater] = (1 - _SHARE) * image[crater] + _SHARE * _COLOUR
    return np.rint(image).astype(np.uint8)


def _has_rasterio() -> bool:
    from importlib.util import find_spec

    return find_spec("rasterio") is not None
