"""What tests of every kind use."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scripted_plugin import Script

from craterbench.cli.main import main
from craterbench.results.store import Store

pytest_plugins = ["dask_cluster"]

# In the background of a shell Ctrl-C is ignored, and whatever the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: What a test file needs installed, by the end of its name: such a file is imported only where ``-m`` asks for it, for
#: two frameworks in one process may hang.
FRAMEWORKS = ("keras", "torch", "both")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files of frameworks that are not asked for."""
    framework = _framework(collection_path)
    asked = str(config.option.markexpr).replace("not ", "not-").split()
    return True if framework is not None and framework not in asked else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of a file by its name."""
    for item in items:
        framework = _framework(item.path)
        if framework is not None:
            item.add_marker(framework)


def _framework(file: Path) -> str | None:
    return next((name for name in FRAMEWORKS if file.stem.endswith(f"_{name}")), None)


class Bench:
    """Runs the command line in this process; what it trains still trains in real children."""

    def __init__(self, results: Path) -> None:
        self.results = results

    def __call__(self, *arguments: str) -> Result:
        takes_results = arguments[0] in ("run", "sweep", "table", "parity", "evaluate", "predict", "export")
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
