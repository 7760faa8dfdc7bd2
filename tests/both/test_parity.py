"""Twins put to the proof: real processes, one of each framework, with and without a fault planted in one of them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from installed import register
from processes import BENCH

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


@pytest.fixture
def parity(tmp_path):
    """Run ``bench parity`` on a small network with a fault in one twin; the plugin is found as installed ones are."""
    register(tmp_path / "site", "faults")
    path = os.pathsep.join([str(tmp_path / "site"), str(Path(__file__).parent)])

    def run(fault: str) -> subprocess.CompletedProcess[str]:
        names = []
        for framework in ("keras", "torch"):
            names.append(f"{framework}.toml")
            (tmp_path / names[-1]).write_text(SMALL.format(framework=framework, fault=fault))
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
        command = [BENCH, "parity", *names, "--device", "cpu", "--seeds", "0"]
        return subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)

    return run


def test_twins_are_equal_and_the_verdict_is_kept(parity, tmp_path):
    result = parity("none")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "are twins" in result.stdout
    for what in ("activation", "gradient, dice", "gradient, focal", "step 20, sgd", "step 1, adamw", "crossed weights"):
        assert what in result.stdout
    (file,) = (tmp_path / "results" / "parity").iterdir()
    verdict = json.loads(file.read_text())
    assert verdict["verdict"] == "equal"
    assert verdict["components"].items() >= {"framework keras": 1, "framework torch": 1, "model faulty": 1}.items()
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
def test_a_fault_fails_and_its_place_is_named(parity, tmp_path, fault, place):
    result = parity(fault)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "are NOT twins" in result.stdout
    named = [line.strip() for line in result.stdout.splitlines() if "first at" in line]
    assert named[0] == place
    if "adam" in fault or "epsilons" in fault:
        assert all(" adam: " in line for line in named)  # and nothing else is blamed
    (file,) = (tmp_path / "results" / "parity").iterdir()
    assert json.loads(file.read_text())["verdict"] == "different"


def test_a_twin_that_raises_is_named_with_the_end_of_its_log(parity, tmp_path):
    result = parity("raises")
    assert result.returncode == 2
    assert "error: torch.toml cannot be measured; mend it first: RuntimeError: no such layer" in result.stderr
    assert 'raise RuntimeError("no such layer")' in result.stderr
    assert not (tmp_path / "results").exists()
