"""The scripts that measure the harness."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2] / "benchmarks" / "harness"

#: By name; what is only imported is none.
SCRIPTS = {file.name: file for file in sorted(_ROOT.rglob("*.py")) if "__main__" in file.read_text(encoding="utf-8")}

#: Those that import their framework before all else.
WITH_KERAS = ("keras_epochs.py",)
WITH_TORCH = ("plain_search.py",)


def check_help(name: str) -> None:
    """Run a script with --help, as a user does."""
    told = subprocess.run([sys.executable, SCRIPTS[name], "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"usage: {name}")
    first = SCRIPTS[name].read_text(encoding="utf-8").removeprefix('"""').partition(":")[0]
    assert " ".join(first.split()) in " ".join(told.stdout.split())
