"""What the coordinator of a search costs: ``python benchmarks/harness/speed/coordinator.py [TRIALS] [EPOCHS]``.

The executor here is a fake, and so are its outcomes: its workers train nothing and answer at once, in this process,
with made histories and scores, so that all the time that passes is the loop's own: asking Optuna, resolving the
definition, judging each epoch, keeping the study's journal and the record of each trial, with weights and statistics of
the reference's size. Nothing is sent between processes, and the progress shows nothing. All else is what ``bench
sweep`` runs: the default space, TPE, the median pruner, at most ``EPOCHS`` epochs a trial.

Printed are milliseconds a trial, all together and what each part takes of them, for all trials and for the last
hundred: of the sampler the cost grows with the trials, and it is Optuna's own. First comes the time that passes, with
the waiting for the disk in it, and then the time that the processor works, which other programs change less. At the end
comes the time to go on with the study.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna

from craterbench.config.resolve import ResolvedConfig
from craterbench.data.dataset import TrainVal
from craterbench.execution.executor import Worker
from craterbench.execution.run import RunFactory
from craterbench.metrics.evaluator import Evaluator
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.results.predictions_file import Predictions
from craterbench.results.store import RunFolder, Store
from craterbench.search.journal import SingleWriterBackend
from craterbench.search.optimize import TrialLoop
from craterbench.search.setup import EPOCHS, PreparedSweep, create_sweep, load_sweep
from craterbench.search.study import Study
from craterbench.search.summary import Trial
from craterbench.training.experiment import RunInfo, RunResult, Samples, SplitResult
from craterbench.training.fit import TrainingResult

LAST = 100

#: Whose methods are timed, by what they are told as.
TIMED: Mapping[str, tuple[type, Sequence[str]]] = {
    "sampler": (
        optuna.samplers.TPESampler,
        ("infer_relative_search_space", "sample_relative", "sample_independent", "before_trial", "after_trial"),
    ),
    "pruner": (optuna.pruners.PercentilePruner, ("prune",)),
    "journal, written": (SingleWriterBackend, ("append_logs",)),
    "records, written": (
        RunFolder,
        ("write_config", "write_record", "write_history", "write_statistics", "write_weights", "finish"),
    ),
}


class InstantWorker:
    """A fake worker: it answers at once with what a training could have told."""

    def __init__(self, made: RunResult) -> None:
        self.connection, self._bell = Pipe(duplex=False)
        self._made = made
        self._go_on = True

    def provide(self, train_val: TrainVal) -> None:
        """Need no images."""

    def ask(self, kind: str, arguments: dict[str, Any], log: Path) -> None:
        """Make up a course."""
        self._course = self._told(arguments["benchmark"].training.epochs, arguments["seed"])
        self._ring()

    def hear(self) -> tuple[str, Any]:
        """Tell the next of it."""
        self.connection.recv_bytes()
        told = self._next
        if told[0] == "start":
            self._ring()
        return told

    def answer(self, *, should_continue: bool) -> None:
        """Go on, or come to the end."""
        self._go_on = should_continue
        self._ring()

    def stop(self) -> None:
        """End."""
        self.connection.close()
        self._bell.close()

    def _ring(self) -> None:
        self._next = next(self._course)
        self._bell.send_bytes(b"!")

    def _told(self, epochs: int, seed: int) -> Iterator[tuple[str, Any]]:
        yield "start", self._made.start
        drawing = np.random.default_rng(seed)
        best, pace = drawing.uniform(0.5, 0.9), drawing.uniform(1.0, 5.0)
        history: list[dict[str, Any]] = []
        for epoch in range(1, epochs + 1):
            score = 0.5 + (best - 0.5) * (1 - np.exp(-epoch / pace))
            scores = {"balanced_accuracy": score, "val_loss": 1 - score}
            training = {"training_loss": 0.5, "training_balanced_accuracy": score, "objective": 0.5}
            history.append({"epoch": epoch, "learning_rate": 1e-3, **training, **scores, "seconds": 1.0, "best": epoch})
            yield "epoch", history[-1]
            if not self._go_on:
                break
        pruned = len(history) < epochs
        course = replace(self._made.training, history=history, best_epoch=len(history), pruned=pruned)
        scored = {"validation": replace(self._made.scored["validation"])}
        yield "finished", replace(self._made, training=course, scored=scored)


class InstantExecutor:
    """A fake executor of two such workers."""

    workers, threads, shares_files = 2, 1, True

    def __init__(self, made: RunResult) -> None:
        self._all = [InstantWorker(made) for _ in range(self.workers)]
        self._idle: list[Worker] = list(self._all)

    def __enter__(self) -> InstantExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._all:
            worker.stop()

    def check(self) -> None:
        """Do nothing: it is there."""

    def acquire(self, variables: Mapping[str, str]) -> Worker | None:
        """Return a worker, if one is idle."""
        return self._idle.pop() if self._idle else None

    def release(self, worker: Worker, *, usable: bool) -> None:
        """Take a worker back."""
        self._idle.append(worker)


def now() -> npt.NDArray[np.float64]:
    """Return the time that has passed and the time that the processor has worked, in milliseconds."""
    return np.array([time.perf_counter(), time.process_time()]) * 1e3


class Clock:
    """A progress that shows nothing and takes the time: of each trial's end, and of each part until then."""

    def __init__(self) -> None:
        self.parts: dict[str, npt.NDArray[np.float64]] = {part: np.zeros(2) for part in TIMED}
        self.ends: list[tuple[npt.NDArray[np.float64], dict[str, npt.NDArray[np.float64]]]] = []
        self.first: float | None = None
        self.pruned = 0

    def trial(self, trial: Trial, *, most: int) -> None:
        """Take the time."""
        if self.first is None:
            self.first = time.perf_counter()
        if trial.state == "failed":
            raise SystemExit(f"trial {trial.number} failed, so that nothing was measured: {trial.reason}")
        if trial.state != "running":
            self.ends.append((now(), {part: taken.copy() for part, taken in self.parts.items()}))
            self.pruned += trial.state == "pruned"

    def progress(self, **how: object) -> None:
        """Show nothing."""

    def log(self, line: str) -> None:
        """Show what must be wrong."""
        print(line)

    def time(self, part: str, owner: type, name: str) -> None:
        """Have the time of a method counted as that of a part."""
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def timed(*arguments: Any, **named: Any) -> Any:
            started = now()
            try:
                return plain(*arguments, **named)
            finally:
                self.parts[part] += now() - started

        setattr(owner, name, timed)


def made_outcome(resolved: ResolvedConfig, train_val: TrainVal) -> RunResult:
    """Make up what a trial brings home, of the size that the reference's trials have."""
    model, part = resolved.benchmark.model, train_val.part.take(np.arange(110))
    weights = load(str(model.initial))(model.parameters, part.images.shape[1:3], 0)
    evaluator = Evaluator(part.images, part.masks, part.groups)
    predictions = Predictions.of(part.images, part.masks, part.images)
    shown = part.take(np.arange(12))
    return RunResult(
        start=RunInfo(train_val.digest, train_val.notes, "cpu", python="", machine="", warnings=()),
        training=TrainingResult([], 1, weights, 1.0, 1),
        scored={"validation": SplitResult(evaluator.fingerprint, evaluator.count(part.images), predictions)},
        samples=Samples(shown.images, shown.masks, shown.images),
        seconds={"start_up": 0.0, "training": 1.0, "scoring": 0.0},
        peak_memory=None,
        warnings=(),
    )


def search(study: Study, prepared: PreparedSweep, clock: Clock) -> None:
    """Bring a study to its trials."""
    store = Store(study.folder)
    factory = RunFactory(registry=prepared.registry, store=store, device="cpu", log=clock.log, study=study.config.name)
    with InstantExecutor(made_outcome(prepared.trial(0, []), prepared.train_val)) as executor:
        TrialLoop(
            study,
            prepared.space,
            prepared.trial,
            factory=factory,
            train_val=prepared.train_val,
            progress=clock,
        ).search(executor)


def told(what: str, ends: Sequence[tuple[npt.NDArray[np.float64], Mapping[str, npt.NDArray[np.float64]]]]) -> str:
    """Return lines on the trials between the first and the last of these ends."""
    whole = np.diff([end for end, _ in ends], axis=0)
    parts = {part: (ends[-1][1][part] - ends[0][1][part]) / len(whole) for part in TIMED}
    parts["the rest"] = whole.mean(axis=0) - np.sum(list(parts.values()), axis=0)
    lines = []
    for clock, kind in enumerate(("passed", "processor")):
        mean = whole[:, clock].mean()
        each = ", ".join(f"{part} {taken[clock]:.1f}" for part, taken in parts.items())
        lines.append(
            f"{what}, {kind}: median {np.median(whole[:, clock]):.1f} ms a trial, mean {mean:.1f}, "
            f"{mean - parts['sampler'][clock]:.1f} without the sampler: {each}"
        )
    return "\n".join(lines)


def main() -> None:
    """Search with the fake executor, go on, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=int, nargs="?", default=1000)
    parser.add_argument("epochs", type=int, nargs="?", default=EPOCHS, help="the most that a trial trains")
    asked = parser.parse_args()
    trials, epochs = asked.trials, asked.epochs
    registry = Registry.installed()
    clock, again = Clock(), Clock()
    for part, (owner, names) in TIMED.items():
        for name in names:
            clock.time(part, owner, name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "studies" / "instant"
        prepared = create_sweep(
            registry,
            name="instant",
            benchmark="reference",
            framework="torch",
            epochs=epochs,
            trials=trials,
            device="cpu",
        )
        with Study(folder, prepared.config) as study:
            search(study, prepared, clock)
        print(f"{trials} trials of at most {prepared.config.epochs} epochs, {clock.pruned} pruned")
        print(told("all trials", clock.ends))
        print(told(f"last {LAST}", clock.ends[-LAST - 1 :]))
        started = time.perf_counter()
        prepared = load_sweep(registry, folder, {"trials": trials + 1})
        checked = time.perf_counter() - started
        with Study(folder, prepared.config) as study:
            opened = time.perf_counter() - started
            search(study, prepared, again)
        assert again.first is not None
        size = (folder / "journal.log").stat().st_size / 2**20
        print(
            f"to go on with {trials} trials, a journal of {size:.1f} MiB: {again.first - started:.2f} s until the next "
            f"trial starts ({checked:.2f} for definition and data, {opened - checked:.2f} for the journal)"
        )


if __name__ == "__main__":
    main()
