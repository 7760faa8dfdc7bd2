"""What is looked for before a training, and that the trials of a search do not look for it again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from craterbench.config.resolve import parse_override, resolve
from craterbench.data.dataset import Dataset, Subset, TrainVal
from craterbench.data.leakage import find_leaks
from craterbench.data.split import Fold
from craterbench.plugin.registry import Registry
from craterbench.training import audit
from craterbench.training.experiment import RunInfo, train


@pytest.fixture
def looked(monkeypatch) -> Counter[str]:
    """How often images were searched for copies in this process, which has found nothing yet."""
    times: Counter[str] = Counter()

    def counted(*parts, **options):
        times["leaks"] += 1
        return find_leaks(*parts, **options)

    monkeypatch.setattr(audit, "find_leaks", counted)
    monkeypatch.setattr(audit, "_found", {})
    return times


def shown(seed: int = 0) -> TrainVal:
    """Twenty images of which the last ten are the first, in a little more light: a leak wherever they are cut."""
    random = np.random.default_rng(seed)
    images = random.uniform(0, 0.9, (10, 16, 16, 1)).astype(np.float32)
    masks = (images > 0.6).astype(np.uint8)
    both = np.concatenate([images, images + np.float32(0.05)]), np.concatenate([masks, masks])
    return Dataset(Subset(*both, np.arange(20))).without_test()


def warnings(train_val: TrainVal, *settings: str, seed: int = 1, fold: Fold | None = None) -> tuple[str, ...]:
    common = ("training.epochs=1", "augmentation.copies=0")
    overrides = [parse_override(setting) for setting in (*common, *settings)]
    benchmark = resolve(Registry.installed(), "logistic", overrides).benchmark
    started: list[RunInfo] = []
    train(benchmark, seed=seed, train_val=train_val, fold=fold, on_start=started.append)
    return started[0].warnings


def test_trials_on_the_same_parts_do_not_look_for_copies_again_and_still_say_what_was_found(looked):
    train_val = shown()
    first = warnings(train_val)
    assert [warning for warning in first if "slightly changed" in warning]
    assert warnings(train_val, "optimizer.learning_rate=0.001", seed=2) == first
    assert looked["leaks"] == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda: warnings(shown(), "split.seed=7"),
        lambda: warnings(shown(), "split.validation=0.4"),
        lambda: warnings(shown(), fold=Fold(1, 2)),
        lambda: warnings(shown(seed=1)),
        lambda: warnings(shown(), "split.when=after-augmentation"),
    ],
    ids=["split seed", "share", "fold", "data", "order of splitting"],
)
def test_other_parts_are_looked_at(looked, other):
    warnings(shown())
    other()
    assert looked["leaks"] == 2


def test_what_validates_after_other_augmentations_is_looked_at(looked):
    for copies in (1, 2):
        warnings(shown(), "split.when=after-augmentation", f"augmentation.copies={copies}", "split.validation=0.6")
    assert looked["leaks"] == 2
