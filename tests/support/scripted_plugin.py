"""A plugin for tests of a search: a model whose score is its parameter, and which goes wrong when a script says so."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from installed import install

#: The images are their own masks, so that a session can predict a share of the crater pixels and know its score.
_CODE = '''
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from craterbench.plugin import (
    BenchmarkSpec, DatasetSpec, FrameworkSpec, LossSpec, ModelSpec, OptimizerSpec, Range, UserError, hookimpl,
)

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Attributes: quality: the share of the crater pixels that are found; sides: nothing, which is not searched."""

    quality: Annotated[float, Range(0, 1)] = 0.5
    sides: tuple[int, ...] = (3, 3)


@dataclass(frozen=True, kw_only=True)
class Images:
    """Attributes: seed: of the images."""

    seed: Annotated[int, Range(0, 100)] = 0


@hookimpl
def bench_frameworks():
    return [
        FrameworkSpec(name="scripted", summary="", target="scripted:Session"),
        FrameworkSpec(name="twin", summary="", target="scripted:Session"),
        FrameworkSpec(name="absent", summary="", target="scripted:Session", requires=("no_such_module",)),
    ]


@hookimpl
def bench_optimizers():
    frameworks = ("scripted", "twin", "absent")
    return [OptimizerSpec(name="plain", summary="", target=dict.fromkeys(frameworks, "scripted:Quality"))]


@hookimpl
def bench_models():
    return [ModelSpec(name="scripted", summary="", target="scripted:Quality", parameters=Quality)]


@hookimpl
def bench_losses():
    return [
        LossSpec(name="scripted", summary="", target="scripted:Quality"),
        LossSpec(name="lone", summary="", target={"scripted": "scripted:Quality"}),
    ]


@hookimpl
def bench_datasets():
    return [
        DatasetSpec(
            name="scripted", summary="", target="scripted:images", parameters=Images, provenance="", licence=""
        )
    ]


@hookimpl
def bench_benchmarks():
    return [BenchmarkSpec(name="scripted", summary="", file=HERE / "scripted.toml")]


@hookimpl
def bench_run_finished(record):
    if (HERE / "press").exists() and record["benchmark"] == "trial-1":
        os.kill(os.getpid(), signal.SIGINT)


def note(file, line):
    with (HERE / file).open("a") as lines:
        lines.write(f"{line}\\n")


def images(parameters):
    import numpy as np

    from craterbench.data.dataset import Dataset, Subset

    note("reads", os.getpid())
    masks = np.random.default_rng(parameters.seed).integers(0, 2, (40, 8, 8, 1)).astype(np.uint8)
    everything = Subset(masks.astype(np.float32), masks, np.arange(40))
    rows = np.arange(40)
    return Dataset(everything.take(rows[:30]), everything.take(rows[30:]))


class Session:
    device = "cpu"

    def __init__(self, task):
        import numpy as np

        note("starts", f"{os.getpid()} {task.model_parameters.quality!r}")
        processes = [int(line.split()[0]) for line in (HERE / "starts").read_text().splitlines()]
        begun = max(number for number, process in enumerate(processes) if process == os.getpid())
        faults = json.loads((HERE / "faults.json").read_text())
        self.fault = faults.get(str(begun), faults.get("always", ""))
        self.quality = task.model_parameters.quality
        self.drawn = np.random.default_rng(task.seed)
        self.epoch = 0
        if self.fault == "refuse":
            raise UserError("the depth does not divide the image")

    def train_epoch(self, images, masks, batches, rates):
        self.epoch += 1
        while self.fault == "wait" and not (HERE / "go").exists():
            time.sleep(0.01)
        if self.fault == "hang":
            note("hangs", os.getpid())
            time.sleep(3600)
        if self.fault == "raise":
            raise ValueError("the script says so")
        if self.fault == "memory":
            raise MemoryError
        if self.fault == "die" and self.epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0

    def predict(self, images):
        import numpy as np

        craters = np.flatnonzero(images)
        found = np.zeros(images.size, np.float32)
        found[craters[: round(self.quality * craters.size)]] = 0.9
        found += self.drawn.uniform(0, 0.1, found.size).astype(np.float32)
        if self.fault == "nan":
            found[0] = np.nan
        return found.reshape(images.shape)

    def weights(self):
        import numpy as np

        return {"epoch": np.array([self.epoch], np.float32)}

    def load_weights(self, weights):
        pass

    state, load_state = weights, load_weights
'''

_DEFINITION = """
summary = "a score that is known before"
framework = "scripted"
dataset.name = "scripted"
model.name = "scripted"
loss.name = "scripted"
schedule.name = "constant"
optimizer = { name = "plain", learning_rate = 1e-3 }
training = { epochs = 4, patience = 100 }
"""


class Script:
    """The plugin, put where this process and those it starts find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        install(folder, "scripted", _CODE)
        (folder / "scripted.toml").write_text(_DEFINITION)
        self.say()

    def say(self, *, always: str = "", **faults: str) -> None:
        """Say what goes wrong: ``start_3="die"`` is for the fourth session that is opened from the beginning."""
        said = {key.removeprefix("start_"): fault for key, fault in faults.items()}
        (self.folder / "faults.json").write_text(json.dumps(said | {"always": always}))

    def go(self) -> None:
        """Let those go on that wait."""
        (self.folder / "go").touch()

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C when the record of the second trial is whole, and the study does not know of it yet."""
        (self.folder / "press").touch()

    def starts(self) -> list[tuple[int, float]]:
        """Return the process and the quality of each session that was opened."""
        file = self.folder / "starts"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(line.split()[0]), float(line.split()[1])) for line in lines]

    def hangs(self) -> bool:
        """Return whether a session hangs."""
        return (self.folder / "hangs").exists()

    def reads(self) -> list[int]:
        """Return the processes that have read the data."""
        return [int(line) for line in (self.folder / "reads").read_text().splitlines()]

    def change(self, old: str, new: str) -> None:
        """Change the plugin, as another version of it does."""
        for file in (self.folder / "scripted.py", self.folder / "scripted.toml"):
            file.write_text(file.read_text().replace(old, new))
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)  # it tells files apart by size and second
        sys.modules.pop("scripted", None)
