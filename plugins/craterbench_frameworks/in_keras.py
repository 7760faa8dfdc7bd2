"""A session in Keras 3 on TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from craterbench.plugin import UserError
from craterbench.training.session import Task, Weights

__all__ = ["KerasSession"]

#: Keras' own defaults, written out because they are part of what a definition means.
OPTIMIZERS = {"adam": lambda: keras.optimizers.Adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7)}

_PREDICT_BATCH = 128


class KerasSession:
    """A Keras model being trained. The model's target is ``build(parameters, image_shape, seed) -> keras.Model``."""

    def __init__(self, task: Task) -> None:
        """Build and compile the model.

        Raises:
            UserError: a GPU is asked for and TensorFlow sees none.
        """
        gpus = tf.config.list_physical_devices("GPU")
        if task.device == "gpu" and not gpus:
            raise UserError("TensorFlow sees no GPU; use --device cpu, or install a TensorFlow built for this GPU")
        self.device = "gpu" if gpus else "cpu"
        keras.backend.clear_session()  # a second task must find the same layer names as a first
        keras.utils.set_random_seed(task.seed)  # for layers of plugins that take no seed of their own
        self._model = task.model(task.model_parameters, task.image_shape, task.seed)
        if task.initial is not None:
            self.load_weights(task.initial)
        self._model.compile(
            optimizer=OPTIMIZERS[task.optimizer](),
            loss=lambda masks, probabilities: task.loss(masks, probabilities, task.loss_parameters),
            jit_compile=False,  # XLA makes these small convolutions two to three times slower on a CPU
        )

    def train_epoch(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        batches: Sequence[npt.NDArray[np.intp]],
        rates: npt.NDArray[np.float64],
    ) -> float:
        """Make one pass, a batch at a time: a ``fit`` for each epoch is slower, for what it sets up and tears down."""
        total = 0.0
        for rows, rate in zip(batches, rates, strict=True):
            self._model.optimizer.learning_rate = rate
            total += len(rows) * float(self._model.train_on_batch(images[rows], masks[rows]))
        return total / sum(map(len, batches))

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel, (N, H, W, 1)."""
        probabilities: npt.NDArray[np.float32] = self._model.predict(images, batch_size=_PREDICT_BATCH, verbose=0)
        return probabilities

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of every weight by ``layer.weight``."""
        return {_name(weight): keras.ops.convert_to_numpy(weight).copy() for weight in self._model.weights}

    def load_weights(self, weights: Weights) -> None:
        """Take weights by name.

        Raises:
            ValueError: the names are not those of the model.
        """
        own = {_name(weight): weight for weight in self._model.weights}
        if own.keys() != weights.keys():
            raise ValueError(f"weights do not fit the model: {', '.join(sorted(own.keys() ^ weights.keys()))}")
        for name, weight in own.items():
            weight.assign(weights[name])


def _name(weight: Any) -> str:
    return str(weight.path).replace("/", ".")
