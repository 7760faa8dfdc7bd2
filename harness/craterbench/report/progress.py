"""What a person sees while a run is under way; on the standard error stream, so that the output stays clean.

These are listeners as a plugin's are, registered for as long as they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS
from craterbench.plugin import RunContext, hookimpl
from craterbench.results.store import read_history

__all__ = ["NoProgress", "ProgressLines", "RunProgress", "run_progress"]


class RunProgress(Protocol):
    """Shows runs, several at once. Use it as a context manager, and have it listen meanwhile."""

    def log(self, line: str) -> None:
        """Show a line."""

    def __enter__(self) -> RunProgress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def run_progress(*, quiet: bool) -> RunProgress:
    """Return what fits the standard error stream: a progress bar on a terminal, else a line for each epoch."""
    if quiet:
        return NoProgress()
    console = Console(stderr=True)
    return ProgressBars(console) if console.is_terminal else ProgressLines(console)


#: The columns that every history has; any other is a metric that the run goes by.
_USUAL = (
    "epoch", "learning_rate", "objective", "training_loss", LOSS.history_column, "training_balanced_accuracy",
    BALANCED_ACCURACY.history_column, "seconds", "best",
)  # fmt: skip


def _scores(row: Mapping[str, Any]) -> tuple[str, str]:
    parts = [
        f"loss {row['training_loss']:.4f}",
        f"{LOSS.history_column} {row[LOSS.history_column]:.4f}",
        f"{BALANCED_ACCURACY.label} {row[BALANCED_ACCURACY.history_column]:.4f}",
        *(f"{key.replace('_', ' ')} {row[key]:.4f}" for key in row if key not in _USUAL),
    ]
    return f"objective {row['objective']:.4f}", ", ".join(parts)


def _beginning(history: Sequence[Mapping[str, Any]]) -> str:
    return f"going on after epoch {len(history)}" if history else "starting"


def _history(run: RunContext) -> list[dict[str, float]]:
    """Return the epochs that a run goes on after."""
    try:
        return read_history(run.folder)
    except ValueError:
        return []


class _Best:
    """Remembers what the best epoch so far scored, so that it can be shown beside the newest."""

    def __init__(self, history: Sequence[Mapping[str, Any]]) -> None:
        self._accuracies: dict[int, float] = {
            int(row["epoch"]): row[BALANCED_ACCURACY.history_column] for row in history
        }

    def __call__(self, row: Mapping[str, Any]) -> str:
        self._accuracies[row["epoch"]] = row[BALANCED_ACCURACY.history_column]
        return f"best {self._accuracies[row['best']]:.4f} in epoch {row['best']}"


class NoProgress:
    """Shows nothing but the lines that somebody must see."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind."""

    def log(self, line: str) -> None:
        """Print the line."""
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


class ProgressLines(NoProgress):
    """A line for each epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._best: dict[str, _Best] = {}

    @hookimpl
    def bench_run_started(self, run: RunContext) -> None:
        """Print that a run starts."""
        history = _history(run)
        self._best[run.id] = _Best(history)
        self.log(f"{run.title}: {_beginning(history)}")

    @hookimpl
    def bench_epoch_finished(self, run: RunContext, epoch: Mapping[str, Any]) -> None:
        """Print a row of the history."""
        of = run.config["training"]["epochs"]
        parts = (f"epoch {epoch['epoch']}/{of}", *_scores(epoch), self._best[run.id](epoch))
        self.log(f"{run.title}: {', '.join(parts)}")

    @hookimpl
    def bench_run_finished(self, run: RunContext, record: Mapping[str, Any]) -> None:
        """Print the status."""
        del self._best[run.id]
        self.log(f"{run.title}: {record['status']}")

    def log(self, line: str) -> None:
        """Print a line, however long."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Task:
    """The bar of a run."""

    def __init__(self, progress: rich_progress.Progress, run: RunContext) -> None:
        history = _history(run)
        self._progress, self._title = progress, run.title
        self._best, self._shown = _Best(history), list[str]()
        self._epochs, self._of = len(history), run.config["training"]["epochs"]
        first = f"{self._title}: {_beginning(history)}"
        self._task = progress.add_task(first, total=self._of, completed=self._epochs)

    def epoch(self, row: Mapping[str, Any]) -> None:
        objective, scores = _scores(row)
        self._epochs, self._shown = row["epoch"], [self._best(row), scores]
        first = f"{self._title}: {objective}, {self._shown[0]}"
        self._progress.update(self._task, description=f"{first}\n{scores}", completed=self._epochs)

    def end(self, status: str) -> str:
        """Take the bar away, and return what is left to say."""
        self._progress.remove_task(self._task)
        return ", ".join([f"{self._title}: {status} after epoch {self._epochs}/{self._of}", *self._shown])


class ProgressBars(NoProgress):
    """A progress bar for each run under way, below a line for each that has ended.

    More bars than lines of the terminal would push those out of sight that still move.
    """

    def __init__(self, console: Console) -> None:
        self._progress = rich_progress.Progress(
            TextColumn("{task.description}", markup=False),  # two lines, so that it fits a narrow terminal
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._tasks: dict[str, _Task] = {}

    def __enter__(self) -> ProgressBars:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @hookimpl
    def bench_run_started(self, run: RunContext) -> None:
        """Add a bar."""
        self._tasks[run.id] = _Task(self._progress, run)

    @hookimpl
    def bench_epoch_finished(self, run: RunContext, epoch: Mapping[str, Any]) -> None:
        """Move the bar on."""
        self._tasks[run.id].epoch(epoch)

    @hookimpl
    def bench_run_finished(self, run: RunContext, record: Mapping[str, Any]) -> None:
        """Put a line in the place of the bar."""
        self.log(self._tasks.pop(run.id).end(record["status"]))

    def log(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False)
