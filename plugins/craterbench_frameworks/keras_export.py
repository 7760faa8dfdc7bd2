"""A Keras network as a file that Keras opens without the code behind it."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt

from craterbench.plugin import UserError

if TYPE_CHECKING:
    from craterbench_frameworks.keras import KerasSession

__all__ = ["export_keras"]


def export_keras(session: KerasSession, path: Path) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Write a ``.keras`` file, and return what predicts with it (see ``ExportSpec``).

    Raises:
        UserError: a layer or a function is none of Keras' own: the file names such, and does not hold them.
    """
    session.model_of_any_size().save(path)
    with zipfile.ZipFile(path) as file:
        modules = re.findall(r'"module": "([^"]*)"', json.dumps(json.loads(file.read("config.json"))))
    others = sorted({module for module in modules if module.partition(".")[0] != "keras"})
    if others:
        raise UserError(
            f"the network has layers or functions of {', '.join(others)}, which a .keras file names and does not hold; "
            "export it to onnx or torch, which hold all"
        )
    network = keras.saving.load_model(path)

    def predict(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(network.predict(images, verbose=0), np.float32)

    return predict
