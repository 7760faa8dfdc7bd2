"""The command ``bench``. Nothing here or in the verbs imports more than click until a verb is at work."""

from __future__ import annotations

import sys
from typing import Any

import click

import craterbench
from craterbench.cli.evaluate_command import evaluate_command
from craterbench.cli.list_command import list_command
from craterbench.cli.parity_command import parity_command
from craterbench.cli.predict_command import predict_command
from craterbench.cli.run_command import run_command
from craterbench.cli.show_command import show_command
from craterbench.cli.sweep_command import sweep_command
from craterbench.cli.table_command import table_command
from craterbench.plugin import UserError

__all__ = ["main"]


class _Bench(click.Group):
    """Turns what a user can mend into a message and status 2, and Ctrl-C into status 130."""

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
    parity_command,
    list_command,
    show_command,
):
    main.add_command(command)
