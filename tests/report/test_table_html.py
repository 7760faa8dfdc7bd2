from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from made_runs import run
from parsed_page import Page

from craterbench.plugin import PublishedResult
from craterbench.report.table.table import tabulate
from craterbench.report.table.table_html import page
from craterbench.results.image_frame import images_frame
from craterbench.results.predictions_file import Predictions, write_predictions
from craterbench.results.store import Store

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
CLAIM = PublishedResult(
    dataset="mars-hrsc",
    name="c",
    summary="U-Net <i>",
    source="slides",
    definition="a mean & more",
    status="open",
    reason="other images",
    scores={"balanced_accuracy": 0.8867},
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def made(store, **options):
    return page(tabulate(store, store.records()[0], [CLAIM], columns=["all"], **options), store)


def two_rows(store):
    for seed in (1, 2):
        run(store, "reference", seed)
        record = run(store, "dice", seed, skill=0.9)
        (store.folder(record) / "samples.png").write_bytes(PNG)


def test_the_page_has_the_numbers_of_the_other_formats(bench):
    two_rows(Store(bench.results))
    parsed = Page(bench("table", "--test", "--format", "html").stdout)
    cells = [cell for row in parsed.rows for cell in row]
    rows = json.loads(bench("table", "--test", "--format", "json").stdout)["rows"]
    assert len(rows) == 2
    for row in rows:
        for name in (
            f"{part}_{key}" for part in ("validation", "test") for key in ("balanced_accuracy", "loss", "iou")
        ):
            mean, sd, low, high = (row[f"{name}{end}"] for end in ("", "_sd", "_low", "_high"))
            assert f"{mean:.4f} ± {sd:.4f}[{low:.4f}, {high:.4f}]" in cells
        for name in ("validation_rim_balanced_accuracy", "test_interior_balanced_accuracy"):
            assert f"{row[name]:.4f} ± {row[f'{name}_sd']:.4f}" in cells
    gained, low, high = (rows[1][f"test_difference{end}"] for end in ("", "_low", "_high"))
    assert f"{gained:+.4f}[{low:+.4f}, {high:+.4f}]" in cells


def test_the_samples_of_a_row_are_those_of_its_first_seed_and_say_so(store):
    for seed in (3, 1, 2):
        record = run(store, "dice", seed)
        (store.folder(record) / "samples.png").write_bytes(PNG + f"of seed {seed}".encode())
    parsed = Page(made(store))
    (samples,) = [source for source in parsed.sources if source.startswith("data:image/png")]
    assert base64.b64decode(samples.partition(";base64,")[2]) == PNG + b"of seed 1"
    assert "seed 1" in parsed.said


def test_a_mixture_of_threads_is_said_on_the_page(store):
    for threads in (1, 2):
        run(store, "dice", threads, environment={"threads": threads, "device": "cpu", "packages": {}})
    assert "<li>dice: runs with threads 1 and 2</li>" in made(store)


def test_the_page_needs_no_network_and_no_script(store):
    two_rows(store)
    text = made(store)
    parsed = Page(text)
    assert not {"script", "link", "iframe", "object", "base"} & set(parsed.tags)
    assert not re.search(r"url\(|@import|https?:", text)
    assert len(parsed.sources) == 3  # the curves of two rows and the samples of one
    for source in parsed.sources:
        kind, _, content = source.partition(";base64,")
        decoded = base64.b64decode(content)
        if kind == "data:image/svg+xml":
            assert not re.search(rb"<script|<image|href=\"[^#]|url\([^#]", decoded)
        else:
            assert (kind, decoded) == ("data:image/png", PNG)


def test_the_page_is_the_same_when_it_is_made_again(bench):
    two_rows(Store(bench.results))
    first, second = (bench("table", "--format", "html").stdout for _ in range(2))
    assert first == second


def test_what_others_wrote_is_shown_and_not_obeyed(store):
    name = "<b>&amp;<script>alert(1)"
    run(store, name, 1, overrides=["data.path='\"><img src=http://x>'"], warnings=["<i>moved"], loss="<u>")
    parsed = Page(made(store))
    assert not {"b", "i", "u", "script"} & set(parsed.tags)
    said = "".join(parsed.said)
    assert f"{name} data.path='\"><img src=http://x>'" in said
    assert "<i>moved" in said
    assert "U-Net <i>" in said
    assert all(source.startswith("data:") for source in parsed.sources)


def test_intervals_on_one_yardstick_are_drawn_on_one_scale(store):
    for name, skill in (("reference", 0.8), ("constant", 0.5), ("best", 0.95)):
        run(store, name, skill=skill)
    run(store, "as-published", validation="others", protocol="after augmentation")
    text = made(store)
    block = text.partition("<h2>validation, by group</h2>")[2].partition("</table>")[0]
    drawn = [re.search(r"</span><svg.*?<circle cx=\"([\d.]+)\"", line) for line in block.split("<tr>")]
    reference, constant, best = (float(first[1]) for first in drawn if first)
    assert constant < reference < best
    alone = text.partition("<h2>validation, after augmentation</h2>")[2].partition("</table>")[0]
    assert "as-published" in alone
    assert "<svg" not in alone  # one row has nothing to be compared with


def test_runs_without_curves_are_named(store):
    two_rows(store)
    records, _ = store.records()
    (store.folder(records[0]) / "history.csv").unlink()
    (store.folder(records[1]) / "history.csv").write_text("epoch,best\n1,one\n")
    (store.folder(records[2]) / "history.csv").write_text("epoch,best\n1,1\n")
    said = "".join(Page(made(store)).said)
    assert f"{records[0].id}/history.csv: no curve: it is missing" in said
    assert f"{records[1].id}/history.csv: no curve: it is damaged" in said
    assert f"{records[2].id}/history.csv: no curve: it is damaged" in said


def test_a_page_of_failures_alone_is_a_page(store):
    run(store, "reference", status="failed", error="out of memory")
    parsed = Page(made(store))
    assert "1 failed" in "".join(parsed.said)
    assert parsed.sources == []


def test_the_page_lists_the_images_that_the_reference_does_worst_on(store):
    two_rows(store)
    frame = images_frame(store, parts=["validation"])
    dice = frame.groupby(["benchmark", "image"])["dice"].mean()
    worst = dice["reference"].sort_values(kind="stable").index[:8]
    text = made(store)
    section = text.partition("<h2>Worst images</h2>")[2].partition("<h2>")[0]
    assert [int(image) for image in re.findall(r"image (\d+)<br>", section)] == list(worst)
    parsed = Page(section)
    rows = {row[0]: row[1:] for row in parsed.rows}
    for name in ("reference", "dice"):
        assert rows[name] == [f"{dice[name, image]:.4f}" for image in worst]
    assert made(store, test=True).count("does worst") == 2


def test_a_worst_image_is_drawn_with_what_each_row_called_crater(store):
    from io import BytesIO

    from PIL import Image

    masks = np.zeros((24, 8, 8, 1), np.uint8)
    masks[:, 2:6, 2:6] = 1
    found = np.full(masks.shape, 0.2, np.float32)
    found[:, 4:7, 2:6] = 0.9
    two_rows(store)
    for record in store.records()[0][:2]:
        kept = {"validation": Predictions.of(np.full(masks.shape, 0.4, np.float32), masks, found)}
        write_predictions(store.folder(record), kept)
    section = made(store).partition("<h2>Worst images</h2>")[2].partition("<h2>")[0]
    pictures = re.findall(
        r'<img alt="what (\S+) called crater in image \d+" src="data:image/png;base64,([^"]+)"', section
    )
    assert [name for name, _ in pictures] == ["reference"] * 8 + ["dice"] * 8
    colours = np.array(Image.open(BytesIO(base64.b64decode(pictures[0][1]))))
    crater, called = masks[0, ..., 0] == 1, found[0, ..., 0] > 0.5
    white, blue, orange = (colours[where] for where in (crater & called, crater & ~called, ~crater & called))
    assert (white == 255).all()
    assert (blue == (87, 181, 232)).all()
    assert (orange == (230, 158, 0)).all()
    assert len(white) == 8
    assert (colours[~crater & ~called].std(axis=-1) == 0).all()


def test_a_wide_block_is_cut_into_tables_that_fit_a_page(store):
    two_rows(store)
    block = made(store).partition("<h2>validation</h2>")[2].partition("<h2>")[0]
    heads = [Page(f"<table>{table.partition('</table>')[0]}</table>").rows[0] for table in block.split("<table>")[1:]]
    assert len(heads) > 1
    assert all(len(each) <= 9 and each[0] == "benchmark" for each in heads)
