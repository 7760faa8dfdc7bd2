"""What a person sees while a search is under way; on the standard error stream, so that the output stays clean."""

from __future__ import annotations

import textwrap
from collections import Counter
from types import TracebackType
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from craterbench.report.estimate_text import number_text
from craterbench.report.study.trials import parameters_text, short_names
from craterbench.search.summary import Progress, Trial

__all__ = ["Lines", "Quiet", "StudyLive", "Trials", "study_live"]

#: How many of the trials that have ended are shown, the last of them.
_ENDED = 6

#: What stands around the trials: the line above, the heads with their rules, and the line where a shell would go on.
_AROUND = 7

#: How wide what stands beside the parameters is at most.
_BESIDE = 42

_STYLES = {"running": "bold", "complete": "green", "pruned": "dim", "failed": "red"}


class StudyLive(Progress, Protocol):
    """Shows a search. Use it as a context manager."""

    def __enter__(self) -> StudyLive: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def study_live(*, quiet: bool) -> StudyLive:
    """Return what fits the standard error stream: a table of trials on a terminal, else a line for each that ends."""
    console = Console(stderr=True)
    if quiet:
        return Quiet(console)
    return Trials(console) if console.is_terminal else Lines(console)


class Quiet:
    """Shows nothing but the lines that somebody must see."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind."""

    def trial(self, trial: Trial, *, most: int) -> None:
        """Say nothing."""

    def progress(self, *, done: int, wanted: int, best: Trial | None, workers: int, left: float | None) -> None:
        """Say nothing."""

    def log(self, line: str) -> None:
        """Print a line, however long."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Lines(Quiet):
    """A line for each trial that ends, and one whenever there is a better one."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._best: int | None = None

    def trial(self, trial: Trial, *, most: int) -> None:
        """Print how a trial has ended."""
        if trial.state in ("complete", "pruned", "failed"):
            names = short_names(trial.parameters)
            parts = [trial.state, _value(trial), f"epochs {trial.epochs}/{most}", trial.reason, _again(trial)]
            line = ", ".join(text for text in parts if text)
            self.log(f"trial {trial.number}: {line}: {parameters_text(trial.parameters, names)}")

    def progress(self, *, done: int, wanted: int, best: Trial | None, workers: int, left: float | None) -> None:
        """Print where the search is when there is a new best trial."""
        if best is not None and best.number != self._best:
            self._best = best.number
            self.log(_where(done, wanted, best, workers, left))


class Trials(Quiet):
    """A table of the trials that run, oldest first, and below them the last that ended."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        # rich draws no more often than this, however often a trial has something new
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._seen: set[int] = set()
        self._values: dict[str, Counter[str]] = {}  # how many trials have which value of each parameter
        self._running: dict[int, tuple[Trial, int]] = {}
        self._ended: dict[int, tuple[Trial, int]] = {}
        self._where = "starting"

    def __enter__(self) -> Trials:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def trial(self, trial: Trial, *, most: int) -> None:
        """Show a trial as it is now."""
        if trial.number not in self._seen:
            self._seen.add(trial.number)
            for name, value in trial.parameters.items():
                self._values.setdefault(name, Counter())[repr(value)] += 1
        self._running.pop(trial.number, None)
        if trial.state == "running":
            self._running[trial.number] = trial, most
        elif trial.state != "waiting":
            self._ended[trial.number] = trial, most
            for number in list(self._ended)[:-_ENDED]:
                del self._ended[number]
        self._live.update(self._shown())

    def progress(self, *, done: int, wanted: int, best: Trial | None, workers: int, left: float | None) -> None:
        """Show where the search is."""
        self._where = _where(done, wanted, best, workers, left)
        self._live.update(self._shown())

    def log(self, line: str) -> None:
        """Print a line above the table."""
        self._console.print(line, markup=False, highlight=False)

    def _shown(self) -> Group:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, expand=True)
        for heading in ("trial", "state", "value", "epochs"):
            table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=True)
        table.add_column("parameters", ratio=1)
        room = max(1, self._console.height - _AROUND)
        running = [self._running[number] for number in sorted(self._running)][:room]
        # what runs is shown with all its parameters where there is room for that
        high = [self._lines(trial) for trial, _ in running]
        tight = sum(high) > room
        for trial, most in running:
            self._add(table, trial, most, tight=tight)
        left = room - (len(running) if tight else sum(high))
        for trial, most in list(reversed(self._ended.values()))[:left]:
            self._add(table, trial, most, tight=True)
        hidden = len(self._running) - len(running)
        more = [Text(f"and {hidden} more that run", style="dim")] if hidden else []
        return Group(Text(self._where, style="bold", no_wrap=True, overflow="ellipsis"), table, *more)

    def _add(self, table: Table, trial: Trial, most: int, *, tight: bool) -> None:
        cells = (str(trial.number), trial.state, _value(trial), f"{trial.epochs}/{most}")
        parameters = Text(self._parameters(trial), style="dim", no_wrap=tight, overflow="ellipsis")
        table.add_row(*(Text(cell, style=_STYLES.get(trial.state, "")) for cell in cells), parameters)

    def _lines(self, trial: Trial) -> int:
        """Return how many lines the parameters of a trial take."""
        width = max(1, self._console.width - _BESIDE)
        return max(1, len(textwrap.wrap(self._parameters(trial), width, break_on_hyphens=False)))

    def _parameters(self, trial: Trial) -> str:
        """Return what was tried, without what all trials share, or why it came to nothing."""
        if trial.state == "failed" and trial.reason:
            return " ".join(trial.reason.split())
        names = {name: short for name, short in short_names(self._values).items() if not self._shared(name)}
        text = parameters_text(trial.parameters, names)
        return text if trial.retry_of is None else f"{_again(trial)}: {text}"

    def _shared(self, name: str) -> bool:
        return len(self._seen) > 1 and list(self._values[name].values()) == [len(self._seen)]


def _where(done: int, wanted: int, best: Trial | None, workers: int, left: float | None) -> str:
    parts = [f"done {done} of {wanted}"]
    if best is not None:
        parts.append(f"best {_value(best)} (trial {best.number})")
    parts.append(f"workers {workers}")
    if left is not None:
        parts.append(f"{_time(left)} left")
    return ", ".join(parts)


def _value(trial: Trial) -> str:
    return " / ".join(number_text(value) for value in trial.values or trial.curve[-1:])


def _again(trial: Trial) -> str:
    return "" if trial.retry_of is None else f"trial {trial.retry_of} once more"


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"about {minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"
