"""Runs as a results folder holds them, made without training: counts are drawn, and scores follow from the counts."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from scored import made

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.results.record import Record
from craterbench.results.store import Store

PIXELS = 64


def counts(images: str, seed: object, skill: float, num_images: int = 24) -> Statistics:
    """Draw counts on the images of that name, which are the same for all who are scored on them."""
    masks = _generator(images)
    crater = masks.integers(8, 24, size=(num_images, 2))
    groups = np.sort(masks.integers(0, 8, size=num_images))
    network = _generator(images, seed, skill)
    hit = network.binomial(crater, skill)
    kept = network.binomial(PIXELS // 2 - crater, skill)
    confusion = np.stack([hit, PIXELS // 2 - crater - kept, crater - hit, kept], axis=-1)
    return made(confusion.astype(np.int64), network.gamma(2.0, 5.0, size=(num_images, 2)), groups)


def config(changes: dict[str, Any]) -> dict[str, Any]:
    """Take the keys of a config out of ``changes``, dotted or as people call them, and return it with these values."""
    short = {"loss": "loss.name", "monitor": "training.monitor", "depth": "model.depth"}
    made: dict[str, Any] = {
        "framework": changes.pop("framework", "sklearn"),
        "model": {"name": "constant"},
        "loss": {"name": "bce"},
        "training": {"monitor": "val_loss", "precision": "float32"},
    }
    for key in [key for key in changes if key in short or "." in key]:
        section, name = short.get(key, key).split(".")
        made.setdefault(section, {})[name] = changes.pop(key)
    return made


def predicted(images: str, seed: object, skill: float, shift: float = 0.0, num_images: int = 24) -> Statistics:
    """Score predictions on the images of that name, which are the same for all who are scored on them.

    Args:
        skill: how far apart the logits of crater and background pixels lie on average, in standard deviations.
        shift: by how much all logits are too great: an untuned threshold.
    """
    drawn = _generator(images)
    masks = (drawn.random((num_images, 16, 16, 1)) < drawn.uniform(0.1, 0.4)).astype(np.uint8)
    groups = np.sort(drawn.integers(0, 8, size=num_images))
    hard = drawn.standard_normal(masks.shape)
    own = _generator(images, seed, skill, shift).standard_normal(masks.shape)
    logits = skill * (masks - 0.5) + 0.9 * hard + 0.4 * own + shift
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return Evaluator(np.zeros(masks.shape, np.float32), masks, groups, Metrics()).count(probabilities)


def run(
    store: Store,
    benchmark: str,
    seed: int = 1,
    *,
    skill: float = 0.8,
    shift: float | None = None,
    num_images: int = 24,
    **changes: Any,
) -> Record:
    """Leave a run that is done, or as ``changes`` say; runs are as old as their order.

    Args:
        skill: how good it is.
        shift: as for ``predicted``, from which its statistics are then; else they are made from counts.
        validation: the name of the images that validated.
        test: the name of the images that tested.
        num_images: how many images each of them has.
    """
    number = len(list(store.runs.glob("*/*")))
    images = {part: changes.pop(part, part) for part in ("validation", "test")}
    network = benchmark, seed, changes.get("fold")
    drawn = {
        part: counts(name, network, skill, num_images)
        if shift is None
        else predicted(name, network, skill, shift, num_images)
        for part, name in images.items()
    }
    fields: dict[str, Any] = {
        "id": f"{number:06}",
        "benchmark": benchmark,
        "seed": seed,
        "status": "done",
        "started": "2026-01-01T00:00:00+00:00",
        "overrides": [],
        "definition": benchmark,
        "config": config(changes),
        "protocol": "by group",
        "environment": {"craterbench": "0.1", "python": "3.11.1", "packages": {"numpy": "2.0"}, "machine": "Linux"},
        "epochs": 10 + seed,
        "best_epoch": 2,
        "dataset": {"name": "mars-hrsc", "digest": "d"},
        "num_weights": 6,
        "seconds": {"training": 1.5 * seed},
        "images_per_second": 100.0 * seed,
        "peak_memory": seed * 2**20,
        "parts": {
            part: {
                "fingerprint": hashlib.sha256(images[part].encode()).hexdigest()[:16],
                "num_images": num_images,
                "statistics": drawn[part].sums(),
            }
            for part in images
        },
    }
    if changes.get("status", "done") != "done":
        fields |= {"parts": {}, "dataset": {"name": "mars-hrsc"}}
    record = Record(**fields | changes)
    folder = store.begin(record)
    if record.parts:
        folder.write_statistics({part: {**of.arrays, "groups": of.groups} for part, of in drawn.items()})
        folder.write_history(
            {"epoch": epoch, "best": epoch, "val_loss": 1 / epoch, "balanced_accuracy": 1 - 1 / (epoch + seed)}
            for epoch in (1, 2, 3)
        )
    folder.finish(record)
    return record


def _generator(*key: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(repr(key).encode()).digest()))
