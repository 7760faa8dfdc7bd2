from __future__ import annotations

import json
import re

import pytest

from craterbench.results.parity_verdicts import Verdict, standing, write_verdict

COMPONENTS = {"framework keras": 1, "framework torch": 1, "model unet": 2, "loss bce": 2, "dataset mars-hrsc": 1}
RUN = {"framework torch": 1, "model unet": 2, "loss bce": 2, "dataset other": 7}
PACKAGES = {"torch": "2.13.0", "keras": "3.15.1"}


def found(number: int, verdict: str = "equal", **changes) -> Verdict:
    fields = {
        "id": f"2026-{number}",
        "benchmarks": ("reference", "torch-twin"),
        "verdict": verdict,
        "components": COMPONENTS,
        "packages": PACKAGES,
        "precisions": ("float64", "float32"),
        "device": "cpu",
    }
    return Verdict(**fields | changes)


def of(results, components=RUN, **changes):
    asked = {"packages": {"torch": "2.13.0", "numpy": "2.4"}, "sources": {}, "precision": "float32", "device": "cpu"}
    return standing(results, components=components, **asked | changes)


def test_the_newest_verdict_that_holds_is_the_one(tmp_path):
    assert of(tmp_path) is None
    write_verdict(tmp_path, found(1, "different"))
    write_verdict(tmp_path, found(2))
    write_verdict(tmp_path, found(3, "different", components=COMPONENTS | {"model unet": 3}))  # of another version
    assert of(tmp_path) == "equal"


@pytest.mark.parametrize(
    "run",
    [
        {"components": RUN | {"model unet": 1}},
        {"components": RUN | {"loss dice": 1}},
        {"components": RUN | {"framework sklearn": 1}},
        {"packages": {"torch": "2.12.0"}},
        {"precision": "bfloat16"},
        {"device": "gpu"},
    ],
)
def test_a_verdict_holds_for_the_versions_that_were_compared_and_no_others(tmp_path, run):
    write_verdict(tmp_path, found(1))
    assert of(tmp_path, **run) is None


def test_an_optimizer_is_judged_by_what_has_its_version_and_by_what_is_older_as_it_was(tmp_path):
    run = RUN | {"optimizer adam": 1}
    write_verdict(tmp_path, found(1))
    assert of(tmp_path, run) == "equal"
    write_verdict(tmp_path, found(2, "different", components=COMPONENTS | {"optimizer adam": 1, "optimizer sgd": 1}))
    assert of(tmp_path, run) == "different"
    assert of(tmp_path, run | {"optimizer adam": 2}) == "equal"  # which only the older one can be thought to hold for


def test_what_a_plugin_edited_is_no_longer_what_was_compared(tmp_path):
    write_verdict(tmp_path, found(1, sources={"loss bce": "ab12", "dataset other": "cd34"}))
    assert of(tmp_path, sources={"loss bce": "ab12", "dataset other": "ef56"}) == "equal"
    assert of(tmp_path, sources={"loss bce": "ab13"}) is None


def test_what_cannot_be_read_is_no_verdict(tmp_path):
    file = write_verdict(tmp_path, found(1))
    no_mapping = json.dumps(json.loads(file.read_text()) | {"components": 3})
    for number, content in enumerate(("", "[]", '{"verdict": "equal"}', no_mapping), start=2):
        file.with_name(f"2026-{number}.json").write_text(content)
    assert of(tmp_path) == "equal"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(bench, tmp_path):
    (tmp_path / "file").write_text("")
    result = bench("parity", "--results", str(tmp_path / "file" / "results"))
    assert result.exit_code == 2
    assert "cannot be written; give another one with --results" in result.stderr


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("reference",), "takes two benchmarks, or none"),
        (("reference", "depth-2"), "model.depth is 3 and 2, both are in keras; a twin extends the other"),
        (("reference", "logistic"), "no twins: .*model.name is unet and logistic"),
        (("constant", "constant"), "both are in sklearn"),
        (("reference", "referense"), "did you mean 'reference'"),
    ],
)
def test_two_that_are_no_twins_are_refused_and_told_why(bench, names, said):
    result = bench("parity", *names)
    assert result.exit_code == 2
    assert re.search(said, result.stderr), result.stderr


def test_a_record_carries_the_verdict_that_holds_for_it(bench):
    arguments = ("run", "constant", "--dataset", "synthetic", "--set", "dataset.images=12", "--json")
    components = {"framework sklearn": 1, "model constant": 1, "loss bce": 2}
    write_verdict(bench.results, found(1, components=components, packages={}))
    (record,) = json.loads(bench(*arguments).stdout)
    assert record["parity"] == "equal"
