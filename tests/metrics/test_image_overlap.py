from __future__ import annotations

import numpy as np
import pytest
from random_parts import random_parts
from sklearn.metrics import f1_score, jaccard_score

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.intervals import confidence_interval
from craterbench.metrics.metric import Metrics

DICE, IOU = (Metrics().get(name) for name in ("image_dice", "image_iou"))


def test_the_mean_over_images_of_what_scikit_learn_says_of_each():
    for masks, probabilities in random_parts(200):
        evaluator = Evaluator(masks.astype(np.float32), masks, np.arange(len(masks)), [DICE, IOU])
        statistics = evaluator.count(probabilities)
        for metric, oracle in ((DICE, f1_score), (IOU, jaccard_score)):
            each = [
                oracle(mask.ravel(), called.ravel() > 0.5, zero_division=1.0)
                for mask, called in zip(masks, probabilities, strict=True)
            ]
            np.testing.assert_array_equal(metric(statistics.of_images("image_overlap")), each)
            assert statistics.value(metric) == pytest.approx(np.mean(each), rel=1e-14)


def test_each_image_weighs_the_same_and_the_mean_has_an_interval():
    masks = np.zeros((4, 4, 4, 1), np.uint8)
    masks[0, 0, 0] = masks[1:] = 1
    called = masks.astype(np.float32)
    called[0] = 0.0  # the one pixel of the first image is missed
    called[1, :2] = 0.0
    statistics = Evaluator(called, masks, np.arange(4), [DICE, IOU]).count(called)
    assert statistics.value(DICE) == pytest.approx((0 + 2 / 3 + 1 + 1) / 4)
    sure = confidence_interval([statistics], DICE)
    assert 0 < sure.low < sure.mean < sure.high < 1
