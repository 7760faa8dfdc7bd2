"""Statistics that are counted where a metric needs them, and at the end of every run."""

from __future__ import annotations

import json

import numpy as np
import pytest
from random_parts import random_parts

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.metric import Metrics
from craterbench.plugin.metric_spec import STATISTICS, STATISTICS_ON_DEMAND
from craterbench.results.statistics_file import read_statistics
from craterbench.results.store import Store, amend

SMALL = ("--dataset", "synthetic", "--set", "dataset.images=60", "--set", "dataset.size=16", "--set", "split.seed=1")
SHOWN = ("validation_surface_dice_1", "validation_object_f1", "validation_image_dice")


def shown(bench) -> list[str]:
    text = bench("table", "--columns", ",".join(SHOWN), "--format", "markdown").stdout
    return [cell.strip() for cell in text.splitlines()[2].strip("|").split("|")]


@pytest.mark.usefixtures("undrawn")
def test_a_run_has_them_and_an_old_one_gets_them_from_its_weights(bench):
    options = ("--set", "training.monitor=surface_dice_2", "--set", "optimizer.learning_rate=8", "--epochs", "4")
    result = bench("run", "logistic", *SMALL, *options, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    ((record,), _) = Store(bench.results).records()
    folder = Store(bench.results).folder(record)
    history = Store(bench.results).history(record)
    values = [row["surface_dice_2"] for row in history]
    assert len(set(values)) > 1
    assert record.best_epoch == 1 + int(np.argmax(values))
    sums = record.parts["validation"]["statistics"]
    assert Metrics().get("surface_dice_2").score(sums) == pytest.approx(max(values), rel=1e-14)
    assert not {"object_f1", "image_dice"} & history[0].keys()
    for part in ("validation", "test"):
        assert record.parts[part]["statistics"].keys() == {*STATISTICS, *STATISTICS_ON_DEMAND}
    now = shown(bench)
    assert "–" not in now

    content = json.loads((folder / "record.json").read_text())
    for part in content["parts"].values():
        part["statistics"] = {name: part["statistics"][name] for name in STATISTICS}
    kept = {part: read_statistics(folder, part) for part in content["parts"]}
    amend(folder, record, {part: {name: of[name] for name in (*STATISTICS, "groups")} for part, of in kept.items()})
    (folder / "record.json").write_text(json.dumps(content))
    assert shown(bench) == ["–"] * 3
    added = bench("evaluate", record.id)
    assert added.exit_code == 0, added.output
    for name in STATISTICS_ON_DEMAND:
        assert f"{record.id}: added test/{name}" in added.stdout
    assert shown(bench) == now


def test_an_evaluator_that_counted_before_counts_as_a_new_one():
    parts = list(random_parts(4))
    for masks, _ in parts:
        empty = np.zeros(masks.shape, np.float32)
        several = Evaluator(empty, masks, np.arange(len(masks)), Metrics())
        for _, other in [parts[0], parts[-1], (masks, empty)]:
            probabilities = np.resize(other, masks.shape)
            new = Evaluator(empty, masks, np.arange(len(masks)), Metrics()).count(probabilities)
            now = several.count(probabilities)
            for name in STATISTICS_ON_DEMAND:
                assert np.array_equal(now.arrays[name], new.arrays[name])
