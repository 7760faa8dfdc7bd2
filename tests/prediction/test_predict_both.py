"""Runs of both frameworks, each in processes of its own: twins predict by each other's weights, and together."""

from __future__ import annotations

import numpy as np
import pytest

import craterbench

SMALL = {
    "dataset.name": "synthetic",
    "dataset.images": 24,
    "dataset.test_images": 6,
    "dataset.size": 16,
    "model.depth": 2,
    "model.filters": 4,
    "augmentation.copies": 0,
    "training.epochs": 2,
}


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    runs = craterbench.run(["reference", "torch-twin"], overrides=SMALL, results=results, quiet=True)
    assert [run.record.framework for run in runs] == ["keras", "torch"]
    return runs


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, 22, 13), dtype=np.float32)  # neither side is a multiple of 4


def test_the_twin_predicts_what_the_run_does(twins, images):
    for run, other in zip(twins, ("torch", "keras"), strict=True):
        own = run.predict(images)
        assert own.shape == (3, 22, 13, 1)
        np.testing.assert_allclose(craterbench.predict(run, images, framework=other), own, atol=1e-5)


def test_runs_of_both_are_an_ensemble(twins, images, tmp_path):
    together = craterbench.predict(twins, images)
    np.testing.assert_allclose(together, np.mean([run.predict(images) for run in twins], axis=0), atol=1e-6)
    np.save(tmp_path / "in.npy", np.tile(images[0], (3, 4)))
    craterbench.predict_files(twins, tmp_path / "in.npy", tmp_path / "out", tta=("flips", "turns"), quiet=True)
    found = np.load(tmp_path / "out" / "in-probabilities.npy")
    assert found.shape == (66, 52)
    assert np.unique(found).size > 100
    scores = craterbench.evaluate(twins, ensemble=True, results=tmp_path)
    (run,) = scores.index.unique("run")
    assert craterbench.Run(run, tmp_path).config["framework"] == "keras+torch"
    alone = craterbench.evaluate(twins)
    loss = scores.loc[(run, "test"), "loss"]
    assert loss <= alone.xs("test", level="part")["loss"].mean()
