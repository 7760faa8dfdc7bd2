"""Folders of images: which files there are, which part and group each image is of, and a data set made of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import Dataset
from craterbench.data.image_files import IMAGE_SUFFIXES, ReadImage, read_image
from craterbench.data.values import Arrays, make_dataset
from craterbench.plugin import UserError
from craterbench_datasets.split_csv import PARTS, SPLIT_FILE, read_split

if TYPE_CHECKING:
    from craterbench_datasets import Values

__all__ = ["Item", "Listing", "assemble", "few", "list_files", "listing", "read_images", "same_size"]


@dataclass(frozen=True)
class Item:
    """An image file.

    Attributes:
        path: where it is.
        name: its path in the folder, with ``/``; what it is called in messages.
        key: the name without a folder ``images`` and without the suffix, which its mask or its labels share.
    """

    path: Path
    name: str
    key: PurePosixPath


@dataclass(frozen=True)
class Listing:
    """The files of a folder.

    Attributes:
        images: sorted by name.
        partners: what belongs to an image, by the key that it shares with it.
    """

    images: list[Item]
    partners: dict[PurePosixPath, Path]


def list_files(folder: Path) -> list[PurePosixPath]:
    """Return the paths of the files below a folder, relative to it, sorted, without those whose name starts with a dot.

    A link to a folder is not followed: what it leads to inside is found there.

    Raises:
        UserError: there is no such folder, it cannot be read, or a link leads out of it or nowhere.
    """
    if not folder.exists():
        raise UserError(f"{folder}: there is no such folder; name it with --data PATH")
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; name the folder with --data PATH")
    root, found = Path(os.path.realpath(folder)), []
    for where, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = [name for name in files if not name.startswith(".")]
        for name in (*folders, *files):
            _check_link(Path(where, name), root)
        found += [PurePosixPath(Path(where, name).relative_to(root).as_posix()) for name in files]
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}; see to its permissions") from None


def _check_link(path: Path, root: Path) -> None:
    if not path.is_symlink():
        return
    try:
        target = Path(os.path.realpath(path, strict=True))
    except OSError as error:
        raise UserError(f"{path}: is a link that leads nowhere: {error.strerror}; remove it") from None
    if not target.is_relative_to(root):
        raise UserError(f"{path}: is a link out of the folder, to {target}; copy here what it leads to")


def listing(folder: Path, *, partners: str, suffixes: frozenset[str], end: str = "") -> Listing:
    """Find the images of a folder and what belongs to each: in folders ``images`` and beside it, or side by side.

    Args:
        partners: the name of the folder beside ``images``, such as ``masks``.
        suffixes: of the partners' files, in lower case.
        end: what the stem of a partner has more than that of its image; side by side every partner has it.

    Raises:
        UserError: the folder cannot be read, or two files stand for one.
    """
    files = list_files(folder)
    apart = any("images" in file.parent.parts for file in files)
    images: dict[PurePosixPath, list[PurePosixPath]] = {}
    others: dict[PurePosixPath, list[PurePosixPath]] = {}
    for file in files:
        suffix, inside = file.suffix.lower(), file.parent.parts
        if suffix in suffixes and (partners in inside if apart else file.stem.endswith(end)):
            others.setdefault(_key(file, partners, end), []).append(file)
        elif suffix in IMAGE_SUFFIXES and (not apart or "images" in inside):
            images.setdefault(_key(file, "images"), []).append(file)
    for several in (*images.values(), *others.values()):
        if len(several) > 1:
            raise UserError(f"{folder}: {few(several)} have one name but for the suffix; leave one of them")
    if not images:
        suffixes_found = ", ".join(sorted({file.suffix for file in files})) or "no file"
        raise UserError(
            f"{folder}: has no image (found: {suffixes_found}); give {', '.join(sorted(IMAGE_SUFFIXES))} files in "
            f"images/ with {partners}/ beside it"
        )
    items = [Item(folder / found[0], found[0].as_posix(), key) for key, found in images.items()]
    return Listing(sorted(items, key=lambda item: item.name), {key: folder / found[0] for key, found in others.items()})


def _key(file: PurePosixPath, kind: str, end: str = "") -> PurePosixPath:
    """Return the path without the last folder of a name, and without the suffix."""
    parts = list(file.parent.parts)
    if kind in parts:
        del parts[len(parts) - 1 - parts[::-1].index(kind)]
    return PurePosixPath(*parts, file.stem.removesuffix(end))


def read_images(items: Sequence[Item], *, source: str) -> tuple[npt.NDArray[np.generic], list[str]]:
    """Return the images, (N, H, W), and notes on how they were read.

    Raises:
        UserError: one cannot be read, or they have several sizes.
    """
    read = [read_image(item.path) for item in items]
    # of one bit, white is what it is in the others
    pixels = [
        np.where(each.pixels, np.uint8(255), np.uint8(0)) if each.pixels.dtype == np.bool_ else each.pixels
        for each in read
    ]
    return same_size(pixels, [item.name for item in items], source=source), notes_on(read, "images")


def notes_on(read: Sequence[ReadImage], what: str) -> list[str]:
    """Return each note on how files were read, with the number of those that it is of."""
    counts = Counter(each.note for each in read if each.note is not None)
    return [f"{count} of {len(read)} {what}: {note}" for note, count in counts.items()]


def same_size(pixels: Sequence[npt.NDArray[Any]], names: Sequence[str], *, source: str) -> npt.NDArray[np.generic]:
    """Return the images in one array.

    Raises:
        UserError: they have several sizes.
    """
    counts = Counter(each.shape for each in pixels)
    if len(counts) > 1:
        shapes = [each.shape for each in pixels]
        sizes = [f"{h}x{w} ({n}, first {names[shapes.index((h, w))]})" for (h, w), n in counts.most_common(4)]
        more = f" and {len(counts) - 4} more" if len(counts) > 4 else ""
        raise UserError(
            f"{source}: the images have several sizes: {', '.join(sizes)}{more}; cut them to one size, or give large "
            "ones as tiles (--dataset tile)"
        )
    return np.stack(pixels)


def assemble(
    folder: Path,
    items: Sequence[Item],
    images: npt.NDArray[np.generic],
    masks: npt.NDArray[np.generic],
    parameters: Values,
    *,
    source: Path,
    notes: Sequence[str],
    ignore: int | None = None,
) -> Dataset:
    """Return images and masks as a data set, with the parts and the groups that ``split.csv`` or sub-folders give.

    Args:
        folder: where ``split.csv`` may be.
        images: (N, H, W), as ``read_images`` returns them.
        masks: the same shape.
        source: what to call the data in an error.
        ignore: the value of a mask where nobody knows.

    Raises:
        UserError: naming the source and what is wrong with it.
    """
    split = read_split(folder / SPLIT_FILE, [(item.name, item.key) for item in items])
    parts, groups, said = split.parts, split.groups, [split.note] if split.note is not None else []
    if parts is None and (named := {item.key.parts[0] for item in items if len(item.key.parts) > 1} & PARTS.keys()):
        parts = [PARTS.get(item.key.parts[0], "training") for item in items]
        said.append(f"parts: by the sub-folders {', '.join(sorted(named))}")
    if groups is None:
        inside = [[name for name in item.key.parts[:-1] if name not in PARTS] for item in items]
        if any(inside):
            groups = ["/".join(names) or item.name for names, item in zip(inside, items, strict=True)]
            said.append(f"groups: by sub-folder, {len(set(groups))}")

    def part(rows: npt.NDArray[np.bool_]) -> Arrays:
        return Arrays(
            images[rows],
            masks[rows],
            None if groups is None else np.array(groups)[rows],
            tuple(item.name for item, is_in in zip(items, rows, strict=True) if is_in),
        )

    which = np.array(["training"] * len(items) if parts is None else parts)
    tests = which == "test"
    if tests.all():
        raise UserError(f"{source}: all images are of the test part; give some to the training part")
    validates = (which == "validation")[~tests]
    return make_dataset(
        part(~tests),
        part(tests) if tests.any() else None,
        source=str(source),
        scale=parameters.scale,
        mask_threshold=parameters.mask_threshold,
        ignore=parameters.ignore if ignore is None else ignore,
        notes=(*notes, *said),
        validation=validates if validates.any() else None,
    )


def few(names: Sequence[object]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(str, names[:3])) + more
