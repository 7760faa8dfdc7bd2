"""Images in files: PNG, JPEG, TIFF, GeoTIFF and PGM, read by Pillow and tifffile, and turned to grey.

What a reader would have to guess at is refused: several pages, transparent pixels, bands that are no colours.
"""

from __future__ import annotations

import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "ReadImage", "read_image", "read_mask"]

#: The ends of the names of files that are read as images, in lower case.
IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff"})

#: The most pixels that are read as one image; Pillow's own limit, against small files that unpack to fill the memory.
MAX_PIXELS = 89_478_485

#: Weights of red, green and blue in luma by ITU-R BT.601, in 1/65536, as Pillow has them; together they are 65536.
_LUMA = (19595, 38470, 7471)

_COLOUR = "colour, turned to grey by its luma (ITU-R BT.601)"
_OPAQUE = "the alpha channel is opaque and left out"


@dataclass(frozen=True)
class ReadImage:
    """An image of a file.

    Attributes:
        pixels: (H, W), in the type of the file: bool, an integer or a float.
        note: what was done to get there, or ``None``.
    """

    pixels: npt.NDArray[np.generic]
    note: str | None


def read_image(path: Path) -> ReadImage:
    """Read an image as grey; colour becomes its luma, in the type of the file, and a palette what its colours are.

    Raises:
        UserError: naming the file, what is wrong with it and what cures it.
    """
    return _read(path, indices=False)


def read_mask(path: Path) -> ReadImage:
    """Read an image as a mask, which differs in palettes alone: the number of the colour counts, 0 for background.

    Raises:
        UserError: naming the file, what is wrong with it and what cures it; also if numbers and colours of a palette
            disagree on what is background.
    """
    read = _read(path, indices=True)
    if read.note is None or "a palette" not in read.note:
        return read
    numbers, colours = read.pixels != 0, _read(path, indices=False).pixels
    if numbers.any() and not numbers.all() and colours[~numbers].max() >= colours[numbers].min():
        raise UserError(
            f"{path}: is a mask with a palette whose colour 0 is not its darkest, so that crater and background cannot "
            "be told apart; save it as grey, 0 for background and 255 for craters"
        )
    return read


def _read(path: Path, *, indices: bool) -> ReadImage:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path}: is no file; give an image file")
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:  # also a symbolic link that leads to itself
        raise UserError(f"{path}: cannot be read: {error.strerror}; give an image file that is there") from None
    if not start:
        raise UserError(f"{path}: is empty (0 bytes); copy it again")
    try:
        if start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _read_tiff(path, indices=indices)
        return _read_by_pillow(path, indices=indices)
    except UserError:
        raise
    except MemoryError:
        raise UserError(f"{path}: does not fit into memory; cut it, or give it as a tile (--dataset tile)") from None
    except Exception as error:  # Pillow and tifffile raise whatever the damage leads to
        raise UserError(f"{path}: is cut short or damaged ({error}); copy or save it again") from None


def _read_by_pillow(path: Path, *, indices: bool) -> ReadImage:
    from PIL import ImageOps, UnidentifiedImageError  # not needed by those who have arrays

    try:
        image = _opened(path)
    except UnidentifiedImageError:
        raise UserError(
            f"{path}: is no PNG, JPEG, TIFF or PGM, whatever its name says; save it as one of them"
        ) from None
    with image:
        if image.format == "PNG" and image.mode not in ("I;16", "I") and _png_bits(path) == 16:
            raise UserError(f"{path}: is a PNG of 16-bit colour; save it as grey, or as TIFF")
        image.load()
        turned = image.getexif().get(0x0112, 1) != 1
        upright = ImageOps.exif_transpose(image) if turned else image
        read = _from_pillow(path, upright, indices=indices)
    if turned:
        read = ReadImage(read.pixels, _joined("turned as its EXIF orientation says", read.note))
    return read


def _opened(path: Path) -> Image.Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(path, formats=("PNG", "JPEG", "PPM", "TIFF"))
            return image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(_too_large(path)) from None


def _from_pillow(path: Path, image: Image.Image, *, indices: bool) -> ReadImage:
    if image.mode in ("P", "PA") and indices:
        return ReadImage(np.asarray(image.getchannel(0)), "a palette, read by the numbers of its colours")
    palette = image.mode in ("P", "PA")
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    elif palette:
        image = image.convert("RGB")
    if image.mode == "I" and image.format == "PPM":  # a PGM of more than 8 bits, which Pillow spreads over 16
        return ReadImage(np.asarray(image).astype(np.uint16), None)
    if image.mode not in ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F", "RGB", "RGBA"):
        raise UserError(f"{path}: is of mode {image.mode}, neither grey nor RGB; save it as grey")
    pixels = np.asarray(image)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    read = ReadImage(pixels, None) if pixels.ndim == 2 else _grey(path, pixels, alpha=image.mode in ("LA", "RGBA"))
    return ReadImage(read.pixels, _joined("a palette, read by its colours" if palette else None, read.note))


def _read_tiff(path: Path, *, indices: bool) -> ReadImage:
    import tifffile  # not needed by those who have arrays

    with tifffile.TiffFile(path) as tiff:
        pages = [page for page in map(tiff.pages.get, range(len(tiff.pages))) if not _is_derived(page)]
        if not pages:
            raise ValueError("it has no page")
        if len(pages) > 1:
            raise UserError(f"{path}: has {len(pages)} pages; save each page as a file of its own")
        page = pages[0]
        if page.imagewidth * page.imagelength > MAX_PIXELS:
            raise UserError(_too_large(path))
        try:
            pixels: npt.NDArray[np.generic] = page.asarray()
        except Exception as error:  # of several types, all with the name of the package that would be needed
            if not isinstance(error, ImportError) and "imagecodecs" not in str(error):
                raise
            return _unpack_by_pillow(path, page, indices=indices)
        return _from_tiff(path, page, pixels, indices=indices)


def _unpack_by_pillow(path: Path, page: Any, *, indices: bool) -> ReadImage:
    """Read a page that tifffile cannot unpack by itself, such as one of LZW: Pillow can, but not all types of them."""
    from PIL import UnidentifiedImageError

    try:
        with _opened(path) as image:
            image.seek(page.index)
            image.load()
            read = _from_pillow(path, image, indices=indices)
    except (UnidentifiedImageError, SyntaxError, ImportError):
        raise UserError(
            f"{path}: is a TIFF of {page.dtype} packed by {page.compression.name}, which takes the package "
            "imagecodecs: pip install it, or save it unpacked"
        ) from None
    is_wider = read.pixels.dtype != page.dtype and np.dtype(page.dtype).kind in "iu"  # Pillow's I for 16 bits
    return ReadImage(read.pixels.astype(page.dtype), read.note) if is_wider else read


def _from_tiff(path: Path, page: Any, pixels: npt.NDArray[np.generic], *, indices: bool) -> ReadImage:
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise UserError(f"{path}: has the axes {page.axes}; save one plane, height and width")
    kind = page.photometric.name
    if kind == "PALETTE":
        if indices:
            return ReadImage(pixels, "a palette, read by the numbers of its colours")
        colours = (page.colormap >> 8).astype(np.uint8).T[pixels.astype(np.intp)]
        read = _grey(path, colours, alpha=False)
        return ReadImage(read.pixels, _joined("a palette, read by its colours", read.note))
    if kind == "MINISWHITE" and pixels.ndim == 2 and pixels.dtype.kind in "bu":
        return ReadImage(np.invert(pixels), "0 is white in it, so that it was inverted")
    alpha = any(sample in (1, 2) for sample in page.extrasamples)
    bands = {"MINISBLACK": 1, "RGB": 3}.get(kind)
    if bands is None or page.samplesperpixel != bands + alpha:
        raise UserError(
            f"{path}: has {page.samplesperpixel} band(s) of kind {kind}, neither grey nor RGB; save one band as grey"
        )
    return ReadImage(pixels, None) if pixels.ndim == 2 else _grey(path, pixels, alpha=alpha)


def _is_derived(page: Any) -> bool:
    """Whether a page is a smaller copy or a mask of another, as GeoTIFFs have them."""
    return bool(page.subfiletype & 0b101)


def _grey(path: Path, pixels: npt.NDArray[Any], *, alpha: bool) -> ReadImage:
    """Return (H, W) of (H, W, S): one or three channels, and an alpha channel after them.

    Raises:
        UserError: the alpha channel is not opaque.
    """
    note = None
    if alpha:
        opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind in "iu" else 1
        if (pixels[..., -1] != opaque).any():
            raise UserError(
                f"{path}: has transparent pixels, and nobody knows what is behind them; save it without an alpha "
                "channel"
            )
        pixels, note = pixels[..., :-1], _OPAQUE
    if pixels.shape[-1] == 1 or (pixels == pixels[..., :1]).all():
        return ReadImage(pixels[..., 0], note)
    if pixels.dtype.kind == "f":
        luma = pixels @ (np.array(_LUMA) / 65536).astype(pixels.dtype)
    else:
        luma = (pixels.astype(np.int64) @ np.array(_LUMA) + 0x8000) >> 16
    return ReadImage(luma.astype(pixels.dtype), _joined(_COLOUR, note))


def _joined(*notes: str | None) -> str | None:
    said = [note for note in notes if note is not None]
    return "; ".join(said) if said else None


def _png_bits(path: Path) -> int:
    """Return the bits of a sample, from the header chunk of a PNG (ISO/IEC 15948, 11.2.2)."""
    with path.open("rb") as file:
        return file.read(25)[24]


def _too_large(path: Path) -> str:
    return (
        f"{path}: has more than {MAX_PIXELS:,} pixels: a mosaic, or a file made to fill the memory; cut a mosaic, or "
        "give it as a tile (--dataset tile)"
    )
