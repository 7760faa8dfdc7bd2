"""Whether digits have changed: ``digits.py FOLDER [--bench PATH]``, then ``digits.py --compare FOLDER OTHER``.

The first trains short runs into a folder of results: of every framework, loss, optimizer, schedule and augmentation
that comes with craterbench, and one study of six trials. It uses nothing but the command ``bench``, so that any version
of it can be asked. The second compares two such folders, value by value, and exits with 1 where they differ. Digits are
only equal for equal packages, threads and machine, so let both versions run in one environment.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

SMALL = ("dataset.name=synthetic", "dataset.images=40", "dataset.size=32")
TINY = ("model.filters=4", "model.depth=2")

#: Benchmark, and what is changed in it. Torch differs from Keras by its framework alone.
RUNS = [
    ("constant", ()),
    ("logistic", ("schedule.name=cosine",)),
    *(
        (
            benchmark,
            (
                f"loss.name={loss}",
                f"optimizer.name={optimizer}",
                "optimizer.learning_rate=1e-3",
                f"schedule.name={schedule}",
                *more,
                *TINY,
            ),
        )
        for benchmark in ("reference", "torch-twin")
        for loss, optimizer, schedule, more in (
            ("bce", "adam", "constant", ()),
            ("dice", "adamw", "cosine", ("augmentation.drawn=every-epoch", "augmentation.flips=true")),
            ("focal", "sgd", "exponential", ("augmentation.copies=0",)),
            ("bce-dice", "adam", "warm-up", ("augmentation.flips=true",)),
            ("bce", "adam", "plateau", ("training.monitor=balanced_accuracy",)),
        )
    ),
]


def train(bench: str, results: Path) -> None:
    """Train everything into a folder of results, a run at a time: more at once would have fewer threads."""
    common = ["--epochs", "3", "--workers", "1", "--quiet", "--results", str(results)]
    for benchmark, settings in RUNS:
        changes = [word for setting in (*SMALL, *settings) for word in ("--set", setting)]
        subprocess.run([bench, "run", benchmark, *common, *changes], check=True, stdout=subprocess.DEVNULL)
    fixed = [word for setting in (*SMALL, *TINY) for word in ("--fix", setting)]
    study = ["sweep", "--benchmark", "torch-twin", "--name", "digits", "--trials", "6", "--seed", "1", "--confirm", "1"]
    subprocess.run([bench, *study, *common, *fixed], check=True, stdout=subprocess.DEVNULL)


def runs(results: Path) -> list[Path]:
    """Return the folders of runs in the order in which they were started, those of the study behind the others."""
    return [
        folder
        for root in (results / "runs", results / "studies" / "digits" / "runs")
        for folder in sorted((file.parent for file in root.glob("*/*/record.json")), key=lambda folder: folder.name)
    ]


def history(run: Path) -> dict[str, list[str]]:
    """Return the columns of a run's history but for its seconds, as they are written."""
    with (run / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0] if name != "seconds"}


def differences(run: Path, other: Path) -> Iterator[str]:
    """Say where two runs differ."""
    (mine, others), columns = (history(run), history(other)), []
    for name in mine.keys() & others.keys():
        if mine[name] != others[name]:
            epoch = next(n for n, pair in enumerate(zip(mine[name], others[name], strict=False)) if pair[0] != pair[1])
            columns.append((epoch, name))
    if columns:
        epoch, name = min(columns)
        yield f"history: {name} first differs in epoch {epoch + 1}: {mine[name][epoch]} and {others[name][epoch]}"
    if mine.keys() ^ others.keys():
        yield f"history: only one has {', '.join(sorted(mine.keys() ^ others.keys()))}"
    weights, others_weights = (load_file(each / "weights.safetensors") for each in (run, other))
    for name in sorted(weights.keys() | others_weights.keys()):
        pair = weights.get(name), others_weights.get(name)
        if pair[0] is None or pair[1] is None or not np.array_equal(*pair, equal_nan=True):
            yield f"weights: {name} differs"
            return


def trials(results: Path) -> list[Any]:
    """Return what was tried in the study, as its journal has it: parameters, values and states."""
    lines = (results / "studies" / "digits" / "journal.log").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    told = ("param_name", "param_value_internal", "trial_id", "values", "state")
    return [{key: entry[key] for key in told if key in entry} for entry in entries if "trial_id" in entry]


def compare(results: Path, other: Path) -> int:
    """Print what is equal and what is not, and return the exit status."""
    mine, others = runs(results), runs(other)
    found = [f"{len(mine)} and {len(others)} runs"] * (len(mine) != len(others))
    for run, another in zip(mine, others, strict=False):
        names = run.parent.name, another.parent.name
        told = [f"{' and '.join(names)}: other runs"] if names[0] != names[1] else list(differences(run, another))
        print(f"{names[0]} {run.name}: {'; '.join(told) or 'equal'}")
        found += told
    if trials(results) != trials(other):
        found.append("the trials of the study differ")
    print("\n".join(found) if found else f"{len(mine)} runs and the trials of a study are equal to the last digit")
    return 1 if found else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--bench", default=str(Path(sys.executable).with_name("bench")))
    options = parser.parse_args()
    if options.compare:
        return compare(*options.results)
    for results in options.results:
        train(options.bench, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
