"""Annotations in the formats of COCO and YOLO become the masks that others make of them."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from craterbench.data.dataset import IGNORED
from craterbench.plugin import UserError
from craterbench_datasets import Coco, Yolo
from craterbench_datasets.annotations import coco, yolo
from craterbench_datasets.shapes import fill_ellipse, fill_polygon

coco_mask = pytest.importorskip("pycocotools.mask", reason="the extra coco is not installed")
COCO = pytest.importorskip("pycocotools.coco").COCO

HEIGHT, WIDTH = 40, 56
GREY = np.random.default_rng(0).integers(0, 256, (4, HEIGHT, WIDTH), dtype=np.uint8)

POLYGON = [3.2, 4.1, 30.7, 6.0, 25.5, 31.3, 8.0, 28.9]
OTHER = [40.0, 10.0, 52.0, 10.0, 52.0, 22.0]


def some_disc() -> np.ndarray:
    return fill_ellipse(20.0, 18.0, 15.0, 11.0, (HEIGHT, WIDTH))


def compressed() -> dict:
    runs = coco_mask.encode(np.asfortranarray(some_disc().astype(np.uint8)))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def uncompressed() -> dict:
    flat = some_disc().ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat, [not flat[-1]]])))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff(np.concatenate([[0], changes])).tolist()}


def content(*annotations: dict, images: int = 4) -> dict:
    return {
        "images": [
            {"id": 7 + row, "file_name": f"{row}.png", "height": HEIGHT, "width": WIDTH} for row in range(images)
        ],
        "annotations": [{"id": number, "category_id": 1, **each} for number, each in enumerate(annotations)],
        "categories": [{"id": 1, "name": "crater"}, {"id": 2, "name": "boulder"}],
    }


SEGMENTED = (
    {"image_id": 7, "segmentation": [POLYGON]},
    {"image_id": 7, "segmentation": [OTHER]},
    {"image_id": 8, "segmentation": [POLYGON, OTHER]},
    {"image_id": 9, "segmentation": compressed()},
    {"image_id": 10, "segmentation": uncompressed()},
)


def write_images(folder: Path, names: list[str]) -> None:
    for name, image in zip(names, GREY, strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def write_coco(folder: Path, written: object, file: str = "annotations.json", images: str = "images") -> Path:
    write_images(folder / images, [f"{row}.png" for row in range(4)])
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written if isinstance(written, str) else json.dumps(written))
    return path


def read_coco(path: Path, **options):
    return coco(Coco(path=str(path), **options))


def of_pycocotools(path: Path) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        annotated = COCO(str(path))
    masks = np.zeros((4, HEIGHT, WIDTH), np.uint8)
    for annotation in annotated.anns.values():
        masks[annotation["image_id"] - 7] |= annotated.annToMask(annotation)
    return masks


@pytest.mark.parametrize(
    ("file", "images"),
    [("a.json", ""), ("a.json", "images"), ("annotations/a.json", "images"), ("annotations/a.json", "")],
)
def test_polygons_and_run_lengths_are_what_pycocotools_makes_of_them(tmp_path, file, images):
    path = write_coco(tmp_path, content(*SEGMENTED), file, images)
    made = read_coco(path)
    np.testing.assert_array_equal(made.train_val.masks[..., 0], of_pycocotools(path))
    np.testing.assert_array_equal(made.train_val.images[..., 0] * 255, GREY)
    np.testing.assert_array_equal(made.train_val.masks[3, ..., 0], some_disc())
    assert made.train_val.names == ("0.png", "1.png", "2.png", "3.png")


def test_boxes_alone_become_ellipses_and_images_without_annotation_show_no_crater(tmp_path):
    box = {"image_id": 7, "bbox": [10, 8, 20, 12], "segmentation": []}
    made = read_coco(write_coco(tmp_path, content(box)))
    np.testing.assert_array_equal(made.train_val.masks[0, ..., 0], fill_ellipse(20, 14, 20, 12, (HEIGHT, WIDTH)))
    assert not made.train_val.masks[1:].any()
    assert "1 annotation(s) are boxes; each became the ellipse that it encloses" in made.notes
    assert "3 of 4 images are not annotated, and so show no crater" in made.notes


def test_a_crowd_is_ignored_but_for_what_is_annotated_in_it(tmp_path):
    crowd = {"image_id": 7, "segmentation": uncompressed(), "iscrowd": 1}
    inside = {"image_id": 7, "segmentation": [[16, 15, 22, 15, 22, 20, 16, 20]]}
    mask = read_coco(write_coco(tmp_path, content(inside, crowd))).train_val.masks[0, ..., 0]
    assert (mask == 1).sum() == 30
    np.testing.assert_array_equal(mask != 0, some_disc())
    assert set(np.unique(mask)) == {0, 1, IGNORED}


def test_one_category_of_several_is_chosen_by_its_name(tmp_path):
    path = write_coco(tmp_path, content(*SEGMENTED, {"image_id": 10, "category_id": 2, "segmentation": [OTHER]}))
    with pytest.raises(UserError, match=r"several categories: crater \(5\), boulder \(1\); say with dataset.category"):
        read_coco(path)
    with pytest.raises(UserError, match=r"no annotation of category cratre; it has: crater \(5\), boulder"):
        read_coco(path, category="cratre")
    chosen = read_coco(path, category="crater").train_val.masks
    np.testing.assert_array_equal(chosen[3, ..., 0], some_disc())


def test_a_split_file_lies_beside_the_images(tmp_path):
    path = write_coco(tmp_path, content(*SEGMENTED))
    (tmp_path / "images" / "split.csv").write_text("name,part\n0,train\n1,train\n2,train\n3,test\n")
    assert read_coco(path).test.names == ("3.png",)


def test_without_pycocotools_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = write_coco(tmp_path, content(*SEGMENTED))
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UserError, match=r"pycocotools, which is not installed; pip install 'craterbench\[coco\]'"):
        read_coco(path)


def changed(**changes) -> dict:
    return {**content(*SEGMENTED), **changes}


def first_image(**changes) -> dict:
    made = content(*SEGMENTED)
    made["images"][0] |= changes
    return made


def annotated(**changes) -> dict:
    return content({"image_id": 7, **changes})


COCO_UNUSABLE = {
    "cut short": (json.dumps(content(*SEGMENTED))[:200], r"is no JSON, or cut short .*; export"),
    "no bytes": ("", r"is no JSON, or cut short"),
    "a list": ([1, 2], "is JSON, but not COCO's; export it"),
    "a table that is none": (changed(annotations={"a": 1}), "is JSON, but not COCO's; export it"),
    "no images": (changed(images=[]), "has no images; export it with images and annotations"),
    "no annotations": (changed(annotations=[]), "has no annotations; export it"),
    "no ids": (changed(images=[{"file_name": "0.png"}]), "image 0.png has no id; export"),
    "one id twice": (first_image(id=8), "two images have one id; export"),
    "one name twice": (first_image(file_name="1.png"), "names 1.png more than once; give each"),
    "an image that is not there": (first_image(file_name="9.png"), "1 of 4 images are missing: 9.png; put them beside"),
    "a path out of the folder": (first_image(file_name="../0.png"), r"outside its folder: \.\./0\.png; give paths"),
    "another size": (first_image(height=41), r"says that 0\.png is 41x56, and it is 40x56; give the images that were"),
    "an image of no size": (first_image(width=None), r"says that 0\.png is 40xNone, and it is 40x56"),
    "an unknown image": (
        annotated(image_id=99, segmentation=[POLYGON]),
        "annotation 0 is of image 99, which it lacks; add the image or remove",
    ),
    "two corners": (
        annotated(segmentation=[[1, 2, 3, 4]]),
        r"annotation 0 of 0\.png: has a polygon of 4 numbers; give",
    ),
    "odd numbers": (annotated(segmentation=[POLYGON[:7]]), "polygon of 7 numbers; give x and y"),
    "words": (annotated(segmentation=[["a"] * 6]), "polygon that holds something else than numbers; export"),
    "a far corner": (annotated(segmentation=[[0, 0, 1e9, 0, 9, 9]]), r"a corner at 1e\+09, far outside.*; annotate"),
    "no shape": (annotated(), "neither a segmentation nor a box of four numbers; annotate"),
    "an empty box": (annotated(bbox=[3, 3, 0, 5]), "has a box of 0x5 pixels; annotate"),
    "runs of another size": (
        annotated(segmentation={"size": [9, 9], "counts": [81]}),
        r"run lengths of size \[9, 9\], and the image is 40x56; export",
    ),
    "runs that do not add up": (
        annotated(segmentation={"size": [HEIGHT, WIDTH], "counts": [81, 2]}),
        "run lengths that do not add up to 40x56 pixels; export",
    ),
    "runs without counts": (annotated(segmentation={"size": [HEIGHT, WIDTH]}), "run lengths without counts; export"),
    "runs that are damaged": (
        annotated(segmentation={"size": [HEIGHT, WIDTH], "counts": compressed()["counts"] + "é"}),
        r"annotation 0 of 0\.png: has run lengths that are damaged; export",
    ),
    "runs that are cut short": (
        annotated(segmentation={"size": [HEIGHT, WIDTH], "counts": compressed()["counts"][:-1] + "o"}),
        "has run lengths that are cut short; export",
    ),
    "runs with too few pixels": (
        annotated(segmentation={"size": [HEIGHT, WIDTH], "counts": ""}),
        "run lengths that do not add up to 40x56 pixels; export",
    ),
    "nothing inside": (
        annotated(segmentation=[[-9, -9, -8, -9, -8, -8]]),
        "no mask has a crater pixel; there is nothing",
    ),
}


@pytest.mark.parametrize("what", COCO_UNUSABLE)
def test_a_coco_file_that_cannot_be_used_is_named_with_cause_and_cure(tmp_path, what):
    written, said = COCO_UNUSABLE[what]
    path = write_coco(tmp_path, written)
    with pytest.raises(UserError, match=f"(?s)annotations.json: .*{said}"):
        read_coco(path)


def test_what_lies_beside_the_images_is_not_looked_at(tmp_path):
    path = write_coco(tmp_path, content(*SEGMENTED))
    for place in (tmp_path, tmp_path / "images"):
        (place / "gone.png").symlink_to(tmp_path / "nowhere")
    assert len(read_coco(path).train_val) == 4


@pytest.mark.parametrize("linked", ["images", "images/0.png"])
def test_an_image_may_not_be_a_link_out_of_the_folder(tmp_path, linked):
    (tmp_path / "data").mkdir()
    made = content(*SEGMENTED)
    for entry in made["images"]:
        entry["file_name"] = f"images/{entry['file_name']}"
    path = write_coco(tmp_path / "data", made)
    (tmp_path / "data" / linked).rename(tmp_path / "elsewhere")
    (tmp_path / "data" / linked).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"annotations\.json: images/0\.png.* links out of .*data; copy there"):
        read_coco(path)


def test_coco_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: there is no such file; name the JSON file with --data"):
        read_coco(tmp_path / "a.json")
    with pytest.raises(UserError, match="is a folder; name the JSON file in it with --data"):
        read_coco(tmp_path)


# YOLO

CORNERS = [0.1, 0.1, 0.6, 0.15, 0.5, 0.8, 0.15, 0.7]


def write_yolo(
    folder: Path, labels: list[str | None], images: str = "images/{}.png", texts: str = "labels/{}.txt"
) -> Path:
    write_images(folder, [images.format(row) for row in range(len(labels))])
    for row, text in enumerate(labels):
        if text is not None:
            path = folder / texts.format(row)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


def read_yolo(path: Path, **options):
    return yolo(Yolo(path=str(path), **options))


@pytest.mark.parametrize(
    ("images", "texts"),
    [
        ("images/{}.png", "labels/{}.txt"),
        ("{}.png", "{}.txt"),
        ("images/train/{}.png", "labels/train/{}.txt"),
        ("train/images/{}.png", "train/labels/{}.txt"),
    ],
)
def test_boxes_become_ellipses_and_polygons_are_filled(tmp_path, images, texts):
    polygon = "0 " + " ".join(map(str, CORNERS))
    made = read_yolo(write_yolo(tmp_path, ["0 0.5 0.25 0.4 0.3\n", polygon, None, ""], images, texts))
    masks = made.train_val.masks[..., 0]
    np.testing.assert_array_equal(masks[0], fill_ellipse(28, 10, 22.4, 12, (HEIGHT, WIDTH)))
    np.testing.assert_array_equal(
        masks[1], fill_polygon(np.reshape(CORNERS, (-1, 2)) * (WIDTH, HEIGHT), (HEIGHT, WIDTH))
    )
    assert not masks[2:].any()
    assert "1 annotation(s) are boxes; each became the ellipse that it encloses" in made.notes
    assert "2 of 4 images are not annotated, and so show no crater" in made.notes


def test_one_class_of_several_is_chosen_by_its_number(tmp_path):
    write_yolo(tmp_path, ["0 0.5 0.25 0.4 0.3\n1 0.5 0.75 0.1 0.1", "1 0.5 0.5 0.2 0.2"])
    with pytest.raises(UserError, match=r"several categories: 0 \(1\), 1 \(2\); say with dataset.category"):
        read_yolo(tmp_path)
    with pytest.raises(UserError, match=r"no annotation of category 2; it has: 0 \(1\), 1 \(2\)"):
        read_yolo(tmp_path, category=2)
    masks = read_yolo(tmp_path, category=0).train_val.masks
    np.testing.assert_array_equal(masks[0, ..., 0], fill_ellipse(28, 10, 22.4, 12, (HEIGHT, WIDTH)))
    assert not masks[1].any()


YOLO_UNUSABLE = {
    "no text file": (None, r"no image has a text file of its name; give images/ and labels/"),
    "a name for a class": ("crater 0.5 0.5 0.1 0.1", r"0\.txt: line 1 starts with 'crater'; give the number"),
    "a word": ("0 0.5 0.5 0.1 wide", r"line 1 holds a word that is no number: '0 0.5 0.5 0.1 wide'; give shares"),
    "a decimal comma": ("0 0,5 0,5 0,1 0,1", "line 1 holds a word that is no number.*; give shares such as 0.25"),
    "a box that reaches beyond": (
        "0 0.9 0.5 1.2 0.5",
        r"0\.txt: line 1 holds 1\.2; give .*cut off what reaches beyond",
    ),
    "pixels": ("\n0 28 20 10 10", r"0\.txt: line 2 holds 28; give shares .*not pixels"),
    "negative": ("0 0.5 0.5 -0.1 0.1", "line 1 holds -0.1; give shares"),
    "not a number": ("0 0.5 0.5 nan 0.1", "line 1 holds nan; give shares"),
    "a confidence": ("0 0.5 0.5 0.1 0.1 0.99", "has 5 numbers behind the class; .*without a confidence"),
    "too few": ("0 0.5 0.5", "has 2 numbers behind the class; give four"),
    "an empty box": ("0 0.5 0.5 0 0.1", "line 1 is a box of no width or height; remove it"),
    "no craters": ("", "no mask has a crater pixel; there is nothing to learn"),
}


@pytest.mark.parametrize("what", YOLO_UNUSABLE)
def test_yolo_files_that_cannot_be_used_are_named_with_cause_and_cure(tmp_path, what):
    text, said = YOLO_UNUSABLE[what]
    write_yolo(tmp_path, [text, None])
    with pytest.raises(UserError, match=rf"(?s){tmp_path.name}.*{said}"):
        read_yolo(tmp_path)


# Shapes


def test_the_area_of_an_ellipse_is_right():
    assert fill_ellipse(31.7, 24.2, 50, 30, (60, 60)).sum() == pytest.approx(np.pi * 25 * 15, rel=0.01)


def test_a_polygon_differs_from_that_of_others_by_its_edge_alone():
    corners = np.reshape(POLYGON, (-1, 2))
    ours = fill_polygon(corners, (HEIGHT, WIDTH))
    theirs = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([POLYGON], HEIGHT, WIDTH))).astype(bool)
    edge = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.polylines(edge, [np.round(corners - 0.5).astype(np.int32)], True, 1, thickness=3)
    assert not (ours ^ theirs)[edge == 0].any()
    x, y = corners.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert ours.sum() == pytest.approx(area, rel=0.02)


# Both


@pytest.mark.parametrize(("dataset", "what"), [("coco", "cut short"), ("coco", "a far corner"), ("yolo", "pixels")])
def test_a_run_on_such_annotations_ends_with_the_message_and_trains_nothing(tmp_path, bench, dataset, what):
    written, said = {"coco": COCO_UNUSABLE, "yolo": YOLO_UNUSABLE}[dataset][what]
    path = write_coco(tmp_path, written) if dataset == "coco" else write_yolo(tmp_path, [written, None])
    result = bench("run", "logistic", "--dataset", dataset, "--data", str(path), "--epochs", "1")
    assert result.exit_code == 2
    assert re.search(f"(?m)^error: .*{said}", result.output)
    assert "Traceback" not in result.output
    assert not list(bench.results.rglob("weights*"))
