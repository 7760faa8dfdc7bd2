"""What training goes on from after an epoch, in a file. No code is ever read from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from craterbench.results.files import write_atomically

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

#: Raised whenever what a checkpoint holds changes its meaning.
_VERSION = "1"


@dataclass(frozen=True)
class Checkpoint:
    """A run after an epoch.

    Attributes:
        history: a row for each epoch so far.
        images_trained: how many images they showed, each counted as often as it was shown.
        best_weights: the weights of the best of them.
        session: the state of the session.
        generators: the states of the harness's generators by name, as NumPy's bit generators return them.
    """

    history: list[dict[str, Any]]
    images_trained: int
    best_weights: Mapping[str, npt.NDArray[Any]]
    session: Mapping[str, npt.NDArray[Any]]
    generators: Mapping[str, Mapping[str, Any]]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, atomically, even if the machine stops meanwhile.

    Arrays stand as they are in a safetensors file, all else as JSON in its header: an integer of a generator keeps its
    128 bits there and a float its digits.
    """
    held = {"session": checkpoint.session, "best": checkpoint.best_weights}
    arrays = {
        f"{kind} {name}": np.asarray(array, order="C") for kind, named in held.items() for name, array in named.items()
    }
    plain = {
        "history": checkpoint.history,
        "images_trained": checkpoint.images_trained,
        "generators": checkpoint.generators,
    }
    write_atomically(path, save(arrays, {"version": _VERSION, "plain": json.dumps(plain)}), durable=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        ValueError: the file is not there, damaged, or of another version.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ValueError(str(error)) from None
    except (AttributeError, KeyError, TypeError):  # safetensors' own, where NumPy has no such type
        raise ValueError("it holds numbers of a type that NumPy has not") from None
    if metadata.get("version") != _VERSION:
        raise ValueError(f"no checkpoint of version {_VERSION}")
    session, best = (
        {name.removeprefix(kind): array for name, array in arrays.items() if name.startswith(kind)}
        for kind in ("session ", "best ")
    )
    try:
        plain = json.loads(metadata["plain"])
        return Checkpoint(plain["history"], plain["images_trained"], best, session, plain["generators"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"its header lacks {error}") from None
