"""What finished runs are good for, from Python and from the shell; training is in scikit-learn, which is quick."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scored
from processes import PATIENCE

import craterbench
from craterbench.plugin import UserError
from craterbench.results.store import Store
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

SCRIPT = """
import json, sys
import numpy as np
import craterbench

print("this is said once")
runs = craterbench.run(
    "logistic", seeds=2, overrides={"dataset.name": "npz", "dataset.path": sys.argv[1], "training.epochs": 2},
    quiet=True,
)
images = np.load(sys.argv[1])["images"]
told = {
    "runs": [run.id for run in runs],
    "seeds": craterbench.runs()["seed"].tolist(),
    "rows": len(craterbench.table()),
    "epochs": len(runs[0].history),
    "mean": float(runs[0].predict(images).mean()),
    "frameworks": [name for name in sys.modules if name.startswith(("craterbench_frameworks.", "torch", "keras"))],
}
print(json.dumps(told))
"""


LATE = """
from craterbench.plugin import MetricSpec, hookimpl

@hookimpl
def bench_metrics():
    return [MetricSpec(
        name="called", summary="share of pixels called crater", label="called", statistic="late:called",
        formula="late:share", greater_is_better=True, scale="unit",
    )]

def called(probabilities, masks):
    import numpy as np
    found = (probabilities > 0.2).sum(axis=(1, 2, 3))
    return np.stack([found, np.full(len(masks), masks[0].size)], axis=1)

def share(sums):
    return sums[..., 0] / sums[..., 1]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which a script, as a person would write it, has trained two runs, and what it printed."""
    folder = tmp_path_factory.mktemp("api")
    part = synthetic(Synthetic(images=40, size=16)).train_val
    np.savez(folder / "mine.npz", images=part.images, masks=part.masks, groups=part.groups)
    (folder / "script.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, "script.py", str(folder / "mine.npz")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    return folder, ran


@pytest.fixture
def there(made, tmp_path):
    """A copy of that folder, whose data still lie where they lay, and its first run."""
    folder, _ = made
    shutil.copytree(folder / "results", tmp_path / "results")
    return craterbench.Run(Store(tmp_path / "results").records()[0][0].id, tmp_path / "results")


def test_a_script_without_a_guard_trains_in_workers_and_has_its_results(made):
    folder, ran = made
    first, told = ran.stdout.splitlines()  # a worker that ran the script, too, would say it again
    told = json.loads(told)
    records = Store(folder / "results").records()[0]
    assert (first, ran.stderr) == ("this is said once", "")
    assert told["runs"] == [record.id for record in sorted(records, key=lambda record: record.seed)]
    assert (sorted(told["seeds"]), told["rows"], told["epochs"], told["frameworks"]) == ([42, 43], 1, 2, [])
    assert 0 < told["mean"] < 1


def test_a_run_has_its_config_its_history_and_its_weights(there):
    assert there.config["training"]["epochs"] == 2
    assert there.config["dataset"]["name"] == "npz"
    assert list(there.history.index) == [1, 2]
    written = (there.folder / "history.csv").read_text().splitlines()
    assert (
        repr(float(there.history.loc[2, "val_loss"])) == written[2].split(",")[written[0].split(",").index("val_loss")]
    )
    assert there.weights["coef_"].shape == (1, 5)
    assert repr(there) == f"<Run {there.id}: logistic, seed {there.record.seed}, done>"


def test_what_a_run_predicts_is_what_its_weights_say(there):
    images = synthetic(Synthetic(images=4, size=16, seed=7)).train_val.images
    probabilities = there.predict(images)
    assert (probabilities.shape, probabilities.dtype) == (images.shape, np.float32)
    flat = there.predict(np.full((1, 16, 16), 0.5))  # nothing but the grey value, and the intercept, is left
    grey, intercept = there.weights["coef_"][0], there.weights["intercept_"][0]
    scores = np.log(flat / (1 - flat))
    assert float(scores.std()) < 1e-3
    assert min(abs(float(scores.mean()) - intercept - weight * 0.5) for weight in grey) < 1e-3


def test_images_are_shown_on_the_scale_of_the_run_s_data(tmp_path):
    """Of two runs on the same images, one of which had them in other units, each predicts for its own the same."""
    unit = np.random.default_rng(0).uniform(size=(12, 16, 16))
    unit[0, 0, :2] = 0, 1
    raw = -300 + 5000 * unit
    predicted = []
    for name, images, scale in (("unit", unit, "auto"), ("raw", raw, "minmax")):
        np.savez(tmp_path / f"{name}.npz", images=images, masks=unit > 0.7)
        settings = {"dataset.name": "npz", "dataset.path": str(tmp_path / f"{name}.npz"), "dataset.scale": scale}
        (run,) = craterbench.run(
            "logistic", overrides={**settings, "training.epochs": 2}, results=tmp_path / name, quiet=True
        )
        predicted.append(run.predict(images[3:6]))
    assert np.ptp(predicted[0]) > 0.01
    np.testing.assert_allclose(*predicted, rtol=1e-5)


def test_a_run_whose_counts_are_lost_gets_them_again(there):
    before, record = dict(np.load(there.folder / "statistics.npz")), (there.folder / "record.json").read_text()
    (there.folder / "statistics.npz").unlink()
    scores = craterbench.evaluate(there)
    after = np.load(there.folder / "statistics.npz")
    assert set(after) == set(before)
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array)
    kept = scored.scores(there.record.parts["validation"]["statistics"])
    assert scores.loc[(there.id, "validation"), "loss"] == pytest.approx(kept["loss"])
    again = json.loads((there.folder / "record.json").read_text())
    assert again["parts"]["validation"]["fingerprint"] == json.loads(record)["parts"]["validation"]["fingerprint"]
    newer = (there.folder / "record.json").stat().st_mtime_ns
    craterbench.evaluate(there)
    assert (there.folder / "record.json").stat().st_mtime_ns == newer  # it lacks nothing now


def test_a_statistic_that_came_after_a_run_is_added_and_what_was_there_is_kept(there, tmp_path, monkeypatch):
    plugin = tmp_path / "plugin"
    (plugin / "late-1.0.dist-info").mkdir(parents=True)
    (plugin / "late-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (plugin / "late-1.0.dist-info" / "entry_points.txt").write_text("[craterbench]\nlate = late\n")
    (plugin / "late.py").write_text(LATE)
    file = there.folder / "record.json"
    assert "late:called" not in file.read_text()
    kept = json.loads(file.read_text())["parts"]["validation"]
    monkeypatch.setenv("PYTHONPATH", str(plugin), prepend=os.pathsep)
    monkeypatch.syspath_prepend(plugin)
    before = craterbench.runs(tmp_path / "results")
    assert before["validation.called"].isna().all()
    scores = craterbench.evaluate(there)
    now = json.loads(file.read_text())["parts"]["validation"]
    assert {**now["statistics"], **kept["statistics"]} == now["statistics"]
    assert set(now["statistics"]) - set(kept["statistics"]) == {"late:called"}
    assert scores.attrs["notes"] == [f"{there.id}: added validation/late:called"]
    called = scores.loc[(there.id, "validation"), "called"]
    assert 0 <= called <= 1
    after = craterbench.runs(tmp_path / "results")
    assert after.loc[there.id, "validation.called"] == called
    assert float(after.loc[there.id, "validation.called"]) == now["statistics"]["late:called"][0] / (8 * 16 * 16)


def test_a_run_is_scored_on_other_data_and_its_record_stays(there, tmp_path, bench):
    files = {file.name: file.read_bytes() for file in there.folder.iterdir()}
    part = synthetic(Synthetic(images=30, size=16, seed=3)).train_val
    np.savez(tmp_path / "other.npz", images=part.images, masks=part.masks)
    scores = craterbench.evaluate([there], data=tmp_path / "other.npz")
    row = scores.loc[(there.id, "validation")]
    assert row["fingerprint"] != there.record.parts["validation"]["fingerprint"]
    assert row["num_images"] == 6
    shown = bench("evaluate", there.id[:-2], "--data", str(tmp_path / "other.npz"))
    assert f"{row['loss']:.4f}" in shown.stdout
    assert {file.name: file.read_bytes() for file in there.folder.iterdir()} == files


def test_data_that_have_changed_are_not_taken_for_its_own_and_those_that_have_moved_are(there, tmp_path):
    file = there.folder / "record.json"
    moved = tmp_path / "moved.npz"
    shutil.copy(there.config["dataset"]["path"], moved)
    changed = dict(np.load(moved))
    changed["images"] = changed["images"][::-1]
    np.savez(tmp_path / "changed.npz", **changed)
    file.write_text(file.read_text().replace(there.config["dataset"]["path"], str(tmp_path / "changed.npz")))
    with pytest.raises(UserError, match="the data of logistic are others now than it was trained on"):
        craterbench.evaluate(there.id, results=tmp_path / "results")
    (there.folder / "statistics.npz").unlink()
    craterbench.evaluate(there.id, data=moved, results=tmp_path / "results")
    assert (there.folder / "statistics.npz").is_file()


def test_what_cannot_be_had_is_named_with_its_cure(there, bench):
    def refused(*command):
        result = bench(*command)
        assert result.exit_code == 2, result.output
        return result.stderr

    assert f"did you mean '{there.id}'?" in refused("evaluate", there.id[:-1] + "x")
    assert "runs begin with '2'" in refused("evaluate", "2")
    assert "unknown key" in refused("evaluate", there.id, "--dataset", "mars-hrsc", "--data", "x")
    (there.folder / "weights.safetensors").unlink()
    said = refused("evaluate", there.id)
    assert f"{there.folder / 'weights.safetensors'}: there is no such file, and the run is done" in said


def test_a_search_is_a_frame_of_its_trials(tmp_path):
    trials = craterbench.sweep(
        "logistic",
        trials=3,
        vary=["optimizer.learning_rate"],
        fix={"dataset.name": "synthetic", "dataset.images": 30, "dataset.size": 16},
        epochs=2,
        confirm=0,
        results=tmp_path,
        quiet=True,
    )
    assert trials["state"].isin(["complete", "pruned"]).sum() == 3
    assert trials["optimizer.learning_rate"].nunique() == 3
    runs = craterbench.runs(tmp_path / "studies" / trials.attrs["study"])
    assert set(runs.index) == set(trials["run"])
    best = trials["balanced_accuracy"].idxmax()
    assert runs.loc[trials.loc[best, "run"], "validation.balanced_accuracy"] == trials.loc[best, "balanced_accuracy"]
    with pytest.raises(UserError, match="there is a study 'sweep-1' already"):
        craterbench.sweep("logistic", name="sweep-1", results=tmp_path)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = craterbench.runn
    assert {"run", "table", "Run"} <= set(dir(craterbench))
