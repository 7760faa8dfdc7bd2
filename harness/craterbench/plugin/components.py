"""The specs that plugins return: what can be plugged in, described without importing what it needs."""

from __future__ import annotations

import importlib
import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from craterbench.plugin.errors import UserError
from craterbench.plugin.parameters import NoParameters

__all__ = [
    "AugmentationSpec",
    "BenchmarkSpec",
    "Component",
    "DatasetSpec",
    "ExecutorSpec",
    "FrameworkSpec",
    "LossSpec",
    "ModelSpec",
    "PublishedResult",
    "ScheduleSpec",
    "benchmarks_in",
    "load",
    "published_in",
]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every component says of itself.

    Attributes:
        name: how definitions name it.
        summary: one line that says what it is.
    """

    name: str
    summary: str


@dataclass(frozen=True, kw_only=True)
class Component(Spec):
    """A component with code behind it.

    Attributes:
        target: where the code is, as ``"module:attribute"``, or one such string for each framework.
        version: raised when the numbers that the component produces can change.
        parameters: a frozen, keyword-only dataclass; a definition gives its fields beside the component's name.
    """

    target: str | Mapping[str, str]
    version: int = 1
    parameters: type = NoParameters
    kind: ClassVar[str]

    def target_for(self, framework: str) -> str:
        """Return the target for a framework.

        Raises:
            UserError: there is none.
        """
        if isinstance(self.target, str):
            return self.target
        if framework not in self.target:
            raise UserError(
                f"{self.kind} {self.name!r} is not written for framework {framework!r}; "
                f"it is for {', '.join(sorted(self.target))}"
            )
        return self.target[framework]


@dataclass(frozen=True, kw_only=True)
class FrameworkSpec(Component):
    """What trains. The target is ``open(task) -> session`` (see ``craterbench.training.session``).

    Attributes:
        requires: the top-level modules without which it cannot run.
        extra: the extra of craterbench that installs them, or ``None`` where they always are.
        optimizers: the optimizers that its sessions know, each with the dataclass of its parameters.
        precisions: the values of ``training.precision`` that its sessions know.
        distributions: the installed packages whose versions belong in a record.
        environment: environment variables of its processes, with ``{threads}`` where the number of threads goes.
    """

    kind: ClassVar[str] = "framework"
    optimizers: Mapping[str, type]
    precisions: tuple[str, ...] = ("float32",)
    requires: tuple[str, ...] = ()
    extra: str | None = None
    distributions: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def check_installed(self) -> None:
        """Raise a UserError that names the cure unless all that the framework requires can be found."""
        _check_installed(self)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Component):
    """What is trained.

    What a target is depends on the framework; docs/reference/hooks.md says it for each.

    Attributes:
        initial: ``initial(parameters, image_shape, seed) -> {name: array}``, the NumPy weights that training starts
            from, in Keras' lay-out; ``None`` leaves them to the framework.
    """

    kind: ClassVar[str] = "model"
    initial: str | None = None


@dataclass(frozen=True, kw_only=True)
class LossSpec(Component):
    """What training minimises: ``loss(masks, probabilities, parameters) -> scalar`` in the framework's own arrays."""

    kind: ClassVar[str] = "loss"


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(Component):
    """What varies the training images: ``augment(images, masks, generator, parameters) -> (images, masks)``.

    Arrays as everywhere, float32 and uint8 (N, H, W, 1); the generator is a ``numpy.random.Generator``.
    """

    kind: ClassVar[str] = "augmentation"


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Component):
    """What a network is shown: ``load(parameters) -> craterbench.data.dataset.Dataset``.

    Attributes:
        provenance: where the images come from.
        licence: under which licence they may be used.
    """

    kind: ClassVar[str] = "dataset"
    provenance: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class ScheduleSpec(Component):
    """How the learning rate moves: ``rates(learning_rate, steps, total, history, parameters) -> array``.

    ``steps`` is an integer array, the numbers of an epoch's steps counted from the start of training, ``total`` the
    number of steps in all epochs, ``history`` a row for each epoch so far (see ``craterbench.training.fit``);
    the array gives one learning rate for each step. Called once an epoch, and a function of its arguments alone, so
    that a run that goes on after an interruption has the rates of one that was never interrupted.
    """

    kind: ClassVar[str] = "schedule"


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """Where the trials of a search run: ``open_executor(terms) -> executor`` (see ``craterbench.execution.executor``).

    Attributes:
        target: where the code is, as ``"module:attribute"``.
        requires: the top-level modules without which it cannot run.
        extra: the extra of craterbench that installs them, or ``None`` where they always are.
    """

    kind: ClassVar[str] = "executor"
    target: str
    requires: tuple[str, ...] = ()
    extra: str | None = None

    def check_installed(self) -> None:
        """Raise a UserError that names the cure unless all that the executor requires can be found."""
        _check_installed(self)


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec(Spec):
    """A named definition: a TOML file."""

    kind: ClassVar[str] = "benchmark"
    file: Path


@dataclass(frozen=True, kw_only=True)
class PublishedResult(Spec):
    """A published figure, shown in the ledger below the table and never in the table's columns.

    Attributes:
        source: who published it, where and when.
        definition: what was measured, on what.
        scores: the published values by the name of the score.
        status: what has become of it, in a few words: ``contradicted``, ``not comparable``, ``reproduced``, ``open``.
        reason: why it has that status.
    """

    kind: ClassVar[str] = "published"
    source: str
    definition: str
    scores: Mapping[str, float]
    status: str
    reason: str


def _check_installed(spec: FrameworkSpec | ExecutorSpec) -> None:
    missing = [module for module in spec.requires if importlib.util.find_spec(module) is None]
    if missing:
        cure = f"pip install 'craterbench[{spec.extra}]'" if spec.extra else f"pip install {' '.join(missing)}"
        raise UserError(f"{spec.kind} {spec.name!r} needs {', '.join(missing)}, which is not installed: {cure}")


def benchmarks_in(folder: Path) -> list[BenchmarkSpec]:
    """Return a spec for each definition (``*.toml`` with a ``summary``) in a folder; a file's stem is its name."""
    specs = []
    for file in sorted(folder.glob("*.toml")):
        definition = tomllib.loads(file.read_text(encoding="utf-8"))
        if "summary" in definition:
            specs.append(BenchmarkSpec(name=file.stem, summary=definition["summary"], file=file))
    return specs


def published_in(file: Path) -> list[PublishedResult]:
    """Return the published results of a TOML file: one for each table of its array ``published``."""
    return [PublishedResult(**published) for published in tomllib.loads(file.read_text(encoding="utf-8"))["published"]]


def load(target: str) -> Any:
    """Import what a target ``"module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
