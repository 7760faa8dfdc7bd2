"""A finished run as a file that runs without craterbench, written and tried in a worker process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from craterbench.config.resolve import Override
from craterbench.execution.finished import FinishedRun
from craterbench.execution.versions import versions_of
from craterbench.plugin import ExportSpec, UserError
from craterbench.plugin.errors import nearest
from craterbench.plugin.registry import Registry
from craterbench.training.export_weights import ExportedWeights

__all__ = ["TOLERANCE", "Export", "export_named", "export_run"]

_EXPORT = "craterbench.training.export_weights:export_weights"
_PREDICT = "craterbench.training.export_weights:predict_sizes"

#: How far a probability of the file may be from that of the run's own framework: single precision leaves about 1e-6.
TOLERANCE = 1e-4

#: What moves weights and is of no consequence when they are at rest.
_TRAINING_ALONE = ("loss", "optimizer")

_SINGLE = "float32"


@dataclass(frozen=True)
class Export:
    """A file that is to be written.

    Attributes:
        spec: what kind of file it is.
        content: what is in it.
        largest_difference: between its probabilities and those of the run's own framework, both in single precision.
        in_own_precision: the same, where the run predicts in another precision; ``None`` where it does not.
        sizes: of the images that it was tried on, (N, H, W) each.
        real: whether those are of the run's data.
        multiple: what the sides of images have to be multiples of.
        packages: the versions of the packages that wrote it.
    """

    spec: ExportSpec
    content: bytes
    largest_difference: float
    in_own_precision: float | None
    sizes: tuple[tuple[int, int, int], ...]
    real: bool
    multiple: int
    packages: dict[str, str]


def export_named(registry: Registry, name: str, framework: str) -> tuple[str, ExportSpec]:
    """Return what is called so, and the framework that writes it: the given one, if that does.

    Raises:
        UserError: nothing is, or it cannot be written here.
    """
    found = {
        (entry.spec.name, export.name): export
        for entry in registry.entries("framework")
        for export in entry.spec.exports
    }
    writers = [writer for writer, export in found if export == name]
    if not writers:
        known = {export for _, export in found}
        raise UserError(f"nothing can be exported to {name!r}; {nearest(name, known)}")
    writer = framework if framework in writers else writers[0]
    export = found[writer, name]
    export.check_installed()
    registry.get("framework", writer).check_installed()
    return writer, export


def export_run(finished: FinishedRun, registry: Registry, name: str) -> Export:
    """Return the weights of a run as a file of some kind, which has been run.

    A run of another framework than the one that writes the file is written by its twin.

    Raises:
        UserError: its weights cannot be had, its model is not written for that framework, the file cannot be written
            here, or it does not give what the run predicts.
    """
    own = finished.record.framework
    writer, export = export_named(registry, name, own)
    overrides = [Override("framework", writer, f"--to {name}"), Override("training.precision", _SINGLE, f"--to {name}")]
    overrides += _replaced(finished, registry, writer, name)
    exported: ExportedWeights = finished.call(
        registry, _EXPORT, finished.benchmark(registry, overrides), "cpu", export=export
    )
    expected = exported.predicted
    if writer != own:
        expected = _predicted(finished, registry, exported, _SINGLE)
    difference = _largest(exported, expected)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{finished.record.id}: what was exported to {name} differs from what the run predicts by up to "
            f"{difference:.2g}, more than {TOLERANCE:g}, and was not kept; bench parity tells where twins differ"
        )
    in_own = None
    if finished.record.precision != _SINGLE:
        in_own = _largest(exported, _predicted(finished, registry, exported, finished.record.precision))
    sizes = tuple((len(images), images.shape[1], images.shape[2]) for images in exported.images)
    packages = versions_of(("craterbench", "numpy", *export.distributions))
    return Export(export, exported.content, difference, in_own, sizes, exported.real, exported.multiple, packages)


def _replaced(finished: FinishedRun, registry: Registry, writer: str, name: str) -> list[Override]:
    """Return what takes the place of a loss or an optimizer that the framework lacks: it does not train.

    Raises:
        UserError: it lacks the model.
    """
    config, overrides = finished.record.config, []
    try:
        registry.get("model", config["model"]["name"]).target_for(writer)
    except UserError as error:
        raise UserError(f"{finished.record.id}: cannot be exported to {name}, which {writer} writes: {error}") from None
    for kind in _TRAINING_ALONE:
        specs = {entry.spec.name: entry.spec for entry in registry.entries(kind)}
        chosen = config[kind]["name"]
        other = next((each for each, spec in specs.items() if writer in spec.target), None)
        if chosen in specs and writer not in specs[chosen].target and other is not None:
            overrides.append(Override(f"{kind}.name", other, f"--to {name}"))
            if kind == "optimizer":
                rate = config[kind]["learning_rate"]
                overrides.append(Override("optimizer.learning_rate", rate, f"--to {name}"))
    return overrides


def _predicted(
    finished: FinishedRun, registry: Registry, exported: ExportedWeights, precision: str
) -> tuple[npt.NDArray[np.float32], ...]:
    benchmark = finished.benchmark(registry, [Override("training.precision", precision, "export")])
    predicted: tuple[npt.NDArray[np.float32], ...] = finished.call(
        registry, _PREDICT, benchmark, "cpu", images=exported.images
    )
    return predicted


def _largest(exported: ExportedWeights, expected: tuple[npt.NDArray[np.float32], ...]) -> float:
    """Return the largest difference of a probability; NaN where one is none."""
    pairs = zip(exported.probabilities, expected, strict=True)
    return float(np.max([np.abs(ours - theirs).max() for ours, theirs in pairs]))
