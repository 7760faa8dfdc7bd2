"""A PyTorch run that is broken off after any epoch goes on to the digits of an unbroken one."""

from __future__ import annotations

import pytest
from resuming import check_every_epoch

from craterbench.definition.overrides import parse_override, resolve
from craterbench.plugin.registry import Registry

SMALL = ("dataset.name=synthetic", "dataset.images=40", "dataset.test_images=8", "dataset.size=16", "model.filters=4")


@pytest.mark.parametrize(
    "settings",
    [
        ("model.dropout=0.3",),
        (
            "model.dropout=0.3",
            "optimizer.name=sgd",
            "optimizer.learning_rate=0.1",
            "optimizer.momentum=0.9",
            "augmentation.drawn=every-epoch",
        ),
    ],
)
def test_a_run_goes_on_from_any_epoch_to_the_same_digits(settings, tmp_path):
    overrides = [parse_override(setting) for setting in (*SMALL, "training.epochs=3", *settings)]
    check_every_epoch(resolve(Registry.installed(), "torch-twin", overrides).benchmark, tmp_path)
