"""Prediction by the weights of finished runs, of one or of several whose probabilities are added up; in a worker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.padding import pad_to_multiple
from craterbench.data.split import Fold
from craterbench.metrics.metric import Metrics
from craterbench.training.experiment import Evaluation, open_weights, score
from craterbench.training.parts import scored_parts
from craterbench.training.session import Session, image_multiple

__all__ = ["TTA", "Member", "predict_parts", "predict_sum", "score_parts", "symmetries"]

#: The sets of symmetries that test-time augmentation knows, each as (quarter turns, whether it is mirrored afterwards).
#: Together they are all eight of the square.
TTA = {
    "flips": ((0, False), (0, True), (2, False), (2, True)),
    "turns": ((0, False), (1, False), (2, False), (3, False)),
}

_ALL = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))

#: The sessions of this process, the oldest first: one for each file of weights and shape of images.
_sessions: dict[tuple[Path, tuple[int, ...], str], Session] = {}

#: How many of them are kept: a folder of pictures has many shapes.
_SESSIONS = 32


@dataclass(frozen=True, eq=False)
class Member:
    """A finished run: its benchmark and the file of its weights."""

    benchmark: BenchmarkConfig
    weights: Path


def symmetries(tta: Sequence[str]) -> tuple[tuple[int, bool], ...]:
    """Return the symmetries under which an image is shown: the identity alone without test-time augmentation."""
    if {*tta} >= TTA.keys():
        return _ALL
    return TTA[tta[0]] if tta else ((0, False),)


def predict_sum(
    members: Sequence[Member], images: npt.NDArray[np.float32], *, tta: Sequence[str] = (), device: str = "auto"
) -> npt.NDArray[np.float32]:
    """Return the probabilities of the members, added up, each a mean over the symmetries of test-time augmentation.

    Images of a size that a network cannot take are padded by reflection, and what is predicted is cropped.

    Args:
        members: of one framework; the process keeps their sessions for the next call.
        images: float32 (N, H, W, 1) in [0, 1].
        tta: names of ``TTA``.
        device: ``auto``, ``cpu`` or ``gpu``.

    Returns:
        float32 (N, H, W, 1).

    Raises:
        UserError: weights are missing or of another model.
    """
    padded, crop = pad_to_multiple(images, math.lcm(*(image_multiple(member.benchmark) for member in members)))
    total = np.zeros(padded.shape, np.float32)
    views = symmetries(tta)
    for member in members:
        for turns, mirrored in views:
            shown = np.rot90(padded, turns, axes=(1, 2))
            shown = np.ascontiguousarray(shown[:, :, ::-1] if mirrored else shown)
            found = _session(member, shown.shape[1:3], device).predict(shown)
            total += np.rot90(found[:, :, ::-1] if mirrored else found, -turns, axes=(1, 2))
    return (total / np.float32(len(views)))[crop] if len(views) > 1 else total[crop]


def predict_parts(
    members: Sequence[Member], *, fold: Fold | None = None, tta: Sequence[str] = (), device: str = "auto"
) -> dict[str, npt.NDArray[np.float32]]:
    """Return what ``predict_sum`` does for the images of each scored part of the first member's data."""
    parts = scored_parts(members[0].benchmark, fold).parts
    return {name: predict_sum(members, part.images, tta=tta, device=device) for name, part in parts.items()}


def score_parts(
    benchmark: BenchmarkConfig, *, fold: Fold | None = None, probabilities: Mapping[str, npt.NDArray[np.float32]]
) -> Evaluation:
    """Score what several runs have predicted for the scored parts of a benchmark's data; no framework is needed.

    Args:
        probabilities: by the name of the part.

    Raises:
        UserError: the data cannot be had.
    """
    data = scored_parts(benchmark, fold)
    warnings: list[str] = []
    metrics = Metrics(benchmark.metrics)
    scored = {name: score(part, probabilities[name], metrics, warnings) for name, part in data.parts.items()}
    return Evaluation(data.digest, scored, tuple(dict.fromkeys(warnings)), data.drawn)


def _session(member: Member, image_shape: tuple[int, ...], device: str) -> Session:
    key = member.weights, image_shape, device
    if key not in _sessions:
        if len(_sessions) >= _SESSIONS:
            del _sessions[next(iter(_sessions))]
        _sessions[key] = open_weights(member.benchmark, member.weights, image_shape, device)
    return _sessions[key]
