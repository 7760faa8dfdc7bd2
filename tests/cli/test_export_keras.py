"""Keras runs as files that run without craterbench."""

from __future__ import annotations

from types import SimpleNamespace

import exported
import keras
import numpy as np
import pytest

from craterbench.plugin import UserError
from craterbench_frameworks.keras_export import export_keras


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return exported.trained("reference", tmp_path_factory.mktemp("results"))


def test_a_file_gives_what_the_run_predicts_where_there_is_no_craterbench(run, bench, tmp_path):
    path = tmp_path / "network.keras"
    result = bench("export", str(run.folder), "--to", "keras", "--out", str(path))
    assert result.exit_code == 0, result.output
    found = exported.run_as_the_card_says(tmp_path / "network.keras.md")
    for ours, images in zip(found, exported.IMAGES.values(), strict=True):
        np.testing.assert_allclose(ours, run.predict(images[..., 0]), atol=1e-5)
    model = keras.saving.load_model(path)
    assert model.input_shape == (None, None, None, 1)
    assert model.count_params() == sum(weight.size for weight in run.weights.values())


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_layers_that_the_file_does_not_hold_are_refused(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Halved(keras.layers.Layer):
        def call(self, images):
            return images / 2

    image = keras.Input((None, None, 1))
    session = SimpleNamespace(model_of_any_size=lambda: keras.Model(image, Halved()(image)))
    with pytest.raises(UserError, match=r"layers or functions of .*export it to onnx or torch"):
        export_keras(session, tmp_path / "network.keras")
