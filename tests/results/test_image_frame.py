from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from made_runs import run

import craterbench
from craterbench.metrics.metric import Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.results.image_frame import images_frame
from craterbench.results.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_a_row_for_each_image_of_each_run_and_part(store):
    records = [run(store, "reference", 1), run(store, "reference", 2), run(store, "dice", fold="2/3")]
    run(store, "broken", status="failed")
    frame = craterbench.per_image(store.root)
    assert len(frame) == 3 * 2 * 24
    for record in records:
        kept = store.statistics(record, "test")
        images = frame[(frame["run"] == record.id) & (frame["part"] == "test")]
        assert list(images["image"]) == list(range(24))
        np.testing.assert_array_equal(images["group"], kept["groups"])
        tp, fp, fn, _ = kept["confusion"].sum(axis=1).T
        np.testing.assert_array_equal(images["dice"], 2 * tp / (2 * tp + fp + fn))
        assert images["hausdorff_95"].isna().all()  # which these runs lack
    assert set(frame["fold"].dropna()) == {"2/3"}
    quartiles = frame.groupby(["benchmark", "part"])["dice"].describe()
    assert quartiles.loc[("reference", "test"), "count"] == 48


def test_a_tuned_metric_of_an_image_is_at_the_threshold_of_its_run(store):
    record = run(store, "reference", shift=-1.0)
    frame = craterbench.per_image(store.root)
    test = frame[frame["part"] == "test"]
    at = Statistics({"histogram": store.statistics(record, "test")["histogram"]}, test["group"].to_numpy())
    confusion = at.at_threshold(record.best_edge(Metrics().get("dice_tuned"))).of_images("confusion")
    tp, fp, fn, _ = confusion.T
    np.testing.assert_array_equal(test["dice_tuned"], 2 * tp / (2 * tp + fp + fn))
    assert test["dice_tuned"].mean() > test["dice"].mean()
    assert test["surface_dice_1"].notna().all()
    assert frame[frame["part"] == "validation"]["dice_tuned"].isna().all()  # there it would flatter


def test_the_command_prints_what_python_has(bench):
    store = Store(bench.results)
    run(store, "reference", 1)
    run(store, "dice", 2, skill=0.9)
    printed = bench("table", "--per-image", "--test")
    assert printed.exit_code == 0, printed.output
    read = pd.read_csv(io.StringIO(printed.stdout), dtype={"run": str})
    expected = craterbench.per_image(store.root)
    assert list(read) == list(expected)
    for name in ("run", "seed", "part", "image", "group"):
        assert list(read[name]) == list(expected[name])
    for name in ("dice", "loss", "sensitivity"):
        np.testing.assert_allclose(read[name], expected[name], rtol=1e-14)
    validation = list(csv.DictReader(bench("table", "--per-image").stdout.splitlines()))
    assert {row["part"] for row in validation} == {"validation"}
    refused = bench("table", "--per-image", "--format", "json", "--sort", "loss")
    assert refused.exit_code == 2
    assert "--sort, --format cannot be given with it" in refused.stderr


def test_a_run_whose_statistics_are_damaged_is_left_out_and_said(bench):
    store = Store(bench.results)
    kept, damaged = run(store, "reference", 1), run(store, "dice", 2)
    (store.folder(damaged) / "statistics.npz").write_bytes(b"no archive")
    printed = bench("table", "--per-image")
    assert {row["run"] for row in csv.DictReader(printed.stdout.splitlines())} == {kept.id}
    assert f"{store.folder(damaged) / 'statistics.npz'}: its images are left out: it is damaged" in printed.stderr


def test_a_folder_without_runs_has_the_columns(tmp_path):
    frame = images_frame(Store(tmp_path))
    assert len(frame) == 0
    assert {"run", "image", "dice"} <= set(frame)


def test_quartiles_over_images_are_columns(store):
    for seed in (1, 2):
        run(store, "reference", seed)
    images = images_frame(store, parts=["validation"])
    expected = images.groupby("run")["iou"].quantile([0.25, 0.5, 0.75]).unstack().mean()
    table = craterbench.table(store.root)
    shown = [table.loc["reference", ("validation", f"image_iou_{name}", "mean")] for name in (
        "lower_quartile", "median", "upper_quartile",
    )]  # fmt: skip
    np.testing.assert_allclose(shown, expected, rtol=1e-14)
