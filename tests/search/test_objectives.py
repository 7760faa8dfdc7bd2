"""What a search goes by: metrics that know of no threshold, and what is said where one is not defined."""

from __future__ import annotations

import numpy as np
import pytest

from craterbench.results.store import Store
from craterbench.search.study import StudyView

SEARCH = (
    "sweep",
    "--benchmark",
    "logistic",
    "--trials",
    "2",
    "--confirm",
    "0",
    "--epochs",
    "2",
    "--name",
    "s",
    "--quiet",
)
SMALL = ("--dataset", "synthetic", "--fix", "dataset.images=12", "--fix", "dataset.size=16")


@pytest.mark.parametrize("objective", ["auroc", "average_precision", "balanced_accuracy_tuned"])
def test_a_search_goes_by_a_metric_at_every_threshold_in_every_epoch(bench, objective):
    result = bench(*SEARCH, *SMALL, "--objective", objective)
    assert result.exit_code == 0, result.output
    folder = bench.results / "studies" / "s"
    store = Store(folder)
    (trial,) = (trial for trial in StudyView(folder).trials() if trial.number == 0)
    (record,) = (record for record in store.records()[0] if record.id == trial.record)
    reached = [row[objective] for row in store.history(record)]
    assert trial.values == [max(reached)]
    assert trial.curve == reached


def test_an_objective_that_the_data_cannot_give_is_told_with_its_cause(bench, tmp_path):
    images = np.random.default_rng(0).random((12, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "full.npz", images=images, masks=np.ones((12, 16, 16), np.uint8))
    data = ("--dataset", "npz", "--data", str(tmp_path / "full.npz"))
    result = bench(*SEARCH, *data, "--objective", "auroc")
    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert "it has no AUROC: on the validation part, which may lack a class, that is not defined" in said
