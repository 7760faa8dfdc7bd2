"""A plugin for tests that break runs off: its schedule holds a run before an epoch until it is let go."""

from __future__ import annotations

import os
from pathlib import Path

from installed import install

_CODE = '''
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from craterbench.plugin import Range, ScheduleSpec, hookimpl

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Held:
    """Attributes: after: so many epochs."""

    after: Annotated[int, Range(1, 1000)] = 1


@hookimpl
def bench_schedules():
    return [ScheduleSpec(name="held", summary="", target="held:rates", parameters=Held)]


@hookimpl
def bench_run_started(run):
    (HERE / f"started {run.config['name']}").touch()


def rates(learning_rate, steps, total, history, parameters):
    (HERE / f"threads of epoch {len(history) + 1}").write_text(os.environ["OMP_NUM_THREADS"])
    while len(history) == parameters.after and not (HERE / "go").exists():
        time.sleep(0.01)
    return np.full(len(steps), learning_rate)
'''


class Hold:
    """The plugin, put where the processes find it that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        install(folder, "held", _CODE)
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        }

    def go(self) -> None:
        """Let runs go on that are held, and hold none from now on."""
        (self.folder / "go").touch()

    def threads(self, epoch: int) -> int:
        """Return with how many threads the process was started that trained an epoch."""
        return int((self.folder / f"threads of epoch {epoch}").read_text())

    def started(self, benchmark: str) -> bool:
        """Return whether a run of a benchmark has been begun."""
        return (self.folder / f"started {benchmark}").exists()


def held(after: int) -> tuple[str, ...]:
    """Return what to ask ``bench run`` for, that its runs be held after so many epochs."""
    return ("--set", "schedule.name=held", "--set", f"schedule.after={after}")
