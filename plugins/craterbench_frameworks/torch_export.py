"""A PyTorch network as a graph that PyTorch runs without the code behind it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

if TYPE_CHECKING:
    from craterbench_frameworks.torch import TorchSession

__all__ = ["EXAMPLE", "ExportedModule", "export_torch"]

#: Images to trace a network with. No side is 1, or torch.export takes it that all images are so, and the sides differ,
#: or it takes that all are square. A network with up to six levels takes them.
EXAMPLE = (2, 128, 192, 1)


class ExportedModule(nn.Module):  # type: ignore[misc]
    """A network as it is exported, without dropout: images (N, H, W, 1) to probabilities float32 (N, H, W, 1)."""

    def __init__(self, session: TorchSession) -> None:
        """Copy the network of a session; its weights in the order of their axes, as files have them."""
        super().__init__()
        model = copy.deepcopy(session.model)
        self.network = model.to("cpu", torch.float32, memory_format=torch.contiguous_format)
        self.eval()
        self.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the probabilities."""
        probabilities: torch.Tensor = self.network(images.permute(0, 3, 1, 2))
        return probabilities.permute(0, 2, 3, 1).float()


def export_torch(session: TorchSession, path: Path) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Write a ``torch.export`` program, and return what predicts with the file (see ``ExportSpec``)."""
    dynamic = dict.fromkeys((0, 1, 2), torch.export.Dim.DYNAMIC)
    program = torch.export.export(ExportedModule(session), (torch.zeros(EXAMPLE),), dynamic_shapes={"images": dynamic})
    torch.export.save(program, path)
    network = torch.export.load(path).module()

    def predict(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        probabilities: npt.NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
        return probabilities

    return predict
