"""Tables of numbers in text files: CSV as spreadsheets write it, and the text structures of craterstats."""

from __future__ import annotations

import codecs
import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

__all__ = ["TextTable", "read_csv", "read_structure"]

_STARTS_AS_NUMBER = re.compile(r"\s*[-+−]?[.,]?\d")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*")
_ASSIGNED = re.compile(r"\s*(\w+)\s*=\s*(.*)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class TextTable:
    """Rows of cells.

    Attributes:
        path: of the file, for messages.
        names: of the columns.
        rows: the cells of each row.
        lines: the line of the file on which each row ends, counted from 1.
        decimal_comma: whether a comma stands before decimals.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    decimal_comma: bool = False

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column.

        Raises:
            UserError: naming the line of a cell that is no finite number.
        """
        column = self.names.index(name)
        cells = zip((row[column] for row in self.rows), self.lines, strict=True)
        return np.array([self._number(cell, line, name) for cell, line in cells], dtype=np.float64)

    def _number(self, cell: str, line: int, name: str) -> float:
        plain = cell.strip()
        where = f"{self.path}: line {line}: {name} is"
        if not plain:
            raise UserError(f"{where} empty; fill it in, or leave out the line")
        if self.decimal_comma and "." in plain:
            raise UserError(f"{where} {plain!r}, but other cells have decimal commas; write all numbers with points")
        try:
            value = float(plain.replace(",", ".") if self.decimal_comma else plain)
        except ValueError:
            cure = "give the number alone, and its unit in the column's name"
            raise UserError(f"{where} {plain!r}, which is no number; {cure}") from None
        if not math.isfinite(value):
            raise UserError(f"{where} {plain!r}, which is no finite number; give a number, or leave out the line")
        return value


def read_csv(path: Path, *, unnamed: tuple[str, ...], wanted: str) -> TextTable:
    """Read a CSV whose cells are separated by semicolons, tabs or commas, with any line ends and byte-order mark.

    Args:
        unnamed: the columns of a file that does not name them.
        wanted: the columns that a file may have, for messages.

    Raises:
        UserError: naming the file, the line and what is wrong with it.
    """
    text = _text(path)
    filled = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not filled:
        raise UserError(f"{path}: is empty; give a line for each crater, with {wanted}")
    separator = next((mark for mark in ";\t," if mark in filled[0]), None)
    if separator is None:
        raise UserError(
            f"{path}: its first line {filled[0][:40]!r} has no comma, semicolon or tab; separate the cells by one"
        )
    reader = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True)
    try:
        numbered = [(row, reader.line_num) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: {error}; is it a CSV?") from None
    numbered = [
        (row, line) for row, line in numbered if any(cell.strip() for cell in row) and not row[0].startswith("#")
    ]
    first = numbered[0][0]
    named = not any(_STARTS_AS_NUMBER.match(cell) for cell in first)
    names = tuple(name.strip() for name in first) if named else unnamed
    rows = numbered[1:] if named else numbered
    for row, line in rows:
        if len(row) != len(names):
            raise UserError(f"{path}: line {line}: {_miscounted(row, names, named=named, wanted=wanted)}")
    decimal_comma = separator != "," and any(_DECIMAL_COMMA.fullmatch(cell) for row, _ in rows for cell in row)
    return TextTable(path, names, [row for row, _ in rows], [line for _, line in rows], decimal_comma)


def read_structure(path: Path, *, table: str) -> tuple[dict[str, float], TextTable]:
    """Read a text structure of craterstats: ``key = value``, and tables ``key = {column, column`` up to a ``}``.

    Lines that start with ``#`` are comments, as is what follows a semicolon.

    Returns:
        the values that are numbers, their units left out, and one table.

    Raises:
        UserError: naming the file, the line and what is wrong with it.
    """
    values: dict[str, float] = {}
    found: TextTable | None = None
    columns: tuple[str, ...] | None = None  # of the table that is being read
    inside = ""
    rows: list[list[str]] = []
    numbers: list[int] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        content = line.split(";")[0].strip()
        if not content or content.startswith("#"):
            continue
        if columns is not None:
            if content.startswith("}"):
                if inside == table:
                    found = TextTable(path, columns, rows, numbers)
                columns = None
            elif inside == table:
                cells = content.split()
                if len(cells) != len(columns):
                    raise UserError(
                        f"{path}: line {number}: has {len(cells)} cells, the table has {len(columns)} columns; "
                        "separate them by spaces or tabs, and write decimals with points"
                    )
                rows.append(cells)
                numbers.append(number)
            continue
        assigned = _ASSIGNED.match(content)
        if assigned is None:
            raise UserError(
                f"{path}: line {number}: {content[:40]!r} is no 'key = value'; is it a file of craterstats?"
            )
        key, value = assigned.groups()
        if value.startswith("{"):
            columns, inside = tuple(name.strip() for name in value.strip("{ ").split(",")), key
        elif (plain := _NUMBER.match(value)) is not None:
            values[key] = float(plain[0])
    if columns is not None:
        raise UserError(f"{path}: the table {inside} has no closing }}; the file is cut short, or end it with one")
    if found is None:
        raise UserError(f"{path}: has no table '{table} = {{…'; is it a file of craterstats?")
    return values, found


def _miscounted(row: list[str], names: tuple[str, ...], *, named: bool, wanted: str) -> str:
    """Return what is wrong with a row that has more or fewer cells than there are columns."""
    if not named and len(row) != 2 * len(names):
        return (
            f"has {len(row)} cells, and no line names the columns; without names there are {len(names)}; name {wanted}"
        )
    expected = f"the first line {len(names)}" if named else f"and without names there are {len(names)}"
    if len(row) == 2 * len(names):
        return f"has {len(row)} cells, {expected}; where decimals have commas, separate the cells by semicolons"
    return f"has {len(row)} cells, {expected}; give every line as many"


def _text(path: Path) -> str:
    """Return the content of a text file: UTF-8, or UTF-16 where its byte-order mark says so."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; a catalogue is a .csv, .scc or .diam") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content and not utf_16:
        raise UserError(f"{path}: is no text; give a catalogue as .csv, .scc or .diam")
    # Names of craters may be in any encoding, and are not looked at.
    return content.decode("utf-16" if utf_16 else "utf-8-sig", errors="replace")
