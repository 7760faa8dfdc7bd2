"""The specs that plugins return: what can be plugged in, described without importing what it needs."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from craterbench.plugin.errors import UserError
from craterbench.plugin.parameters import NoParameters, check_parameters

__all__ = [
    "FRAMEWORK_KINDS",
    "PLAIN_NAME",
    "AugmentationSpec",
    "BenchmarkSpec",
    "Component",
    "DatasetSpec",
    "ExecutorSpec",
    "ExportSpec",
    "FrameworkSpec",
    "Implementation",
    "LossSpec",
    "ModelSpec",
    "OptimizerSpec",
    "PublishedResult",
    "ScheduleSpec",
    "benchmarks_in",
    "is_target",
    "load",
    "published_in",
]


#: What a component may be called, or a benchmark, whose runs are kept in a folder of that name.
PLAIN_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)

#: The kinds of component whose code is a framework's: what others bring as an ``Implementation``.
FRAMEWORK_KINDS = ("model", "loss", "optimizer")

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every component says of itself.

    Attributes:
        name: how benchmarks name it.
        summary: one line that says what it is.

    Raises:
        ValueError: naming the component, what is wrong with it, and the cure.
    """

    kind: ClassVar[str]
    name: str
    summary: str

    def __post_init__(self) -> None:
        _check_name(f"{self.kind} {self.name!r}", "name", self.name)


@dataclass(frozen=True, kw_only=True)
class Component(Spec):
    """A component with code behind it.

    Attributes:
        target: where the code is, as ``"module:attribute"``, or one such string for each framework.
        version: raised when the numbers that the component produces can change.
        parameters: a frozen, keyword-only dataclass; a benchmark gives its fields beside the component's name.
    """

    target: str | Mapping[str, str]
    version: int = 1
    parameters: type = NoParameters
    #: Keys of the component's table that are no parameters of its own.
    reserved: ClassVar[tuple[str, ...]] = ("name",)

    def __post_init__(self) -> None:
        super().__post_init__()
        what = f"{self.kind} {self.name!r}"
        if isinstance(self.target, Mapping) and self.kind in FRAMEWORK_KINDS:
            for framework, target in self.target.items():
                _check_name(what, "a framework of its target", framework)
                _check_target(what, f"target for {framework}", target)
        else:
            _check_target(what, "target", self.target)
        if type(self.version) is not int or self.version < 1:
            raise ValueError(f"{what}: version {self.version!r} is none; give a whole number, 1 or more")
        check_parameters(what, self.parameters, self.reserved)

    def parameters_for(self, framework: str) -> type:
        """Return the dataclass of the parameters that the component takes in a framework."""
        return self.parameters

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
class ExportSpec(Spec):
    """A kind of file in which a framework writes a trained network, to be used without craterbench.

    The target is ``export(session, path) -> predict``: it writes the network of a session, which has its weights, opens
    the file again with what is to run it, and returns what predicts there. The file and ``predict`` take images of any
    size that the network takes, float32 (N, H, W, 1) in [0, 1], and give probabilities of that shape.

    Attributes:
        target: where the code is, as ``"module:attribute"``.
        suffix: what the name of the file ends in, with its dot.
        requires: the top-level modules without which it cannot be written and run.
        extra: the extra of craterbench that installs them, or ``None`` where the framework has them.
        distributions: the installed packages whose versions belong on the card beside the file.
        usage: lines of Python that make ``probabilities`` of ``images`` and of the file, whose name is ``FILE`` there.
    """

    kind: ClassVar[str] = "export"
    target: str
    suffix: str
    requires: tuple[str, ...] = ()
    extra: str | None = None
    distributions: tuple[str, ...] = ()
    usage: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_target(f"{self.kind} {self.name!r}", "target", self.target)

    def check_installed(self) -> None:
        """Raise a UserError that names the cure unless all that it requires can be found."""
        _check_installed(self)


@dataclass(frozen=True, kw_only=True)
class FrameworkSpec(Component):
    """What trains. The target is ``open(task) -> session`` (see ``craterbench.training.session``).

    Attributes:
        requires: the top-level modules without which it cannot run.
        extra: the extra of craterbench that installs them, or ``None`` where they always are.
        precisions: the values of ``training.precision`` that its sessions know.
        distributions: the installed packages whose versions belong in a record.
        environment: environment variables of its processes, with ``{threads}`` where the number of threads goes.
        ignores_pixels: whether its sessions leave pixels out of the objective whose mask is ``IGNORED``. To one that
            does not, no such mask is handed: a run on one is refused.
        exports: the kinds of file in which it writes a network, each of another name.
    """

    kind: ClassVar[str] = "framework"
    precisions: tuple[str, ...] = ("float32",)
    requires: tuple[str, ...] = ()
    extra: str | None = None
    distributions: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ignores_pixels: bool = False
    exports: tuple[ExportSpec, ...] = ()

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
        multiple_of: ``multiple_of(parameters) -> int``, what the sides of its images have to be multiples of, to which
            ``training.pad`` pads; ``None`` where it takes images of any size.
    """

    kind: ClassVar[str] = "model"
    initial: str | None = None
    multiple_of: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, target in (("initial", self.initial), ("multiple_of", self.multiple_of)):
            if target is not None:
                _check_target(f"{self.kind} {self.name!r}", what, target)


@dataclass(frozen=True, kw_only=True)
class LossSpec(Component):
    """What training minimises: ``loss(masks, probabilities, parameters) -> scalar`` in the framework's own arrays."""

    kind: ClassVar[str] = "loss"


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(Component):
    """How the weights move.

    What a target is depends on the framework; docs/reference/hooks.md says it for each. The learning rate is no
    parameter of its own: every optimizer has one, and the harness hands it over at each step.

    Attributes:
        parameters_in: of a framework where it takes other parameters, those.
    """

    kind: ClassVar[str] = "optimizer"
    reserved: ClassVar[tuple[str, ...]] = ("name", "learning_rate")
    parameters_in: Mapping[str, type] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for framework, parameters in self.parameters_in.items():
            check_parameters(f"{self.kind} {self.name!r} for {framework}", parameters, self.reserved)

    def parameters_for(self, framework: str) -> type:
        """Return the dataclass of the parameters that the optimizer takes in a framework."""
        return self.parameters_in.get(framework, self.parameters)


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """Code for a component that another plugin brought, in a framework that it was not written for.

    Attributes:
        kind: of the component: ``model``, ``loss`` or ``optimizer``.
        name: the component's.
        framework: the framework's name.
        target: where the code is, as ``"module:attribute"``; what it is depends on the framework alone.

    Raises:
        ValueError: naming the component, what is wrong, and the cure.
    """

    kind: str
    name: str
    framework: str
    target: str

    def __post_init__(self) -> None:
        what = f"implementation of {self.kind} {self.name!r}"
        if self.kind not in FRAMEWORK_KINDS:
            kinds = f"{', '.join(FRAMEWORK_KINDS[:-1])} or {FRAMEWORK_KINDS[-1]}"
            raise ValueError(f"{what}: kind {self.kind!r} is written for no framework; give {kinds}")
        _check_name(what, "name", self.name)
        _check_name(what, "framework", self.framework)
        _check_target(what, "target", self.target)


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(Component):
    """What varies the training images: ``augment(images, masks, generator, parameters) -> (images, masks)``.

    Arrays as everywhere, float32 and uint8 (N, H, W, 1); the generator is a ``numpy.random.Generator``. What comes in
    stays as it is. The share of images that it is applied to, ``probability``, is the harness's to draw.

    Attributes:
        geometric: whether it moves pixels. If not, masks pass it by, whatever it returns.
    """

    kind: ClassVar[str] = "augmentation"
    reserved: ClassVar[tuple[str, ...]] = ("name", "probability")
    geometric: bool = True


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Component):
    """What a network is shown: ``load(parameters) -> craterbench.data.dataset.Dataset``.

    Attributes:
        provenance: where the images come from.
        licence: under which licence they may be used.
        stretched: whether the grey values of each image were stretched to the full range. Then those of an image are
            that a run on it predicts on, as a whole, however large it is.
    """

    kind: ClassVar[str] = "dataset"
    provenance: str
    licence: str
    stretched: bool = False


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

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_target(f"{self.kind} {self.name!r}", "target", self.target)

    def check_installed(self) -> None:
        """Raise a UserError that names the cure unless all that the executor requires can be found."""
        _check_installed(self)


@dataclass(frozen=True, kw_only=True)
class BenchmarkSpec(Spec):
    """A named config: a TOML file."""

    kind: ClassVar[str] = "benchmark"
    file: Path


@dataclass(frozen=True, kw_only=True)
class PublishedResult(Spec):
    """A published figure, shown below a table of runs on its data and never in the table's columns.

    Attributes:
        dataset: the data set that it is about.
        headline: whether it is the one that ``bench run`` shows.
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
    dataset: str = ""
    headline: bool = False


def _check_name(what: str, attribute: str, name: Any) -> None:
    if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
        cure = "give letters, digits, '-', '_' and '.', a letter or digit first"
        raise ValueError(f"{what}: {attribute} {name!r} is no plain name; {cure}")


def _check_target(what: str, attribute: str, target: Any) -> None:
    if not isinstance(target, str) or not is_target(target):
        raise ValueError(f"{what}: {attribute} {target!r} is none; write it as 'module:attribute'")


def _check_installed(spec: FrameworkSpec | ExecutorSpec | ExportSpec) -> None:
    missing = [module for module in spec.requires if importlib.util.find_spec(module) is None]
    if missing:
        cure = f"pip install 'craterbench[{spec.extra}]'" if spec.extra else f"pip install {' '.join(missing)}"
        raise UserError(f"{spec.kind} {spec.name!r} needs {', '.join(missing)}, which is not installed: {cure}")


def benchmarks_in(folder: Path) -> list[BenchmarkSpec]:
    """Return a spec for each config (``*.toml`` with a ``summary``) in a folder; a file's stem is its name."""
    specs = []
    for file in sorted(folder.glob("*.toml")):
        config = tomllib.loads(file.read_text(encoding="utf-8"))
        if "summary" in config:
            specs.append(BenchmarkSpec(name=file.stem, summary=config["summary"], file=file))
    return specs


def published_in(file: Path) -> list[PublishedResult]:
    """Return the published results of a TOML file: one for each table of its array ``published``."""
    return [PublishedResult(**published) for published in tomllib.loads(file.read_text(encoding="utf-8"))["published"]]


def is_target(text: str) -> bool:
    """Return whether a text is a target, ``"module:attribute"``."""
    return _TARGET.fullmatch(text) is not None


def load(target: str) -> Any:
    """Import what a target ``"module:attribute"`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
