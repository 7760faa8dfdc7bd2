"""``bench table``: what has been run."""

from __future__ import annotations

from pathlib import Path

import click

from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry

__all__ = ["table_command"]


@click.command("table")
@click.option("--test", is_flag=True, help="Show the scores of the test part too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["rich", "markdown", "csv", "json"]),
    default="rich",
    show_default=True,
    help="How to print it.",
)
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
def table_command(test: bool, form: str, results: Path) -> None:
    """Show a table of all runs, a row for each benchmark over its seeds."""
    from rich.console import Console

    from craterbench.records.store import Store
    from craterbench.report.table import render, tabulate

    store = Store(results)
    _, left = store.recover()
    records, damaged = store.records()
    damaged += left
    if not records:
        said = "; ".join(damaged)
        raise UserError(f"no runs in {results}; bench run reference makes one, --results names another folder. {said}")
    claims = [entry.spec for entry in Registry.installed().entries("claim")]
    render(tabulate(records, claims, test=test, notes=damaged), form, Console())
