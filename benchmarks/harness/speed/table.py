"""How long a table over many runs takes: ``python benchmarks/harness/speed/table.py``.

Makes 1,000 runs, 20 benchmarks of 50 seeds, out of the files of one real run on the built-in data, and prints the
median wall time of ``bench table`` in a fresh process, and how long the processor worked on it, which other programs
change less.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 9
BENCHMARKS, SEEDS = 20, 50
BENCH = str(Path(sys.executable).with_name("bench"))


def main() -> None:
    """Time the commands in turn, so that a slow moment of the machine is every command's."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        print(f"{make_runs(results)} runs")
        table = [BENCH, "table", "--results", folder]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "bench table": table,
            "bench table --test": [*table, "--test"],
            "bench table --format csv --test": [*table, "--test", "--format", "csv"],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                started, worked = time.perf_counter(), processor_time()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                times[name].append((time.perf_counter() - started, processor_time() - worked))
    for name, measured in times.items():
        walls, processor = zip(*measured, strict=True)
        print(
            f"{name:32} median {statistics.median(walls):.3f} s, {min(walls):.3f} to {max(walls):.3f} s; "
            f"processor {statistics.median(processor):.3f} s"
        )


def processor_time() -> float:
    """Return the seconds that the processor has worked for the commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_runs(results: Path) -> int:
    """Train one run for an epoch and leave it many times, under other names and seeds."""
    command = [BENCH, "run", "logistic", "--epochs", "1", "--quiet", "--results", str(results)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (real,) = (results / "runs" / "logistic").iterdir()
    content = json.loads((real / "record.json").read_text())
    for number in range(BENCHMARKS * SEEDS):
        seed, position = divmod(number, BENCHMARKS)
        name = f"benchmark-{position}" if position else "reference"
        made = results / "runs" / name / f"{number:06}"
        made.mkdir(parents=True)
        changed = {"id": made.name, "benchmark": name, "definition": name, "seed": seed, "overrides": []}
        (made / "record.json").write_text(json.dumps(content | changed, indent=1))
        for file in ("statistics.npz", "history.csv"):
            shutil.copy(real / file, made)
    shutil.rmtree(real.parent)
    return BENCHMARKS * SEEDS


if __name__ == "__main__":
    main()
