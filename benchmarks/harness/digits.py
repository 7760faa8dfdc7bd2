"""Whether two versions of craterbench come to the same digits.

    python benchmarks/harness/digits.py --results before [--bench PATH]
    python benchmarks/harness/digits.py --results after [--bench PATH]
    python benchmarks/harness/digits.py --compare before after

The first two train short runs of every framework, loss, optimizer, schedule and augmentation that come with
craterbench, and one study of six trials whose best is confirmed. They use nothing but the command ``bench``, so that
any version of it can be asked. The third compares the histories and weights of all runs and the trials of the study,
says for each whether they are equal or where they first differ, and exits with 1 if anything does. Digits can only be
equal for equal packages, threads and machine: let both versions run in one environment.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

BENCH = Path(sys.executable).with_name("bench")

DATA = ("dataset.name=synthetic", "dataset.images=40", "dataset.size=32")
NETWORK = ("model.filters=4", "model.depth=2")

#: Loss, optimizer, schedule and more. A plateau is reached within three epochs if no epoch may pass without a gain.
SETTINGS = (
    ("bce", "adam", "constant", ()),
    ("dice", "adamw", "cosine", ("augmentation.drawn=every-epoch", "augmentation.flips=true")),
    ("focal", "sgd", "exponential", ("augmentation.copies=0",)),
    ("bce-dice", "adam", "warm-up", ("augmentation.flips=true", "schedule.share=0.5")),
    ("bce", "adam", "plateau", ("training.monitor=balanced_accuracy", "schedule.patience=1")),
)

#: The study's name, and what is added to it in the folder of results.
STUDY = "digits"

#: Columns that no two runs share.
TIMES = {"seconds"}


def commands() -> Iterator[list[str]]:
    """Yield what ``bench`` is told, in the order in which it is told: runs of the same benchmark are matched by it."""
    yield ["run", "constant", *options("--set", DATA)]
    yield ["run", "logistic", *options("--set", (*DATA, "schedule.name=cosine"))]
    for benchmark in ("reference", "torch-twin"):
        for loss, optimizer, schedule, more in SETTINGS:
            named = (f"loss.name={loss}", f"optimizer.name={optimizer}", f"schedule.name={schedule}")
            rate = "optimizer.learning_rate=1e-3"
            yield ["run", benchmark, *options("--set", (*DATA, *NETWORK, *named, rate, *more))]
    yield ["run", "as-published", "--seed", "7", *options("--set", (*DATA, *NETWORK, "framework=torch"))]
    yield ["run", "torch-twin", "--folds", "2", *options("--set", (*DATA, *NETWORK))]
    study = ["sweep", "--name", STUDY, "--benchmark", "torch-twin", "--trials", "6", "--seed", "1", "--confirm", "1"]
    yield [*study, *options("--fix", (*DATA, *NETWORK))]


def options(name: str, values: tuple[str, ...]) -> list[str]:
    """Return an option given once for each value."""
    return [word for value in values for word in (name, value)]


def train(bench: Path, results: Path) -> None:
    """Train everything, one run at a time, so that each has all threads."""
    for command in commands():
        print("bench", *command, flush=True)
        common = ["--epochs", "3", "--workers", "1", "--quiet", "--results", str(results)]
        subprocess.run([bench, *command, *common], check=True, stdout=subprocess.DEVNULL)


def runs(results: Path) -> dict[str, Path]:
    """Return the folders of all runs, those of studies too, by benchmark, seed, fold and order of start."""
    found = [
        (json.loads(file.read_text(encoding="utf-8")), file.parent)
        for pattern in ("runs/*/*/record.json", "studies/*/runs/*/*/record.json")
        for file in results.glob(pattern)
    ]
    named: dict[str, Path] = {}
    times: Counter[str] = Counter()
    for record, folder in sorted(found, key=lambda pair: (pair[0].get("started", ""), pair[1].name)):
        name = f"{folder.parent.relative_to(results)}, seed {record.get('seed')}"
        if record.get("fold") is not None:
            name += f", fold {record['fold']}"
        times[name] += 1
        named[f"{name}, run {times[name]}" if times[name] > 1 else name] = folder
    return named


def threads(run: Path) -> Any:
    """Return the number of threads that a run was trained with, if its record says it."""
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    return record.get("environment", {}).get("threads")


def history(run: Path) -> dict[str, list[str]]:
    """Return the columns of a run's history, as they are written."""
    if not (run / "history.csv").exists():
        return {}
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return {name: [row[column] for row in rows] for column, name in enumerate(names)}


def compare_histories(ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> str | None:
    """Return where two histories first differ in the columns that both have, or None."""
    shared = [name for name in ours if name in theirs and name not in TIMES]
    if bool(ours) != bool(theirs) or (ours and not shared):
        return "history.csv: no column in common"
    lengths = {len(columns[name]) for columns in (ours, theirs) for name in shared}
    for epoch in range(min(lengths, default=0)):
        for name in shared:
            if not same(ours[name][epoch], theirs[name][epoch]):
                return f"history.csv: epoch {epoch + 1}, {name}: {ours[name][epoch]} and {theirs[name][epoch]}"
    return f"history.csv: {' and '.join(map(str, sorted(lengths)))} epochs" if len(lengths) > 1 else None


def same(ours: str, theirs: str) -> bool:
    """Return whether two values are the same text or the same number."""
    try:
        return ours == theirs or float(ours) == float(theirs)
    except ValueError:
        return False


def compare_weights(run: Path, other: Path) -> str | None:
    """Return the first tensor whose bytes differ, or None."""
    files = run / "weights.safetensors", other / "weights.safetensors"
    if not all(file.exists() for file in files):
        return "weights.safetensors: only one has it" if any(file.exists() for file in files) else None
    ours, theirs = map(load_file, files)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            return f"weights.safetensors: only one has {name}"
        mine, other_one = ours[name], theirs[name]
        if (mine.dtype, mine.shape) != (other_one.dtype, other_one.shape):
            return f"weights.safetensors: {name}: {mine.dtype} {mine.shape} and {other_one.dtype} {other_one.shape}"
        if mine.tobytes() != other_one.tobytes():
            differ = np.flatnonzero(mine.ravel() != other_one.ravel())
            return f"weights.safetensors: {name}: {len(differ)} of {mine.size} weights"
    return None


def compare_runs(run: Path, other: Path) -> str | None:
    """Return where two runs first differ, or None."""
    told = [compare_histories(history(run), history(other)), compare_weights(run, other)]
    differences = [difference for difference in told if difference]
    if differences and threads(run) != threads(other):
        differences.append(f"trained with {threads(run)} and {threads(other)} threads")
    return "; ".join(differences) or None


def trials(study: Path) -> dict[int, dict[str, Any]]:
    """Return the parameters, intermediate values, values and state of each trial of a study, from Optuna's journal."""
    found: dict[int, dict[str, Any]] = {}
    for line in (study / "journal.log").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "trial_id" not in entry:
            continue
        trial = found.setdefault(entry["trial_id"], {})
        if "param_name" in entry:
            choices = json.loads(entry["distribution"])["attributes"].get("choices")
            value = entry["param_value_internal"]
            trial[entry["param_name"]] = value if choices is None else choices[int(value)]
        elif "intermediate_value" in entry:
            trial[f"value of epoch {entry['step']}"] = entry["intermediate_value"]
        elif "values" in entry:
            trial["values"], trial["state"] = entry["values"], entry["state"]
    return found


def compare_trials(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Return the first parameter or value of a trial that differs, or None."""
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in ours or name not in theirs:
            return f"only one has {name}"
        if ours[name] != theirs[name]:
            return f"{name}: {ours[name]} and {theirs[name]}"
    return None


def compare(results: Path, other: Path) -> int:
    """Print for every run and trial whether it is equal in both folders, and return the exit status."""
    told: dict[str, str | None] = {}
    ours, theirs = runs(results), runs(other)
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        told[name] = compare_runs(ours[name], theirs[name]) if name in ours and name in theirs else "only one has it"
    studies = [
        {file.parent.name: file.parent for file in root.glob("studies/*/journal.log")} for root in (results, other)
    ]
    for study in sorted({*studies[0], *studies[1]}):
        our_trials, their_trials = (trials(named[study]) if study in named else {} for named in studies)
        for number in sorted(our_trials.keys() | their_trials.keys()):
            both = number in our_trials and number in their_trials
            told[f"studies/{study}, trial {number}"] = (
                compare_trials(our_trials[number], their_trials[number]) if both else "only one has it"
            )
    for name, difference in told.items():
        print(f"{name}: {difference or 'equal'}")
    for root, mine, others in ((results, ours, theirs), (other, theirs, ours)):
        columns = {name for run in mine.values() for name in history(run)}
        only = columns - {name for run in others.values() for name in history(run)}
        if only:
            print(f"only in the histories of {root}, and not compared: {', '.join(sorted(only))}")
    differing = sum(difference is not None for difference in told.values())
    print(f"{len(told) - differing} of {len(told)} equal" if told else "there is nothing to compare")
    return 1 if differing or not told else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--results", type=Path, metavar="FOLDER", help="train everything into this new folder")
    what.add_argument("--compare", type=Path, nargs=2, metavar="FOLDER", help="compare two such folders")
    parser.add_argument("--bench", type=Path, default=BENCH, help="the command of the version to train with")
    given = parser.parse_args()
    if given.compare:
        return compare(*given.compare)
    if given.results.exists() and any(given.results.iterdir()):
        parser.error(f"{given.results} is not empty: what is done already would not be trained")
    train(given.bench, given.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
