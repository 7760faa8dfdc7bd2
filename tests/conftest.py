"""What tests of every kind use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scripted_plugin import Script

from craterbench.cli.main import main
from craterbench.results.store import Store


class Bench:
    """Runs the command line in this process; what it trains still trains in real children."""

    def __init__(self, results: Path) -> None:
        self.results = results

    def __call__(self, *arguments: str) -> Result:
        takes_results = arguments[0] in ("run", "sweep", "table", "parity", "evaluate", "predict")
        where = ["--results", str(self.results)] if takes_results and "--results" not in arguments else []
        return CliRunner().invoke(main, [*arguments, *where])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "results")


@pytest.fixture(scope="session")
def bench_in() -> type[Bench]:
    """What runs the command line on a folder of results that several tests share."""
    return Bench


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of commands in this process get no pictures: those of many small runs cost as much as the runs."""
    monkeypatch.setattr("craterbench.report.run_plots.save_plots", lambda *of: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The scripted plugin, where this process and those that it starts find it."""
    made = Script(tmp_path / "plugin")
    monkeypatch.syspath_prepend(made.folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(made.folder), os.environ.get("PYTHONPATH", "")]))
    sys.modules.pop("scripted", None)  # that of another test
    return made
