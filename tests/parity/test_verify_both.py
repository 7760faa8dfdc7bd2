"""Twins put to the proof: real processes, one of each framework, with and without a fault planted in one of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import outside_framework
import pytest
from click.testing import Result
from installed import register
from processes import BENCH

from craterbench.execution.worker import WorkerProcess
from craterbench.parity import verify
from craterbench.parity.measure import ParityMeasurement

SMALL = """
summary = "a small twin"
extends = "reference"
framework = "{framework}"

[dataset]
name = "synthetic"
images = 60
size = 16

[model]
name = "faulty"
filters = 4
depth = 2
fault = "{fault}"
"""

ASKED = ("parity", "keras.toml", "torch.toml", "--device", "cpu", "--seeds", "0")


def write_twins(folder: Path, fault: str) -> None:
    for framework in ("keras", "torch"):
        (folder / f"{framework}.toml").write_text(SMALL.format(framework=framework, fault=fault))


@pytest.fixture
def site(tmp_path: Path) -> list[str]:
    """What is to be on the path for the plugin with the faults to be found as installed ones are."""
    register(tmp_path / "site", "faults")
    return [str(tmp_path / "site"), str(Path(__file__).parents[1] / "support")]


class KerasTwin:
    """The Keras twin, which no fault touches: one process for all tests, which measures once in each precision."""

    def __init__(self, child: WorkerProcess) -> None:
        self.stop = child.stop
        self._child = child
        self._measured: dict[str, ParityMeasurement] = {}

    def __enter__(self) -> KerasTwin:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave it to the next test."""

    def call(self, target: str, arguments: dict[str, Any], *, log: Path) -> Any:
        if not target.endswith(":measure"):
            return self._child.call(target, arguments, log=log)
        precision = arguments["task"].benchmark.training.precision
        if precision not in self._measured:
            self._measured[precision] = self._child.call(target, arguments, log=log)
        return dict(self._measured[precision])


@pytest.fixture(scope="module")
def keras_twin() -> Iterator[SimpleNamespace]:
    """Where the Keras twin is kept once a test has needed it."""
    kept = SimpleNamespace(twin=None)
    yield kept
    if kept.twin is not None:
        kept.twin.stop()


@pytest.fixture
def parity(site, keras_twin, bench, tmp_path, monkeypatch):
    """Run ``bench parity`` on a small network with a fault in its twin in PyTorch."""
    for folder in reversed(site):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def child(variables):
        if "KERAS_BACKEND" not in variables:
            return WorkerProcess(variables)
        keras_twin.twin = keras_twin.twin or KerasTwin(WorkerProcess(variables))
        return keras_twin.twin

    monkeypatch.setattr(verify, "WorkerProcess", child)

    def run(fault: str) -> Result:
        write_twins(tmp_path, fault)
        return bench(*ASKED)

    return run


def test_twins_are_equal_and_the_verdict_is_kept(site, tmp_path):
    write_twins(tmp_path, "none")
    path = os.pathsep.join([*site, os.environ.get("PYTHONPATH", "")])
    variables = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
    result = subprocess.run([BENCH, *ASKED], cwd=tmp_path, env=variables, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "are twins" in result.stdout
    measured = ("activation", "gradient, dice", "gradient, lovasz", "step 20, sgd", "step 1, adamw", "step 20, nadam")
    for what in (*measured, "gradient, tversky", "step 20, rmsprop", "crossed weights"):
        assert what in result.stdout
    (file,) = (tmp_path / "results" / "parity").iterdir()
    verdict = json.loads(file.read_text())
    assert verdict["verdict"] == "equal"
    assert verdict["components"].items() >= {"framework keras": 1, "framework torch": 2, "model faulty": 1}.items()
    assert verdict["packages"].keys() == {"tensorflow", "keras", "torch"}


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        ("own-adam", "float64 step 1, adam: over 1e-07, first at down_1_conv_1.kernel"),
        ("equal-epsilons", "float64 step 1, adam: over 1e-07, first at down_1_conv_1.kernel"),
        ("concatenation", "float64 activation: over 1e-09, first at up_2_conv_1"),
        ("kernel", "float64 activation: over 1e-09, first at down_2_conv_1"),
        ("dropout", "float64 activation: over 1e-09, first at up_1_conv_2"),
    ],
)
def test_a_fault_fails_and_its_place_is_named(parity, bench, fault, place):
    result = parity(fault)
    assert result.exit_code == 1, result.output
    assert "are NOT twins" in result.stdout
    named = [line.strip() for line in result.stdout.splitlines() if "first at" in line]
    assert named[0] == place
    if "adam" in fault or "epsilons" in fault:
        assert all(" adam: " in line for line in named)  # and nothing else is blamed
    (file,) = (bench.results / "parity").iterdir()
    assert json.loads(file.read_text())["verdict"] == "different"


def test_a_twin_that_raises_is_named_with_the_end_of_its_log(parity, bench):
    result = parity("raises")
    assert result.exit_code == 2
    assert "error: torch.toml cannot be measured; mend it first: RuntimeError: no such layer" in result.stderr
    assert 'raise RuntimeError("no such layer")' in result.stderr
    assert not bench.results.exists()


def test_a_framework_from_elsewhere_is_the_twin_of_the_reference(tmp_path):
    outside_framework.put(tmp_path)
    outside_framework.write_benchmarks(tmp_path, "keras", "outside")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [BENCH, "parity", "keras.toml", "outside.toml", "--device", "cpu", "--seeds", "0"]
    variables = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
    result = subprocess.run(command, cwd=tmp_path, env=variables, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "are twins" in result.stdout
