"""A search among twins: what trains the trials, and what the best is confirmed in."""

from __future__ import annotations

from pathlib import Path

import pytest

from craterbench.plugin.registry import Registry
from craterbench.results.store import Store
from craterbench.search import setup
from craterbench.search.setup import create_sweep

SMALL = """
summary = "a small U-Net"
extends = "reference"
training.epochs = 2

[dataset]
name = "synthetic"
images = 40
test_images = 20
size = 16

[model]
filters = 4
depth = 2
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    (tmp_path / "small.toml").write_text(SMALL)
    return str(tmp_path / "small.toml")


def test_what_pytorch_found_is_certified_in_keras(small, bench):
    search = ("--benchmark", small, "--framework", "torch", "--confirm-with", "keras", "--workers", "1", "--name", "s")
    result = bench("sweep", *search, "--trials", "3", "--epochs", "1", "--vary", "optimizer,loss")
    assert result.exit_code == 0, result.output
    trials, damaged = Store(bench.results / "studies" / "s").records()
    assert (damaged, {trial.framework for trial in trials}) == ([], {"torch"})
    anew, damaged = Store(bench.results).records()
    assert (damaged, {run.framework for run in anew}) == ([], {"keras"})
    assert sorted((run.benchmark, run.seed) for run in anew) == [
        (name, seed) for name in ("s", "small") for seed in (42, 43, 44)
    ]
    assert {run.precision for run in anew} == {"float32"}
    assert "On the test part, which the search never saw," in " ".join(result.stdout.split())


@pytest.mark.parametrize(("computes", "framework"), [(True, "torch"), (False, "keras")])
def test_trials_train_in_bfloat16_where_the_processor_computes_in_it(small, monkeypatch, computes, framework):
    monkeypatch.setattr(setup, "computes_bfloat16", lambda device: computes)
    asked = {"name": "s", "framework": None, "settings": (), "epochs": None, "vary": (), "fix": (), "space_file": None}
    how = {"objectives": ["val_loss"], "sampler": "tpe", "pruner": "median", "seed": 0, "trials": 1, "device": "cpu"}
    anew = {"trial_timeout": None, "confirm": 1, "confirm_with": None}
    prepared = create_sweep(Registry.installed(), benchmark=small, **asked, **how, **anew)
    assert prepared.base.framework.name == prepared.config.confirm_with == framework
    assert prepared.base.training.precision == ("bfloat16" if computes else "float32")
    assert prepared.full_config([]).benchmark.training.precision == "float32"
