"""``bench table``: what has been run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry

if TYPE_CHECKING:
    from craterbench.metrics.metric import Metrics
    from craterbench.results.store import Store

__all__ = ["table_command"]


@click.command("table")
@click.option("--test", is_flag=True, help="Show the scores of the test part too.")
@click.option(
    "--columns",
    metavar="NAME,...",
    help="What to show, columns or dotted keys of the config; all is all columns.  [default: what fits, or all]",
)
@click.option("--sort", metavar="NAME", help="Sort by a column or a dotted key; -NAME puts the greatest first.")
@click.option("--where", metavar="KEY=VALUE", multiple=True, help="Show the runs that have this: loss.name=dice.")
@click.option("--baseline", metavar="NAME", help="The row that the others are compared with.  [default: reference]")
@click.option(
    "--margin",
    type=float,
    metavar="DIFFERENCE",
    help="The smallest difference of balanced accuracy that matters, such as 0.005; adds a verdict on each row.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["rich", "markdown", "latex", "csv", "json", "html"]),
    default="rich",
    show_default=True,
    help="How to print it; html is a page with curves and samples.",
)
@click.option("--per-image", is_flag=True, help="Print csv with a line for each run, part and image instead.")
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
@click.pass_context
def table_command(
    context: click.Context,
    test: bool,
    columns: str | None,
    sort: str | None,
    where: tuple[str, ...],
    baseline: str | None,
    margin: float | None,
    form: str,
    per_image: bool,
    results: Path,
) -> None:
    """Show a table of all runs, a row for each benchmark over its seeds and folds.

    Scores are the mean over runs ± their standard deviation, with a 95 % interval over groups of images and seeds.
    The folds of a seed are pooled into one score first.
    csv, json and html have all columns; the names are those that csv has.
    """
    from rich.console import Console

    from craterbench.metrics.metric import Metrics
    from craterbench.report.table.table import check_test_parts, tabulate
    from craterbench.results.store import Store

    store = Store(results)
    _, left = store.recover()
    records, damaged = store.records()
    damaged += left
    if not records:
        said = "\n".join(["", *damaged])
        raise UserError(f"no runs in {results}; bench run reference makes one, --results names another folder{said}")
    registry = Registry.installed()
    if per_image:
        if test:
            check_test_parts(records)
        _print_images(context, store, Metrics.of(registry), test=test)
        return
    published, metrics = [entry.spec for entry in registry.entries("published")], Metrics.of(registry)
    chosen = [name.strip() for name in columns.split(",")] if columns is not None else None
    if chosen is None and form in ("csv", "json", "html"):
        chosen = ["all"]
    table = tabulate(
        store,
        records,
        published,
        test=test,
        columns=chosen,
        sort=sort,
        where=where,
        baseline=baseline,
        margin=margin,
        whole_names=form in ("csv", "json"),
        notes=damaged,
        metrics=metrics,
    )
    if form == "html":
        from craterbench.report.table.table_html import page

        click.echo(page(table, store, metrics), nl=False)
    else:
        from craterbench.report.table.table_text import render

        render(table, form, Console())
    if form == "csv":  # which has no room for them
        for note in table.notes:
            click.echo(note, err=True)


def _print_images(context: click.Context, store: Store, metrics: Metrics, *, test: bool) -> None:
    from craterbench.results.image_frame import images_frame

    given = [name for name in ("columns", "sort", "where", "baseline", "margin", "form") if _is_given(context, name)]
    if given:
        names = ", ".join(f"--{'format' if name == 'form' else name}" for name in given)
        raise UserError(f"--per-image prints all images of all runs as csv: {names} cannot be given with it")
    found = images_frame(store, metrics, ("validation", "test") if test else ("validation",))
    click.echo(found.to_csv(index=False, lineterminator="\n"), nl=False)
    for note in found.attrs["notes"]:
        click.echo(note, err=True)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not ParameterSource.DEFAULT
