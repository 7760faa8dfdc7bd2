from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from made_runs import run
from rich.console import Console
from tables import notes, rendered, rows

from craterbench.plugin import PublishedResult, UserError
from craterbench.report.table.table import tabulate
from craterbench.report.table.table_text import render
from craterbench.results.store import Store

CLAIM = PublishedResult(
    dataset="mars-hrsc",
    name="published",
    summary="U-Net",
    source="slides, 2025",
    definition="a mean over batches",
    status="contradicted",
    reason="other | images",
    scores={"balanced_accuracy": 0.8867, "loss": 0.3383},
)


def break_counts(store, record, content=b"PK\x03\x04 cut short"):
    (store.folder(record) / "statistics.npz").write_bytes(content)


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_every_format_shows_the_same_numbers(store, form):
    for seed in (1, 2):
        run(store, "reference", seed)
        run(store, "dice", seed, skill=0.9)
    text = " ".join(rendered(store, form, columns=None).split())
    for row, line in zip(json.loads(rendered(store, "json"))["rows"], rows(store), strict=True):
        for key, sign in (("balanced_accuracy", ""), ("loss", ""), ("difference", "+")):
            name = f"validation_{key}"
            values = {field: row.get(f"{name}{field}") for field in ("", "_sd", "_low", "_high")}
            assert all(float(line[name + field]) == value for field, value in values.items() if value is not None)
            if row["benchmark"] == "dice" or not sign:
                assert f"{values['']:{sign}.4f}" in text
                assert f"[{values['_low']:{sign}.4f}, {values['_high']:{sign}.4f}]" in text
                assert sign or f"{values['']:.4f} ± {values['_sd']:.4f}" in text


def test_columns_are_chosen_in_any_order_and_yardsticks_together(store):
    run(store, "reference")
    run(store, "as-published", validation="others", protocol="after augmentation")
    (first, *_) = rows(store, columns=["validation_loss", "benchmark"])
    assert [key for key in first if not key.endswith(("_sd", "_low", "_high"))] == [
        "validation_by_group_loss",
        "validation_after_augmentation_loss",
        "benchmark",
    ]


def test_an_unknown_column_is_an_error_that_names_the_nearest(store):
    run(store, "reference")
    with pytest.raises(UserError, match="no column 'validation_los'; did you mean 'validation_loss'"):
        rows(store, columns=["validation_los"])
    with pytest.raises(UserError, match="no column 'spede'"):
        rows(store, sort="spede")
    with pytest.raises(UserError, match="--test adds"):
        rows(store, columns=["test_loss"])


def test_rows_are_sorted_by_a_column_and_those_without_a_value_come_last(store):
    run(store, "lost", status="failed")
    for name, skill in (("middle", 0.8), ("worst", 0.6), ("best", 0.95)):
        run(store, name, skill=skill)
    assert [row["benchmark"] for row in rows(store, sort="validation_balanced_accuracy")] == [
        "worst", "middle", "best", "lost",
    ]  # fmt: skip
    assert [row["benchmark"] for row in rows(store, sort="-validation_balanced_accuracy")] == [
        "best", "middle", "worst", "lost",
    ]  # fmt: skip


def test_a_score_that_is_not_defined_is_an_empty_cell(store):
    record = run(store, "reference")
    record.parts["validation"]["statistics"]["confusion"][0] = [0, 0, 0, 0]  # nothing has an edge
    console = Console(file=io.StringIO(), width=100)
    table = tabulate(store, [record], columns=["benchmark", "validation_rim_balanced_accuracy"])
    render(table, "markdown", console)
    assert "| reference | – |" in console.file.getvalue()


@pytest.mark.parametrize("how", ["missing", "cut short", "of another run"])
def test_counts_that_cannot_be_used_cost_their_row_its_interval_and_are_named(store, how):
    for seed in (1, 2):
        run(store, "reference", seed)
        bad = run(store, "dice", seed)
    whole = store.folder(bad) / "statistics.npz"
    if how == "missing":
        whole.unlink()
    elif how == "cut short":
        whole.write_bytes(whole.read_bytes()[:-200])
    else:
        whole.write_bytes((store.folder(run(store, "other")) / "statistics.npz").read_bytes())
    reference, dice = rows(store)[:2]
    assert float(dice["validation_balanced_accuracy"])
    assert dice["validation_balanced_accuracy_low"] == dice["validation_difference"] == ""
    assert reference["validation_balanced_accuracy_low"]
    assert f"{bad.id}/statistics.npz: no interval for its row" in notes(store)


@pytest.mark.parametrize("form", ["rich", "markdown", "json"])
def test_a_claim_stands_below_and_in_no_column_of_the_runs(store, form):
    run(store, "reference")
    text = rendered(store, form, published=[CLAIM], columns=None)
    assert "0.8867" in text
    assert "contradicted" in text
    if form == "markdown":
        assert "other \\| images" in text
    if form == "json":
        (published,) = json.loads(text)["published"]
        assert published["scores"] == {"balanced_accuracy": 0.8867, "loss": 0.3383}
        assert "0.8867" not in json.dumps(json.loads(text)["rows"])


def test_the_notes_say_what_a_column_was_scored_on(store):
    record = run(store, "reference")
    confusion = np.sum(record.parts["validation"]["statistics"]["confusion"], axis=0)
    share = confusion[[0, 2]].sum() / confusion.sum()
    assert f"validation: mars-hrsc, 24 images, 1536 pixels, {share:.1%} crater; split by group" in notes(store)


def test_that_the_epoch_was_chosen_on_validation_images_is_said_once_and_under_them(store):
    run(store, "reference")
    run(store, "as-published", validation="others", protocol="after augmentation")
    said = "the epoch was chosen on these images; --test shows images that chose nothing"
    assert [line for line in notes(store).splitlines() if "chosen on" in line] == [f"validation, by group: {said}"]
    assert "the epoch was chosen on these images; the test part has images that chose" in notes(store, test=True)
    assert "chosen on" not in notes(store, columns=["benchmark", "test_loss"], test=True)


@pytest.mark.parametrize("form", ["rich", "markdown", "json"])
def test_a_mixture_of_threads_and_devices_is_said_below_the_table(store, form):
    for seed, (threads, device) in enumerate([(1, "cpu"), (2, "cpu"), (2, "gpu")]):
        run(store, "dice", seed, environment={"threads": threads, "device": device, "packages": {}})
    table, said, _ = rendered(store, form, columns=None).partition(
        "dice: runs with threads 1 and 2, device cpu and gpu"
    )
    assert said
    assert "balanced" in table


def test_markdown_says_with_which_versions_and_on_which_machine(store):
    run(store, "reference", environment={"python": "3.11.7", "threads": 2, "packages": {"keras": "3.15.1"}})
    text = rendered(store, "markdown")
    assert "- reference: python 3.11.7, threads 2, keras 3.15.1" in text.split("Versions and machine:")[1]


def test_a_narrow_terminal_is_told_what_it_does_not_see(store):
    for seed in (1, 2):
        run(store, "reference", seed)
        run(store, "dice", seed, loss="dice")
    wide, narrow = (rendered(store, "rich", columns=None, width=width) for width in (140, 80))
    assert "left out" not in wide
    assert "left out, since the terminal is narrow" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_column_disappears_without_a_word_however_narrow_the_terminal(store, width):
    for benchmark in ("reference", "dice"):
        run(store, benchmark, loss="bce" if benchmark == "reference" else "dice")
    text = rendered(store, "rich", columns=None, width=width, test=True)
    assert "reference " in text.split("validation:")[0]
    assert "dice " in text.split("validation:")[0]


def test_what_was_scored_on_other_images_stands_in_a_table_of_its_own_where_one_is_too_wide(store):
    for data in ("north", "south", "east"):
        for benchmark in ("reference", "dice"):
            run(store, f"{benchmark}-{data}", validation=f"{data} validation", test=f"{data} test")
    run(store, "broken", status="failed", error="no memory")

    def tables(text: str) -> list[list[str]]:
        """Return which data each table shows, by the heading that starts it."""
        parts = text.split("fingerprint")[0].split("\n benchmark ")[1:]
        return [[name for name in ("north", "south", "east", "broken") if name in part] for part in parts]

    wide, narrow = (rendered(store, "rich", columns=None, width=width, test=True) for width in (400, 120))
    assert tables(wide) == [["north", "south", "east", "broken"]]
    assert tables(narrow) == [["north"], ["south"], ["east"], ["broken"]]
    assert max(map(len, narrow.splitlines())) <= 120


def test_a_table_of_what_cannot_be_read_says_why_and_what_to_do(bench):
    store = Store(bench.results)
    old = run(store, "reference")
    file = store.folder(old) / "record.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": 1}))
    result = bench("table")
    assert result.exit_code == 2
    assert f"{file}: left out: it is of the older schema 1, now 3: run its benchmark again" in result.stderr
    run(store, "dice")
    result = bench("table", "--format", "csv")
    assert result.exit_code == 0
    assert [row["benchmark"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["dice"]
    assert f"{file}: left out: it is of the older schema 1" in result.stderr
    for form in ("rich", "markdown", "json", "html"):  # they say it where they say all else
        result = bench("table", "--format", form)
        assert result.stderr == ""
        assert "older schema 1" in " ".join(result.stdout.split())
    assert "older schema 1" in json.loads(bench("table", "--format", "json").stdout)["notes"][-1]


def test_the_command_chooses_and_sorts(bench):
    store = Store(bench.results)
    run(store, "reference", skill=0.7)
    run(store, "dice", skill=0.9)
    chosen = bench("table", "--columns", "benchmark, runs", "--sort", "-validation_balanced_accuracy")
    assert [line.split() for line in chosen.stdout.splitlines() if "1 done" in line] == [
        ["dice", "1", "done"],
        ["reference", "1", "done"],
    ]
    result = bench("table", "--columns", "benchmarks")
    assert result.exit_code == 2
    assert "there is no column 'benchmarks'; did you mean 'benchmark'?" in result.stderr


@pytest.mark.parametrize("form", ["rich", "markdown", "json"])
def test_published_results_about_other_data_are_not_shown(store, form):
    run(store, "reference")
    text = rendered(store, form, published=[replace(CLAIM, dataset="course")], columns=None)
    assert "0.8867" not in text
    assert "slides" not in text
