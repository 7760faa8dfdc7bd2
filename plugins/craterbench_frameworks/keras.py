"""A session in Keras 3 on TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from craterbench.data.dataset import IGNORED
from craterbench.plugin import UserError
from craterbench.training.session import SessionConfig, Weights, batch_loss, check_fit, has_ignored

__all__ = ["KerasSession"]

#: How many images, and pixels of them, are predicted at once.
_PREDICT_BATCH = 128
_PREDICT_PIXELS = 2**21


class KerasSession:
    """A Keras model being trained.

    The model's target is ``build(parameters, image_shape, seed) -> keras.Model``, an optimizer's
    ``build(parameters) -> keras.optimizers.Optimizer``.
    """

    def __init__(self, task: SessionConfig) -> None:
        """Build and compile the model.

        Raises:
            UserError: the device is a GPU and TensorFlow sees none.
        """
        gpus = tf.config.list_physical_devices("GPU")
        if task.device == "gpu" and not gpus:
            raise UserError("TensorFlow sees no GPU; use --device cpu, or install a TensorFlow built for this GPU")
        self.device = "gpu" if gpus and task.device != "cpu" else "cpu"
        if gpus and self.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        tf.config.experimental.enable_tensor_float_32_execution(False)  # float32 is meant where it is said
        keras.backend.clear_session()  # a second task must find the same layer names as a first
        keras.config.set_floatx(task.precision)
        keras.utils.set_random_seed(task.seed)  # for layers of plugins that take no seed of their own
        self._model = task.model(task.model_parameters, task.image_shape, task.seed)
        self._task = task
        self._ignores = False
        if task.initial is not None:
            self.load_weights(task.initial)
        self._model.compile(
            optimizer=task.optimizer(task.optimizer_parameters),
            loss=self._loss,
            jit_compile=False,  # XLA makes these small convolutions two to three times slower on a CPU
        )
        self._model.optimizer.build(self._model.trainable_variables)

    def model_of_any_size(self) -> keras.Model:
        """Return the network for images of any size, with a copy of the weights."""
        model = self._task.model(self._task.model_parameters, (None, None), self._task.seed)
        model.set_weights(self._model.get_weights())
        return model

    def train_epoch(
        self,
        images: npt.NDArray[np.float32],
        masks: npt.NDArray[np.uint8],
        batches: Sequence[npt.NDArray[np.intp]],
        rates: npt.NDArray[np.float64],
    ) -> float:
        """Make one pass, a batch at a time: a ``fit`` for each epoch is slower, for what it sets up and tears down."""
        self._leave_out_ignored(masks)
        total = 0.0
        for rows, rate in zip(batches, rates, strict=True):
            self._model.optimizer.learning_rate = rate
            total += len(rows) * float(self._model.train_on_batch(images[rows], masks[rows]))
        return total / sum(map(len, batches))

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of a crater at every pixel, (N, H, W, 1)."""
        size = max(1, min(_PREDICT_BATCH, _PREDICT_PIXELS // images[0].size))
        probabilities = self._model.predict(images, batch_size=size, verbose=0)
        return np.asarray(probabilities, np.float32)

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of every weight by ``layer.weight``."""
        return {_name(weight): keras.ops.convert_to_numpy(weight).copy() for weight in self._model.weights}

    def load_weights(self, weights: Weights) -> None:
        """Take weights by name.

        Raises:
            UserError: names or shapes are not those of the model.
        """
        own = {_name(weight): weight for weight in self._model.weights}
        check_fit(weights, {name: tuple(weight.shape) for name, weight in own.items()})
        for name, weight in own.items():
            weight.assign(weights[name])

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of every variable of the model and of its optimizer, by its number."""
        return {name: keras.ops.convert_to_numpy(variable).copy() for name, variable in self._variables().items()}

    def load_state(self, state: Weights) -> None:
        """Take a state as ``state()`` gave it."""
        own = self._variables()
        check_fit(state, {name: tuple(variable.shape) for name, variable in own.items()})
        for name, variable in own.items():
            variable.assign(state[name])

    def capture_activations(
        self, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8]
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the output of every layer with weights, the objective and its gradients, as in training."""
        model = self._model
        seen = [layer for layer in model.layers if layer.weights]
        self._leave_out_ignored(masks)
        looking = keras.Model(model.inputs, [layer.output for layer in seen])
        with tf.GradientTape() as tape:
            activations = looking([images], training=True)
            objective = self._loss(tf.cast(masks, activations[-1].dtype), activations[-1])
        gradients = tape.gradient(objective, [weight.value for weight in model.trainable_weights])
        found = {f"activation {layer.name}": array for layer, array in zip(seen, activations, strict=True)}
        found["objective"] = objective
        names = [f"gradient {_name(weight)}" for weight in model.trainable_weights]
        found |= dict(zip(names, gradients, strict=True))
        return {name: keras.ops.convert_to_numpy(array) for name, array in found.items()}

    def _leave_out_ignored(self, masks: npt.NDArray[np.uint8]) -> None:
        if has_ignored(masks) != self._ignores:  # what the loss does is compiled
            self._ignores = not self._ignores
            self._model.make_train_function(force=True)

    def _loss(self, masks: Any, probabilities: Any) -> Any:
        known = keras.ops.cast(masks != IGNORED, probabilities.dtype) if self._ignores else None
        return batch_loss(self._task, masks, probabilities, known)

    def _variables(self) -> dict[str, Any]:
        """Return what moves in training: weights, the seeds of dropout, and the optimizer's memory."""
        measured = {id(variable) for variable in self._model.metrics_variables}
        own = [variable for variable in self._model.variables if id(variable) not in measured]
        return {f"variable {n}": variable for n, variable in enumerate([*own, *self._model.optimizer.variables])}


def _name(weight: Any) -> str:
    return str(weight.path).replace("/", ".")
