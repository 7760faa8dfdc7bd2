"""Annotations instead of masks: COCO's JSON files and YOLO's text files."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import IGNORED, Dataset
from craterbench.plugin import UserError
from craterbench_datasets.image_folder import Item, assemble, few, listing, read_images
from craterbench_datasets.shapes import Mask, fill_ellipse, fill_polygon, fill_segmentation

if TYPE_CHECKING:
    from craterbench_datasets import Coco, Yolo

__all__ = ["coco", "yolo"]

_ELLIPSES = "annotation(s) are boxes; each became the ellipse that it encloses"


def coco(parameters: Coco) -> Dataset:
    """Read a COCO file: what it annotates in an image, as polygons or run lengths, is crater in its mask.

    Images are looked for beside the file, in a folder ``images`` there, and in both of the folder above. What is marked
    ``iscrowd`` is left out of objective and statistics, as COCO's own evaluation does.

    Raises:
        UserError: naming the file, what is wrong with it and what cures it; also if pycocotools is not installed.
    """
    path = Path(parameters.path)
    content = _read_json(path)
    entries = {_number(path, entry): entry for entry in content["images"]}
    if len(entries) < len(content["images"]):
        raise UserError(f"{path}: two images have one id; export it again as COCO JSON")
    folder, items = _find_images(path, entries)
    images, notes = read_images(items, source=str(path))
    masks = np.zeros(images.shape, np.uint8)
    rows: dict[Any, int] = {number: row for row, number in enumerate(entries)}
    for row, entry in enumerate(entries.values()):
        said, is_so = (entry.get("height"), entry.get("width")), images.shape[1:]
        if said != is_so:
            raise UserError(
                f"{path}: says that {items[row].name} is {said[0]}x{said[1]}, and it is {is_so[0]}x{is_so[1]}; "
                "give the images that were annotated"
            )
    boxes = crowds = 0
    annotated = set()
    chosen = _chosen(path, content, parameters.category)
    for annotation in sorted(chosen, key=lambda each: not each.get("iscrowd")):  # what is known overrides a crowd
        number = annotation.get("id")
        row = rows.get(annotation.get("image_id"), -1)
        if row < 0:
            raise UserError(
                f"{path}: annotation {number} is of image {annotation.get('image_id')}, which it lacks; add the image "
                "or remove the annotation"
            )
        annotated.add(row)
        crowd = bool(annotation.get("iscrowd"))
        crowds += crowd
        try:
            if annotation.get("segmentation"):
                crater = fill_segmentation(annotation["segmentation"], images.shape[1:])
            else:
                crater = _ellipse(annotation.get("bbox"), images.shape[1:])
                boxes += 1
        except ValueError as error:
            raise UserError(f"{path}: annotation {number} of {items[row].name}: {error}") from None
        masks[row][crater] = IGNORED if crowd else 1
    notes += [f"{boxes} {_ELLIPSES}"] if boxes else []
    notes += [f"{crowds} annotation(s) of crowds are ignored"] if crowds else []
    notes += _bare(len(items) - len(annotated), len(items))
    return assemble(
        folder, items, images, masks, parameters, source=path, notes=notes, ignore=IGNORED if crowds else None
    )


def yolo(parameters: Yolo) -> Dataset:
    """Read images and, with the same stems, text files with a line for each object: its class, then a box or a polygon.

    They are in folders ``images`` and ``labels``, or side by side. A box, x and y of the centre, width and height,
    becomes the ellipse that it encloses. All are shares of the image's width and height.

    Raises:
        UserError: naming the file, what is wrong with it and what cures it.
    """
    folder = Path(parameters.path)
    files = listing(folder, partners="labels", suffixes=frozenset({".txt"}))
    labelled = [item for item in files.images if item.key in files.partners]
    if not labelled:
        raise UserError(f"{folder}: no image has a text file of its name; give images/ and labels/ with the same names")
    images, notes = read_images(files.images, source=str(folder))
    masks = np.zeros(images.shape, np.uint8)
    found: Counter[int] = Counter()
    boxes = 0
    for mask, item in zip(masks, files.images, strict=True):
        if item.key not in files.partners:
            continue
        for kind, numbers in _read_labels(files.partners[item.key]):
            found[kind] += 1
            if parameters.category is not None and kind != parameters.category:
                continue
            width_height = np.array(mask.shape[::-1])
            if len(numbers) == 4:
                centre, sides = numbers[:2] * width_height, numbers[2:] * width_height
                mask[fill_ellipse(centre[0], centre[1], sides[0], sides[1], mask.shape)] = 1
                boxes += 1
            else:
                mask[fill_polygon(numbers.reshape(-1, 2) * width_height, mask.shape)] = 1
    _check_category(str(folder), {str(kind): number for kind, number in found.items()}, _text(parameters.category))
    notes += [f"{boxes} {_ELLIPSES}"] if boxes else []
    notes += _bare(int((masks.max(axis=(1, 2)) == 0).sum()), len(masks))
    return assemble(folder, files.images, images, masks, parameters, source=folder, notes=notes)


def _text(category: int | None) -> str | None:
    return None if category is None else str(category)


def _bare(number: int, of: int) -> list[str]:
    return [f"{number} of {of} images are not annotated, and so show no crater"] if number else []


def _check_category(source: str, found: dict[str, int], chosen: str | None) -> None:
    """Check that it is clear which annotations are craters.

    Raises:
        UserError: there are several categories and none was chosen, or the chosen one is not there.
    """
    listed = ", ".join(f"{name} ({number})" for name, number in found.items()) or "none"
    if chosen is None and len(found) > 1:
        raise UserError(f"{source}: has annotations of several categories: {listed}; say with dataset.category=… which")
    if chosen is not None and chosen not in found:
        raise UserError(f"{source}: has no annotation of category {chosen}; it has: {listed}")


# COCO


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; name the JSON file with --data PATH") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name the JSON file in it with --data PATH") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; give a JSON file that is there") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is no JSON, or cut short ({error}); export it again as COCO JSON") from None
    tables = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(_is_table(content.get(name, [])) for name in tables):
        raise UserError(f"{path}: is JSON, but not COCO's; export it with images, annotations and categories")
    missing = [name for name in tables[:2] if not content.get(name)]
    if missing:
        raise UserError(f"{path}: has no {' and no '.join(missing)}; export it with images and annotations")
    return content


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _number(path: Path, entry: dict[str, Any]) -> int | str:
    number = entry.get("id")
    if not isinstance(number, int | str) or not isinstance(entry.get("file_name", ""), str):
        raise UserError(f"{path}: image {entry.get('file_name')} has no id; export it again as COCO JSON")
    return number


def _find_images(path: Path, entries: dict[int | str, dict[str, Any]]) -> tuple[Path, list[Item]]:
    """Return the folder of the images, and each image's file, in the order of the entries."""
    names = [str(entry.get("file_name", "")) for entry in entries.values()]
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise UserError(f"{path}: names {few(twice)} more than once; give each image one entry")
    outside = [name for name in names if not name or PurePosixPath(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise UserError(f"{path}: names images outside its folder: {few(outside)}; give paths inside of it")
    above = path.absolute().parent
    places = [above, above / "images", above.parent, above.parent / "images"]
    folder = max(places, key=lambda place: sum((place / name).exists() for name in names))
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(names)} images are missing: {few(missing)}; put them beside the file, "
            "or in a folder images there"
        )
    root = os.path.realpath(folder)
    linked = [name for name in names if not Path(os.path.realpath(folder / name)).is_relative_to(root)]
    if linked:
        raise UserError(f"{path}: {few(linked)} are links out of {folder}; copy there what they lead to")
    return folder, [Item(folder / name, name, PurePosixPath(name).with_suffix("")) for name in names]


def _chosen(path: Path, content: dict[str, Any], category: str | None) -> list[dict[str, Any]]:
    """Return the annotations that are craters."""
    names = {row.get("id"): str(row.get("name")) for row in content.get("categories", [])}

    def name(annotation: dict[str, Any]) -> str:
        return names.get(annotation.get("category_id"), str(annotation.get("category_id")))

    found = Counter(name(annotation) for annotation in content["annotations"])
    _check_category(str(path), dict(found), category)
    return [each for each in content["annotations"] if category is None or name(each) == category]


def _ellipse(box: Any, shape: tuple[int, ...]) -> Mask:
    """Return the ellipse in a box of COCO: x and y of the upper left corner, width and height, in pixels."""
    if not isinstance(box, list) or len(box) != 4 or not all(_is_finite(value) for value in box):
        raise ValueError("has neither a segmentation nor a box of four numbers; annotate it again")
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise ValueError(f"has a box of {width:g}x{height:g} pixels; annotate it again")
    return fill_ellipse(x + width / 2, y + height / 2, width, height, shape)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


# YOLO


def _read_labels(path: Path) -> Iterable[tuple[int, npt.NDArray[np.float64]]]:
    """Yield the class of each line, and its numbers: four of a box, or x and y of each corner of a polygon."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}); export it again for YOLO") from None
    for number, line in enumerate(lines, 1):
        if words := line.split():
            yield _label(f"{path}: line {number}", words)


def _label(where: str, words: Sequence[str]) -> tuple[int, npt.NDArray[np.float64]]:
    if not re.fullmatch(r"\d+", words[0]):
        raise UserError(f"{where} starts with {words[0]!r}; give the number of a class, then shares between 0 and 1")
    try:
        numbers = np.array([float(word) for word in words[1:]])
    except ValueError:
        raise UserError(
            f"{where} holds a word that is no number: {' '.join(words)[:60]!r}; give shares such as 0.25"
        ) from None
    if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
        raise UserError(
            f"{where} has {len(numbers)} numbers behind the class; give four of a box, or x and y of three corners or "
            "more, without a confidence"
        )
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise UserError(
            f"{where} holds {numbers[~((numbers >= 0) & (numbers <= 1))][0]:g}; give shares of the image's width and "
            "height, between 0 and 1, not pixels, and cut off what reaches beyond the image"
        )
    if len(numbers) == 4 and not numbers[2:].all():
        raise UserError(f"{where} is a box of no width or height; remove it, or annotate it again")
    return int(words[0]), numbers
