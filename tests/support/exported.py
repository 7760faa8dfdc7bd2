"""Exported networks, run as their cards say by somebody who has no craterbench."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import craterbench

#: The smallest run that has all parts.
SMALL = {
    "dataset.name": "synthetic",
    "dataset.images": 40,
    "dataset.test_images": 10,
    "dataset.size": 16,
    "model.depth": 2,
    "model.filters": 4,
    "augmentation.copies": 0,
    "training.epochs": 1,
}

#: Images of other numbers and sizes than those that a file was made with.
IMAGES = {
    shape: np.random.default_rng(sum(shape)).uniform(size=(*shape, 1)).astype(np.float32)
    for shape in ((1, 16, 16), (7, 24, 40))
}

#: Makes every part of craterbench, installed or not, impossible to import.
_BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("craterbench"):
            raise ImportError(f"{name} is asked for")

sys.meta_path.insert(0, Block())
"""


def trained(benchmark: str, results: Path, **overrides: Any) -> craterbench.Run:
    """Train the smallest run."""
    (run,) = craterbench.run(benchmark, overrides=SMALL | overrides, results=results, quiet=True)
    assert run.record.status == "done", run.record.error
    return run


def facts(card: Path) -> dict[str, Any]:
    """Return what stands between the dashes of a card."""
    _, front, _ = card.read_text(encoding="utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def run_as_the_card_says(card: Path) -> list[np.ndarray]:
    """Run the Python of a card in a process that cannot import craterbench, and return what it makes of ``IMAGES``."""
    (block,) = re.findall(r"```python\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)
    code = _BLOCK
    for number, images in enumerate(IMAGES.values()):
        np.save(card.parent / f"images-{number}.npy", images)
        code += block.replace("images.npy", f"images-{number}.npy")
        code += f"np.savez('found-{number}.npz', probabilities=probabilities, craters=craters)\n"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=card.parent, env=variables, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [np.load(card.parent / f"found-{number}.npz") for number in range(len(IMAGES))]
    threshold = facts(card)["threshold"]
    for each in found:
        assert each["probabilities"].dtype == np.float32
        certain = np.abs(each["probabilities"] - threshold) > 1e-6
        np.testing.assert_array_equal(each["craters"][certain], (each["probabilities"] > threshold)[certain])
    return [each["probabilities"] for each in found]
