"""What ``bench sweep`` gains on a plain script: ``search.py [--trials N] [--seeds 0 1 2]``.

For each seed of the sampler ``bench sweep`` and ``plain_search.py`` run, one after the other on the whole machine, the
first of them in turn. Both search the same space on the same images, of as many epochs, and confirm their best in
single precision on the same three seeds. Printed for each seed, and as a geometric mean, are the ratios plain / bench:

- search: until the last trial has ended.
- an epoch of the search: the same over the epochs that were trained, of which each side prunes others.
- confirmed score: the target is the lower of the two confirmed scores (mean balanced accuracy on the validation part),
  so that both have confirmed as much. A side's time is that of the first complete trial that scored at least that (all
  of its search, if none did), and then of its confirmation.
- confirmed: until the best setting has been trained on all three seeds. Then ``bench sweep`` trains the reference,
  which the plain script does not; the time until the command ends has that, pictures and page in it.

``--parts`` runs ``bench sweep`` alone, with one thing changed at a time, on the same settings (the random sampler), and
prints what each changes. ``--benchmark``, ``--vary`` and ``--fix`` are handed to both sides: a definition of few epochs
and a small space make a short run.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from craterbench.execution.devices import available_cores
from craterbench.results.store import Store
from craterbench.search.journal import open_journal

BENCH = str(Path(sys.executable).with_name("bench"))
PLAIN = str(Path(__file__).with_name("plain_search.py"))

#: What ``--parts`` changes.
PARTS = {
    "as it is": [],
    "one worker, all threads": ["--workers", "1"],
    "float32": ["--fix", "training.precision=float32"],
    "no pruner": ["--pruner", "none"],
    "hyperband": ["--pruner", "hyperband"],
}


@dataclass(frozen=True)
class Side:
    """A search and its confirmation; times are seconds since the command was started.

    Attributes:
        complete: time and value of every trial that came to its end.
        epochs: of all trials.
        search: when the last trial ended.
        confirmed: when the best setting had been trained on its last seed.
        score: the mean over those seeds.
        whole: when the command ended.
    """

    complete: Sequence[tuple[float, float]]
    epochs: int
    search: float
    confirmed: float
    score: float
    whole: float

    def reached(self, target: float) -> float:
        """Return when a score was first found, and then confirmed."""
        found = min((at for at, value in self.complete if value >= target), default=self.search)
        return found + self.confirmed - self.search


def trials_of(study: Path) -> list[FrozenTrial]:
    """Return the trials of a study that are complete or pruned."""
    loaded = optuna.load_study(study_name=study.name, storage=open_journal(study / "journal.log"))
    return loaded.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def ended(trial: FrozenTrial) -> float:
    """Return when a trial ended, as ``time.time`` has it."""
    assert trial.datetime_complete is not None
    return trial.datetime_complete.timestamp()


def sweep(results: Path, name: str, options: Sequence[str]) -> Path:
    """Run ``bench sweep`` and return the folder of the study."""
    command = [BENCH, "sweep", "--name", name, "--results", str(results), "--quiet", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return results / "studies" / name


def run_bench(seed: int, options: Sequence[str], results: Path) -> Side:
    """Search with the harness."""
    started = time.time()
    study = sweep(results, f"seed-{seed}", ["--seed", str(seed), *options])
    whole = time.time() - started
    trials = trials_of(study)
    confirmed = list((results / "runs" / study.name).glob("*/record.json"))
    candidate = json.loads((study / "confirmation.json").read_text(encoding="utf-8"))["rows"][0]
    return Side(
        [(ended(trial) - started, trial.values[0]) for trial in trials if trial.state == TrialState.COMPLETE],
        sum(len(trial.intermediate_values) for trial in trials),
        max(map(ended, trials)) - started,
        max(record.stat().st_mtime for record in confirmed) - started,
        candidate["validation"]["mean"],
        whole,
    )


def run_plain(seed: int, options: Sequence[str], results: Path) -> Side:
    """Search with the plain script."""
    started = time.time()
    complete, epochs, search, confirmed, score = [], 0, 0.0, 0.0, math.nan
    command = [sys.executable, PLAIN, "--seed", str(seed), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told, at = json.loads(line), time.time() - started
            if told["event"] == "trial":
                search, epochs = at, epochs + told["epochs"]
                if told["state"] == "complete":
                    complete.append((at, told["value"]))
            elif told["event"] == "confirmed":
                confirmed, score = at, told["mean"]
    if process.returncode:
        raise SystemExit(f"{PLAIN} ended with status {process.returncode}")
    return Side(complete, epochs, search, confirmed, score, time.time() - started)


def compare(seeds: Sequence[int], options: Sequence[str], results: Path) -> None:
    """Run both sides for each seed and print the ratios."""
    ratios: dict[str, list[float]] = {}
    for number, seed in enumerate(seeds):
        sides = {}
        for run in (run_bench, run_plain) if number % 2 == 0 else (run_plain, run_bench):
            sides[run] = run(seed, options, results)
        bench, plain = sides[run_bench], sides[run_plain]
        target = min(bench.score, plain.score)
        measured = {
            "search": (bench.search, plain.search),
            "an epoch of the search": (bench.search / bench.epochs, plain.search / plain.epochs),
            "confirmed score": (bench.reached(target), plain.reached(target)),
            "confirmed": (bench.confirmed, plain.confirmed),
            "command": (bench.whole, plain.whole),
        }
        scores = f"confirmed {bench.score:.4f} by bench, {plain.score:.4f} by the plain script"
        epochs = f"{bench.epochs} and {plain.epochs} epochs"
        print(f"seed {seed}: {scores}; the target is {target:.4f}; {epochs} in the search")
        for what, (ours, theirs) in measured.items():
            ratios.setdefault(what, []).append(theirs / ours)
            print(f"  {what}: bench {ours:.2f} s, plain {theirs:.2f} s, ratio {theirs / ours:.2f}", flush=True)
    for what, found in ratios.items():
        each = ", ".join(f"{ratio:.2f}" for ratio in found)
        print(f"{what}, plain / bench: geometric mean {statistics.geometric_mean(found):.2f} ({each})")


def show_parts(seed: int, options: Sequence[str], results: Path) -> None:
    """Change one thing at a time, and print what the search takes and finds."""
    first = 0.0
    for number, (part, change) in enumerate(PARTS.items()):
        fixed = [*options, "--seed", str(seed), "--sampler", "random", "--confirm", "0"]
        study = sweep(results, f"part-{number}", [*fixed, *change])
        trials = trials_of(study)
        begun = min(trial.datetime_start.timestamp() for trial in trials if trial.datetime_start is not None)
        seconds = max(map(ended, trials)) - begun
        first = first or seconds
        epochs = sum(len(trial.intermediate_values) for trial in trials)
        best = max(trial.value for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None)
        print(
            f"{part}: {seconds:.1f} s, {seconds / first:.2f} of {'that' if number else 'itself'}; {epochs} epochs in "
            f"{len(trials)} trials, {seconds / epochs:.2f} s an epoch; best {best:.4f}",
            flush=True,
        )
        if number == 0:
            show_start_up(study, seconds)


def show_start_up(study: Path, seconds: float) -> None:
    """Print what it takes to start a trial in a child that is new, and in one that is warm."""
    records = sorted(Store(study).records()[0], key=lambda record: record.started)
    workers = available_cores() // records[0].environment["threads"]
    start_up = [record.seconds["start_up"] for record in records if "start_up" in record.seconds]
    new, warm = statistics.mean(start_up[:workers]), statistics.mean(start_up[workers:])
    saved = (new - warm) * (len(start_up) - workers) / workers
    print(
        f"warm children: a trial starts in {warm:.2f} s, in a new child in {new:.2f} s and the start of its Python; "
        f"{saved:.1f} s saved, {saved / (seconds + saved):.0%} of what the search would take",
        flush=True,
    )


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--benchmark", default="reference", help="where the search starts")
    parser.add_argument("--epochs", type=int, help="of a trial; by default as bench sweep has it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the sampler")
    parser.add_argument("--vary", action="append", default=[], help="as in bench sweep")
    parser.add_argument("--fix", action="append", default=[], help="as in bench sweep")
    parser.add_argument("--parts", action="store_true", help="what each part gives, on the first seed")
    parser.add_argument("--results", type=Path, help="keep what bench sweep leaves in this folder")
    asked = parser.parse_args()
    options = ["--trials", str(asked.trials), "--benchmark", asked.benchmark]
    if asked.epochs is not None:
        options += ["--epochs", str(asked.epochs)]
    options += [word for key in ("vary", "fix") for value in getattr(asked, key) for word in (f"--{key}", value)]
    with tempfile.TemporaryDirectory() as folder:
        results = asked.results or Path(folder)
        if asked.parts:
            show_parts(asked.seeds[0], options, results)
        else:
            compare(asked.seeds, options, results)


if __name__ == "__main__":
    main()
