from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import IGNORED
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.training.session import SessionConfig, batch_loss, check_ignored, open_session


def task(loss) -> SessionConfig:
    others = dict.fromkeys(("model", "model_parameters", "initial", "optimizer", "optimizer_parameters"))
    return SessionConfig(
        **others, image_shape=(2, 2), loss=loss, loss_parameters="p", precision="float32", seed=0, device="cpu"
    )


MASKS = np.array([1.0, 0, IGNORED, 1]).reshape(1, 2, 2, 1)
PROBABILITIES = np.array([0.5, 0.25, 0.75, 1]).reshape(1, 2, 2, 1)
KNOWN = (MASKS != IGNORED).astype(float)


def test_a_loss_sees_nothing_where_a_pixel_is_ignored():
    seen = batch_loss(
        task(lambda masks, probabilities, parameters: (masks, probabilities)), MASKS, PROBABILITIES, KNOWN
    )
    assert [array.ravel().tolist() for array in seen] == [[1, 0, 0, 1], [0.5, 0.25, 0, 1]]


def test_a_loss_that_asks_is_told_which_pixels_are_known():
    seen = batch_loss(task(lambda masks, probabilities, parameters, known=None: known), MASKS, PROBABILITIES, KNOWN)
    np.testing.assert_array_equal(seen, KNOWN)


def test_where_all_are_known_a_loss_gets_the_arrays_themselves():
    seen = batch_loss(task(lambda masks, probabilities, parameters, known="none": (masks, known)), MASKS, PROBABILITIES)
    assert seen[0] is MASKS
    assert seen[1] == "none"


def pixels(*settings: str):
    common = [
        "framework=sklearn",
        "model.name=logistic",
        "optimizer.name=sgd",
        "dataset.name=synthetic",
        "optimizer.learning_rate=0.1",
    ]
    overrides = [parse_override(each) for each in (*common, *settings)]
    return resolve(Registry.installed(), "reference", overrides).benchmark


def test_scikit_learn_trains_on_the_known_pixels_alone():
    generator = np.random.default_rng(0)
    images = generator.random((6, 8, 8, 1), dtype=np.float32)
    masks = (images > 0.7).astype(np.uint8)
    masks[3:] = IGNORED
    some, known = (open_session(pixels(), image_shape=(8, 8), seed=0, device="cpu") for _ in range(2))
    rate = np.array([0.1])
    objective = some.train_epoch(images, masks, [np.arange(6)], rate)
    assert objective == known.train_epoch(images[:3], masks[:3], [np.arange(3)], rate)
    for name, array in known.weights().items():
        np.testing.assert_array_equal(some.weights()[name], array)
    before = some.weights()
    some.train_epoch(images, masks, [np.arange(3, 6)], rate)  # a batch that says nothing
    np.testing.assert_array_equal(some.weights()["coef_"], before["coef_"])


def test_predictions_of_many_images_are_those_of_each():
    images = np.random.default_rng(0).random((40, 256, 256, 1), dtype=np.float32)
    session = open_session(pixels(), image_shape=(256, 256), seed=0, device="cpu")
    session.train_epoch(images[:1], (images[:1] > 0.7).astype(np.uint8), [np.arange(1)], np.array([0.1]))
    np.testing.assert_allclose(session.predict(images)[-1:], session.predict(images[-1:]), rtol=1e-6)


def test_a_framework_that_does_not_say_that_it_ignores_pixels_gets_none():
    benchmark = pixels()
    masks = np.full((1, 2, 2, 1), IGNORED, np.uint8)
    check_ignored(benchmark, masks)
    other = replace(benchmark, framework=replace(benchmark.framework, ignores_pixels=False))
    check_ignored(other, masks * 0)
    with pytest.raises(UserError, match=r"pixels to be left out \(255\).*framework 'sklearn'.*train in another"):
        check_ignored(other, masks)
