"""Tables of a results folder, as text."""

from __future__ import annotations

import csv
import io

import pandas as pd
from rich.console import Console

from craterbench.report.table.table import tabulate
from craterbench.report.table.table_text import render


def rendered(store, form="csv", *, published=(), width=400, columns=("all",), **options):
    console = Console(file=io.StringIO(), width=width)
    render(tabulate(store, store.records()[0], published, columns=columns, **options), form, console)
    return console.file.getvalue()


def numbers(store, **options):
    """The table as pandas reads its csv."""
    return pd.read_csv(io.StringIO(rendered(store, **options)))


def rows(store, **options):
    return list(csv.DictReader(io.StringIO(rendered(store, **options))))


def notes(store, **options):
    return "\n".join(tabulate(store, store.records()[0], **options).lines)
