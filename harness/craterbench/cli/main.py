"""The command ``bench``. Nothing here or in the verbs imports more than click until a verb is at work."""

from __future__ import annotations

import sys
from typing import Any

import click

import craterbench
from craterbench.cli.data_command import data_command
from craterbench.cli.evaluate_command import evaluate_command
from craterbench.cli.export_command import export_command
from craterbench.cli.list_command import list_command
from craterbench.cli.parity_command import parity_command
from craterbench.cli.predict_command import predict_command
from craterbench.cli.run_command import run_command
from craterbench.cli.show_command import show_command
from craterbench.cli.sweep_command import sweep_command
from craterbench.cli.table_command import table_command
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry

__all__ = ["main"]


class _Bench(click.Group):
    """Turns what a user can mend into a message and status 2, and Ctrl-C into status 130.

    Plugins are loaded for their verbs only where a verb is none of ours, or all are listed.
    """

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._with_plugins(ctx).commands.get(cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._with_plugins(ctx).commands)

    def _with_plugins(self, ctx: click.Context) -> click.Group:
        """Return this group with the verbs of the plugins, which are collected once for a command line."""
        if ctx.obj is None:
            ctx.obj = click.Group(self.name, commands=dict(self.commands))
            for problem in Registry.installed().add_commands(ctx.obj):
                click.echo(f"plugin {problem.plugin}: {problem.message}", err=True)
        group: click.Group = ctx.obj
        return group

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(130)


@click.group(cls=_Bench, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(craterbench.__version__, prog_name="bench")
def main() -> None:
    """Train networks that find craters, score them all with one evaluator, and compare what may be compared."""


for command in (
    run_command,
    sweep_command,
    table_command,
    evaluate_command,
    predict_command,
    export_command,
    parity_command,
    data_command,
    list_command,
    show_command,
):
    main.add_command(command)
