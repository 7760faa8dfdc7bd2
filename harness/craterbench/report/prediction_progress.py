"""A prediction that is shown while it is under way: what ``bench predict`` and ``craterbench.api`` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from craterbench.execution.ensemble import Ensemble
from craterbench.execution.finished import FinishedRun
from craterbench.plugin.registry import Registry
from craterbench.prediction.predict import Predicted, Predictor, check_threshold
from craterbench.prediction.shown import shown_as_trained

__all__ = ["predict_live"]


def predict_live(
    registry: Registry,
    runs: Sequence[FinishedRun],
    images: Sequence[Path],
    out: Path,
    *,
    framework: str | None,
    tta: Sequence[str],
    threshold: float | None,
    device: str,
    quiet: bool,
) -> list[Predicted]:
    """Predict craters in image files, and show how far it is and the time that is left, on the standard error stream.

    Where that is no terminal, a line says which file is begun.

    Args:
        images: files, and folders of such.
        out: the folder for what is found (see ``Predictor.predict``).
        framework: what predicts, if it is not what trained.
        tta: ``flips``, ``turns`` or both.
        threshold: ``None`` for the mean of the runs' tuned ones.
        quiet: whether to show nothing.

    Raises:
        UserError: a run or an image cannot be used, or the folder cannot be written.
    """
    check_threshold(threshold)
    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("windows"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with (
        Ensemble(registry, runs, framework=framework, tta=tta, device=device) as ensemble,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("reading", total=None)

        def start(file: Path, windows: int) -> None:
            if not console.is_terminal:
                console.print(
                    f"{file}: {windows} window{'s' * (windows != 1)}", markup=False, highlight=False, soft_wrap=True
                )
            progress.reset(bar, description=file.name, total=windows)

        shown = shown_as_trained(registry, ensemble)
        about = {
            "runs": [run.record.id for run in runs],
            "benchmarks": [run.record.benchmark for run in runs],
            "frameworks": [framework or run.record.framework for run in runs],
            "tta": list(tta),
        }
        predictor = Predictor(ensemble, shown, ensemble.threshold if threshold is None else threshold)
        return predictor.predict(
            images, out, about=about, start=start, advance=lambda windows: progress.advance(bar, windows)
        )
