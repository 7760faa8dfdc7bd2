"""Windows over images: what is put together of them is what a network says of the whole, wherever it says the same."""

from __future__ import annotations

import numpy as np
import pytest

from craterbench.prediction.windows import Windows, predict_bands, predict_windows


def whole(image, predict, windows):
    """Return the probabilities of an image in one array, and the sizes of the bands that they came in."""
    bands = list(predict_bands(image.shape, lambda first, last: image[first:last], predict, windows))
    return np.concatenate(bands), [len(band) for band in bands]


def itself(shown):
    return shown


@pytest.mark.parametrize("shape", [(48, 48), (100, 131), (47, 200), (200, 5), (1, 1), (49, 48)])
def test_a_network_that_returns_its_pixels_returns_the_image(shape):
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    found, _ = whole(image, itself, Windows(48))
    np.testing.assert_allclose(found, image, rtol=1e-5)


def test_of_an_image_no_more_than_a_band_is_held():
    image = np.zeros((1000, 60), np.float32)
    read = []

    def rows(first, last):
        read.append((first, last))
        return image[first:last]

    bands = predict_bands(image.shape, rows, itself, Windows(48))
    assert len(next(bands)) == 32
    assert read == [(0, 48)]
    assert sum(map(len, bands)) == 1000 - 32
    assert max(last - first for first, last in read) == 48


def test_the_middle_of_a_window_weighs_more_than_its_border():
    def sure_in_the_middle(shown):
        found = np.zeros_like(shown)
        found[:, 12:36, 12:36] = 1
        return found

    found, _ = whole(np.zeros((272, 272), np.float32), sure_in_the_middle, Windows(48))
    covered = np.zeros((272, 272))
    for top in Windows(48).starts(272):
        for left in Windows(48).starts(272):
            covered[top + 12 : top + 36, left + 12 : left + 36] = 1
    assert found[covered == 1].min() > 0.5
    assert found[covered == 0].max() == 0


def test_where_nothing_is_known_there_is_no_crater_and_the_rest_does_not_suffer():
    image = np.full((100, 100), 0.5, np.float32)
    image[20:60, :70] = np.nan
    seen = []

    def predict(shown):
        seen.append(np.isfinite(shown).all())
        return shown + np.float32(0.25)

    found, _ = whole(image, predict, Windows(48))
    assert all(seen)
    np.testing.assert_array_equal(found[np.isnan(image)], 0)
    np.testing.assert_allclose(found[~np.isnan(image)], 0.75, rtol=1e-6)


def test_small_images_are_padded_and_cropped_many_at_once():
    images = np.random.default_rng(0).random((1100, 5, 7), dtype=np.float32)
    shapes, done = [], []

    def predict(shown):
        shapes.append(shown.shape[1:])
        return shown

    found = predict_windows(images, predict, Windows(16), advance=done.append)
    np.testing.assert_array_equal(found, images)
    assert set(shapes) == {(16, 16, 1)}
    assert sum(done) == 1100
    assert len(done) < 10


def test_progress_counts_every_window():
    windows, done = Windows(48), []
    image = np.zeros((333, 222), np.float32)
    list(predict_bands(image.shape, lambda first, last: image[first:last], itself, windows, advance=done.append))
    assert sum(done) == windows.number(image.shape) == 10 * 7
