"""``bench data``: what data sets there are, what is in one, and whether it can be trusted."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import click

from craterbench.cli.chips_command import chips_command
from craterbench.plugin import Range
from craterbench.plugin.registry import Registry

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
