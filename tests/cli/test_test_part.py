"""A test part for data that bring none: cut, given, refused, scored, and reached by a search."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from craterbench.config.identity import run_identity
from craterbench.config.resolve import parse_override, resolve
from craterbench.plugin.registry import Registry
from craterbench.results.store import Store

pytestmark = pytest.mark.usefixtures("undrawn")


def write(path, groups=None, **arrays) -> str:
    """Write images that show their masks, so that a run finds something."""
    generator = np.random.default_rng(0)
    number = 40 if groups is None else len(groups)
    masks = (generator.uniform(size=(number, 8, 8)) > 0.7).astype(np.uint8)
    images = np.clip(120 * masks + generator.normal(60, 20, masks.shape), 0, 255).astype(np.uint8)
    groups = np.arange(number) // 2 if groups is None else np.array(groups)
    np.savez(path, images=images, masks=masks, groups=groups, **arrays)
    return str(path)


def asked(path: str, *more: str, benchmark: str = "constant") -> tuple[str, ...]:
    return ("run", benchmark, "--dataset", "npz", "--data", path, "--epochs", "1", *more)


def table(bench, *more: str) -> str:
    result = bench("table", "--format", "markdown", *more)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_share_of_own_data_is_the_test_part_and_another_run_than_without(bench, tmp_path):
    path = write(tmp_path / "my.npz")
    (plain,) = json.loads(bench(*asked(path, "--json")).stdout)
    assert set(plain["parts"]) == {"validation"}
    assert "test" not in plain["config"]["split"]
    shown = table(bench)
    assert "the epoch was chosen on these images" in shown
    assert "--test" not in shown
    assert "test part" not in table(bench, "--format", "html")
    refused = [bench("table", "--test"), bench("table", "--test", "--per-image")]
    assert [result.exit_code for result in refused] == [2, 2]
    for result in refused:
        assert "no run has a test part" in result.stderr
        assert "--set split.test=0.2" in result.stderr

    (cut,) = json.loads(bench(*asked(path, "--set", "split.test=0.2", "--json")).stdout)
    assert {name: part["num_images"] for name, part in cut["parts"].items()} == {"validation": 8, "test": 8}
    assert cut["dataset"]["digest"] == plain["dataset"]["digest"]
    assert cut["identity"] != plain["identity"]
    assert cut["config"]["split"]["test"] == 0.2
    assert "--test shows images that chose nothing" in table(bench)
    with_test = table(bench, "--test", "--where", "split.test=0.2")
    assert "npz, 8 images" in with_test
    assert "the test part has images that chose nothing" in with_test
    images = bench("table", "--test", "--per-image").stdout.splitlines()
    assert sum(",test," in line for line in images) == 8
    again = bench(*asked(path, "--set", "split.test=0.2"))
    assert "done already" in again.stderr


def test_the_scores_of_a_test_part_that_was_cut_can_be_had_again_from_the_weights(bench, tmp_path):
    path = write(tmp_path / "my.npz")
    (cut,) = json.loads(bench(*asked(path, "--set", "split.test=0.2", "--json", benchmark="logistic")).stdout)
    file = bench.results / "runs" / "logistic" / cut["id"] / "record.json"
    shortened = {**cut, "parts": {"validation": cut["parts"]["validation"]}}
    file.write_text(json.dumps(shortened))
    assert bench("evaluate", cut["id"]).exit_code == 0
    assert json.loads(file.read_text())["parts"]["test"]["statistics"] == cut["parts"]["test"]["statistics"]


@pytest.mark.parametrize(
    ("settings", "cause", "cure"),
    [
        (("--dataset", "synthetic", "--set", "split.test=0.2"), "have a test part of 50 images already", "leave out"),
        (("--dataset", "mars-hrsc", "--set", "split.test=0.1"), "have a test part of 150 images already", "leave out"),
        (("--dataset", "npz", "--set", "split.test=1.5"), "split.test: 1.5 is outside 0 to 0.9", ""),
        (("--dataset", "npz", "--set", "split.test=-0.1"), "split.test: -0.1 is outside 0 to 0.9", ""),
        (("--dataset", "npz", "--set", "split.test=0.01"), "cannot give 1% to the test part", "another split.test"),
        (("--dataset", "npz", "--set", "split.test=much"), "split.test: ", "number"),
    ],
    ids=["synthetic brings one", "mars-hrsc brings one", "too much", "below 0", "less than an image", "no number"],
)
def test_a_test_part_that_cannot_be_had_is_refused_with_the_cure(bench, tmp_path, settings, cause, cure):
    path = write(tmp_path / "my.npz", range(10))
    data = ("--data", path) if "npz" in settings else ()
    result = bench("run", "constant", *settings, *data)
    assert result.exit_code == 2, result.output
    assert cause in result.stderr
    assert cure in result.stderr
    assert "Traceback" not in result.stderr
    assert not any(record.parts for record in Store(bench.results).records()[0])


def test_folds_leave_the_test_part_alone(bench, tmp_path):
    path = write(tmp_path / "my.npz")
    result = bench(*asked(path, "--set", "split.test=0.2", "--folds", "2", "--json"))
    records = json.loads(result.stdout)
    assert len({record["parts"]["test"]["fingerprint"] for record in records}) == 1
    assert [record["parts"]["validation"]["num_images"] for record in records] == [16, 16]


@pytest.mark.parametrize(
    ("folds", "craters", "cure"),
    [("5", 4, "ask for --folds 4 or fewer"), ("11", 10, "ask for --folds 10 or fewer"), ("3", 1, "leave out --folds")],
)
def test_folds_without_craters_are_refused_before_the_first_is_trained(bench, tmp_path, folds, craters, cure):
    images = np.random.default_rng(0).uniform(size=(10, 8, 8))
    masks = np.zeros(images.shape, np.uint8)
    masks[:craters, 2:5] = 1
    np.savez(tmp_path / "few.npz", images=images, masks=masks)
    result = bench(*asked(str(tmp_path / "few.npz"), "--folds", folds))
    assert result.exit_code == 2, result.output
    (line,) = (line for line in result.stderr.splitlines() if "folds" in line)
    assert cure in line
    assert Store(bench.results).records() == ([], [])
    if folds == "5":
        possible = bench(*asked(str(tmp_path / "few.npz"), "--folds", "4", "--json"))
        assert {record["status"] for record in json.loads(possible.stdout)} == {"done"}


def test_a_run_on_parts_that_an_earlier_version_cut_otherwise_is_another_run_and_stays_in_a_row_of_its_own(
    bench, tmp_path
):
    path = write(tmp_path / "my.npz", [0] * 31 + list(range(1, 10)))
    (now,) = json.loads(bench(*asked(path, "--json")).stdout)
    assert (now["parts"]["validation"]["num_images"], now["dataset"]["split"]) == (8, "nearest")
    assert "done already" in bench(*asked(path)).stderr
    # such as an earlier version has left it, with 2 images
    overrides = [parse_override(each) for each in ("dataset.name=npz", f"dataset.path={path}", "training.epochs=1")]
    benchmark = resolve(Registry.installed(), "constant", overrides).benchmark
    before = run_identity(benchmark, data=now["dataset"]["digest"], seed=42, fold=None)
    assert before != now["identity"]
    folder = bench.results / "runs" / "constant"
    (folder / now["id"]).rename(folder / "20200101-000000-aaaa")
    file = folder / "20200101-000000-aaaa" / "record.json"
    then = {**now, "id": "20200101-000000-aaaa", "identity": before}
    then["dataset"] = {key: value for key, value in now["dataset"].items() if key != "split"}
    then["parts"] = {"validation": {**now["parts"]["validation"], "fingerprint": "0" * 16}}
    file.write_text(json.dumps(then))
    result = bench(*asked(path, "--json"))
    assert "done already" not in result.stderr
    (anew,) = json.loads(result.stdout)
    assert anew["identity"] == now["identity"]
    shown = table(bench)
    assert "constant (2 rows): split drawn and nearest" in shown.replace("\n", " ")
    refused = bench("evaluate", then["id"])
    assert refused.exit_code == 2
    assert "an earlier version cut its images in other parts" in refused.stderr
    assert json.loads(file.read_text()) == then


def test_runs_of_a_split_without_a_test_share_have_the_identity_that_they_had():
    """As the version before there was a ``split.test`` computed it."""
    data = "cf73a73386e1605887276c2434c3ea004659e64085c295f655ec408abb8c5502"
    known = {
        "reference": ("718cb56fbd864873", "4070d3d178654818"),
        "as-published": ("3ffb6d4cab17ec5a", "9a5b3c60073f0f24"),
        "logistic": ("1c5d4d85b1fab270", "33644a30d2a46651"),
    }
    for name, expected in known.items():
        for settings in ((), ("split.test=0",)):
            benchmark = resolve(Registry.installed(), name, [parse_override(each) for each in settings]).benchmark
            found = tuple(run_identity(benchmark, data=data, seed=1, fold=fold) for fold in (None, "2/5"))
            assert found == expected


# Searches

SEARCH = ("sweep", "scripted", "--vary", "model.quality", "--sampler", "random", "--epochs", "1", "--trials", "2")


@pytest.fixture
def own_data(script):
    """The scripted data without a test part."""
    script.change("Dataset(everything.take(rows[:30]), everything.take(rows[30:]))", "Dataset(everything)")
    return script


def test_a_search_on_own_data_reaches_the_test_part_in_its_confirmation(own_data, bench):
    result = bench(*SEARCH, "--fix", "split.test=0.25", "--name", "s")
    assert result.exit_code == 0, result.output
    assert "On the test part, which the search never saw" in result.output.replace("\n", " ")
    assert "no test part" not in result.output
    assert "The search never saw the test part" in (bench.results / "studies" / "s" / "study.html").read_text()
    trials, _ = Store(bench.results / "studies" / "s").records()
    assert [set(record.parts) for record in trials] == [{"validation"}] * 2
    confirmed, _ = Store(bench.results).records()
    assert {record.parts["test"]["num_images"] for record in confirmed} == {10}
    assert {record.parts["validation"]["num_images"] for record in (*trials, *confirmed)} == {6}
    assert len({record.parts["validation"]["fingerprint"] for record in (*trials, *confirmed)}) == 1
    shutil.rmtree(bench.results / "runs")


def test_a_search_of_data_without_a_test_part_says_how_to_have_one(own_data, bench):
    result = bench(*SEARCH, "--name", "s")
    assert result.exit_code == 0, result.output
    first, said = result.stderr.splitlines()[0], result.stdout.replace("\n", " ")
    assert first.startswith("the data have no test part")
    assert "--fix split.test=0.2 cuts one" in first
    assert "The data have no test part. On the validation part" in said
    assert "Another sweep with --fix split.test=0.2 cuts a test part" in said
    assert "The search never saw the test part" not in (bench.results / "studies" / "s" / "study.html").read_text()


def test_a_study_that_an_earlier_version_began_on_other_parts_does_not_go_on(own_data, bench):
    own_data.change("np.arange(40))", "np.array([0] * 31 + list(range(1, 10))))")
    assert bench(*SEARCH, "--name", "s", "--confirm", "0").exit_code == 0
    file = bench.results / "studies" / "s" / "study.json"
    config = json.loads(file.read_text())
    assert config.pop("drawn") is False
    assert bench("sweep", "--resume", "s", "--trials", "3").exit_code == 0
    file.write_text(json.dumps(config))
    refused = bench("sweep", "--resume", "s", "--trials", "4")
    assert refused.exit_code == 2
    assert "an earlier version, with which it began, cut the same images in other parts" in refused.stderr
