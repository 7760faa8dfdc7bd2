"""Images that are read in windows: mosaics larger than memory."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.image_files import MAX_PIXELS, read_image
from craterbench.plugin import UserError

__all__ = ["Raster", "open_raster"]

Pixels = npt.NDArray[Any]

#: The header of a binary PGM: width, height and the greatest value, with comments between them.
_PGM = re.compile(rb"P5(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")


@dataclass(frozen=True)
class Raster:
    """A grey image of any size that is open for reading.

    Attributes:
        path: of the file.
        height: in pixels.
        width: in pixels.
        nodata: the value of pixels that were not observed, or ``None``; NaN is always one.
        note: what was done to read it as grey, or ``None``.
    """

    path: Path
    height: int
    width: int
    nodata: float | None
    note: str | None
    _read: Callable[[int, int, int, int], Pixels]

    def read(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Return the pixels of a window inside the image, (height, width), in the type of the file.

        Raises:
            UserError: the file is damaged there.
        """
        try:
            return self._read(x, y, width, height)
        except Exception as error:  # rasterio raises whatever the damage leads to
            raise UserError(
                f"{self.path}: is cut short or damaged at x={x} y={y} ({error}); copy or save it again"
            ) from None

    def missing(self, pixels: Pixels) -> npt.NDArray[np.bool_]:
        """Return which pixels were not observed."""
        found = np.zeros(pixels.shape, np.bool_) if self.nodata is None else np.asarray(pixels == self.nodata)
        return found | np.isnan(pixels) if pixels.dtype.kind == "f" else found


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """Open an image. TIFF (by rasterio, if it is installed) and large PGM are read in windows, others as a whole.

    Raises:
        UserError: naming the file, what is wrong with it and what cures it.
    """
    size = _pgm_size(path)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        yield _of_pixels(path, _mapped_pgm(path))
    elif path.suffix.lower() in (".tif", ".tiff"):
        with _open_tiff(path) as raster:
            yield raster
    else:
        read = read_image(path)
        yield _of_pixels(path, read.pixels, read.note)


@contextmanager
def _open_tiff(path: Path) -> Iterator[Raster]:
    try:
        import rasterio
        from rasterio.windows import Window
    except ModuleNotFoundError:
        try:
            read = read_image(path)
        except UserError as error:
            raise UserError(f"{error}; rasterio reads large TIFFs: pip install 'craterbench[geo]'") from None
        yield _of_pixels(path, read.pixels, read.note)
        return
    if not path.exists():
        raise UserError(f"{path}: there is no such file; give an image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            image = rasterio.open(path, driver="GTiff")  # a VRT of that name would lead to other files
        except rasterio.errors.RasterioIOError:
            read_image(path)  # says what is wrong with it
            raise UserError(f"{path}: cannot be read as a TIFF; save it again") from None
    with image:
        inverted = image.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
        if image.count == 1 and image.colorinterp[0] != rasterio.enums.ColorInterp.palette and not inverted:

            def window(x: int, y: int, width: int, height: int) -> Pixels:
                pixels: Pixels = image.read(1, window=Window(x, y, width, height))
                return pixels

            yield Raster(path, image.height, image.width, image.nodata, None, window)
            return
    read = read_image(path)  # colours
    yield _of_pixels(path, read.pixels, read.note)


def _of_pixels(path: Path, pixels: Pixels, note: str | None = None) -> Raster:
    def window(x: int, y: int, width: int, height: int) -> Pixels:
        return np.asarray(pixels[y : y + height, x : x + width])

    height, width = pixels.shape
    return Raster(path, height, width, None, note, window)


def _pgm_size(path: Path) -> tuple[int, int] | None:
    header = _pgm_header(path)
    return None if header is None else (int(header[1]), int(header[2]))


def _pgm_header(path: Path) -> re.Match[bytes] | None:
    try:
        with path.open("rb") as file:
            return _PGM.match(file.read(4096))
    except OSError:
        return None  # read_image says what is wrong


def _mapped_pgm(path: Path) -> Pixels:
    header = _pgm_header(path)
    assert header is not None
    width, height, greatest = map(int, header.groups())
    dtype = np.dtype(np.uint8 if greatest < 256 else ">u2")
    held, wanted = path.stat().st_size - header.end(), width * height * dtype.itemsize
    if held < wanted:
        raise UserError(f"{path}: is cut short: {width}x{height} pixels are {wanted} bytes, not {held}; copy it again")
    return np.memmap(path, dtype, mode="r", offset=header.end(), shape=(height, width))
