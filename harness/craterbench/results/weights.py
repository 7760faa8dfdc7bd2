"""Weights in a file, in Keras' lay-out, for every framework. No code is ever read from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from craterbench.plugin import UserError
from craterbench.results.files import write_atomically

__all__ = ["read_weights", "write_weights"]


def write_weights(path: Path, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write weights by name as safetensors."""
    # safetensors writes the memory as it is, whatever the strides say
    write_atomically(path, save({name: np.asarray(array, order="C") for name, array in weights.items()}))


def read_weights(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read weights by name.

    Raises:
        UserError: the file is not there, cut short, no safetensors, or holds what no run leaves.
    """
    try:
        weights = dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; a run that is done holds its weights.safetensors") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: is cut short or no safetensors file ({error}); copy it again") from None
    except (AttributeError, KeyError, TypeError, ValueError):  # safetensors' own, where NumPy has no such type
        raise UserError(f"{path}: holds numbers of a type that NumPy has not; convert them to float32") from None
    if not_finite := [name for name, array in weights.items() if not np.isfinite(array).all()]:
        raise UserError(f"{path}: {not_finite[0]} holds NaN or infinity; take the weights of another run")
    return weights
