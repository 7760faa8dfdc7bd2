"""A PyTorch network as an ONNX model."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from craterbench_frameworks.torch_export import EXAMPLE, ExportedModule

if TYPE_CHECKING:
    from craterbench_frameworks.torch import TorchSession

__all__ = ["export_onnx"]


def export_onnx(session: TorchSession, path: Path) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Write an ONNX model from ``images`` to ``probabilities``, and return what predicts with the file.

    ``ExportSpec`` says what is returned; the file is run by ONNX Runtime.
    """
    with contextlib.suppress(ImportError):
        from tqdm import tqdm

        # PyTorch counts with it here; its own lock is a semaphore of the system, which this process would leave behind
        tqdm.set_lock(threading.RLock())
    torch.onnx.export(
        ExportedModule(session),
        (torch.zeros(EXAMPLE),),
        path,
        dynamo=True,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes={"images": {0: "N", 1: "H", 2: "W"}},
        external_data=False,  # one file, whatever its size
    )
    network = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def predict(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        (probabilities,) = network.run(None, {"images": images})
        found: npt.NDArray[np.float32] = probabilities
        return found

    return predict
