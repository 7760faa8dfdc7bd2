"""A session in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from craterbench.data.dataset import IGNORED
from craterbench.plugin import UserError
from craterbench.training.session import SessionConfig, Weights, batch_loss, check_fit, has_ignored

__all__ = ["TorchSession"]

#: How many images, and pixels of them, are predicted at once.
_PREDICT_BATCH = 128
_PREDICT_PIXELS = 2**21

_TYPES = {"float32": torch.float32, "bfloat16": torch.float32, "float64": torch.float64}

#: From PyTorch's lay-out of a kernel to Keras': (out, in, h, w) to (h, w, in, out), and transposed convolutions
#: (in, out, h, w) to (h, w, out, in).
_TO_KERAS = (2, 3, 1, 0)
_FROM_KERAS = (3, 2, 0, 1)


class TorchSession:
    """A PyTorch model being trained.

    The model's target is ``build(parameters, image_shape, seed) -> torch.nn.Module``, images (N, 1, H, W) in,
    probabilities (N, 1, H, W) out; a loss sees both as (N, H, W, 1), as everywhere. An optimizer's is
    ``build(parameters, weights) -> torch.optim.Optimizer``: the session sets ``lr`` of its groups at each step, and
    ``number`` to which step it is.
    """

    def __init__(self, task: SessionConfig) -> None:
        """Build the model.

        Raises:
            UserError: the device is a GPU and PyTorch sees none.
        """
        if task.device == "gpu" and not torch.cuda.is_available():
            raise UserError("PyTorch sees no GPU; use --device cpu, or install a PyTorch built for this GPU")
        self.device = "gpu" if task.device != "cpu" and torch.cuda.is_available() else "cpu"
        self._device = torch.device("cuda" if self.device == "gpu" else "cpu")
        self._half = task.precision == "bfloat16"
        self._type = _TYPES[task.precision]
        self._number = 0
        torch.backends.cudnn.allow_tf32 = False  # float32 is meant where it is said
        torch.manual_seed(task.seed)
        model: nn.Module = task.model(task.model_parameters, task.image_shape, task.seed)
        self._model = model.to(self._device, self._type, memory_format=torch.channels_last)
        self._task = task
        if task.initial is not None:
            self.load_weights(task.initial)
        weights = list(self._model.parameters())
        self._optimizer: torch.optim.Optimizer = task.optimizer(task.optimizer_parameters, weights)

    @property
    def model(self) -> nn.Module:
        """The network itself, images (N, 1, H, W) in, probabilities (N, 1, H, W) out."""
        return self._model

    def train_epoch(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        batches: Sequence[npt.NDArray[np.intp]],
        rates: npt.NDArray[np.float64],
    ) -> float:
        """Make one pass over arrays that are moved to the device once."""
        self._model.train()
        shown, truth, ignores = self._moved(images), torch.from_numpy(masks).to(self._device), has_ignored(masks)
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        sizes = [len(rows) for rows in batches]
        order = torch.from_numpy(np.concatenate(batches)).to(self._device)  # at once: a copy a step would hold up a GPU
        for chosen, rate in zip(order.split(sizes), rates.tolist(), strict=True):
            objective = self._objective(shown[chosen], truth[chosen].to(self._type), ignores)
            self._optimizer.zero_grad()
            objective.backward()
            self._number += 1
            for group in self._optimizer.param_groups:
                group["lr"], group["number"] = rate, self._number
            self._optimizer.step()
            total += len(chosen) * objective.detach()
        return float(total) / sum(sizes)

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel, (N, H, W, 1)."""
        self._model.eval()
        probabilities = torch.empty(images.shape, dtype=torch.float32, device=self._device)
        size = max(1, min(_PREDICT_BATCH, _PREDICT_PIXELS // images[0].size))
        with torch.inference_mode():
            for part, into in zip(self._moved(images).split(size), probabilities.split(size), strict=True):
                into.copy_(self._probabilities(part))
        return probabilities.cpu().numpy()  # type: ignore[no-any-return]

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of every weight by ``layer.weight``, kernels in Keras' lay-out."""
        return {name: _array(value, kernel) for name, (value, kernel) in self._named().items()}

    def load_weights(self, weights: Weights) -> None:
        """Take weights by name.

        Raises:
            UserError: names or shapes are not those of the model.
        """
        own = self._named()
        check_fit(weights, {name: _shape(value, kernel) for name, (value, kernel) in own.items()})
        with torch.no_grad():
            for name, (value, kernel) in own.items():
                array = weights[name].transpose(_FROM_KERAS) if kernel else weights[name]
                value.copy_(torch.tensor(array))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of the weights, the optimizer's memory, the number of steps and PyTorch's random state."""
        found = {f"weight {name}": array for name, array in self.weights().items()}
        for number, kept in self._optimizer.state_dict()["state"].items():
            found |= {f"optimizer {number} {key}": _array(value) for key, value in kept.items() if value is not None}
        found["steps"] = np.array(self._number)
        found["random cpu"] = torch.get_rng_state().numpy().copy()
        if self.device == "gpu":
            found["random gpu"] = torch.cuda.get_rng_state().numpy().copy()
        return found

    def load_state(self, state: Weights) -> None:
        """Take a state as ``state()`` gave it."""
        self.load_weights({n.removeprefix("weight "): a for n, a in state.items() if n.startswith("weight ")})
        weights = list(self._model.parameters())
        kept: dict[int, dict[str, torch.Tensor]] = {}
        for name, array in state.items():
            if name.startswith("optimizer "):
                _, number, key = name.split(" ")
                value, weight = torch.tensor(array), weights[int(number)]
                if value.shape == weight.shape:  # a fused optimizer walks memory as it is laid out, and so must its own
                    value = torch.empty_like(weight, requires_grad=False).copy_(value)
                kept.setdefault(int(number), {})[key] = value
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": kept})
        self._number = int(state["steps"])
        torch.set_rng_state(torch.tensor(state["random cpu"]))
        if self.device == "gpu":
            torch.cuda.set_rng_state(torch.tensor(state["random gpu"]))

    def capture_activations(
        self, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the output of every layer with weights, the objective and its gradients, as in training."""
        found: dict[str, npt.NDArray[Any]] = {}
        hooks = []
        for name, module in self._model.named_modules():
            if next(module.parameters(recurse=False), None) is not None:

                def keep(module: nn.Module, inputs: Any, output: torch.Tensor, name: str = name) -> None:
                    found[f"activation {name}"] = _array(output.permute(0, 2, 3, 1))

                hooks.append(module.register_forward_hook(keep))
        self._model.train()
        objective = self._objective(self._moved(images), self._moved(masks), has_ignored(masks))
        for hook in hooks:
            hook.remove()
        found["objective"] = _array(objective)
        own = {name: pair for name, pair in self._named().items() if pair[0].requires_grad}
        gradients = torch.autograd.grad(objective, [value for value, _ in own.values()])
        for (name, (_, kernel)), gradient in zip(own.items(), gradients, strict=True):
            found[f"gradient {name}"] = _array(gradient, kernel)
        return found

    def _objective(self, images: torch.Tensor, masks: torch.Tensor, ignores: bool) -> torch.Tensor:
        known = (masks != IGNORED).to(masks.dtype) if ignores else None
        objective: torch.Tensor = batch_loss(self._task, masks, self._probabilities(images), known)
        return objective

    def _probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Return (N, H, W, 1) for (N, H, W, 1); in memory it is what PyTorch calls channels last, so nothing moves."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            probabilities: torch.Tensor = self._model(images.permute(0, 3, 1, 2))
        return probabilities.permute(0, 2, 3, 1)

    def _moved(self, array: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device, self._type)

    def _named(self) -> dict[str, tuple[torch.Tensor, bool]]:
        """Return every weight by the name that Keras has for it, and whether it is a kernel, laid out otherwise."""
        found = {}
        for name, value in self._model.state_dict(keep_vars=True).items():
            layer, _, own = name.rpartition(".")
            module = self._model.get_submodule(layer)
            kernel = own == "weight" and isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
            found[f"{layer}.kernel" if kernel else name] = (value, kernel)
        return found


def _shape(value: torch.Tensor, kernel: bool) -> tuple[int, ...]:
    return tuple(value.permute(_TO_KERAS).shape if kernel else value.shape)


def _array(value: torch.Tensor, kernel: bool = False) -> npt.NDArray[Any]:
    plain = value.detach()
    plain = plain.permute(_TO_KERAS) if kernel else plain
    return np.array(plain.float().cpu() if plain.dtype == torch.bfloat16 else plain.cpu())
