"""A parity report as text."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from craterbench.parity.verify import ParityReport

__all__ = ["show_parity"]


def show_parity(report: ParityReport, console: Console) -> None:
    """Print the largest norm-relative difference in each respect, its tolerance, and where one is over it."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    shown.add_column("precision")
    shown.add_column("compared")
    shown.add_column("difference", justify="right")
    shown.add_column("tolerance")
    shown.add_column("worst at", overflow="fold")
    for diff in report.diffs:
        tolerance = "–" if diff.tolerance is None else f"{diff.tolerance:.0e}"
        shown.add_row(
            diff.precision,
            diff.what,
            Text(f"{diff.largest:.1e}", style="bold red" if diff.first else ""),
            tolerance,
            diff.where,
        )
    console.print(shown)
    names = " and ".join(report.benchmarks)
    if report.equal:
        console.print(f"{names} are twins: no difference is over its tolerance", highlight=False)
        return
    console.print(f"{names} are NOT twins:", style="bold red", highlight=False)
    for diff in report.diffs:
        if diff.first:
            console.print(
                f"  {diff.precision} {diff.what}: over {diff.tolerance:.0e}, first at {diff.first}",
                highlight=False,
            )
