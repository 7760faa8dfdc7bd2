"""A session in scikit-learn, a classifier of pixels; the smallest example of a session."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss

from craterbench.data.dataset import IGNORED
from craterbench.plugin import UserError
from craterbench.training.session import SessionConfig, Weights

__all__ = ["PixelModel", "SklearnSession"]

#: How many pixels are predicted at once: their features in double precision take some hundred bytes each.
_PREDICT_PIXELS = 2**21


@dataclass(frozen=True)
class PixelModel:
    """What a model's target ``build(parameters, loss, seed)`` returns.

    Attributes:
        features: images (N, H, W, 1) to features (N * H * W, F), pixel by pixel.
        classifier: a scikit-learn classifier with ``partial_fit`` and ``predict_proba``; where it has a learning rate,
            ``eta0``, the optimizer sets it at each step.
    """

    features: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.floating[Any]]]
    classifier: Any


class SklearnSession:
    """A pixel model being trained.

    A loss's target is the name that the classifier has for it, an optimizer's is ``prepare(parameters, classifier,
    rate)``, called before each step of the classifier.
    """

    device = "cpu"

    def __init__(self, task: SessionConfig) -> None:
        """Build the model.

        Raises:
            UserError: the device is a GPU.
        """
        if task.device == "gpu":
            raise UserError("framework 'sklearn' trains on the CPU; use --device cpu")
        self._model: PixelModel = task.model(task.model_parameters, task.loss, task.seed)
        self._prepare = functools.partial(task.optimizer, task.optimizer_parameters, self._model.classifier)

    def train_epoch(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        batches: Sequence[npt.NDArray[np.intp]],
        rates: npt.NDArray[np.float64],
    ) -> float:
        """Make one pass; the objective of a batch is its log loss after its step."""
        total = 0.0
        for rows, rate in zip(batches, rates, strict=True):
            crater, features = masks[rows].ravel(), self._model.features(images[rows])
            known = crater != IGNORED
            if not known.all():
                crater, features = crater[known], features[known]
            if len(crater):
                self._prepare(float(rate))
                self._model.classifier.partial_fit(features, crater, classes=[0, 1])
                total += len(rows) * log_loss(crater, self._crater_probability(features), labels=[0, 1])
        return total / sum(map(len, batches))

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel, (N, H, W, 1)."""
        probabilities = np.empty(images.shape, np.float32)
        step = max(1, _PREDICT_PIXELS // images[0].size)
        for first in range(0, len(images), step):
            part = images[first : first + step]
            crater = self._crater_probability(self._model.features(part))
            probabilities[first : first + step] = crater.reshape(part.shape)
        return probabilities

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of what was learned: by scikit-learn's convention, whatever ends in an underscore."""
        learned = {name: np.array(value) for name, value in vars(self._model.classifier).items() if name[-1] == "_"}
        return {name: value for name, value in learned.items() if value.dtype.kind in "iuf"}

    def load_weights(self, weights: Weights) -> None:
        """Take weights as ``weights()`` gives them."""
        for name, value in weights.items():
            setattr(self._model.classifier, name, value.copy() if value.ndim else value.item())

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of what was learned: all that ``partial_fit`` of a linear classifier starts from."""
        return self.weights()

    def load_state(self, state: Weights) -> None:
        """Take a state as ``state()`` gave it."""
        self.load_weights(state)

    def _crater_probability(self, features: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        both: npt.NDArray[np.float64] = self._model.classifier.predict_proba(features)
        return both[:, 1]
