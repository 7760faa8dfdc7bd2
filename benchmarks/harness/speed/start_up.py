"""How long the command takes to say what it can do: ``python benchmarks/harness/speed/start_up.py``.

Prints the median wall time of ``bench --help`` and ``bench list`` and, in the same run, of a Python that does nothing.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 21
BENCH = str(Path(sys.executable).with_name("bench"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "bench --help": [BENCH, "--help"],
    "bench list": [BENCH, "list"],
}


def main() -> None:
    """Time the commands in turn, so that a slow moment of the machine is every command's."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    for name, times in seconds.items():
        print(f"{name:15} median {statistics.median(times):.3f} s, {min(times):.3f} to {max(times):.3f} s")


if __name__ == "__main__":
    main()
