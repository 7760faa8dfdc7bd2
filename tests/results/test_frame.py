from __future__ import annotations

import json
import math
import subprocess
import sys

import pandas as pd
import pytest
from made_runs import run
from scored import scores
from tables import numbers, rendered

import craterbench
from craterbench.results.frame import runs_frame
from craterbench.results.store import Store


def test_pandas_reads_from_the_csv_what_the_table_holds(store):
    for seed in (1, 2, 3):
        run(store, "reference", seed, depth=3)
        run(store, "dice", seed, loss="dice", skill=0.9, warnings=["a, b", 'say "c"'])
    run(store, "broken", status="failed")
    read = numbers(store, test=True).set_index("benchmark")
    shown = craterbench.table(store.root, test=True)
    assert list(read.index) == list(shown.index) == ["reference", "dice", "broken"]
    for part in ("validation", "test"):
        for metric in ("balanced_accuracy", "difference", "loss", "iou"):
            fields = ["mean", "low", "high"] if metric == "difference" else ["mean", "sd"]
            for field in fields:
                name = f"{part}_{metric}" + (f"_{field}" if field != "mean" else "")
                pd.testing.assert_series_equal(read[name], shown[part, metric, field], check_names=False, rtol=1e-14)
    assert shown.loc["dice", ("test", "balanced_accuracy", "low")] > 0
    assert math.isnan(shown.loc["broken", ("test", "loss", "mean")])
    assert read.loc["dice", "warnings"] == 'a, b; say "c"'
    assert (read.loc["reference", "depth"], shown.loc["dice", ("", "loss", "")]) == (3, "dice")
    assert list(shown["test", "balanced_accuracy"]) == ["mean", "sd", "low", "high"]  # a warning would be an error
    assert list(dict.fromkeys(part for part, _, _ in shown)) == ["", "validation", "test"]
    assert "<table" in shown._repr_html_()


def test_json_holds_the_same_numbers_to_the_last_digit(store):
    run(store, "reference")
    (row,) = json.loads(rendered(store, "json"))["rows"]
    read = numbers(store)
    assert row["validation_loss"] == pytest.approx(read["validation_loss"][0], rel=1e-14)
    assert (row["folds"], row["validation_loss_sd"], row["weights"]) == (None, None, 6)


def test_latex_is_what_latex_can_read(store):
    run(store, "my_50%_run", skill=0.9, warnings=["a & b"])
    text = rendered(store, "latex", columns=None)
    table, _, comments = text.partition("\\end{tabular}")
    assert "my\\_50\\%\\_run & " in table
    assert table.count("\\\\\n") == 2
    assert all(line.startswith("%") for line in comments.splitlines()[1:])


def test_a_results_folder_is_a_frame_of_a_row_for_each_run(store):
    mine = [run(store, "reference", seed, **{"model.filters": 16}) for seed in (1, 2)]
    run(store, "dice", fold="2/3", loss="dice", status="failed")
    frame = runs_frame(store)
    assert list(frame.index) == [record.id for record in store.records()[0]]
    sums = mine[1].parts["test"]["statistics"]
    row = frame.loc[mine[1].id]
    assert (row["benchmark"], row["seed"], row["model.filters"], row["loss.name"]) == ("reference", 2, 16, "bce")
    assert row["test.balanced_accuracy"] == scores(sums)["balanced_accuracy"]
    assert row["test.rim.dice"] == scores(sums, "rim")["dice"]
    assert (row["seconds.training"], row["peak_memory"]) == (3.0, 2 * 2**20)
    failed = frame.iloc[2]
    assert (failed["fold"], failed["status"], failed["loss.name"]) == ("2/3", "failed", "dice")
    assert pd.isna(failed["test.balanced_accuracy"])
    means = frame.groupby("loss.name")["validation.loss"].mean()
    assert means["bce"] == pytest.approx(sum(scores(r.parts["validation"]["statistics"])["loss"] for r in mine) / 2)


def test_a_folder_without_runs_is_an_empty_frame(tmp_path):
    frame = runs_frame(Store(tmp_path))
    assert (len(frame), "status" in frame) == (0, True)
    with pytest.raises(craterbench.plugin.UserError, match="no runs in"):
        craterbench.table(tmp_path)


@pytest.mark.parametrize("command", [["--help"], ["list"], ["table", "--help"], ["show", "reference"]])
def test_a_command_that_shows_no_numbers_imports_no_pandas(command):
    code = (
        "import sys; from craterbench.cli.main import main; main(sys.argv[1:], standalone_mode=False); "
        "print([name for name in ('pandas', 'craterbench.api') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
