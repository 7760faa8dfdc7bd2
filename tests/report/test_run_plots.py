from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.image import imread

from craterbench.data.dataset import IGNORED
from craterbench.report.run_plots import draw_curves, draw_samples
from craterbench.training.experiment import Samples

BLUE, ORANGE = (87, 181, 232), (230, 158, 0)


def shows(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(np.round(picture[..., :3] * 255) - colour).max(axis=-1) <= 1).sum() > 100)


def samples(called: np.ndarray) -> Samples:
    masks = np.zeros((3, 16, 16, 1), np.uint8)
    masks[:, 4:12, 4:12] = 1
    return Samples(masks.astype(np.float32) / 2, masks, called.astype(np.float32))


def test_a_sheet_paints_what_was_missed_and_what_was_invented_each_in_its_colour(tmp_path):
    path = tmp_path / "samples.png"
    nothing, everything = np.zeros((3, 16, 16, 1)), np.ones((3, 16, 16, 1))
    for called, missed, invented in ((nothing, True, False), (everything, False, True)):
        draw_samples(path, samples(called), "title")
        picture = imread(path)
        assert shows(picture, BLUE) == missed
        assert shows(picture, ORANGE) == invented
    draw_samples(path, samples(samples(nothing).masks), "title")
    assert not shows(imread(path), BLUE)


def test_a_pixel_that_nobody_knows_is_grey_and_neither_missed_nor_invented(tmp_path):
    shown = samples(np.ones((3, 16, 16, 1)))
    unknown = np.where(shown.masks == 1, shown.masks, np.uint8(IGNORED))
    draw_samples(tmp_path / "samples.png", replace(shown, masks=unknown), "title")
    picture = imread(tmp_path / "samples.png")
    assert shows(picture, (128, 128, 128))
    assert not shows(picture, BLUE)
    assert not shows(picture, ORANGE)


def test_curves_of_any_length_are_drawn_without_a_warning(tmp_path):
    for epochs in (1, 2, 48):
        rows = [
            {
                "epoch": epoch,
                "best": max(1, epoch // 2),
                "objective": 1 / epoch,
                "training_loss": 1 / epoch,
                "val_loss": 1.1 / epoch,
                "training_balanced_accuracy": 1 - 0.5 / epoch,
                "balanced_accuracy": 0.9 - 0.4 / epoch,
            }
            for epoch in range(1, epochs + 1)
        ]
        draw_curves(tmp_path / "curves.png", rows, "title")
        assert imread(tmp_path / "curves.png").shape == (480, 1200, 4)
