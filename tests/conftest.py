"""What tests of every kind use."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from craterbench.commands.main import main
from craterbench.records.store import Store


class Bench:
    """Runs the command line in this process; what it trains still trains in real children."""

    def __init__(self, results: Path) -> None:
        self.results = results

    def __call__(self, *arguments: str) -> Result:
        takes_results = arguments[0] in ("run", "table", "parity")
        where = ["--results", str(self.results)] if takes_results and "--results" not in arguments else []
        return CliRunner().invoke(main, [*arguments, *where])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "results")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")
