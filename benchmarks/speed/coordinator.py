"""What the coordinator of a search costs: ``python benchmarks/speed/coordinator.py [TRIALS] [EPOCHS]``.

The engine here is a fake, and so are its outcomes: its workers train nothing and answer at once, in this process, with
made histories and scores, so that all the time that passes is the coordinator's own: asking Optuna, resolving the
definition, judging each epoch, keeping the study's journal and the record of each trial, with weights and counts of the
reference's size. Nothing is sent between processes, and the screen shows nothing. All else is what ``bench sweep``
runs: the default space, TPE, Hyperband, ``EPOCHS`` epochs a trial (as many as a pruner leaves of them).

Printed are milliseconds a trial, all together and what each part takes of them, for all trials and for the last
hundred: of the sampler the cost grows with the trials, and it is Optuna's own. Then the time to go on with the study.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend

from craterbench.data.dataset import Development
from craterbench.definition.overrides import Override, Resolved, resolve
from craterbench.host.engine import Worker
from craterbench.host.runner import Runner
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.records.store import RunFolder, Store
from craterbench.scoring.counts import Evaluator
from craterbench.search.coordinator import Coordinator, Lines
from craterbench.search.findings import Trial
from craterbench.search.space import Space, build_space
from craterbench.search.study import Plan, Study
from craterbench.search.wishes import Wishes
from craterbench.training.experiment import Outcome, Samples, Scored, Start
from craterbench.training.loop import Course

LAST = 100

#: Whose methods are timed, by what they are told as.
TIMED: Mapping[str, tuple[type, Sequence[str]]] = {
    "sampler": (
        optuna.samplers.TPESampler,
        ("infer_relative_search_space", "sample_relative", "sample_independent", "before_trial", "after_trial"),
    ),
    "pruner": (optuna.pruners.HyperbandPruner, ("prune",)),
    "journal, written": (JournalFileBackend, ("append_logs",)),
    "records, written": (
        RunFolder,
        ("write_definition", "write_record", "write_history", "write_counts", "write_weights", "finish"),
    ),
}


class InstantWorker:
    """A fake worker: it answers at once with what a training could have told."""

    def __init__(self, made: Outcome) -> None:
        self.connection, self._bell = Pipe(duplex=False)
        self._made = made
        self._go_on = True

    def provide(self, development: Development) -> None:
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

    def answer(self, *, go_on: bool) -> None:
        """Go on, or come to the end."""
        self._go_on = go_on
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
        course = replace(self._made.course, history=history, best_epoch=len(history), pruned=pruned)
        scored = {"validation": replace(self._made.scored["validation"])}
        yield "finished", replace(self._made, course=course, scored=scored)


class InstantEngine:
    """A fake engine of two such workers."""

    workers, threads = 2, 1

    def __init__(self, made: Outcome) -> None:
        self._all = [InstantWorker(made) for _ in range(self.workers)]
        self._idle: list[Worker] = list(self._all)

    def __enter__(self) -> InstantEngine:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._all:
            worker.stop()

    def hire(self) -> Worker | None:
        """Return a worker, if one is idle."""
        return self._idle.pop() if self._idle else None

    def dismiss(self, worker: Worker, *, usable: bool) -> None:
        """Take a worker back."""
        self._idle.append(worker)


class Clock:
    """A screen that shows nothing and takes the time: of each trial's end, and of each part until then."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self.ends: list[tuple[float, dict[str, float]]] = []
        self.first: float | None = None
        self.pruned = 0

    def trial(self, trial: Trial, *, most: int) -> None:
        """Take the time."""
        if self.first is None:
            self.first = time.perf_counter()
        if trial.state != "running":
            self.ends.append((time.perf_counter(), dict(self.parts)))
            self.pruned += trial.state == "pruned"

    def progress(self, **how: object) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show what must be wrong."""
        print(line)

    def time(self, part: str, owner: type, name: str) -> None:
        """Have the time of a method counted as that of a part."""
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return plain(*arguments, **named)
            finally:
                self.parts[part] += time.perf_counter() - started

        setattr(owner, name, timed)


def made_outcome(resolved: Resolved, development: Development) -> Outcome:
    """Make up what a trial brings home, of the size that the reference's trials have."""
    model, part = resolved.benchmark.model, development.part.take(np.arange(110))
    weights = load(str(model.initial))(model.parameters, part.images.shape[1:3], 0)
    evaluator = Evaluator(part.images, part.masks, part.groups)
    shown = part.take(np.arange(12))
    return Outcome(
        start=Start(development.digest, development.notes, "cpu", ()),
        course=Course([], 1, weights, 1.0, 1),
        scored={"validation": Scored(evaluator.yardstick, evaluator.count(part.images))},
        samples=Samples(shown.images, shown.masks, shown.images),
        seconds={"start_up": 0.0, "training": 1.0, "scoring": 0.0},
        peak_memory=None,
    )


def search(registry: Registry, study: Study, space: Space, development: Development, clock: Clock) -> None:
    """Bring a study to its trials."""
    fixed = [Override(*override) for override in study.plan.fixed]

    def asked(number: int, overrides: Sequence[Override]) -> Resolved:
        return resolve(registry, study.plan.benchmark, [*fixed, *overrides], label=f"trial-{number}")

    runner = Runner(
        registry=registry,
        store=Store(study.folder),
        device="cpu",
        threads=InstantEngine.threads,
        screen=Lines(clock),
        illustrate=lambda folder, asked, outcome: None,
    )
    made = made_outcome(asked(0, []), development)
    with InstantEngine(made) as engine:
        Coordinator(study, space, asked, runner=runner, engine=engine, development=development, screen=clock).search()


def told(what: str, ends: Sequence[tuple[float, Mapping[str, float]]]) -> str:
    """Return a line on the trials between the first and the last of these ends."""
    number = len(ends) - 1
    pairs = itertools.pairwise(ends)
    whole = [(after - before) * 1e3 for (before, _), (after, _) in pairs]
    parts = {part: (ends[-1][1][part] - ends[0][1].get(part, 0.0)) / number * 1e3 for part in ends[-1][1]}
    parts["the rest"] = statistics.mean(whole) - sum(parts.values())
    without = statistics.mean(whole) - parts.get("sampler", 0.0)
    each = ", ".join(f"{part} {milliseconds:.1f}" for part, milliseconds in parts.items())
    return (
        f"{what}: median {statistics.median(whole):.1f} ms a trial, mean {statistics.mean(whole):.1f}, "
        f"{without:.1f} without the sampler: {each}"
    )


def main() -> None:
    """Search with the fake engine, go on, and print."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    registry = Registry.installed()
    fixed = [["framework", "torch", ""], ["training.monitor", "balanced_accuracy", ""], ["training.epochs", epochs, ""]]
    base = resolve(registry, "reference", [Override(*override) for override in fixed])
    dataset = base.benchmark.dataset
    development: Development = load(dataset.target)(dataset.parameters).without_test()
    space = build_space(registry, base.benchmark, Wishes())
    plan = Plan(
        name="instant",
        created="",
        benchmark="reference",
        fixed=fixed,
        search_only=[],
        vary=[],
        space_file=None,
        definition=base.benchmark.as_dict(),
        versions=base.benchmark.versions(),
        space=space.as_json(),
        data=development.digest,
        objectives=["balanced_accuracy"],
        sampler="tpe",
        pruner="hyperband",
        seed=0,
        epochs=epochs,
        trials=trials,
    )
    clock, again = Clock(), Clock()
    for part, (owner, names) in TIMED.items():
        for name in names:
            clock.time(part, owner, name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Study(folder, plan) as study:
            search(registry, study, space, development, clock)
        print(f"{trials} trials of at most {epochs} epochs, {clock.pruned} pruned")
        print(told("all trials", clock.ends))
        print(told(f"last {LAST}", clock.ends[-LAST - 1 :]))
        started = time.perf_counter()
        with Study(folder, replace(plan, trials=trials + 1)) as study:
            opened = time.perf_counter() - started
            search(registry, study, space, development, again)
        assert again.first is not None
        size = (folder / "journal.log").stat().st_size / 2**20
        print(
            f"going on with {trials} trials (a journal of {size:.1f} MiB): read again after {opened:.2f} s, "
            f"next trial asked for after {again.first - started:.2f} s"
        )


if __name__ == "__main__":
    main()
