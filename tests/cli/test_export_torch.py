"""PyTorch runs as files that run without craterbench."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import exported
import numpy as np
import pytest

import craterbench
from craterbench.execution.finished import FinishedRun
from craterbench.metrics.histogram import EDGES
from craterbench.metrics.metric import TUNED
from craterbench.plugin import ExportSpec, UserError
from craterbench.plugin.registry import Registry
from craterbench.results.store import Store
from craterbench.training.export_weights import export_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return exported.trained("torch-twin", tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def predicted(run):
    return [run.predict(images[..., 0]) for images in exported.IMAGES.values()]


@pytest.fixture(scope="module")
def found(run):
    """What the worker found that wrote the file of ``written``."""
    return {}


@pytest.fixture(scope="module")
def written(run, found, tmp_path_factory):
    """A torch file where nobody has said where it goes."""
    call = FinishedRun.call
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("written"))
        patch.setattr(FinishedRun, "call", lambda *of, **named: found.setdefault("exported", call(*of, **named)))
        file = run.export("torch")
        return replace(file, path=file.path.absolute(), card=file.card.absolute())


@pytest.fixture
def record(run):
    """The run's ``record.json`` as a dictionary that is written back with ``record()`` and restored afterwards."""
    file = run.folder / "record.json"
    whole = file.read_text()
    content = json.loads(whole)
    yield content, lambda: file.write_text(json.dumps(content))
    file.write_text(whole)


def refusal(bench, run, *arguments):
    result = bench("export", str(run.folder), *arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


def test_an_onnx_file_gives_what_the_run_predicts_where_there_is_no_craterbench(run, predicted, bench, tmp_path):
    path = tmp_path / "network.onnx"
    result = bench("export", str(run.folder), "--to", "onnx", "--out", str(path))
    assert result.exit_code == 0, result.output
    assert "largest difference to what the run predicts: " in result.stdout
    assert "random images" not in result.stdout
    for ours, theirs in zip(exported.run_as_the_card_says(tmp_path / "network.onnx.md"), predicted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.ptp(predicted[1]) > 1e-3  # of a network that calls every pixel alike that would say little


def test_a_torch_file_gives_what_the_run_predicts_where_there_is_no_craterbench(written, predicted):
    for ours, theirs in zip(exported.run_as_the_card_says(written.card), predicted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_file_is_called_after_the_run_unless_it_is_named(run, written):
    assert written.path.name == f"torch-twin-{run.id}.pt2"
    assert written.card.name == f"{written.path.name}.md"


def test_the_card_has_what_the_record_has(run, written):
    facts, record = exported.facts(written.card), run.record
    assert facts["run"] == record.id
    assert (facts["dataset"], facts["licence"]) == ("synthetic", record.dataset["licence"])
    assert facts["provenance"] == record.dataset["provenance"]
    assert facts["threshold"] == EDGES[record.best_edge(TUNED)]
    assert facts["parts"] == {part: scored["num_images"] for part, scored in record.parts.items()}
    assert facts["largest_difference"] == written.export.largest_difference <= 1e-5
    table = craterbench.table(run.folder.parents[2], test=True)
    for part in ("validation", "test"):
        for name in ("balanced_accuracy", "balanced_accuracy_tuned", "auroc"):
            found = facts["scores"][part][name]
            if (part, name) == ("validation", "balanced_accuracy_tuned"):
                assert found is None  # at a threshold that it chose itself it would flatter
                continue
            in_table = table.iloc[0][part, name]
            assert (found["value"], found["low"], found["high"]) == pytest.approx(
                (in_table["mean"], in_table["low"], in_table["high"])
            )
    text = written.card.read_text(encoding="utf-8")
    assert '[dataset]\nname = "synthetic"' in text
    assert f"torch {record.environment['packages']['torch']}" in text


def test_a_run_in_half_the_digits_is_exported_in_single_precision(run, record, tmp_path):
    content, write = record
    content["config"]["training"]["precision"] = "bfloat16"
    write()
    written = craterbench.Run(str(run.folder)).export("torch", tmp_path / "network.pt2")
    assert written.export.largest_difference < 1e-6 < written.export.in_own_precision < 1e-1
    assert "The run itself predicts, and was scored, in bfloat16" in written.card.read_text(encoding="utf-8")


def test_the_card_says_where_each_image_was_stretched(run, record, written, tmp_path):
    assert "bring the lowest grey value of an image to 0" not in written.card.read_text(encoding="utf-8")
    content, write = record
    content["dataset"]["name"] = "tile"
    content["config"]["dataset"] = {"name": "tile", "path": str(tmp_path / "moved.tif")}
    write()
    again = craterbench.Run(str(run.folder)).export("torch", tmp_path / "network.pt2")
    assert "bring the lowest grey value of an image to 0" in again.card.read_text(encoding="utf-8")


def test_without_the_data_random_images_do_and_that_is_said(run, record, bench, tmp_path):
    content, write = record
    content["config"]["dataset"] = {"name": "npz", "path": str(tmp_path / "moved.npz")}
    write()
    path = tmp_path / "network.pt2"
    result = bench("export", str(run.folder), "--to", "torch", "--out", str(path))
    assert result.exit_code == 0, result.output
    assert "tried on random images" in result.stdout
    assert "random images" in path.with_name("network.pt2.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("difference", [1e-3, float("nan")])
def test_a_file_that_gives_something_else_is_not_kept(difference, run, written, found, monkeypatch, tmp_path):
    narrow, wide = found["exported"].probabilities
    wide = wide.copy()
    wide[0, 3, 5, 0] += difference
    differing = replace(found["exported"], probabilities=(narrow, wide))
    monkeypatch.setattr(FinishedRun, "call", lambda *of, **named: differing)
    with pytest.raises(UserError, match=r"exported to torch differs .* by up to (0\.001|nan).* was not kept"):
        run.export("torch", tmp_path / "network.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "onx"), "nothing can be exported to 'onx'; did you mean 'onnx'?"),
        (("--to", "onnx", "--out", "network.pt2"), "network.pt2: a file of onnx ends in .onnx"),
        (("--to", "onnx", "--out", "network"), "network: a file of onnx ends in .onnx"),
        (("--to", "torch", "--out", "nowhere/network.pt2"), "there is no folder nowhere; make it first"),
        (("--to", "torch", "--out", "there.pt2"), "there.pt2: is there already, and is not replaced"),
        (("--to", "torch", "--out", "card.pt2"), "card.pt2.md: is there already, and is not replaced"),
    ],
    ids=["unknown format", "suffix of another", "no suffix", "no folder", "file is there", "card is there"],
)
def test_what_cannot_be_written_is_refused_at_once(arguments, said, run, bench, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("there.pt2", "card.pt2.md"):
        (tmp_path / name).write_text("mine")
    assert said in refusal(bench, run, *arguments)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"there.pt2": "mine", "card.pt2.md": "mine"}


def test_onnx_that_is_not_installed_is_named_with_its_cure(run, bench, monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *of: None if name.startswith("onnx") else find(name, *of)
    )
    said = refusal(bench, run, "--to", "onnx", "--out", str(tmp_path / "network.onnx"))
    assert "export 'onnx' needs onnx, onnxruntime, onnxscript, which is not installed" in said
    assert "pip install 'craterbench[onnx]'" in said
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_model_are_refused_by_name(run, record, bench, tmp_path):
    content, write = record
    content["config"]["model"]["filters"] = 8
    write()
    said = refusal(bench, run, "--to", "torch", "--out", str(tmp_path / "network.pt2"))
    assert "weights.safetensors: these weights are of another model" in said
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_the_libraries_cannot_write_is_named_with_the_cause(run):
    finished = FinishedRun(Store(run.folder), str(run.folder))
    spec = ExportSpec(name="square", summary="", target="math:sqrt", suffix=".x", usage="")
    benchmark = finished.benchmark(Registry.installed(), ())
    with pytest.raises(UserError, match=r"network 'unet' cannot be exported to square: TypeError"):
        export_weights(benchmark, weights=finished.weights_file, export=spec, device="cpu")


def test_a_run_without_weights_is_refused(run, bench, tmp_path):
    weights, away = run.folder / "weights.safetensors", run.folder / "away"
    weights.rename(away)
    try:
        said = refusal(bench, run, "--to", "torch", "--out", str(tmp_path / "network.pt2"))
    finally:
        away.rename(weights)
    assert "weights.safetensors: there is no such file" in said
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_no_framework_here_writes_is_refused(run, record, bench, tmp_path):
    content, write = record
    content["config"] |= {"framework": "sklearn", "model": {"name": "logistic"}}
    write()
    said = refusal(bench, run, "--to", "onnx", "--out", str(tmp_path / "network.onnx"))
    assert "cannot be exported to onnx, which torch writes: model 'logistic' is not written for framework" in said
    assert list(tmp_path.iterdir()) == []
