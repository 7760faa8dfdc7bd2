"""A network that was trained with one thread goes on with one, to the digits of a run that was not broken off."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from processes import BENCH, started

ASKED = ("torch-twin", "--dataset", "synthetic", "--set", "dataset.images=40", "--set", "model.filters=4")
ASKED += ("--epochs", "40", "--set", "training.patience=40")


def run(results: Path, *more: str) -> dict:
    command = [BENCH, "run", *ASKED, "--results", str(results), "--json", *more]
    (record,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return record


def test_a_run_that_began_beside_others_goes_on_alone_to_the_same_digits(tmp_path):
    beside = ("--workers", "1000")  # one thread each
    unbroken = run(tmp_path / "unbroken", *beside)
    process = started([BENCH, "run", *ASKED, "--results", str(tmp_path / "broken"), *beside], until="epoch 3/")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    resumed = run(tmp_path / "broken", "--workers", "1", "--resume")
    assert (resumed["environment"]["threads"], resumed["epochs"]) == (1, 40)
    assert resumed["parts"] == unbroken["parts"]
    assert len(list((tmp_path / "broken" / "runs" / "torch-twin").iterdir())) == 1
