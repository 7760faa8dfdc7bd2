"""``split.csv`` beside the images of a folder: which part and which group each of them is of."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest

__all__ = ["PARTS", "SPLIT_FILE", "Split", "read_split"]

SPLIT_FILE = "split.csv"

#: What parts are called, in a file or as sub-folders.
PARTS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Split:
    """What a file says of each image, or ``None`` where it has no such column."""

    parts: list[str] | None = None
    groups: list[str] | None = None
    note: str | None = None


def read_split(path: Path, images: Sequence[tuple[str, PurePosixPath]]) -> Split:
    """Read the part and the group of each image from a CSV file with the columns name, part and group.

    Args:
        path: the file, which may not be there.
        images: name and key of each image; a row may have either, or its last component if no other image shares that.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    if not path.exists():
        return Split()
    rows = _rows(path)
    found = _match(path, rows, images)
    parts = groups = None
    if "part" in rows[0]:
        parts = [_part(path, row["part"]) for row in found]
    if "group" in rows[0]:
        groups = [row["group"].strip() for row in found]
        if "" in groups:
            raise UserError(f"{path}: {images[groups.index('')][0]} has no group; give each image one")
    said = [f"{what} by {path.name}" for what, given in (("parts", parts), ("groups", groups)) if given is not None]
    return Split(parts, groups, ", ".join(said))


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # also without the mark that spreadsheets write; any line ends
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as UTF-8 text ({error}); save it as CSV") from None
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    rows = [
        {(key or "").strip().lower(): value or "" for key, value in row.items() if isinstance(value, str | None)}
        for row in csv.DictReader(lines, delimiter=delimiter)
    ]
    columns = [column.strip().lower() for column in header.split(delimiter)]
    if "name" not in columns or not {"part", "group"} & set(columns):
        raise UserError(f"{path}: has the columns {', '.join(columns)}; give name and part, group or both")
    if not rows:
        raise UserError(f"{path}: has no row; give one for each image")
    return rows


def _match(path: Path, rows: list[dict[str, str]], images: Sequence[tuple[str, PurePosixPath]]) -> list[dict[str, str]]:
    """Return the row of each image."""
    known: dict[str, set[int]] = {}
    for number, (name, key) in enumerate(images):
        suffix = PurePosixPath(name).suffix
        for form in {name, str(key), f"{key}{suffix}", PurePosixPath(name).name, key.name}:
            known.setdefault(form, set()).add(number)
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        name = row["name"].strip().replace("\\", "/").removeprefix("./")
        numbers = known.get(name, set())
        if len(numbers) != 1:
            cause = "names no image of the folder" if not numbers else "names several images"
            cure = nearest(name, [each for each, _ in images]) if not numbers else "give its path in the folder"
            raise UserError(f"{path}: {row['name']!r} {cause}; {cure}")
        (number,) = numbers
        if number in found:
            raise UserError(f"{path}: names {images[number][0]} twice; give each image one row")
        found[number] = row
    missing = [name for number, (name, _) in enumerate(images) if number not in found]
    if missing:
        raise UserError(f"{path}: lacks {len(missing)} of {len(images)} images, first {missing[0]}; give each a row")
    return [found[number] for number in range(len(images))]


def _part(path: Path, text: str) -> str:
    part = PARTS.get(text.strip().lower())
    if part is None:
        raise UserError(f"{path}: has the part {text.strip()!r}; give training, validation or test")
    return part
