"""``bench data``: what data sets there are, what is in one, and whether it can be trusted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import click

from craterbench.cli.chips_command import chips_command
from craterbench.cli.run_command import overrides_from
from craterbench.plugin import Range, UserError
from craterbench.plugin.registry import Registry

if TYPE_CHECKING:
    from craterbench.config.benchmark import BenchmarkConfig
    from craterbench.data.dataset import Dataset

__all__ = ["data_command"]


@click.group("data")
def data_command() -> None:
    """List data sets, and look at one before anything is trained on it."""


data_command.add_command(chips_command)


@data_command.command("list")
def list_data_command() -> None:
    """List the data sets: what each is, where it comes from, under which licence, and which parameters it takes."""
    for entry in Registry.installed().entries("dataset"):
        spec = entry.spec
        click.echo(f"{spec.name}: {spec.summary}  [{entry.plugin}]")
        click.echo(f"  provenance: {spec.provenance}")
        click.echo(f"  licence: {spec.licence}")
        for line in _parameters(spec.parameters):
            click.echo(f"  dataset.{line}")


def _which_data(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options by which ``bench run`` takes data, too."""
    options = (
        click.option("--dataset", metavar="NAME", help="Short for --set dataset.name=NAME."),
        click.option("--data", type=click.Path(path_type=Path), help="Path of the data, for one that reads files."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a value of the config."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@data_command.command("info")
@_which_data
@click.option("--sheet", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw images with their masks.")
def info_data_command(
    dataset: str | None, data: Path | None, settings: tuple[str, ...], as_json: bool, sheet: Path | None
) -> None:
    """Show what is in a data set: images, grey values, craters, groups, parts, notes, warnings and its fingerprint."""
    from craterbench.report.dataset_text import describe_dataset, render_dataset
    from craterbench.training.parts import read_dataset

    benchmark = _benchmark("reference", dataset, data, settings)
    found = read_dataset(benchmark)
    described = {"dataset": benchmark.as_dict()["dataset"], **describe_dataset(found)}
    if sheet is not None:
        _draw(sheet, found, benchmark.dataset.name)
        described["sheet"] = str(sheet)
    if as_json:
        click.echo(json.dumps(described, indent=1))
        return
    spec = Registry.installed().get("dataset", benchmark.dataset.name)
    lines = [f"{spec.name}: {spec.summary}", f"  provenance: {spec.provenance}", f"  licence: {spec.licence}"]
    click.echo("\n".join(lines + render_dataset(described)))
    if sheet is not None:
        click.echo(f"sheet: {sheet}")


@data_command.command("check")
@_which_data
@click.option("--benchmark", "name", metavar="NAME", default="reference", show_default=True, help="Split as it does.")
@click.option("--folds", type=click.IntRange(2), metavar="K", help="Try each of K folds.")
def check_data_command(
    dataset: str | None, data: Path | None, settings: tuple[str, ...], as_json: bool, name: str, folds: int | None
) -> None:
    """Try a data set as a run would, without training, and look for copies between parts and masks that do not fit.

    Exit status 1 says that something was found.
    """
    from craterbench.training.check_data import check_data
    from craterbench.training.parts import read_dataset

    benchmark = _benchmark(name, dataset, data, settings)
    read = read_dataset(benchmark)
    findings = check_data(read, benchmark, folds=folds)
    if as_json:
        click.echo(json.dumps({"findings": findings, "fingerprint": read.digest()}, indent=1))
    else:
        for finding in findings:
            click.echo(f"- {finding}")
        click.echo(f"{len(findings)} finding(s)" if findings else "nothing found")
    if findings:
        sys.exit(1)


def _benchmark(name: str, dataset: str | None, data: Path | None, settings: Sequence[str]) -> BenchmarkConfig:
    from craterbench.config.resolve import resolve

    return resolve(Registry.installed(), name, overrides_from(None, dataset, data, settings)).benchmark


def _draw(sheet: Path, found: Dataset, title: str) -> None:
    from craterbench.report.contact_sheet import draw_contact_sheet

    if sheet.suffix.lower() != ".png":
        raise UserError(f"{sheet}: a sheet is written as a PNG file; name it so: --sheet {sheet.stem}.png")
    try:
        draw_contact_sheet(sheet, found, title)
    except OSError as error:
        raise UserError(f"{sheet}: cannot be written ({error.strerror or error}); choose another folder") from None


def _parameters(parameters: type[Any]) -> list[str]:
    """Return a line for each parameter: its name, its default, and what it may be."""
    hints = get_type_hints(parameters, include_extras=True)
    lines = []
    for field in fields(parameters):
        default = "must be given" if field.default is MISSING else f"default {field.default}"
        allowed = _allowed(hints[field.name])
        lines.append(f"{field.name}: {default}" + (f", {allowed}" if allowed else ""))
    return lines


def _allowed(annotation: Any) -> str:
    """Return the range or the choices of a type, or nothing."""
    kind, *notes = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    return ", ".join(str(note) for note in notes if isinstance(note, Range))
