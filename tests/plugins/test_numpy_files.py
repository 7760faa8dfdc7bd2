"""NumPy files of every shape, type and damage."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest

from craterbench.plugin import UserError
from craterbench_datasets import File
from craterbench_datasets.files import IMAGES, MASKS, course, npz

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (6, 8, 8), dtype=np.uint8)
MASK = (RANDOM.integers(0, 4, (6, 8, 8)) == 0).astype(np.uint8)


def read(path, **options):
    return npz(File(path=str(path), **options))


def save(path, **arrays):
    np.savez(path, **({"images": GREY, "masks": MASK} | arrays))


def test_arrays_that_are_not_needed_are_not_read(tmp_path):
    path = tmp_path / "a.npz"
    save(path)
    alone = read(path).digest()
    save(path, names=np.array([{"a": 1}], dtype=object), preview=GREY.astype(str))
    assert read(path).digest() == alone


@pytest.mark.parametrize(
    "groups", [["n", "n", "s", "s", "w", "w"], [1.5, 1.5, 2.0, 2.0, 9.0, 9.0], np.array([4, 4, 5, 5, 6, 6], np.uint8)]
)
def test_groups_are_numbers_or_texts(tmp_path, groups):
    save(tmp_path / "a.npz", groups=np.array(groups))
    made = read(tmp_path / "a.npz").train_val.groups
    assert made.dtype == np.int64
    np.testing.assert_array_equal(np.unique(made, return_inverse=True)[1], [0, 0, 1, 1, 2, 2])


def test_channels_may_come_first(tmp_path):
    save(tmp_path / "a.npz", images=GREY[:, np.newaxis], masks=MASK[:, np.newaxis])
    np.testing.assert_array_equal(read(tmp_path / "a.npz").train_val.images[..., 0] * 255, GREY)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64, bool])
@pytest.mark.parametrize("shape", [(4, 2304), (4, 48, 48), (4, 48, 48, 1), (4, 1, 48, 48)])
def test_the_course_files_in_every_shape_and_type(tmp_path, shape, dtype):
    images = RANDOM.integers(0, 256, shape)
    np.save(tmp_path / IMAGES, images.astype(dtype))
    np.save(tmp_path / MASKS, (images > 128).astype(dtype))
    made = course(File(path=str(tmp_path))).train_val
    expected = images > 0 if dtype is bool else images.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(made.images.ravel(), expected.ravel())
    np.testing.assert_array_equal(made.masks.ravel(), (images > 128).ravel())


def huge(path):
    """An npz file whose images claim to be of a petabyte."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (10**9, 1000, 1000), "fortran_order": False, "descr": np.dtype(np.uint8).str}
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", header.getvalue())
        file.writestr("masks.npy", header.getvalue())


def damaged(path):
    save(path)
    content = bytearray(path.read_bytes())
    content[200:230] = bytes(30)
    path.write_bytes(content)


def cut(path):
    save(path)
    path.write_bytes(path.read_bytes()[:300])


def one_array(path):
    with path.open("wb") as file:
        np.save(file, GREY)


def with_images(images, masks=MASK, **more):
    return lambda path: save(path, images=images, masks=masks, **more)


UNUSABLE = {
    "nothing there": (lambda path: None, "there is no such file; name the data with --data"),
    "a folder": (lambda path: path.mkdir(), "cannot be read: Is a directory; name the file"),
    "no bytes": (lambda path: path.write_bytes(b""), "is cut short or damaged.*; copy it again"),
    "a text": (lambda path: path.write_text("images,masks\n"), "is pickled, or no NumPy file at all; save"),
    "cut short": (cut, "is cut short or damaged.*; copy it again"),
    "damaged": (damaged, "array images is cut short or damaged.*; copy it again"),
    "larger than the memory": (huge, "array images is larger than the memory.*; give fewer or smaller images"),
    "one array": (one_array, "holds one array; give an npz file with the arrays images and masks"),
    "other names": (
        lambda path: np.savez(path, x=GREY, y=MASK),
        "no array images and no array masks; its arrays: x, y",
    ),
    "images of objects": (with_images(np.array([None] * 6)), "array images is pickled.*; save plain"),
    "colour": (with_images(RANDOM.random((6, 8, 8, 3))), r"images have shape \(6, 8, 8, 3\); give grey ones"),
    "one image": (with_images(GREY[0], MASK[0]), r"images have shape \(8, 8\); give grey ones"),
    "no image": (with_images(GREY[:0], MASK[:0]), r"images have shape \(0, 8, 8\); give"),
    "complex images": (with_images(GREY * 1j), "images are of type complex128; give numbers"),
    "dates": (with_images(GREY.astype("datetime64[s]")), "images are of type datetime64.*; give numbers"),
    "fewer masks": (with_images(GREY, MASK[:5]), "6 images but 5 masks; give one mask for each"),
    "smaller masks": (with_images(GREY, MASK[:, :4]), "masks are 4x8, images 8x8; give one size"),
    "masks of no crater": (with_images(GREY, MASK * 0), "no mask has a crater pixel; there is nothing to learn"),
    "masks of three values": (with_images(GREY, MASK + (GREY > 9)), "masks are not binary: .*; give 0 and 1"),
    "two scales": (
        with_images(np.where(np.arange(6)[:, None, None] % 2, GREY, GREY / 255)),
        r"images mix scales: image \d reaches .*, image \d reaches .*; bring them all to one",
    ),
    "16 bits in 64": (with_images(GREY.astype(np.int64) * 257), "range from .*; give .*uint16 for 0 to 65535"),
    "no data values": (with_images(np.where(GREY < 9, -32768.0, GREY)), "range from -32768 to 255, first in image"),
    "groups of pairs": (with_images(GREY, groups=np.ones((6, 2))), r"groups are float64 \(6, 2\); give a number"),
    "too few groups": (with_images(GREY, groups=np.arange(5)), r"groups are int64 \(5,\); give a number or text"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_file_that_cannot_be_used_is_named_with_cause_and_cure(tmp_path, what):
    write, said = UNUSABLE[what]
    path = tmp_path / "data.npz"
    write(path)
    with pytest.raises(UserError, match=f"(?s)data.npz: .*{said}"):
        read(path)


@pytest.mark.parametrize("what", ["larger than the memory", "two scales"])
def test_a_run_on_such_a_file_ends_with_the_message_and_trains_nothing(tmp_path, bench, what):
    write, said = UNUSABLE[what]
    write(tmp_path / "data.npz")
    result = bench("run", "logistic", "--dataset", "npz", "--data", str(tmp_path / "data.npz"), "--epochs", "1")
    assert result.exit_code == 2
    assert re.search(f"(?m)^error: .*{said}", result.output)
    assert "Traceback" not in result.output
    assert not list(bench.results.rglob("weights*"))


def test_a_file_of_the_course_is_not_its_folder(tmp_path):
    np.save(tmp_path / IMAGES, GREY)
    with pytest.raises(UserError, match=r"Xtrain2_b\.npy: is a file; name the folder that holds .* with --data PATH"):
        course(File(path=str(tmp_path / IMAGES)))
