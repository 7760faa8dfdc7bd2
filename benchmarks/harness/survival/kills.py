"""Kill a search again and again, and look at what is left of it.

    python benchmarks/harness/survival/kills.py [--kills 10] [--crashes 2] [--chance 0] [SWEEP OPTIONS...]

``bench sweep``, with what it is given, is started in a folder of its own. At random moments its training processes, and
a few times the loop, are killed with SIGKILL; after a crash half a line is left at the end of the
journal, and ``--resume`` goes on. At the end everything is counted: the trials that are complete or pruned, those left
running, trials that were tried twice, and the records, each read back whole.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from craterbench.results.record import Record
from craterbench.results.store import Store
from craterbench.search.study import StudyView
from craterbench.search.summary import Trial

BENCH = str(Path(sys.executable).with_name("bench"))

#: Seconds between two kills, at least and at most.
PAUSE = (2.0, 20.0)


def main() -> None:
    """Search, kill, go on, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--crashes", type=int, default=2)
    parser.add_argument("--pause", type=float, nargs=2, default=PAUSE, metavar=("LOW", "HIGH"))
    parser.add_argument("--chance", type=int, default=0, help="seed of when and what is killed")
    asked, sweep = parser.parse_known_args()
    chance = random.Random(asked.chance)
    blows = ["child"] * asked.kills + ["loop"] * asked.crashes
    chance.shuffle(blows)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        place = ["--results", str(results)]
        process = subprocess.Popen([BENCH, "sweep", "--name", "killed", *sweep, *place])
        begun = time.monotonic()
        while blows and process.poll() is None:
            time.sleep(chance.uniform(*asked.pause))
            if not list(results.glob("studies/killed/.running/*/history.csv")) or not children(process.pid):
                continue  # no trial is under way
            if blows[0] == "child":
                os.kill(chance.choice(children(process.pid)), signal.SIGKILL)
            else:
                process.kill()
                process.wait()
                with (results / "studies" / "killed" / "journal.log").open("ab") as journal:
                    journal.write(b'{"op_code": 6, "work')  # as if it had died while it wrote
                process = subprocess.Popen([BENCH, "sweep", "--resume", "killed", *place])
            print(f"{time.monotonic() - begun:6.0f} s: killed a {blows.pop(0)}", flush=True)
        status = process.wait()
        print(f"exit status {status}; kills that found nothing to kill: {len(blows)}")
        sys.exit(0 if sound(results) and status == 0 and not blows else 1)


def children(pid: int) -> list[int]:
    """Return the processes that train."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(child) for child in below if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    except OSError:
        return []


def sound(results: Path) -> bool:
    """Count what is left, and say whether nothing is lost."""
    folder = results / "studies" / "killed"
    study = StudyView(folder)
    trials = study.trials()
    states = Counter(trial.state for trial in trials)
    counted = states["complete"] + states["pruned"]
    print(f"{counted} of {study.config.trials} complete or pruned: {dict(states)}")
    for reason, number in Counter(trial.reason for trial in trials if trial.reason).items():
        print(f"  failed {number} times: {reason}")
    again = Counter(trial.retry_of for trial in trials if trial.retry_of is not None)
    print(f"tried once more: {len(again)} trials; more than once: {sum(times > 1 for times in again.values())}")
    records, damaged = Store(folder).records()
    left = list((folder / ".running").glob("*/record.json"))
    kept = {record.id: record for record in records}
    lacking = [trial.number for trial in trials if not has_record(trial, kept)]
    statuses = dict(Counter(record.status for record in records))
    print(f"records: {len(records)} ended {statuses}, {len(damaged)} damaged, {len(left)} left under way")
    print(f"trials with an end, but without the record of it: {lacking}")
    confirmed, broken = Store(results).records()
    print(f"confirmed: {len(confirmed)} records, {len(broken)} damaged")
    return (
        counted == study.config.trials
        and not (states["running"] or states["waiting"])
        and max(again.values(), default=1) == 1
        and not (damaged or left or lacking or broken)
    )


def has_record(trial: Trial, records: dict[str, Record]) -> bool:
    """Return whether a trial that has a score has the record of it."""
    status = {"complete": "done", "pruned": "pruned"}.get(trial.state)
    return status is None or (trial.record in records and records[trial.record].status == status)


if __name__ == "__main__":
    main()
