from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_runs import counts, run
from metrics_plugin import found, outside_metrics
from scipy.spatial.distance import cdist
from sklearn.metrics import precision_score

from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.intervals import confidence_interval
from craterbench.metrics.metric import LOSS, Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.plugin import MetricSpec, UserError
from craterbench.plugin.metric_spec import STATISTICS, STATISTICS_ON_DEMAND
from craterbench.plugin.registry import Registry
from craterbench.results.store import Store
from craterbench.search.study import StudyView

#: So steep a rate that the metrics go up and down from epoch to epoch.
SMALL = (
    *("--dataset", "synthetic", "--epochs", "6", "--set", "dataset.images=100", "--set", "dataset.size=16"),
    *("--set", "optimizer.learning_rate=8"),
)


@pytest.fixture
def outside(tmp_path, monkeypatch, undrawn):
    outside_metrics(tmp_path / "outside", monkeypatch)


def trained(bench, *more: str) -> tuple[dict, list[dict[str, float]]]:
    result = bench("run", "logistic", *SMALL, *more, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    with (Path(bench.results) / "runs" / "logistic" / record["id"] / "history.csv").open() as file:
        return record, [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def statistics_of(bench, record) -> Statistics:
    store = Store(bench.results)
    (kept,) = (each for each in store.records()[0] if each.id == record["id"])
    return Statistics.beside(record["parts"]["validation"]["statistics"], store.statistics(kept, "validation"))


@pytest.mark.usefixtures("outside")
def test_a_metric_on_the_confusion_is_monitor_column_and_curve(bench):
    record, history = trained(bench, "--set", "training.monitor=precision")
    assert record["config"]["training"]["monitor"] == "precision"
    values = [row["precision"] for row in history]
    assert record["best_epoch"] == 1 + int(np.nanargmax(values))
    assert len(set(values)) > 1
    (tp, fp, fn, tn) = np.sum(record["parts"]["validation"]["statistics"]["confusion"], axis=0)
    truth, called = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn]), np.repeat([1, 1, 0, 0], [tp, fp, fn, tn])
    expected = precision_score(truth, called)
    assert values[record["best_epoch"] - 1] == expected
    (row,) = csv.DictReader(bench("table", "--format", "csv").stdout.splitlines())
    assert float(row["validation_precision"]) == expected
    page = bench("table", "--format", "html").stdout
    assert page.count("<figure><h3>logistic") == 2  # the curves of what it went by, and those over all thresholds


@pytest.mark.usefixtures("outside")
def test_a_metric_that_is_better_the_less_it_is_chooses_the_epoch_with_the_least(bench):
    record, history = trained(bench, "--set", "training.monitor=hausdorff_90")
    values = [row["hausdorff_90"] for row in history]
    assert record["best_epoch"] == 1 + int(np.nanargmin(values))
    sums, number = record["parts"]["validation"]["statistics"]["outside_formulas:hausdorff_90"]
    assert values[record["best_epoch"] - 1] == pytest.approx(sums / number)
    assert record["environment"]["components"]["metric hausdorff_90"] == 1


@pytest.mark.usefixtures("outside")
def test_a_statistic_of_its_own_is_what_a_search_over_all_pairs_of_pixels_finds():
    generator = np.random.default_rng(3)
    masks = (generator.uniform(size=(6, 9, 9, 1)) < 0.15).astype(np.uint8)
    masks[4] = 0
    probabilities = (generator.uniform(size=masks.shape) < 0.15).astype(np.float32)
    metric = Metrics.of(Registry.installed()).get("hausdorff_90")
    counted = Evaluator(masks.astype(np.float32), masks, np.arange(6), [metric]).count(probabilities)
    distances = []
    for mask, called in zip(masks[..., 0], probabilities[..., 0], strict=True):
        if mask.any() and called.any():
            apart = cdist(np.argwhere(mask), np.argwhere(called))
            distances.append(max(np.percentile(apart.min(axis=way), 90) for way in (0, 1)))
    assert 0 < len(distances) < 6
    assert counted.value(metric) == pytest.approx(np.mean(distances))
    sure = confidence_interval([counted], metric)
    assert sure.low < sure.mean < sure.high
    assert sure.mean - sure.low == pytest.approx(sure.high - sure.mean)  # a scale of its own: symmetric


@pytest.mark.usefixtures("outside", "script")
def test_a_statistic_of_its_own_has_a_column_with_its_interval(bench):
    result = bench("run", "scripted", "--set", "model.quality=0.7", "--seeds", "2", "--json", "--quiet")
    assert result.exit_code == 0, result.output
    metric = Metrics.of(Registry.installed()).get("objects_found")
    runs = [statistics_of(bench, record) for record in json.loads(result.stdout)]
    sure = confidence_interval(runs, metric)
    assert sure.low < sure.mean < sure.high
    (row,) = csv.DictReader(bench("table", "--format", "csv").stdout.splitlines())
    ends = [float(row[f"validation_objects_found{end}"]) for end in ("_low", "", "_high")]
    assert ends == pytest.approx([sure.low, sure.mean, sure.high])
    shown = bench("table", "--columns", "validation_objects_found", "--format", "markdown").stdout
    assert f"[{sure.low:.2f}, {sure.high:.2f}]" in shown


@pytest.mark.usefixtures("outside")
def test_every_run_is_scored_by_all_metrics_and_goes_by_none_but_its_own(bench):
    record, history = trained(bench, "--set", "training.monitor=balanced_accuracy")
    assert "outside_formulas:hausdorff_90" in record["parts"]["test"]["statistics"]
    assert not {"precision", "hausdorff_90"} & history[0].keys()
    assert not any(name.startswith("metric") for name in record["environment"]["components"])
    text = bench("table", "--columns", "validation_hausdorff_90,validation_precision", "--format", "markdown").stdout
    assert "validation Hausdorff 90 %" in text
    assert "| – | – |" not in text


@pytest.mark.usefixtures("outside", "script")
def test_a_search_aims_at_a_metric_of_a_plugin(bench):
    result = bench(
        "sweep", "--benchmark", "scripted", "--vary", "model.quality=0.2..0.9", "--trials", "4", "--epochs", "3",
        "--workers", "1", "--confirm", "0", "--name", "s", "--quiet", "--objective", "objects_found,precision",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "trials that no other beats in both objects found and precision" in " ".join(result.stdout.split())
    metrics = Metrics.of(Registry.installed())
    folder = bench.results / "studies" / "s"
    view = StudyView(folder, metrics)
    kept = {record.id: record for record in Store(folder).records()[0]}
    for trial in view.trials():
        record = kept[trial.record]
        sums = record.parts["validation"]["statistics"]
        assert trial.values == [metrics.get(name).score(sums) for name in ("objects_found", "precision")]
        assert record.monitor == "objects_found"
        assert {"objects_found", "precision"} <= Store(folder).history(record)[0].keys()
    assert len({trial.values[0] for trial in view.trials()}) > 1
    values = [trial.values for trial in view.trials()]
    best = view.best()[0]
    assert values[best][0] == max(first for first, _ in values)
    with pytest.raises(UserError, match="unknown metric 'objects_found'"):
        StudyView(folder)  # without the plugin nobody knows in which direction to go


@pytest.mark.usefixtures("outside")
def test_what_an_old_run_lacks_is_an_empty_cell(bench):
    store = Store(bench.results)
    run(store, "reference")
    shown = bench(
        "table", "--columns", "benchmark,validation_hausdorff_90,validation_precision", "--format", "markdown"
    )
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("| reference"))
    assert [cell.strip() for cell in line.split("|")[1:3]] == ["reference", "–"]
    assert "[" in line.split("|")[3]  # but what follows from the confusion is there
    assert bench("table", "--format", "csv").exit_code == 0


def test_val_loss_is_another_name_of_the_loss():
    assert Metrics().get("val_loss") == Metrics().get("loss") == LOSS
    assert LOSS.history_column == "val_loss"
    with pytest.raises(UserError, match="unknown metric 'los'; did you mean 'loss'"):
        Metrics().get("los")


def test_a_name_that_a_built_in_metric_has_is_not_taken_from_it():
    mine = MetricSpec(name="dice", summary="", statistic="confusion", formula="a:b", greater_is_better=False)
    assert Metrics([mine]).get("dice") == Metrics().get("dice")


GOOD = {"name": "mine", "summary": "", "statistic": "confusion", "formula": "a:b", "greater_is_better": True}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"formula": ""}, "metric 'mine': give a formula as 'module:attribute'; it has none"),
        ({"formula": "mine"}, "metric 'mine': give a formula as 'module:attribute'; 'mine' is none"),
        ({"statistic": "confusoin"}, "nobody collects a statistic 'confusoin'; did you mean 'confusion'"),
        ({"scale": "percent"}, "metric 'mine': unknown scale 'percent'; known: unit, log, linear"),
    ],
)
def test_a_spec_that_is_none_is_refused_by_name(wrong, said):
    with pytest.raises(ValueError, match=said.replace("'", ".")):
        MetricSpec(**GOOD | wrong)


def test_a_plugin_with_a_metric_without_a_formula_is_named_and_the_rest_goes_on(bench, tmp_path, monkeypatch):
    code = (
        "from craterbench.plugin import MetricSpec, hookimpl\n"
        "@hookimpl\n"
        "def bench_metrics():\n"
        "    return [MetricSpec(name='mine', summary='', statistic='confusion', greater_is_better=True)]\n"
    )
    found(tmp_path / "broken", monkeypatch, "broken", code)
    listed = bench("list").stdout
    assert "broken: bench_metrics raised ValueError: metric 'mine': give a formula" in listed
    assert "  balanced_accuracy" in bench("list", "metrics").stdout


BROKEN = """
import numpy as np
from craterbench.plugin import MetricSpec, hookimpl


@hookimpl
def bench_metrics():
    common = {"summary": "", "greater_is_better": True}
    return [
        MetricSpec(name="flat", statistic="confusion", formula="broken:flat", **common),
        MetricSpec(name="absent", statistic="confusion", formula="broken:absent", **common),
        MetricSpec(name="holes", statistic="broken:holes", formula="broken:first", **common),
        MetricSpec(name="one", statistic="broken:one", formula="broken:first", **common),
        MetricSpec(name="raises", statistic="broken:raises", formula="broken:first", **common),
    ]


def flat(sums):
    return sums


def first(sums):
    return sums[..., 0]


def holes(probabilities, masks):
    found = np.ones((len(masks), 2))
    found[1] = np.nan
    return found


def one(probabilities, masks):
    return np.ones(3)


def raises(probabilities, masks):
    raise ZeroDivisionError("no crater")
"""

SAID = {
    "flat": r"metric 'flat': its formula broken:flat returned shape \(4,\), not \(\)",
    "absent": "metric 'absent': its formula broken:absent cannot be imported",
    "holes": "metric 'holes': its statistic broken:holes is NaN or infinite in image 1",
    "one": r"metric 'one': its statistic broken:one returned shape \(3,\), not \(20, k\)",
    "raises": "metric 'raises': its statistic broken:raises raised ZeroDivisionError: no crater",
}


@pytest.fixture
def broken(tmp_path, monkeypatch, undrawn):
    found(tmp_path / "broken", monkeypatch, "broken", BROKEN)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("name", SAID)
def test_a_monitor_that_cannot_be_computed_is_named_with_its_target(bench, name):
    result = bench("run", "logistic", *SMALL, "--set", f"training.monitor={name}", "--quiet")
    assert result.exit_code != 0
    assert re.search(SAID[name], result.stderr + result.stdout), result.output


@pytest.mark.usefixtures("broken")
def test_a_run_that_goes_by_another_metric_only_lacks_what_cannot_be_counted(bench):
    record, _ = trained(bench)
    assert record["status"] == "done"
    assert record["parts"]["validation"]["statistics"].keys() == {*STATISTICS, *STATISTICS_ON_DEMAND}
    said = " ".join(record["warnings"])
    for name in ("holes", "one", "raises"):
        assert f"metric '{name}': its statistic broken:{name}" in said
    shown = bench("table", "--columns", "validation_flat")
    assert shown.exit_code == 2
    assert "metric 'flat': its formula broken:flat" in shown.stderr


@pytest.mark.usefixtures("undrawn")
def test_an_unknown_monitor_or_objective_is_refused_with_the_nearest(bench):
    refused = bench("run", "logistic", *SMALL, "--set", "training.monitor=sensitivty")
    assert refused.exit_code == 2
    assert "training.monitor: unknown metric 'sensitivty'; did you mean 'sensitivity'" in refused.stderr
    refused = bench("sweep", "--benchmark", "logistic", "--objective", "balanced")
    assert refused.exit_code == 2
    assert "unknown metric 'balanced'; did you mean 'balanced_accuracy'" in refused.stderr
    for twice in ("loss,val_loss", "dice,dice"):
        refused = bench("sweep", "--benchmark", "logistic", "--objective", twice)
        assert refused.exit_code == 2
        assert "they are one metric" in refused.stderr
    assert "give one metric or two" in bench("sweep", "--objective", "dice,iou,loss").stderr


def test_arrays_of_two_metrics_are_resampled_in_the_same_draws():
    """The mean over images of sensitivity, as a metric of one's own, has the interval of a mean."""
    images = counts("validation", 1, 0.8)
    alone = images.of_images("confusion").astype(float)
    rates = alone[:, 0] / (alone[:, 0] + alone[:, 2])
    own = Statistics(images.arrays | {"a:rates": np.stack([rates, np.ones(len(rates))], axis=1)}, images.groups)
    mean = MetricSpec(
        name="mean_sensitivity", summary="", statistic="a:rates", formula=lambda sums: sums[..., 0] / sums[..., 1],
        greater_is_better=True, scale="unit", weight=(1,),
    )  # fmt: skip
    sure = confidence_interval([own], Metrics([mean]).get("mean_sensitivity"))
    assert sure.mean == pytest.approx(rates.mean())
    assert 0 < sure.low < sure.mean < sure.high < 1
