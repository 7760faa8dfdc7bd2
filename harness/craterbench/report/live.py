"""What a person sees while a run is under way; on the standard error stream, so that the output stays clean."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["Live", "Plain", "Quiet", "live"]


class Live(Protocol):
    """Shows runs, one after the other. Use it as a context manager."""

    def __enter__(self) -> Live: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, run: str, epochs: int) -> None:
        """Show that a run starts, of at most so many epochs."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Show a row of its history."""

    def end(self, status: str) -> None:
        """Show that it has ended."""

    def say(self, line: str) -> None:
        """Show a line."""


def live(*, quiet: bool) -> Live:
    """Return what fits the standard error stream: a progress bar on a terminal, else a line for each epoch."""
    if quiet:
        return Quiet()
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Plain(console)


def _scores(row: Mapping[str, Any]) -> tuple[str, str]:
    losses = f"loss {row['training_loss']:.4f}, val_loss {row['val_loss']:.4f}"
    return f"objective {row['objective']:.4f}", f"{losses}, balanced accuracy {row['balanced_accuracy']:.4f}"


class _Best:
    """Remembers what the best epoch so far scored, so that it can be shown beside the newest."""

    def __init__(self) -> None:
        self._accuracies: dict[int, float] = {}

    def __call__(self, row: Mapping[str, Any]) -> str:
        self._accuracies[row["epoch"]] = row["balanced_accuracy"]
        return f"best {self._accuracies[row['best']]:.4f} in epoch {row['best']}"


class Quiet:
    """Shows nothing but the lines that somebody must see."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind."""

    def start(self, run: str, epochs: int) -> None:
        """Say nothing."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Say nothing."""

    def end(self, status: str) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Print the line."""
        Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


class Plain(Quiet):
    """A line for each epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, run: str, epochs: int) -> None:
        """Print that a run starts."""
        self._run, self._epochs, self._best = run, epochs, _Best()
        self.say(f"{run}: starting")

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Print a row of the history."""
        told = (f"epoch {row['epoch']}/{self._epochs}", *_scores(row), self._best(row))
        self.say(f"{self._run}: {', '.join(told)}")

    def end(self, status: str) -> None:
        """Print the status."""
        self.say(f"{self._run}: {status}")

    def say(self, line: str) -> None:
        """Print a line, however long."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Bar(Quiet):
    """A progress bar for each run."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),  # two lines, so that it fits a narrow terminal
            BarColumn(bar_width=8),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._task = TaskID(0)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def start(self, run: str, epochs: int) -> None:
        """Add a bar."""
        self._run, self._best, self._kept, self._scores = run, _Best(), "", ""
        self._task = self._progress.add_task(f"{run}: starting", total=epochs)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Move the bar on."""
        objective, self._scores = _scores(row)
        self._kept = self._best(row)
        self._tell(objective, completed=row["epoch"])

    def end(self, status: str) -> None:
        """Stop the bar where it is: early stopping rarely reaches its end."""
        self._tell(status)
        self._progress.stop_task(self._task)

    def _tell(self, what: str, *, completed: int | None = None) -> None:
        first = ", ".join(text for text in (f"{self._run}: {what}", self._kept) if text)
        self._progress.update(self._task, description=f"{first}\n{self._scores}".rstrip(), completed=completed)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False)
