"""Folders of images and masks, as people have them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from craterbench.plugin import UserError
from craterbench_datasets import Folder
from craterbench_datasets.folder import folder

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (6, 8, 9), dtype=np.uint8)
MASKS = (RANDOM.integers(0, 4, (6, 8, 9)) == 0).astype(np.uint8)
NAMES = [f"{number:04}" for number in range(6)]


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)


def two_folders(root: Path, names=NAMES, images=GREY, masks=MASKS * 255, suffix=".png", mask_suffix=".png") -> Path:
    for name, image, mask in zip(names, images, masks, strict=True):
        write(root / "images" / f"{name}{suffix}", image)
        write(root / "masks" / f"{name}{mask_suffix}", mask)
    return root


def pairs(root: Path, end="_mask") -> Path:
    for name, image, mask in zip(NAMES, GREY, MASKS, strict=True):
        write(root / f"{name}.png", image)
        write(root / f"{name}{end}.png", mask * 255)
    return root


def read(path: Path, **options):
    return folder(Folder(path=str(path), **options))


@pytest.mark.parametrize(
    ("images", "suffix", "top"),
    [
        (GREY, ".png", 255),
        (GREY, ".pgm", 255),
        (GREY, ".tif", 255),
        (GREY.astype(np.uint16) * 257, ".png", 65535),
        (GREY.astype(np.uint16) * 257, ".TIF", 65535),
        ((GREY / 255).astype(np.float32), ".tiff", 1),
        (GREY > 99, ".png", 1),
    ],
)
@pytest.mark.parametrize("mask_top", [1, 255, 65535])
def test_images_of_every_type_come_back_with_their_masks(tmp_path, images, suffix, top, mask_top):
    masks = MASKS.astype(np.uint16 if mask_top > 255 else np.uint8) * mask_top
    write_as = ".tif" if suffix == ".TIF" else suffix
    two_folders(tmp_path, images=images, masks=masks, suffix=write_as)
    if suffix != write_as:
        for file in (tmp_path / "images").iterdir():
            file.rename(file.with_suffix(suffix))
    made = read(tmp_path)
    np.testing.assert_array_equal(made.train_val.images[..., 0], images.astype(np.float32) / np.float32(top))
    np.testing.assert_array_equal(made.train_val.masks[..., 0], MASKS)
    assert made.train_val.names == tuple(f"images/{name}{suffix}" for name in NAMES)
    np.testing.assert_array_equal(made.train_val.groups, np.arange(6))
    assert made.test is None
    assert made.validation is None


def test_pairs_lie_side_by_side(tmp_path):
    made, other = read(pairs(tmp_path / "a")), read(pairs(tmp_path / "b", end="-label"), mask_suffix="-label")
    np.testing.assert_array_equal(made.train_val.images[..., 0] * 255, GREY)
    np.testing.assert_array_equal(made.train_val.masks[..., 0], MASKS)
    assert made.digest() == other.digest()
    assert made.train_val.names[0] == "0000.png"


def test_masks_in_their_folder_may_have_the_end_too_and_another_format(tmp_path):
    two_folders(tmp_path, mask_suffix="_mask.tif", suffix=".jpg")
    np.testing.assert_array_equal(read(tmp_path).train_val.masks[..., 0], MASKS)


def test_sub_folders_are_groups(tmp_path):
    names = ["b/0", "a/0", "a/1", "c/d/0", "c/e/0", "alone"]
    made = read(two_folders(tmp_path, names))
    called = dict(zip(made.train_val.names, made.train_val.groups.tolist(), strict=True))
    assert called["images/a/0.png"] == called["images/a/1.png"]
    assert len(set(called.values())) == 5
    assert "groups: by sub-folder, 5" in made.notes


@pytest.mark.parametrize("layout", ["images/{part}/{name}", "{part}/images/{name}"])
def test_sub_folders_that_are_called_so_are_parts(tmp_path, layout):
    parts = ["train", "train", "train", "valid", "test", "test"]
    for part, name, image, mask in zip(parts, NAMES, GREY, MASKS, strict=True):
        path = layout.format(part=part, name=name)
        write(tmp_path / f"{path}.png", image)
        write(tmp_path / f"{path.replace('images', 'masks')}.png", mask)
    made = read(tmp_path)
    assert [len(made.train_val), len(made.test)] == [4, 2]
    np.testing.assert_array_equal(made.test.images[..., 0] * 255, GREY[4:])
    assert [name for name, is_so in zip(made.train_val.names, made.validation, strict=True) if is_so] == [
        f"{layout.format(part='valid', name='0003')}.png"
    ]
    assert "parts: by the sub-folders test, train, valid" in made.notes


ROWS = ["0000,train,x", "0001.png,training,x", "images/0002.png,Training,y", "0003,val,z", "0004,test,w", "0005,test,w"]


@pytest.mark.parametrize(
    "written",
    [
        "name,part,group\n" + "\n".join(ROWS),
        "\ufeffName;Part;Group\r\n" + "\r\n".join(ROWS).replace(",", ";"),
        "name\tpart\tgroup\r" + "\r".join(ROWS).replace(",", "\t"),
    ],
    ids=["commas", "a spreadsheet's", "tabs and CR"],
)
def test_a_file_gives_parts_and_groups(tmp_path, written):
    two_folders(tmp_path)
    (tmp_path / "split.csv").write_text(written, encoding="utf-8", newline="")
    made = read(tmp_path)
    np.testing.assert_array_equal(made.test.images[..., 0] * 255, GREY[4:])
    np.testing.assert_array_equal(made.validation, [False, False, False, True])
    groups = made.train_val.groups
    assert groups[0] == groups[1]
    assert len({*groups.tolist(), *made.test.groups.tolist()}) == 4
    assert "parts by split.csv, groups by split.csv" in made.notes


def test_one_scale_holds_for_all_parts(tmp_path):
    dark = GREY.copy()
    dark[:4] //= 4
    for part, rows in (("train", slice(0, 4)), ("test", slice(4, 6))):
        two_folders(tmp_path, [f"{part}/{name}" for name in NAMES[rows]], dark[rows], MASKS[rows])
    made = read(tmp_path, scale="minmax")
    np.testing.assert_allclose(
        made.train_val.images[..., 0], (dark[:4] - dark.min()) / (int(dark.max()) - dark.min()), atol=1e-6
    )
    assert made.train_val.images.max() < 0.3
    assert made.test.images.max() == 1


def test_how_images_were_read_is_said(tmp_path):
    two_folders(tmp_path, masks=MASKS)
    Image.fromarray(np.stack([GREY[0], GREY[1], GREY[2]], axis=-1)).save(tmp_path / "images" / "0000.png")
    notes = read(tmp_path).notes
    assert "1 of 6 images: colour, turned to grey by its luma (ITU-R BT.601)" in notes
    assert "scale byte: 0 to 255 became 0 to 1" in notes


def test_soft_masks_and_pixels_where_nobody_knows(tmp_path):
    made = read(two_folders(tmp_path / "soft", masks=GREY), mask_threshold=128)
    np.testing.assert_array_equal(made.train_val.masks[..., 0], GREY >= 128)
    masks = MASKS.copy()
    masks[2, 0] = 255
    made = read(two_folders(tmp_path / "unknown", masks=masks), ignore=255)
    np.testing.assert_array_equal(made.train_val.masks[..., 0], masks)


def test_hidden_files_are_none_of_the_images(tmp_path):
    two_folders(tmp_path)
    (tmp_path / "images" / "._0000.png").write_bytes(b"a resource fork")
    (tmp_path / "images" / "Thumbs.db").write_bytes(b"another system's")
    assert len(read(tmp_path).train_val) == 6


def test_links_inside_the_folder_are_read_once(tmp_path):
    two_folders(tmp_path)
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images")
    (tmp_path / "masks" / "up").symlink_to(tmp_path)
    assert len(read(tmp_path).train_val) == 6


def test_the_folder_itself_may_be_a_link(tmp_path):
    two_folders(tmp_path / "far")
    (tmp_path / "near").symlink_to(tmp_path / "far")
    assert read(tmp_path / "near").digest() == read(tmp_path / "far").digest()


# What cannot be used


def without_mask(root):
    two_folders(root)
    (root / "masks" / "0003.png").unlink()


def without_image(root):
    two_folders(root)
    (root / "images" / "0003.png").unlink()


def without_masks(root):
    for name, image in zip(NAMES, GREY, strict=True):
        write(root / "images" / f"{name}.png", image)


def twice(root):
    two_folders(root)
    write(root / "images" / "0003.tif", GREY[0])


def of_two_sizes(root):
    two_folders(root)
    write(root / "images" / "0003.png", GREY[0, :, :8])
    write(root / "masks" / "0003.png", MASKS[0, :, :8])


def with_a_mask_of_another_size(root):
    two_folders(root)
    write(root / "masks" / "0003.png", MASKS[0, :, :8])


def with_text(root):
    two_folders(root)
    (root / "images" / "0003.png").write_text("no image")


def with_half_a_mask(root):
    two_folders(root)
    path = root / "masks" / "0003.png"
    path.write_bytes(path.read_bytes()[:-30])


def with_a_link_out(root):
    two_folders(root)
    outside = root.parent / "outside.png"
    write(outside, GREY[0])
    (root / "images" / "0006.png").symlink_to(outside)


def with_a_folder_out(root):
    two_folders(root)
    (root.parent / "outside").mkdir()
    (root / "images" / "more").symlink_to(root.parent / "outside")


def with_a_link_to_itself(root):
    two_folders(root)
    (root / "images" / "0006.png").symlink_to(root / "images" / "0006.png")


def with_a_link_to_nothing(root):
    two_folders(root)
    (root / "images" / "0006.png").symlink_to(root / "gone.png")


def of_two_scales(root):
    two_folders(root, NAMES[:3], GREY[:3], MASKS[:3])
    two_folders(root, NAMES[3:], GREY[3:].astype(np.uint16) * 257, MASKS[3:], suffix=".tif")


def of_other_scales(root):
    two_folders(root, images=GREY.astype(np.int16) - 9, suffix=".tif")


def of_jpeg_masks(root):
    two_folders(root, mask_suffix=".jpg")


def split_by(text):
    def make(root):
        two_folders(root)
        (root / "split.csv").write_text(text, encoding="utf-16" if text == "utf-16" else "utf-8")

    return make


def all_tests(root):
    two_folders(root, [f"test/{name}" for name in NAMES])


def only_text_files(root):
    root.mkdir()
    (root / "notes.txt").write_text("nothing")


ALL = "".join(f"{name},train\n" for name in NAMES)
UNUSABLE = {
    "nothing there": (lambda root: None, "there is no such folder; name it with --data"),
    "a file": (lambda root: root.write_text(""), "is no folder; name the folder with --data"),
    "an empty folder": (
        lambda root: root.mkdir(),
        r"has no image \(found: no file\); give .*\.png.*images/ with masks/",
    ),
    "other files alone": (only_text_files, r"has no image \(found: \.txt\); give"),
    "no masks": (without_masks, r"6 image\(s\), first images/0000\.png, and no mask; give images/ and masks/"),
    "an image without mask": (without_mask, r"1 image\(s\) have no mask: images/0003\.png; give each a mask, all 0"),
    "a mask without image": (without_image, r"1 mask\(s\) have no image: masks/0003\.png; give the images"),
    "two images of a name": (twice, r"images/0003\.png, images/0003\.tif have one name but for the suffix; leave one"),
    "two sizes": (
        of_two_sizes,
        r"several sizes: 8x9 \(5, first images/0000.png\), 8x8 \(1, first images/0003.png\); cut",
    ),
    "a mask of another size": (
        with_a_mask_of_another_size,
        r"0003\.png: the mask is 8x8, its image 8x9; give them one",
    ),
    "a text": (with_text, r"images/0003\.png: is no PNG.*save it as"),
    "a cut mask": (with_half_a_mask, r"masks/0003\.png: is cut short or damaged.*copy or save it again"),
    "a link out of it": (with_a_link_out, r"0006\.png: is a link out of the folder, to .*outside\.png; copy"),
    "a folder out of it": (with_a_folder_out, r"more: is a link out of the folder, to .*; copy here"),
    "a link to itself": (with_a_link_to_itself, r"0006\.png: is a link that leads nowhere: Too many.*; remove it"),
    "a link to nothing": (with_a_link_to_nothing, r"0006\.png: is a link that leads nowhere: No such.*; remove it"),
    "two scales": (of_two_scales, r"mix scales: images/0000\.png reaches 2\d\d, images/000\d\.tif reaches .*; bring"),
    "negative values": (of_other_scales, r"range from -9 to .*, first in images/000\d\.tif; .*minmax"),
    "JPEG masks": (of_jpeg_masks, r"not binary: the mask of images/0000\.png holds .*; give 0 and 1.*mask_threshold"),
    "all of them tests": (all_tests, "all images are of the test part; give some"),
    "a split without columns": (split_by("a,b\n1,2\n"), r"split\.csv: has the columns a, b; give name and part, group"),
    "an empty split": (split_by(""), r"split\.csv: has the columns .*; give name and part"),
    "a split without rows": (split_by("name,part\n"), r"split\.csv: has no row; give one for each image"),
    "a split of UTF-16": (split_by("utf-16"), r"split\.csv: cannot be read as UTF-8 text.*; save it as CSV"),
    "an unknown part": (split_by("name,part\n0000,practice\n" + ALL[11:]), r"part 'practice'; give training, valid"),
    "an unknown image": (split_by(f"name,part\n{ALL}0006,test\n"), r"'0006' names no image.*; (did you mean|known)"),
    "an image twice": (split_by(f"name,part\n{ALL}0005,test\n"), r"names images/0005\.png twice; give each image one"),
    "an image left out": (split_by("name,part\n" + ALL[:-11]), r"lacks 1 of 6 images, first images/0005\.png; give"),
    "an image of no group": (
        split_by("name,group\n" + ALL.replace("0003,train", "0003,")),
        "0003.png has no group; give",
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_folder_that_cannot_be_used_is_named_with_cause_and_cure(tmp_path, what):
    write_it, said = UNUSABLE[what]
    root = tmp_path / "data"
    write_it(root)
    with pytest.raises(UserError, match=f"(?s)data.*{said}"):
        read(root)


def test_a_name_that_two_images_share_is_not_enough(tmp_path):
    two_folders(tmp_path, ["a/0", "b/0", "a/1", "b/1", "a/2", "b/2"])
    (tmp_path / "split.csv").write_text("name,part\n0,train\n")
    with pytest.raises(UserError, match=r"'0' names several images; give its path in the folder"):
        read(tmp_path)
    (tmp_path / "split.csv").write_text(
        "name,part\n"
        + "".join(f"{folder}/{row},{part}\n" for folder, part in (("a", "train"), ("b", "test")) for row in range(3))
    )
    assert read(tmp_path).test.names == tuple(f"images/b/{row}.png" for row in range(3))


@pytest.mark.parametrize("what", ["an image without mask", "a text", "two scales", "a link out of it"])
def test_a_run_on_such_a_folder_ends_with_the_message_and_trains_nothing(tmp_path, bench, what):
    write_it, said = UNUSABLE[what]
    root = tmp_path / "data"
    write_it(root)
    before = sorted(tmp_path.rglob("*"))
    result = bench("run", "logistic", "--dataset", "folder", "--data", str(root), "--epochs", "1")
    assert result.exit_code == 2
    assert re.search(f"(?m)^error: .*data.*{said}", result.output)
    assert "Traceback" not in result.output
    assert sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(bench.results)) == before
    assert not list(bench.results.rglob("weights*"))
