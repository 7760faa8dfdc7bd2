"""Data sets in NumPy files, which are never unpickled."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import Dataset
from craterbench.data.values import Arrays, make_dataset
from craterbench.plugin import UserError

if TYPE_CHECKING:
    from craterbench_datasets import File

__all__ = ["course", "npz"]

IMAGES, MASKS = "Xtrain2_b.npy", "Ytrain2_b.npy"
SIDE = 48

#: sha256 of the published files.
PUBLISHED = {
    IMAGES: "0f990120e886fa520849146e016ca66289a3859d977df05e69eea679fa67eea5",
    MASKS: "89fd8e3eb8d8e3d41cf6eaf0625af408646a0d7b3188a3623ca9d9f0ba55f4cd",
}


class _Npz(NamedTuple):
    """Some of the arrays of an npz file, and the names of all."""

    arrays: dict[str, npt.NDArray[np.generic]]
    names: list[str]


def course(parameters: File) -> Dataset:
    """Read ``Xtrain2_b.npy`` and ``Ytrain2_b.npy`` from a folder, in any of the shapes that ``_square`` takes.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    folder = Path(parameters.path)
    if folder.is_file():
        raise UserError(f"{folder}: is a file; name the folder that holds {IMAGES} and {MASKS} with --data PATH")
    arrays = {name: _square(_array(folder / name), folder / name) for name in (IMAGES, MASKS)}
    published = all(_sha256(folder / name) == sha256 for name, sha256 in PUBLISHED.items())
    note = "the published files, by their sha256" if published else "not the published files, by their sha256"
    return make_dataset(
        Arrays(arrays[IMAGES], arrays[MASKS]),
        source=f"course data in {folder}",
        scale=parameters.scale,
        mask_threshold=parameters.mask_threshold,
        ignore=parameters.ignore,
        notes=[note],
    )


def npz(parameters: File) -> Dataset:
    """Read the arrays ``images``, ``masks`` and, if it is there, ``groups`` from an npz file.

    If they are there, ``circles`` are the craters, (K, 4): the row of the image, x, y and diameter in pixels; and
    ``test_images``, ``test_masks``, ``test_groups`` and ``test_circles`` are the test part. Other arrays are not read.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    path = Path(parameters.path)
    parts = ("images", "masks", "groups", "circles")
    read = _read(path, (*parts, *(f"test_{name}" for name in parts)))
    if not isinstance(read, _Npz):
        raise UserError(f"{path}: holds one array; give an npz file with the arrays images and masks")
    arrays = read.arrays
    missing = [name for name in ("images", "masks") if name not in arrays]
    if missing:
        held = ", ".join(read.names) or "none"
        raise UserError(f"{path}: has no array {' and no array '.join(missing)}; its arrays: {held}; rename them")
    train_val = Arrays(
        arrays["images"], arrays["masks"], arrays.get("groups"), circles=_circles(arrays, "circles", "images", path)
    )
    return make_dataset(
        train_val,
        _test_arrays(arrays, path),
        source=str(path),
        scale=parameters.scale,
        mask_threshold=parameters.mask_threshold,
        ignore=parameters.ignore,
    )


def _test_arrays(arrays: dict[str, npt.NDArray[np.generic]], path: Path) -> Arrays | None:
    """Return the arrays of the test part, or ``None`` where there are none of them."""
    given = [name for name in ("test_images", "test_masks", "test_groups", "test_circles") if name in arrays]
    missing = [name for name in ("test_images", "test_masks") if name not in arrays]
    if not given:
        return None
    if missing:
        has = f"has {' and '.join(given)}, but no {' and no '.join(missing)}"
        raise UserError(f"{path}: {has}; a test part has both images and masks")
    sizes = [tuple(side for side in arrays[name].shape[1:] if side != 1) for name in ("images", "test_images")]
    if sizes[0] != sizes[1]:
        shown = " and images ".join("x".join(map(str, size)) for size in reversed(sizes))
        raise UserError(f"{path}: test_images are {shown}; give one size")
    return Arrays(
        arrays["test_images"],
        arrays["test_masks"],
        arrays.get("test_groups"),
        circles=_circles(arrays, "test_circles", "test_images", path),
    )


def _circles(
    arrays: dict[str, npt.NDArray[np.generic]], name: str, of: str, path: Path
) -> tuple[npt.NDArray[np.float64], ...] | None:
    """Return the circles of each image, or ``None`` where there are none at all."""
    if name not in arrays:
        return None
    table, number = arrays[name], len(arrays[of])
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind not in "iuf":
        wanted = "give (K, 4): row of the image, x, y and diameter"
        raise UserError(f"{path}: {name} are {table.dtype} {table.shape}; {wanted}")
    circles = table.astype(np.float64)
    rows = circles[:, 0]
    wrong = ~np.isfinite(circles).all(axis=1) | (circles[:, 3] <= 0) | ~np.isin(rows, np.arange(number))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(
            f"{path}: {name}: {circles[row].tolist()} in row {row} is no circle of an image; give the row of one of "
            f"the {number} images, x, y and a diameter above 0"
        )
    return tuple(circles[rows == image, 1:] for image in range(number))


def _array(path: Path) -> npt.NDArray[np.generic]:
    array = _read(path)
    if isinstance(array, _Npz):
        raise UserError(f"{path}: is an npz file; give one with a single array, as numpy.save writes it")
    return array


def _read(path: Path, names: tuple[str, ...] = ()) -> npt.NDArray[np.generic] | _Npz:
    """Return the array of an npy file, or those of an npz file that have the names."""
    name = None
    try:
        with path.open("rb") as file:
            loaded: npt.NDArray[np.generic] | np.lib.npyio.NpzFile = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                return loaded
            arrays = {}
            for name in names:
                if name in loaded.files:
                    arrays[name] = loaded[name]
            return _Npz(arrays, loaded.files)
    except Exception as error:  # NumPy raises whatever the damage leads to
        raise UserError(_unreadable(path, error, "" if name is None else f"array {name} ")) from None


def _unreadable(path: Path, error: Exception, which: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: there is no such file; name the data with --data PATH"
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: cannot be read: {error.strerror}; name the file with --data PATH"
    if isinstance(error, MemoryError):
        return f"{path}: {which}is larger than the memory ({error}); give fewer or smaller images"
    if "pickle" in str(error):
        return f"{path}: {which}is pickled, or no NumPy file at all; save plain arrays with numpy.save or numpy.savez"
    if isinstance(error, (EOFError, ValueError, OSError, zipfile.BadZipFile)):
        return f"{path}: {which}is cut short or damaged ({error}); copy it again"
    return f"{path}: cannot be read: {type(error).__name__}: {error}"


def _square(array: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.generic]:
    """Return (N, 48, 48, 1) of (N, 2304), (N, 48, 48), (N, 48, 48, 1) or (N, 1, 48, 48)."""
    shapes = ((SIDE * SIDE,), (SIDE, SIDE), (SIDE, SIDE, 1), (1, SIDE, SIDE))
    if array.ndim >= 2 and array.shape[1:] in shapes:
        return array.reshape(-1, SIDE, SIDE, 1)
    raise UserError(f"{path}: has shape {array.shape}; give (N, 2304), (N, 48, 48), (N, 48, 48, 1) or (N, 1, 48, 48)")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
