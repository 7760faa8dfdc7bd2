"""Craters of a mask whose rows come in bands, against SciPy on the whole mask."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from craterbench.prediction.craters import SMALLEST, CraterFinder


def found(mask, probabilities, heights):
    finder, row = CraterFinder(), 0
    for height in heights:
        finder.add(mask[row : row + height], probabilities[row : row + height])
        row += height
    assert row == len(mask)
    return finder.craters()


@pytest.mark.parametrize("heights", [[60], [1] * 60, [7, 13, 40], [59, 1]])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_bands_are_joined_as_if_there_were_none(heights, share):
    drawn = np.random.default_rng(int(share * 100))
    probabilities = drawn.random((60, 80), dtype=np.float32)
    mask = probabilities > 1 - share
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    areas = ndimage.sum_labels(mask, labels, range(1, number + 1))
    kept = np.flatnonzero(areas >= SMALLEST) + 1
    centres = np.array(ndimage.center_of_mass(mask, labels, kept)).reshape(-1, 2) + 0.5
    scores = ndimage.mean(probabilities, labels, kept)
    wanted = np.stack([centres[:, 1], centres[:, 0], 2 * np.sqrt(areas[kept - 1] / np.pi), scores], axis=1)
    wanted = wanted[np.lexsort((wanted[:, 0], wanted[:, 1]))]
    catalogue = found(mask, probabilities, heights)
    np.testing.assert_allclose(
        np.stack([catalogue.x, catalogue.y, catalogue.diameter, catalogue.score], axis=1), wanted
    )


def test_a_disc_has_its_diameter_and_its_place():
    y, x = np.mgrid[:100, :120] + 0.5
    mask = (x - 70.5) ** 2 + (y - 40) ** 2 <= 15**2
    catalogue = found(mask, np.where(mask, 0.75, 0.1).astype(np.float32), [33, 33, 34])
    assert len(catalogue) == 1
    assert (catalogue.x[0], catalogue.y[0]) == (pytest.approx(70.5), pytest.approx(40))
    assert catalogue.diameter[0] == pytest.approx(30, rel=0.01)
    assert catalogue.score[0] == pytest.approx(0.75)


def test_where_there_is_none_the_catalogue_is_empty():
    mask = np.zeros((10, 10), np.bool_)
    mask[3:5, 3:5] = True  # speckle
    assert len(found(mask, mask.astype(np.float32), [5, 5])) == 0
    assert len(found(mask & False, mask.astype(np.float32), [10])) == 0
    assert len(CraterFinder().craters()) == 0
