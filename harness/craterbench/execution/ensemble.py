"""Finished runs that predict together: the mean of their probabilities, each framework in a worker process."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.config.resolve import Override
from craterbench.execution.devices import available_cores, environment
from craterbench.execution.finished import FinishedRun
from craterbench.execution.worker import WorkerError, WorkerProcess
from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.histogram import EDGES
from craterbench.metrics.metric import TUNED
from craterbench.plugin import UserError
from craterbench.plugin.components import FrameworkSpec
from craterbench.plugin.errors import nearest
from craterbench.plugin.registry import Registry
from craterbench.training.ensemble_members import TTA, Member
from craterbench.training.experiment import Evaluation
from craterbench.training.session import image_multiple

__all__ = ["Ensemble", "parse_tta"]

_PREDICT, _PREDICT_PARTS, _SCORE_PARTS = (
    f"craterbench.training.ensemble_members:{name}" for name in ("predict_sum", "predict_parts", "score_parts")
)


def parse_tta(text: str) -> tuple[str, ...]:
    """Return the names of a text such as ``flips,turns``.

    Raises:
        UserError: one is unknown.
    """
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in TTA:
            raise UserError(f"--tta {text}: there is no {name!r}; {nearest(name, TTA)}, or both as flips,turns")
    return tuple(name for name in TTA if name in names)


class Ensemble:
    """One finished run or several, loaded once for any number of predictions. Use it as a context manager.

    Attributes:
        runs: the runs.
        tta: the symmetries of test-time augmentation.
        multiple: what the sides of a window must be multiples of.
    """

    def __init__(
        self,
        registry: Registry,
        runs: Sequence[FinishedRun],
        *,
        framework: str | None = None,
        tta: Sequence[str] = (),
        device: str = "auto",
    ) -> None:
        """Find their weights and their components.

        Args:
            framework: what predicts, by their weights, if it is not what trained them.
            tta: the symmetries of test-time augmentation: ``flips``, ``turns`` or both.
            device: ``auto``, ``cpu`` or ``gpu``.

        Raises:
            UserError: weights are missing, a component is not there in the framework, or that is not installed.
        """
        self.runs = runs
        self.tta = tuple(tta)
        self._registry, self._device = registry, device
        overrides = [] if framework is None else [Override("framework", framework, "--framework")]
        self._members: dict[str, list[Member]] = {}
        for run in runs:
            benchmark = run.benchmark(registry, overrides)
            self._framework(benchmark.framework.name).check_installed()
            member = Member(benchmark, run.weights_file.resolve())
            self._members.setdefault(benchmark.framework.name, []).append(member)
        members = [member for group in self._members.values() for member in group]
        self.multiple = math.lcm(*(image_multiple(member.benchmark) for member in members))
        self._workers: dict[str, WorkerProcess] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Ensemble:
        self._stack.__enter__()
        self._log = Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / "log.txt"
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(None, None, None)

    @property
    def threshold(self) -> float:
        """The threshold that was best for the validation part, the mean of the runs'; 0.5 where none is known.

        It is that of ``balanced_accuracy_tuned``.
        """
        edges = [run.record.best_edge(TUNED) for run in self.runs]
        known = [float(EDGES[edge]) for edge in edges if edge is not None]
        return float(np.mean(known)) if known else THRESHOLD

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the mean probability of a crater at every pixel, float32 (N, H, W, 1).

        Args:
            images: float32 (N, H, W, 1) in [0, 1]; a size that a network cannot take is padded and cropped.

        Raises:
            UserError: the weights cannot be used.
        """
        sums = [self._call(name, _PREDICT, self._asked(name, images=images)) for name in self._members]
        return self._mean(sums)

    def evaluate(self) -> Evaluation:
        """Score the mean probabilities on the data of the first run.

        Raises:
            UserError: the data or the weights cannot be had, or the runs were not scored on the same images.
        """
        first = self.runs[0]
        for run in self.runs[1:]:
            scored_on = [
                {name: part["fingerprint"] for name, part in each.record.parts.items()} for each in (first, run)
            ]
            if scored_on[0] != scored_on[1]:
                raise UserError(
                    f"{first.record.id} and {run.record.id} were not scored on the same images, and cannot be one row; "
                    "take runs of one data set, one split and, where there are folds, of one fold"
                )
        parts: list[Mapping[str, Any]] = [
            self._call(name, _PREDICT_PARTS, self._asked(name, fold=first.fold)) for name in self._members
        ]
        probabilities = {part: self._mean([each[part] for each in parts]) for part in parts[0]}
        task = {"benchmark": first.benchmark(self._registry), "fold": first.fold, "probabilities": probabilities}
        found: Evaluation = self._call("", _SCORE_PARTS, task)
        first.check_data(found)
        return found

    def _mean(self, sums: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        total: npt.NDArray[np.float32] = np.sum(sums, axis=0, dtype=np.float32)
        mean: npt.NDArray[np.float32] = np.clip(total / np.float32(len(self.runs)), 0, 1)
        return mean

    def _asked(self, framework: str, **arguments: Any) -> dict[str, Any]:
        return {"members": self._members[framework], "tta": self.tta, "device": self._device, **arguments}

    def _framework(self, name: str) -> FrameworkSpec:
        framework: FrameworkSpec = self._registry.get("framework", name)
        return framework

    def _call(self, framework: str, target: str, task: Mapping[str, Any]) -> Any:
        """Call a function in the worker of a framework, or in one without a framework."""
        if framework not in self._workers:
            own = self._framework(framework).environment if framework else {}
            variables = environment(threads=available_cores(), device=self._device, framework=own)
            self._workers[framework] = self._stack.enter_context(WorkerProcess(variables))
        try:
            return self._workers[framework].call(target, task, log=self._log)
        except WorkerError as error:
            files = ", ".join(str(member.weights) for member in self._members.get(framework, ()))
            raise UserError(f"{files}: these weights cannot be used: {error}") from None
