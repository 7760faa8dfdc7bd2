"""``bench export``: a finished run as a file that runs without craterbench."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["export_command"]


@click.command("export")
@click.argument("run")
@click.option(
    "--to", required=True, metavar="FORMAT", help="onnx, keras or torch, or what the framework of a plugin writes."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file to write; by default benchmark and id, in this folder."
)
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
def export_command(run: str, to: str, out: Path | None, results: Path) -> None:
    """Write the network of RUN to a file that runs without craterbench, with a card beside it.

    RUN is an id, a beginning of one that no other has, or the path of a run's folder. The file takes images float32
    (N, H, W, 1) in [0, 1] of any number and size, and gives probabilities of that shape. It is run on images of the
    run's data, and kept only if it gives what the run predicts.
    """
    from craterbench.api import Run

    written = Run(run, results).export(to, out)
    export = written.export
    click.echo(f"{written.path}  {len(export.content) / 1e6:.1f} MB")
    click.echo(written.card)
    click.echo(f"largest difference to what the run predicts: {export.largest_difference:.2g}")
    if export.in_own_precision is not None:
        click.echo(f"the file computes in float32; to the run's own precision: {export.in_own_precision:.2g}")
    if not export.real:
        click.echo("the run's data are not at hand: it was tried on random images")
