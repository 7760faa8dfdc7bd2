"""``bench evaluate``: finished runs, scored again from their weights."""

from __future__ import annotations

from pathlib import Path

import click

from craterbench.execution.devices import DEVICES

__all__ = ["evaluate_command"]


@click.command("evaluate")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--ensemble", is_flag=True, help="Score the mean of the runs' probabilities; it is a row of the table.")
@click.option("--tta", metavar="NAMES", default="", help="Test-time augmentation: flips, turns or flips,turns.")
@click.option("--dataset", metavar="NAME", help="Score on this data set instead.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Path of other data, or of its own where these have moved."
)
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="What to predict on.")
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
def evaluate_command(
    runs: tuple[str, ...],
    ensemble: bool,
    tta: str,
    dataset: str | None,
    data: Path | None,
    device: str,
    results: Path,
) -> None:
    """Score finished runs again: RUN is an id, a beginning of one that no other has, or the path of a run's folder.

    On their own data their records get what they lack; on other data records stay as they are. An ensemble is kept as a
    run of its own.
    """
    from craterbench.api import evaluate
    from craterbench.execution.ensemble import parse_tta

    found = evaluate(
        runs, ensemble=ensemble, tta=parse_tta(tta), dataset=dataset, data=data, device=device, results=results
    )
    shown = found.reset_index()
    shown["fingerprint"] = shown["fingerprint"].str[:8]
    click.echo(shown.to_string(index=False, float_format="%.4f"))
    for note in found.attrs["notes"]:
        click.echo(note)
