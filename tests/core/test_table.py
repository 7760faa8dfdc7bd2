from __future__ import annotations

import csv
import io
import json
import statistics

import pytest
from rich.console import Console

from craterbench.plugin import Claim
from craterbench.records.record import Record
from craterbench.report.table import render, tabulate

CLAIM = Claim(
    name="published",
    summary="",
    source="slides, 2025",
    reason="other images",
    scores={"balanced_accuracy": 0.8867, "loss": 0.3383},
)


def done(
    benchmark: str, seed: int, accuracy: float | None, *, yardstick: str = "aaa", test: str = "ttt", **changes
) -> Record:
    def scored(yardstick: str, accuracy: float | None):
        counted = {"num_images": 10, "num_pixels": 100, "num_crater_pixels": 25}
        return {"yardstick": yardstick, "scores": {"all": {"balanced_accuracy": accuracy, "loss": 0.5, **counted}}}

    number = len(made)
    made.append(number)
    fields = {
        "id": f"{number:06}",
        "benchmark": benchmark,
        "seed": seed,
        "status": "done",
        "started": "",
        "overrides": [],
        "definition": benchmark,
        "framework": "keras",
        "model": "unet",
        "loss": "bce",
        "monitor": "val_loss",
        "protocol": "by group",
        "precision": "float32",
        "environment": {},
        "epochs": 10,
        "dataset": {"name": "mars-hrsc", "digest": "d"},
        "parts": {"validation": scored(yardstick, accuracy), "test": scored(test, accuracy)},
    }
    return Record(**fields | changes)


made: list[int] = []


def rendered(records, form="csv", *, test=False, claims=()):
    console = Console(file=io.StringIO(), width=160)
    render(tabulate(records, claims, test=test), form, console)
    return console.file.getvalue()


def rows(records, **options):
    return list(csv.DictReader(io.StringIO(rendered(records, **options))))


def test_a_row_is_the_mean_and_deviation_over_seeds():
    values = [0.80, 0.83, 0.89]
    (row,) = rows([done("reference", seed, value) for seed, value in enumerate(values)])
    assert float(row["validation_balanced_accuracy"]) == statistics.fmean(values)
    assert float(row["validation_balanced_accuracy_sd"]) == statistics.stdev(values)
    assert row["runs"] == "3 done"


def test_of_runs_that_repeat_each_other_the_newest_counts():
    (row,) = rows([done("reference", 1, 0.7), done("reference", 1, 0.8)])
    assert row["runs"] == "1 done"
    assert float(row["validation_balanced_accuracy"]) == 0.8


def test_numbers_on_different_yardsticks_never_share_a_column():
    records = [done("reference", 1, 0.8), done("as-published", 1, 0.9, yardstick="bbb")]
    reference, published = rows(records, test=True)
    assert reference["validation_A_balanced_accuracy"] == "0.8"
    assert reference["validation_B_balanced_accuracy"] == ""
    assert published["validation_A_balanced_accuracy"] == ""
    assert published["validation_B_balanced_accuracy"] == "0.9"
    assert (reference["test_balanced_accuracy"], published["test_balanced_accuracy"]) == ("0.8", "0.9")


def test_more_yardsticks_than_letters_still_have_columns_of_their_own():
    records = [done(f"b{number}", 1, number / 100, yardstick=str(number)) for number in range(30)]
    for number, row in enumerate(rows(records)):
        scores = [v for k, v in row.items() if k.endswith("balanced_accuracy") and k.startswith("validation") and v]
        assert [float(score) for score in scores] == [number / 100]


def test_what_the_command_line_changed_is_a_row_of_its_own():
    records = [
        done("reference", 1, 0.8),
        done("reference", 1, 0.7, overrides=["training.epochs=3"], definition="other"),
    ]
    assert [row["benchmark"] for row in rows(records)] == ["reference", "reference training.epochs=3"]


def test_the_same_definition_on_other_data_is_a_row_of_its_own():
    other = {"name": "npz", "digest": "e"}
    assert len(rows([done("reference", 1, 0.8), done("reference", 1, 0.7, dataset=other, yardstick="bbb")])) == 2


def test_failures_stay_visible():
    failed = done("reference", 2, None, status="failed", parts={})
    (row,) = rows([done("reference", 1, 0.8), failed])
    assert row["runs"] == "1 done, 1 failed"
    assert row["validation_balanced_accuracy"] == "0.8"
    (row,) = rows([failed])
    assert row["runs"] == "1 failed"


def test_a_score_that_is_not_defined_is_an_empty_cell():
    assert "–" in rendered([done("reference", 1, None)], "rich")


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_every_format_shows_the_same_numbers(form):
    records = [done("reference", seed, value) for seed, value in enumerate([0.81234, 0.83456])]
    (row,) = json.loads(rendered(records, "json"))["rows"]
    mean, sd = row["validation_balanced_accuracy"], row["validation_balanced_accuracy_sd"]
    assert f"{mean:.4f} ± {sd:.4f}" in rendered(records, form)
    (line,) = rows(records)
    assert float(line["validation_balanced_accuracy"]) == mean


@pytest.mark.parametrize("form", ["rich", "markdown", "csv", "json"])
def test_a_claim_stands_below_and_in_no_column_of_the_runs(form):
    text = rendered([done("reference", 1, 0.8)], form, claims=[CLAIM])
    assert "0.8867" in text
    assert "not comparable" in text or form == "json"
    if form == "csv":
        claim = list(csv.DictReader(io.StringIO(text)))[-1]
        assert claim["validation_balanced_accuracy"] == ""
        assert claim["published_balanced_accuracy"] == "0.8867"


def test_the_notes_say_what_a_column_was_scored_on():
    text = rendered([done("reference", 1, 0.8)], "markdown")
    assert "validation: mars-hrsc, 10 images, 100 pixels, 25.0% crater; split by group" in text
