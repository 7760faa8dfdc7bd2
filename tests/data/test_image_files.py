"""Images in files: what Pillow and tifffile wrote comes back, and what cannot be used is named."""

from __future__ import annotations

import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from craterbench.data.image_files import IMAGE_SUFFIXES, read_image, read_mask
from craterbench.plugin import UserError

RAMP = np.arange(6 * 8).reshape(6, 8)
GREY = (RAMP * 5).astype(np.uint8)
DEEP = (RAMP * 1300 + 77).astype(np.uint16)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def pillow(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)


def rasterio_(path, pixels, driver="GTiff", **options):
    """Write as GDAL does, whose files people have."""
    import rasterio

    (height, width), dtype = pixels.shape, pixels.dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver=driver, height=height, width=width, count=1, dtype=dtype, **options
        ) as file:
            file.write(pixels, 1)


WRITTEN = {
    "8-bit.png": (pillow, GREY, {}),
    "1-bit.png": (pillow, GREY > 100, {}),
    "16-bit.png": (pillow, DEEP, {}),
    "8-bit.pgm": (pillow, GREY, {}),
    "16-bit.pgm": (pillow, DEEP, {}),
    "8-bit.TIF": (tifffile.imwrite, GREY, {}),
    "16-bit.tif": (tifffile.imwrite, DEEP, {}),
    "big-endian.tif": (tifffile.imwrite, DEEP, {"byteorder": ">"}),
    "signed.tif": (tifffile.imwrite, RAMP.astype(np.int16) - 9, {}),
    "32-bit.tif": (tifffile.imwrite, RAMP.astype(np.uint32) * 70_000, {}),
    "float32.tiff": (tifffile.imwrite, (RAMP / 47).astype(np.float32), {}),
    "float64.tiff": (tifffile.imwrite, RAMP / 47, {}),
    "deflate.tif": (tifffile.imwrite, DEEP, {"compression": "zlib"}),
    "lzw.tif": (pillow, DEEP, {"compression": "tiff_lzw"}),
    "signed lzw.tif": (rasterio_, RAMP.astype(np.int16) - 9, {"compress": "lzw"}),
    "unsigned lzw.tif": (rasterio_, RAMP.astype(np.uint32) * 90_000_000, {"compress": "lzw"}),
    "predicted.tif": (rasterio_, (RAMP / 47).astype(np.float32), {"compress": "deflate", "predictor": 3}),
    "zstd.tif": (rasterio_, DEEP, {"compress": "zstd"}),
    "12-bit.tif": (rasterio_, DEEP // 16, {"nbits": 12}),
    "cloud.tif": (rasterio_, np.tile(DEEP, (90, 90)), {"driver": "COG", "compress": "lzw", "blocksize": 128}),
    "tiles.tif": (tifffile.imwrite, np.tile(DEEP, (9, 9)), {"tile": (16, 16)}),
    "bigtiff.tif": (tifffile.imwrite, DEEP, {"bigtiff": True}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_was_written_comes_back_in_its_type(tmp_path, name):
    write, pixels, options = WRITTEN[name]
    write(tmp_path / name, pixels, **options)
    read = read_image(tmp_path / name)
    assert read.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(read.pixels, pixels)
    assert read.note is None
    assert (tmp_path / name).suffix.lower() in IMAGE_SUFFIXES


def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path):
    pillow(tmp_path / "a.jpg", GREY, quality=90)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg").pixels, np.asarray(Image.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_colour_is_turned_to_the_luma_of_pillow_and_said(tmp_path, name):
    (pillow if name == "a.png" else tifffile.imwrite)(tmp_path / name, COLOUR)
    read = read_image(tmp_path / name)
    np.testing.assert_array_equal(read.pixels, np.asarray(Image.fromarray(COLOUR).convert("L")))
    assert "luma" in read.note


def test_colour_of_16_bits_and_of_floats_keeps_its_range(tmp_path):
    red = np.zeros((6, 8, 3))
    red[..., 0] = 1
    tifffile.imwrite(tmp_path / "deep.tif", (red * 65535).astype(np.uint16), photometric="rgb")
    tifffile.imwrite(tmp_path / "float.tif", red.astype(np.float32), photometric="rgb", planarconfig="contig")
    deep, real = (read_image(tmp_path / name).pixels for name in ("deep.tif", "float.tif"))
    assert deep.dtype == np.uint16
    assert (deep == round(0.299 * 65535)).all()
    np.testing.assert_allclose(real, 0.299, atol=1e-5)


def test_grey_that_was_saved_as_colour_is_what_it_was(tmp_path):
    pillow(tmp_path / "a.png", GREY, "RGB")
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read.pixels, GREY)
    assert read.note is None


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_alpha_channel_is_left_out_and_said(tmp_path, mode):
    pillow(tmp_path / "a.png", GREY, mode)
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read.pixels, GREY)
    assert "alpha" in read.note


def palette(path, numbers, colours):
    image = Image.frombytes("P", numbers.shape[::-1], numbers.astype(np.uint8).tobytes())
    image.putpalette(np.array(colours, np.uint8).tobytes())
    image.save(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_palette_is_read_by_colour_as_an_image_and_by_number_as_a_mask(tmp_path, suffix):
    path, numbers = tmp_path / f"a.{suffix}", RAMP > 20
    palette(path, numbers, [(0, 0, 0), (128, 0, 0)])
    image, mask = read_image(path), read_mask(path)
    np.testing.assert_array_equal(image.pixels, numbers * 38)  # the luma of (128, 0, 0)
    np.testing.assert_array_equal(mask.pixels, numbers)
    assert "palette" in image.note
    assert "palette" in mask.note


def test_a_tiff_in_which_0_is_white_is_inverted_and_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    read = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read.pixels, 255 - GREY)
    assert "inverted" in read.note


def test_a_smaller_copy_in_a_tiff_is_no_page_of_its_own(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY, subfiletype=0)
        file.write(GREY[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, GREY)


def test_a_photograph_is_turned_as_it_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read.pixels, np.rot90(GREY, -1))
    assert "EXIF" in read.note


# What cannot be used


def bomb(path):
    """A PNG of 40,000 x 40,000 pixels in a few bytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")))


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def cut_after(write, *arguments, **options):
    def make(path):
        write(path, *arguments, **options)
        cut(path)

    return make


def transparent(path):
    alpha = np.full_like(GREY, 255)
    alpha[2, 3] = 254
    Image.fromarray(np.stack([GREY, alpha], axis=-1)).save(path)


def transparent_palette(path):
    image = Image.frombytes("P", (8, 6), (GREY > 9).astype(np.uint8).tobytes())
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(path, transparency=0)


def deep_colour(path):
    import cv2

    cv2.imwrite(str(path), np.stack([DEEP] * 3, axis=-1))


def damaged_deflate(path):
    tifffile.imwrite(path, noise(64, 64), compression="zlib")
    content = bytearray(path.read_bytes())
    content[-2000:-1900] = bytes(100)
    path.write_bytes(content)


UNUSABLE = {
    "nothing there": ("a.png", lambda path: None, "No such file.*give an image file"),
    "a folder": ("a.png", lambda path: path.mkdir(), "is no file; give an image file"),
    "a pipe": ("a.png", os.mkfifo, "is no file; give an image file"),
    "no bytes": ("a.png", lambda path: path.write_bytes(b""), r"is empty \(0 bytes\); copy it again"),
    "no bytes in a TIFF": ("a.tif", lambda path: path.write_bytes(b""), r"is empty \(0 bytes\); copy it again"),
    "text": ("a.png", lambda path: path.write_text("a,b\n1,2\n"), "is no PNG, JPEG, TIFF or PGM.*; save it as"),
    "another format": ("a.png", lambda path: pillow(path, GREY, format="BMP"), "is no PNG.*; save it as"),
    "a link to itself": ("a.png", lambda path: path.symlink_to(path), "Too many levels of symbolic links.*give"),
    "a bomb": ("a.png", bomb, r"more than 89,478,485 pixels.*; cut a mosaic, or give it as a tile"),
    "a cut PNG": ("a.png", cut_after(pillow, noise(64, 64)), "cut short or damaged.*; copy or save it again"),
    "a cut JPEG": ("a.jpg", cut_after(pillow, noise(64, 64)), "cut short or damaged.*; copy or save it again"),
    "a cut PGM": ("a.pgm", cut_after(pillow, noise(64, 64)), "cut short or damaged.*; copy or save it again"),
    "a cut TIFF": ("a.tif", cut_after(tifffile.imwrite, noise(64, 64)), "cut short or damaged.*; copy or save"),
    "a damaged TIFF": ("a.tif", damaged_deflate, "cut short or damaged.*; copy or save"),
    "a TIFF of 4 bytes": ("a.tif", lambda path: path.write_bytes(b"II*\0"), "cut short or damaged.*; copy or save"),
    "a TIFF without pages": ("a.tif", lambda path: path.write_bytes(b"II*\0\0\0\0\0"), "cut short or damaged.*; copy"),
    "a TIFF that is a bomb": (
        "a.tif",
        lambda path: tifffile.memmap(path, shape=(10**5, 10**4), dtype=np.uint8),
        "more than 89,478,485.*; cut a",
    ),
    "doubles in LZW": (
        "a.tif",
        lambda path: rasterio_(path, RAMP / 47, compress="lzw"),
        "TIFF of float64 packed by LZW, which takes the package imagecodecs: pip install it, or save",
    ),
    "pages": ("a.tif", lambda path: tifffile.imwrite(path, noise(3, 9, 9), photometric="minisblack"), "3 pages; save"),
    "bands": (
        "a.tif",
        lambda path: tifffile.imwrite(path, noise(9, 9, 5), photometric="minisblack", planarconfig="contig"),
        "5 band.*; save one band as grey",
    ),
    "inks": ("a.jpg", lambda path: pillow(path, GREY, "CMYK"), "mode CMYK, neither grey nor RGB; save it as grey"),
    "transparency": ("a.png", transparent, "transparent pixels.*; save it without an alpha"),
    "transparency of a palette": ("a.png", transparent_palette, "transparent pixels.*; save it without an alpha"),
    "colour of 16 bits": ("a.png", deep_colour, "PNG of 16-bit colour; save it as grey, or as TIFF"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_file_that_cannot_be_used_is_named_with_cause_and_cure(tmp_path, what):
    name, write, said = UNUSABLE[what]
    write(tmp_path / name)
    with pytest.raises(UserError, match=rf"(?s){name}: .*{said}"):
        read_image(tmp_path / name)


def test_a_mask_whose_palette_says_two_things_is_refused(tmp_path):
    palette(tmp_path / "a.png", RAMP > 20, [(255, 255, 255), (0, 0, 0)])
    with pytest.raises(UserError, match=r"a\.png.*colour 0 is not its darkest.*; save it as grey"):
        read_mask(tmp_path / "a.png")
