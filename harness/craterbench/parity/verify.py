"""Verify that two benchmarks are twins, each in a process of its own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.resolve import Override, flatten, resolve
from craterbench.execution.devices import available_cores, environment
from craterbench.execution.worker import WorkerError, WorkerProcess, log_tail
from craterbench.parity.measure import PREDICTED, STEPS, ParityMeasurement, ParityTask, TensorDiff, compare
from craterbench.plugin.components import FrameworkSpec
from craterbench.plugin.errors import UserError
from craterbench.plugin.registry import Registry
from craterbench.results.weights import write_weights

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ParityReport", "verify_parity"]

_PRECISIONS = ("float64", "float32")


_MEASURE = "craterbench.parity.measure:measure"
_CROSS_PREDICT = "craterbench.parity.measure:cross_predict"


@dataclass(frozen=True)
class ParityReport:
    """How two twins compare.

    Attributes:
        benchmarks: their names.
        diffs: how far they agree, in every respect.
        components: the version of each component that was measured, by ``kind name``.
        sources: the digest of the source of each that is not craterbench's own.
        frameworks: the frameworks of both.
        precisions: those in which they were compared.
        device: what both computed on: ``cpu`` or ``gpu``.
    """

    benchmarks: tuple[str, str]
    diffs: list[TensorDiff]
    components: Mapping[str, int]
    sources: Mapping[str, str]
    frameworks: tuple[FrameworkSpec, FrameworkSpec]
    precisions: tuple[str, ...]
    device: str

    @property
    def equal(self) -> bool:
        """Whether no difference is over its tolerance."""
        return all(diff.first is None for diff in self.diffs)


def verify_parity(
    registry: Registry, names: tuple[str, str], *, seed: int, device: str, report: Callable[[str], None]
) -> ParityReport:
    """Measure both, in every precision, loss and optimizer that they share, and compare.

    Args:
        seed: of the weights, the augmentation and the order.
        device: ``cpu`` or ``gpu``.
        report: called with a line on what is being done.

    Raises:
        UserError: they are no twins, one cannot be measured, or its process raised or died.
    """
    first, second = (resolve(registry, name).benchmark for name in names)
    _check_twins(first, second)
    frameworks = (registry.get("framework", first.framework.name), registry.get("framework", second.framework.name))
    for framework in frameworks:
        framework.check_installed()
    precisions = tuple(p for p in _PRECISIONS if all(p in framework.precisions for framework in frameworks))
    diffs: list[TensorDiff] = []
    components: dict[str, int] = {}
    sources: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        log = Path(folder) / "log.txt"
        children = [
            stack.enter_context(
                WorkerProcess(environment(threads=available_cores(), device=device, framework=framework.environment))
            )
            for framework in frameworks
        ]
        for precision in precisions:
            tasks, measured = [], []
            for name, child in zip(names, children, strict=True):
                report(f"{name}: measuring in {precision}")
                task = _task(registry, name, frameworks, precision, seed, device)
                for benchmark in (*task.losses.values(), *task.optimizers.values()):
                    components |= benchmark.versions()
                    sources |= benchmark.sources_of_others()
                tasks.append(task)
                with _named_errors(name, log):
                    measured.append(child.call(_MEASURE, {"task": task}, log=log))
            predicted = [arrays.pop(PREDICTED) for arrays in measured]
            diffs += compare(precision, *measured)
            if precision == "float32":
                report("predicting from each other's weights")
                diffs += _crossed(Path(folder), names, children, tasks, measured, predicted, log)
    return ParityReport(names, diffs, components, sources, frameworks, precisions, device)


@contextlib.contextmanager
def _named_errors(name: str, log: Path) -> Iterator[None]:
    """Turn what goes wrong in a child into an error that says in which, and with which last words."""
    try:
        yield
    except WorkerError as error:
        raise UserError("\n".join([f"{name} cannot be measured; mend it first: {error}", *log_tail(log)])) from None


def _check_twins(first: BenchmarkConfig, second: BenchmarkConfig) -> None:
    """Raise a UserError unless two benchmarks differ by their framework alone."""
    names = f"{first.name} and {second.name}"
    one, other = ({k: v for k, v in flatten(b.as_dict()).items() if k != "summary"} for b in (first, second))
    differing = [key for key in {**one, **other} if key != "framework" and one.get(key) != other.get(key)]
    different = [f"{key} is {one.get(key, 'not set')} and {other.get(key, 'not set')}" for key in differing]
    if one["framework"] == other["framework"]:
        different.append(f"both are in {one['framework']}")
    if different:
        raise UserError(
            f"{names} are no twins: {', '.join(different)}; a twin extends the other and changes its framework alone"
        )
    if first.model.initial is None:
        raise UserError(
            f"{names} are no twins: model {first.model.name!r} draws no NumPy weights that both could start from; "
            "its spec names none as initial"
        )


def _task(
    registry: Registry,
    name: str,
    frameworks: tuple[FrameworkSpec, FrameworkSpec],
    precision: str,
    seed: int,
    device: str,
) -> ParityTask:
    """Ask for every loss and optimizer that both frameworks have; the benchmark's own keep their parameters."""
    own = resolve(registry, name).benchmark
    still: dict[str, Any] = {"training.precision": precision}
    if any(field.name == "dropout" for field in fields(own.model.parameters)):
        still["model.dropout"] = 0.0  # masks cannot match

    def changed(keys: Mapping[str, Any]) -> BenchmarkConfig:
        overrides = [Override(key, value, "parity") for key, value in {**still, **keys}.items()]
        return resolve(registry, name, overrides).benchmark

    def shared(kind: str, kept: Mapping[str, Any]) -> dict[str, BenchmarkConfig]:
        chosen = getattr(own, kind).name
        found = {chosen: changed({})}
        for spec in (entry.spec for entry in registry.entries(kind)):
            both = not isinstance(spec.target, str) and all(framework.name in spec.target for framework in frameworks)
            if both and spec.name != chosen:
                found[spec.name] = changed({f"{kind}.name": spec.name, **kept})
        return found

    losses = shared("loss", {})
    optimizers = shared("optimizer", {"optimizer.learning_rate": own.optimizer.learning_rate})
    return ParityTask(losses=losses, optimizers=optimizers, seed=seed, device=device)


def _crossed(
    folder: Path,
    names: tuple[str, str],
    children: list[WorkerProcess],
    tasks: list[ParityTask],
    measured: list[ParityMeasurement],
    predicted: list[npt.NDArray[Any]],
    log: Path,
) -> list[TensorDiff]:
    """Let each twin predict with the weights that the other has trained, through a file as runs leave it.

    What comes out is compared with what the trained twin itself predicted.
    """
    own: ParityMeasurement = {}
    crossed: ParityMeasurement = {}
    for trained, name in enumerate(names):
        optimizer = next(iter(tasks[trained].optimizers))
        file = folder / f"{trained}.safetensors"
        last = f"step {STEPS[-1]}, {optimizer}"
        write_weights(file, {where: array for (what, where), array in measured[trained].items() if what == last})
        other = 1 - trained
        own["crossed weights", f"of {name}"] = predicted[trained]
        with _named_errors(names[other], log):
            arguments = {"task": tasks[other], "weights": file}
            crossed["crossed weights", f"of {name}"] = children[other].call(_CROSS_PREDICT, arguments, log=log)
    return compare("float32", own, crossed)
