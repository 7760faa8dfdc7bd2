"""Runs of one framework as files of the other."""

from __future__ import annotations

import importlib.metadata
import json
from types import SimpleNamespace

import exported
import numpy as np
import pytest

import craterbench
from craterbench.plugin import LossSpec, hookimpl
from craterbench.plugin.registry import Registry


@pytest.fixture(scope="module")
def in_keras(tmp_path_factory):
    return exported.trained("reference", tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def in_torch(tmp_path_factory):
    return exported.trained("torch-twin", tmp_path_factory.mktemp("results"))


@pytest.mark.parametrize(
    ("of", "to", "file"), [("in_keras", "onnx", "network.onnx"), ("in_torch", "keras", "network.keras")]
)
def test_the_twin_writes_what_a_framework_does_not(of, to, file, request, tmp_path):
    run = request.getfixturevalue(of)
    written = run.export(to, tmp_path / file)
    assert 0 < written.export.largest_difference < 1e-5
    found = exported.run_as_the_card_says(written.card)
    for ours, images in zip(found, exported.IMAGES.values(), strict=True):
        np.testing.assert_allclose(ours, run.predict(images[..., 0]), atol=1e-5)


def test_a_loss_that_the_twin_lacks_does_not_matter(in_keras, tmp_path, monkeypatch):
    @hookimpl
    def bench_losses():
        return [LossSpec(name="mine", summary="in Keras alone", target={"keras": "craterbench_losses.keras:bce"})]

    points = importlib.metadata.entry_points(group="craterbench")
    plugins = [
        *((point.name, point.load) for point in points),
        ("mine", lambda: SimpleNamespace(bench_losses=bench_losses)),
    ]
    monkeypatch.setattr(Registry, "installed", lambda: Registry(plugins))
    file = in_keras.folder / "record.json"
    content = json.loads(file.read_text())
    content["config"]["loss"] = {"name": "mine"}
    file.write_text(json.dumps(content))
    written = craterbench.Run(str(in_keras.folder)).export("torch", tmp_path / "network.pt2")
    assert written.export.largest_difference < 1e-5
