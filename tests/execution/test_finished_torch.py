"""Runs in PyTorch that are scored and asked again."""

from __future__ import annotations

import json

import exported
import numpy as np
import pytest
import scored

import craterbench
from craterbench.plugin import UserError
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

SMALL = exported.SMALL | {"training.epochs": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    (run,) = craterbench.run("torch-twin", overrides=SMALL, results=tmp_path_factory.mktemp("results"), quiet=True)
    return run


def test_what_a_run_predicts_is_what_its_record_was_scored_on(run):
    test = synthetic(Synthetic(images=40, test_images=10, size=16)).test
    called = run.predict(test.images) > 0.5
    crater = test.masks.astype(bool)
    cells = [called & crater, called & ~crater, ~called & crater, ~called & ~crater]
    counted = np.load(run.folder / "statistics.npz")["test/confusion"].sum(axis=1)
    np.testing.assert_array_equal(counted, np.stack([cell.sum(axis=(1, 2, 3)) for cell in cells], axis=1))
    probabilities = run.predict(test.images[:, :, ::-1])
    assert not np.array_equal(probabilities, run.predict(test.images))


def test_a_run_is_scored_again_to_the_same_numbers(run):
    kept = run.record.parts
    (run.folder / "statistics.npz").unlink()
    scores = craterbench.evaluate(run)
    for part in ("validation", "test"):
        assert scores.loc[(run.id, part), "loss"] == pytest.approx(
            scored.scores(kept[part]["statistics"])["loss"], rel=1e-5
        )
        assert scores.loc[(run.id, part), "fingerprint"] == kept[part]["fingerprint"]
    assert (run.folder / "statistics.npz").is_file()


def test_weights_of_another_model_are_refused_by_name(run):
    file = run.folder / "record.json"
    whole = file.read_text()
    content = json.loads(whole)
    content["config"]["model"]["depth"] = 3
    file.write_text(json.dumps(content))
    try:
        with pytest.raises(UserError, match=r"weights.safetensors: these weights are of another model.* is missing"):
            craterbench.Run(str(run.folder)).predict(np.zeros((1, 16, 16)))
    finally:
        file.write_text(whole)
