"""The config of a study that tests open."""

from __future__ import annotations

from craterbench.search.sweep_config import SweepConfig

PLAN = SweepConfig(
    name="s",
    created="2026-01-02T03:04:05Z",
    benchmark="logistic",
    fixed=[],
    search_only=[],
    pinned=[],
    vary={},
    definition={},
    versions={},
    frameworks=["scikit-learn"],
    space={"parameters": [], "kept": {}},
    data="0" * 64,
    objectives=["balanced_accuracy"],
    sampler="random",
    pruner="median",
    seed=0,
    epochs=9,
    trials=5,
    trial_timeout=None,
    confirm=1,
    confirm_with="scikit-learn",
)
