"""The file of a run's statistics: of each image of each part, beside the record that has their sums."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craterbench.results.files import write_atomically

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["OLD_STATISTICS", "read_statistics", "statistics_file", "write_statistics"]

_STATISTICS = "statistics.npz"

#: What runs up to schema 2 had in its place.
OLD_STATISTICS = "counts.npz"


def write_statistics(folder: Path, parts: Mapping[str, Mapping[str, npt.NDArray[np.generic]]]) -> None:
    """Write ``statistics.npz``: of each part the statistics of its images and their groups, as ``part/name``.

    Integers take as few bytes as the largest of them needs.
    """
    import numpy as np

    def smallest(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if array.dtype.kind != "i" or array.size == 0 or array.min() < 0:
            return array
        return array.astype(np.min_scalar_type(array.max()))

    arrays: dict[str, Any] = {
        f"{part}/{name}": smallest(np.asarray(array)) for part, of in parts.items() for name, array in of.items()
    }
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(folder / _STATISTICS, content.getvalue())


def statistics_file(folder: Path) -> Path:
    """Return the file of the statistics of a run's images."""
    new, old = folder / _STATISTICS, folder / OLD_STATISTICS
    return old if old.exists() and not new.exists() else new


def read_statistics(folder: Path, part: str) -> dict[str, npt.NDArray[Any]]:
    """Return the statistics of a part's images by name, and their ``groups``, as the evaluator counted them.

    Raises:
        ValueError: they are missing or damaged.
    """
    path = statistics_file(folder)
    before = f"{part}_" if path.name == OLD_STATISTICS else f"{part}/"
    try:
        with zipfile.ZipFile(path) as file:
            names = [name for name in file.namelist() if name.startswith(before)]
            arrays = {name.removeprefix(before).removesuffix(".npy"): _array(file.read(name)) for name in names}
    except FileNotFoundError:
        raise ValueError("it is missing") from None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        raise ValueError("it is damaged") from None
    groups = arrays.get("groups")
    if groups is None or groups.ndim != 1 or any(array.shape[:1] != groups.shape for array in arrays.values()):
        raise ValueError("it is damaged")
    return arrays if path.name == _STATISTICS else _with_pixels(arrays)


def _with_pixels(counts: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an old ``counts.npz`` as they are now: beside each cross-entropy its number of pixels."""
    import numpy as np

    confusion, entropy = (counts.get(name) for name in ("confusion", "cross_entropy"))
    if confusion is None or entropy is None or confusion.shape != (*entropy.shape, 4):
        raise ValueError("it is damaged")
    return {**counts, "cross_entropy": np.stack([entropy, confusion.sum(axis=-1)], axis=-1)}


def _array(content: bytes) -> npt.NDArray[Any]:
    """Return the array of an .npy file of version 1.0; raises ValueError if it is none, or holds Python objects."""
    import numpy as np

    if not content.startswith(b"\x93NUMPY\x01\x00"):
        raise ValueError("no array")
    start = 10 + int.from_bytes(content[8:10], "little")
    shape, in_columns, dtype = _layout(content[:start])
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if in_columns else "C")


@lru_cache(maxsize=64)
def _layout(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type from an .npy file's header: NumPy is slow at it, and many files have the same."""
    import numpy as np

    stream = io.BytesIO(header[8:])
    shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    return shape, in_columns, dtype
