"""``bench run``: train and score."""

from __future__ import annotations

import fnmatch
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from craterbench.execution.devices import DEVICES
from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest
from craterbench.plugin.registry import Registry

if TYPE_CHECKING:
    from craterbench.config.resolve import Override
    from craterbench.results.record import Record
    from craterbench.results.store import Store

__all__ = ["overrides_from", "run_command"]


def _number(context: click.Context, parameter: click.Parameter, workers: str) -> int | None:
    """Return how many workers the option names; ``None`` for ``auto``."""
    if workers == "auto":
        return None
    if not workers.isdecimal() or int(workers) < 1:
        raise click.BadParameter(f"{workers!r} is neither auto nor a number from 1 on", context, parameter)
    return int(workers)


@click.command("run")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=42, show_default=True, help="Seed of the first run.")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs of each benchmark; seeds count up."
)
@click.option("--folds", type=click.IntRange(2), metavar="K", help="Cross-validate: K runs of each benchmark and seed.")
@click.option(
    "--workers",
    callback=_number,
    default="auto",
    show_default=True,
    metavar="N",
    help="Runs at once, which share the cores; auto is what fits.",
)
@click.option("--epochs", type=int, help="Short for --set training.epochs=N.")
@click.option("--dataset", metavar="NAME", help="Short for --set dataset.name=NAME.")
@click.option("--data", type=click.Path(path_type=Path), help="Path of the data, for a data set that reads files.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the config.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="What to train on.")
@click.option("--executor", metavar="NAME", default="local", show_default=True, help="Where runs train.")
@click.option("--scheduler", metavar="HOST:PORT", help="Address of an executor on other machines.")
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
@click.option("--force", is_flag=True, help="Repeat what is done already.")
@click.option("--again", is_flag=True, hidden=True)  # as it was called
@click.option("--resume", is_flag=True, help="Go on with what was interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print the records, and nothing else, as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def run_command(
    names: tuple[str, ...],
    seed: int,
    seeds: int,
    folds: int | None,
    workers: int | None,
    epochs: int | None,
    dataset: str | None,
    data: Path | None,
    settings: tuple[str, ...],
    device: str,
    executor: str,
    scheduler: str | None,
    results: Path,
    force: bool,
    again: bool,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train the benchmarks NAME..., score them, keep the records, and show the table.

    A NAME is a benchmark that bench list shows, a shell pattern of such names, or the path of a TOML file.
    """
    from craterbench.execution.batch import train
    from craterbench.execution.executor import ExecutionOptions
    from craterbench.execution.run import RunFactory
    from craterbench.execution.run_spec import run_specs
    from craterbench.report.live import live_runs
    from craterbench.results.store import Store

    registry, store = Registry.installed(), Store(results)
    overrides = overrides_from(epochs, dataset, data, settings)
    specs = run_specs(registry, _matching(registry, names), overrides, seeds=range(seed, seed + seeds), folds=folds)
    records: dict[int, Record] = {}
    refusals: list[str] = []
    options = ExecutionOptions(executor=executor, device=device, workers=workers, address=scheduler)
    try:
        with live_runs(registry, quiet=quiet or as_json) as log:
            for problem in registry.problems:
                log(f"plugin {problem.plugin}: {problem.message}")
            factory = RunFactory(registry=registry, store=store, device=device, log=log)
            with closing(train(factory, specs, options, force=force or again, resume=resume)) as ends:
                for ended in ends:  # one by one, as they end
                    if ended.refusal is not None:
                        refusals.append(ended.refusal)
                    if ended.refusal is None or ended.record.status == "failed":
                        records[ended.position] = ended.record
    finally:  # also after Ctrl-C: what is done is shown
        shown = [record for _, record in sorted(records.items())]
        if as_json and shown:
            click.echo(json.dumps([record.as_json() for record in shown], indent=1))
        elif shown:
            _show(registry, store, shown)
    if refusals:
        raise UserError("\n".join(refusals))
    if any(record.status == "failed" for record in records.values()):
        sys.exit(1)


def overrides_from(
    epochs: int | None, dataset: str | None, data: Path | None, settings: Sequence[str]
) -> list[Override]:
    """Return the overrides that options of the command line are short for, and those of --set."""
    from craterbench.config.resolve import Override, parse_override

    overrides = []
    if dataset is not None:
        overrides.append(Override("dataset.name", dataset, "--dataset"))
    if data is not None:
        overrides.append(Override("dataset.path", str(data.absolute()), "--data"))
    if epochs is not None:
        overrides.append(Override("training.epochs", epochs, "--epochs"))
    return overrides + [parse_override(setting) for setting in settings]


def _matching(registry: Registry, names: Sequence[str]) -> list[str]:
    """Return the names on the command line, patterns replaced by what they match, each once."""
    known = registry.names("benchmark")
    found: dict[str, None] = {}
    for name in names:
        if not any(sign in name for sign in "*?["):
            found[name] = None
            continue
        matches = fnmatch.filter(known, name)
        if not matches:
            raise UserError(f"no benchmark matches {name!r}; {nearest(name.strip('*?'), known)}")
        found |= dict.fromkeys(matches)
    return list(found)


def _show(registry: Registry, store: Store, ran: Sequence[Record]) -> None:
    """Print the table of what was run and of all that may be compared with it, and where the files are."""
    from rich.console import Console

    from craterbench.metrics.metric import Metrics
    from craterbench.report.table.table import tabulate
    from craterbench.report.table.table_text import render

    def fingerprints(record: Record) -> set[str]:
        return {part["fingerprint"] for part in record.parts.values()}

    of_these = set().union(*map(fingerprints, ran))
    ids = {record.id for record in ran}
    records, damaged = store.records()
    beside = [record for record in records if record.id in ids or fingerprints(record) & of_these]
    published = [entry.spec for entry in registry.entries("published") if entry.spec.headline]
    render(tabulate(store, beside, published, notes=damaged, metrics=Metrics.of(registry)), "rich", Console())
    for record in ran:
        click.echo(store.folder(record))
