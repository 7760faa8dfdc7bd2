"""What a run called crater, kept a bit a pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest

from craterbench.data.dataset import IGNORED
from craterbench.results.predictions_file import NUM_KEPT, Predictions, read_predictions, write_predictions

SHAPE = (20, 5, 7, 1)


@pytest.fixture
def arrays():
    drawn = np.random.default_rng(3)
    masks = (drawn.random(SHAPE) < 0.4).astype(np.uint8)
    return drawn.random(SHAPE, dtype=np.float32), masks, drawn.random(SHAPE, dtype=np.float32)


def test_what_is_read_is_what_was_called(tmp_path, arrays):
    images, masks, probabilities = arrays
    write_predictions(tmp_path, {"test": Predictions.of(*arrays)})
    kept = read_predictions(tmp_path, "test")
    for image in range(len(images)):
        crater, called = kept.of_image(image)
        assert np.array_equal(crater, masks[image, ..., 0] == 1)
        assert np.array_equal(called, probabilities[image, ..., 0] > 0.5)
    called, crater = (probabilities > 0.5)[..., 0], masks[..., 0] == 1
    dice = 2 * (called & crater).sum(axis=(1, 2)) / (called.sum(axis=(1, 2)) + crater.sum(axis=(1, 2)))
    worst = np.argsort(dice, kind="stable")
    for image in worst[:NUM_KEPT]:
        assert np.abs(kept.pixels(image) - 255 * images[image, ..., 0]).max() <= 0.5001
    assert kept.pixels(worst[NUM_KEPT]) is None
    with pytest.raises(ValueError, match="it is damaged"):
        read_predictions(tmp_path, "validation")


def test_a_pixel_that_is_left_out_is_called_nothing(arrays):
    images, masks, probabilities = arrays
    masks[0, 2, 3], probabilities[0, 2, 3] = IGNORED, 1.0
    crater, called = Predictions.of(images, masks, probabilities).of_image(0)
    assert not crater[2, 3]
    assert not called[2, 3]


@pytest.mark.parametrize("damage", ["missing", "bytes", "cut", "shape"])
def test_what_cannot_be_read_is_said(tmp_path, arrays, damage):
    write_predictions(tmp_path, {"test": Predictions.of(*arrays)})
    file = tmp_path / "predictions.npz"
    if damage == "missing":
        file.unlink()
    elif damage == "bytes":
        file.write_bytes(b"no archive")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    else:
        with np.load(file) as archive:
            kept = dict(archive)
        kept["test/size"] += 9
        content = io.BytesIO()
        np.savez(content, **kept)
        file.write_bytes(content.getvalue())
    with pytest.raises(ValueError, match="it is missing" if damage == "missing" else "it is damaged"):
        read_predictions(tmp_path, "test")
