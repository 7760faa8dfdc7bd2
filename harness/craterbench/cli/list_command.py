"""``bench list``: what is there."""

from __future__ import annotations

import click

from craterbench.plugin import UserError
from craterbench.plugin.registry import KINDS, Registry

__all__ = ["list_command"]

#: The kinds by the names that people give to several: "losses".
_PLURALS = {hook.removeprefix("bench_"): kind for kind, hook in KINDS.items()}


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(list(_PLURALS)))
def list_command(kind: str | None) -> None:
    """List what is installed: of one KIND, or everything; and the plugins that have a problem."""
    registry = Registry.installed()
    for plural in [kind] if kind else list(_PLURALS):
        click.echo(f"{plural}:")
        entries = registry.entries(_PLURALS[plural])
        width = max((len(entry.spec.name) for entry in entries), default=0)
        for entry in entries:
            summary = entry.spec.summary
            if plural == "frameworks":
                try:
                    entry.spec.check_installed()
                except UserError as error:
                    summary += f" ({error})"
            click.echo(f"  {entry.spec.name:{width}}  {summary}  [{entry.plugin}]")
    if registry.problems:
        click.echo("problems:")
        for problem in registry.problems:
            click.echo(f"  {problem.plugin}: {problem.message}")
