"""What is to be predicted on: image files, folders of them, mosaics, and NumPy arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from craterbench.data.image_files import IMAGE_SUFFIXES
from craterbench.data.raster import Raster, open_raster
from craterbench.data.scale import Scale, ScaleName, Stack, decide_scale
from craterbench.plugin import UserError

__all__ = ["ARRAY_SUFFIXES", "GreyImage", "find_images", "open_images"]

#: The ends of the names of files that hold arrays.
ARRAY_SUFFIXES = frozenset({".npy", ".npz"})

_KNOWN = ARRAY_SUFFIXES | IMAGE_SUFFIXES

#: About how many pixels are looked at at once to find the lowest and the highest.
_AT_ONCE = 2**24


@dataclass(frozen=True)
class GreyImage:
    """An image that is open, and how its grey values become [0, 1]."""

    raster: Raster
    scale: Scale

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.raster.height, self.raster.width

    def rows(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Return rows, float32 (rows, W) in [0, 1], NaN where nothing was observed."""
        pixels = self.raster.read(0, first, self.raster.width, last - first)
        grey = np.clip(self.scale.apply(pixels[np.newaxis])[0], 0, 1)
        missing = self.raster.missing(pixels)
        return np.where(missing, np.float32(np.nan), grey) if missing.any() else grey


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Return the files of what is named: files, and those in folders, but not in folders of these.

    Raises:
        UserError: there is none, one has an ending that is not known, or two would have results of one name.
    """
    found: list[Path] = []
    endings = ", ".join(sorted(_KNOWN))
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in _KNOWN and file.is_file())
            if not inside:
                raise UserError(
                    f"{path}: has no images in it; they end in {endings}, and folders in it are not searched: name "
                    f"those that hold images, such as {path}/*"
                )
            found += inside
        elif not path.exists():
            raise UserError(f"{path}: there is no such file or folder; give images that are there")
        elif path.suffix.lower() not in _KNOWN:
            raise UserError(f"{path}: is no image by its name; save it as one of {endings}")
        else:
            found.append(path)
    by_stem: dict[str, Path] = {}
    for file in found:
        if (other := by_stem.setdefault(file.stem.lower(), file)) is not file:
            raise UserError(
                f"{other} and {file} would have results of the same name; rename one, or predict them apart"
            )
    return found


@contextmanager
def open_images(path: Path, scale: ScaleName | Scale) -> Iterator[list[GreyImage]]:
    """Open a file: one image, or the images of an array (N, H, W), (N, H, W, 1) or (N, 1, H, W).

    Args:
        scale: how grey values become [0, 1], decided over all images of the file; or the scale itself.

    Raises:
        UserError: naming the file, what is wrong with it and what cures it.
    """
    if path.suffix.lower() in ARRAY_SUFFIXES:
        rasters = _of_array(path)
        yield _scaled(path, rasters, scale)
    else:
        with open_raster(path) as raster:
            yield _scaled(path, [raster], scale)


def _of_array(path: Path) -> list[Raster]:
    array = _read(path)
    if array.dtype.kind not in "buif":
        raise UserError(f"{path}: holds {array.dtype}; give numbers")
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[-1]):
        array = array[..., 0] if array.shape[-1] == 1 else array[:, 0]
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise UserError(f"{path}: has shape {array.shape}; give grey images: (H, W), (N, H, W) or (N, H, W, 1)")
    images = array[np.newaxis] if array.ndim == 2 else array
    height, width = images.shape[1:]

    def raster(image: npt.NDArray[np.generic]) -> Raster:
        return Raster(
            path,
            height,
            width,
            None,
            None,
            lambda x, y, width, height: np.asarray(image[y : y + height, x : x + width]),
        )

    return [raster(image) for image in images]


def _read(path: Path) -> npt.NDArray[np.generic]:
    """Return the array of an npy file, which stays on the disk, or the array ``images`` of an npz file."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            if "images" not in found.files:
                raise UserError(f"{path}: has no array images; it has {', '.join(found.files) or 'none'}; rename one")
            images: npt.NDArray[np.generic] = found["images"]
            return images
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); copy it again") from None
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: is cut short, damaged, or neither an npy nor an npz file of numbers ({error}); save it again"
        ) from None


def _scaled(path: Path, rasters: Sequence[Raster], scale: ScaleName | Scale) -> list[GreyImage]:
    decided = scale if isinstance(scale, Scale) else _decided(path, rasters, scale)
    return [GreyImage(raster, decided) for raster in rasters]


def _decided(path: Path, rasters: Sequence[Raster], scale: ScaleName) -> Scale:
    """Return the scale that images have by their lowest and highest values."""
    extremes = np.array([each for raster in rasters for each in _extremes(raster)])
    if not len(extremes):
        raise UserError(f"{path}: nothing was observed in it; give an image with pixels other than nodata")
    ends = np.stack([extremes.min(axis=0), extremes.max(axis=0)]) if len(rasters) == 1 else extremes
    if scale == "minmax" and extremes.min() == extremes.max():  # it shows nothing, and is black
        return Scale(scale, float(extremes.min()), float(extremes.min()) + 1)
    try:
        return decide_scale([Stack(str(path), ends[:, :, np.newaxis, np.newaxis])], scale)
    except UserError as error:
        raise UserError(str(error).replace(", or set dataset.scale", ", or train with dataset.scale")) from None


def _extremes(raster: Raster) -> Iterator[npt.NDArray[np.generic]]:
    """Yield the lowest and the highest value, (2,) in the type of the file, of bands of rows."""
    rows = max(1, _AT_ONCE // raster.width)
    for top in range(0, raster.height, rows):
        pixels = raster.read(0, top, raster.width, min(rows, raster.height - top))
        observed = pixels[~raster.missing(pixels)]
        if observed.size:
            if not np.isfinite(observed).all():
                raise UserError(f"{raster.path}: holds infinity; replace it by NaN or by a nodata value")
            yield np.array([observed.min(), observed.max()])
