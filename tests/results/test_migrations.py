"""Runs of schema 2, whose records had scores and whose images were counted in counts.npz."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tomli_w
from made_runs import run
from scored import scores
from tables import notes, rows

from craterbench.results.record import Record


def as_schema_2(store, record) -> None:
    """Rewrite a run as it was left then."""
    folder = store.folder(record)
    content = json.loads((folder / "record.json").read_text()) | {"schema": 2}
    config = content.pop("config")
    content |= {"framework": config["framework"], "model": config["model"]["name"], "loss": config["loss"]["name"]}
    content |= {**config["training"], "depth": config["model"].get("depth")}
    arrays = {}
    for part, scored in content["parts"].items():
        kept = store.statistics(record, part)
        told = {}
        for name, region in (("all", None), ("rim", "rim"), ("interior", "interior")):
            found = scores(scored["statistics"], region)
            told[name] = {key: None if np.isnan(value) else value for key, value in found.items()}
            told[name]["num_images"] = scored["num_images"]
        content["parts"][part] = {"yardstick": scored["fingerprint"], "scores": told}
        arrays[f"{part}_confusion"] = kept["confusion"]
        arrays[f"{part}_cross_entropy"] = kept["cross_entropy"][..., 0]
        arrays[f"{part}_groups"] = kept["groups"]
    (folder / "statistics.npz").unlink()
    np.savez_compressed(folder / "counts.npz", **arrays)
    (folder / "record.json").write_text(json.dumps(content))


def left(store) -> list[Record]:
    """Leave runs of two benchmarks, and of one in folds."""
    made = [
        run(store, name, seed, skill=skill) for name, skill in (("reference", 0.8), ("dice", 0.9)) for seed in (1, 2)
    ]
    return made + [run(store, "reference", 3, fold=f"{fold}/2", validation=f"fold {fold}") for fold in (1, 2)]


def test_old_runs_have_the_numbers_that_they_had(store):
    records = left(store)
    before, said = rows(store, test=True), notes(store, test=True)
    for record in records:
        as_schema_2(store, record)
    assert store.records()[1] == []
    now = rows(store, test=True)
    for old, new in zip(before, now, strict=True):
        assert old.keys() == new.keys()
        for key, value in old.items():
            try:
                assert float(new[key]) == pytest.approx(float(value), rel=1e-12), key
            except ValueError:
                assert new[key] == value
    assert notes(store, test=True) == said
    assert sum(value.endswith("_low") for value in now[0]) > 6
    assert all(now[1][f"test_{name}_low"] for name in ("balanced_accuracy", "difference", "loss", "iou"))


def test_what_was_counted_follows_from_the_old_scores_without_a_loss(store):
    record = run(store, "reference")
    before = store.records()[0][0].parts
    as_schema_2(store, record)
    now = store.records()[0][0].parts
    for part, scored in before.items():
        assert now[part]["statistics"]["confusion"] == scored["statistics"]["confusion"]
        entropy = np.array(now[part]["statistics"]["cross_entropy"])
        np.testing.assert_allclose(entropy, scored["statistics"]["cross_entropy"], rtol=1e-15)
        assert now[part].keys() == {"fingerprint", "num_images", "statistics"}


def test_a_rim_without_a_pixel_is_one_in_which_nothing_was_counted(store):
    record = run(store, "reference")
    as_schema_2(store, record)
    file = store.folder(record) / "record.json"
    content = json.loads(file.read_text())
    for part in content["parts"].values():
        nothing = dict.fromkeys(part["scores"]["rim"]) | {"num_images": 0, "num_pixels": 0, "num_crater_pixels": 0}
        part["scores"]["rim"] = nothing
    kept = Record.from_json(content).parts["validation"]["statistics"]
    assert kept["confusion"][0] == [0, 0, 0, 0]
    assert kept["cross_entropy"][0] == [0.0, 0]


def test_old_counts_of_another_run_are_not_those_of_this_one(store):
    mine, other = run(store, "reference"), run(store, "other")
    for record in (mine, other):
        as_schema_2(store, record)
    (store.folder(mine) / "counts.npz").write_bytes((store.folder(other) / "counts.npz").read_bytes())
    assert f"{mine.id}/counts.npz: no interval for its row: it does not belong to the record beside it" in notes(store)


@pytest.mark.parametrize("wrong", [None, {}, {"all": {}}, {"all": {}, "rim": {}, "interior": {}}])
def test_old_scores_that_are_none_leave_the_run_out(store, wrong):
    record = run(store, "reference")
    as_schema_2(store, record)
    file = store.folder(record) / "record.json"
    content = json.loads(file.read_text())
    content["parts"]["validation"]["scores"] = wrong
    file.write_text(json.dumps(content))
    records, (line,) = store.records()
    assert records == []
    assert "parts.validation" in line


@pytest.mark.parametrize("file", ["whole", "missing", "damaged"])
def test_the_config_of_an_old_run_is_its_benchmark_toml_or_what_its_record_says(store, file):
    mine = run(store, "reference", framework="torch", loss="dice", monitor="balanced_accuracy", depth=3)
    whole = tomli_w.dumps(mine.config | {"optimizer": {"name": "adam", "learning_rate": 1e-3}})
    if file != "missing":
        (store.folder(mine) / "benchmark.toml").write_text(whole if file == "whole" else whole[:-9])
    as_schema_2(store, mine)
    (read,) = store.records()[0]
    assert {key: read.config[key] for key in mine.config} == mine.config
    assert read.config.get("optimizer") == ({"name": "adam", "learning_rate": 1e-3} if file == "whole" else None)
    assert (read.framework, read.monitor, read.precision) == ("torch", "balanced_accuracy", "float32")
