"""A framework of another distribution trains the reference, and is its twin."""

from __future__ import annotations

import json
import os
import subprocess

import outside_framework
import pytest
from processes import BENCH


def run(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    variables = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run([BENCH, *arguments], cwd=folder, env=variables, text=True, capture_output=True, check=False)


def test_it_trains_what_others_brought(tmp_path):
    outside_framework.put(tmp_path)
    outside_framework.write_benchmarks(tmp_path, "torch", "outside")
    result = run(tmp_path, "run", "torch.toml", "outside.toml", "--device", "cpu", "--json")
    assert result.returncode == 0, result.stderr
    assert "problem" not in run(tmp_path, "list").stdout
    torch, outside = json.loads(result.stdout)
    assert (outside["status"], outside["config"]["framework"]) == ("done", "outside")
    assert outside["parts"] == torch["parts"]  # it computes what PyTorch computes
    (tmp_path / "dice.toml").write_text('extends = "outside.toml"\nloss.name = "dice"\n')
    refused = run(tmp_path, "show", "dice.toml")
    assert "loss.name: loss 'dice' is not written for framework 'outside'; it is for keras, torch" in refused.stderr


@pytest.mark.parametrize("rate", [1.0, 1.001])
def test_it_is_put_to_the_proof_as_a_twin(tmp_path, rate):
    outside_framework.put(tmp_path, rate=rate)
    outside_framework.write_benchmarks(tmp_path, "torch", "outside")
    result = run(tmp_path, "parity", "torch.toml", "outside.toml", "--device", "cpu", "--seeds", "0")
    assert result.returncode == (0 if rate == 1 else 1), result.stdout + result.stderr
    assert ("are twins" in result.stdout) == (rate == 1)
    for what in ("gradient, bce", "step 20, adam", "crossed weights"):
        assert what in result.stdout
    assert "dice" not in result.stdout  # which it has no code for
    (file,) = (tmp_path / "results" / "parity").iterdir()
    verdict = json.loads(file.read_text())
    assert verdict["verdict"] == ("equal" if rate == 1 else "different")
    assert verdict["components"].items() >= {"framework outside": 1, "model unet": 1, "optimizer adam": 1}.items()
