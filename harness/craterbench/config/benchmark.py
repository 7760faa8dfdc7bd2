"""A benchmark: everything that a run needs to know, checked and complete."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from craterbench.plugin import ADDED_LATER, MetricSpec, Range

__all__ = [
    "COMPONENT_SECTIONS",
    "AugmentationConfig",
    "AugmentationStep",
    "BenchmarkConfig",
    "ComponentConfig",
    "FrameworkConfig",
    "LearningRate",
    "OptimizerConfig",
    "Precision",
    "Probability",
    "SplitConfig",
    "TrainingConfig",
    "flatten",
    "parse_value",
]

Precision = Literal["float32", "bfloat16", "float64"]


@dataclass(frozen=True, kw_only=True)
class ComponentConfig:
    """A component that a config names, with its parameters: all that a child needs to import and call it.

    Attributes:
        source: digest of the source behind it (see ``craterbench.plugin.sources``).
        own: whether that is craterbench's own, so that its version says what it does.
    """

    name: str
    version: int
    target: str
    parameters: Any
    initial: str | None = None
    multiple_of: str | None = None
    source: str = ""
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class FrameworkConfig:
    """The framework that a config names."""

    name: str
    version: int
    target: str
    distributions: tuple[str, ...]
    source: str = ""
    own: bool = False
    ignores_pixels: bool = False


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How the images are cut into a training, a validation and, where the data bring none, a test part.

    Attributes:
        test: share of the images for the test, cut by group before everything else; 0 leaves it to the data.
        validation: share of the images that validate, of those that are not for the test.
        seed: of the split alone, so that runs with other seeds are scored on the same images.
        when: ``before-augmentation``, by group; ``after-augmentation`` repeats a published mistake: the last rows of
            the augmented images validate, copies of images that train among them.
    """

    test: Annotated[float, Range(0.0, 0.9)] = field(default=0.0, metadata=ADDED_LATER)
    validation: Annotated[float, Range(0.01, 0.9)] = 0.2
    seed: Annotated[int, Range(0, 2**32 - 1)] = 42
    when: Literal["before-augmentation", "after-augmentation"] = "before-augmentation"


@dataclass(frozen=True, kw_only=True)
class Probability:
    """What every augmentation has beside its own parameters: the share of images that it is applied to, by chance."""

    probability: Annotated[float, Range(0.0, 1.0)] = field(default=1.0, metadata=ADDED_LATER)


@dataclass(frozen=True, kw_only=True)
class AugmentationStep(Probability, ComponentConfig):
    """An augmentation with its parameters.

    Attributes:
        geometric: whether it moves pixels, those of the masks too.
    """

    geometric: bool = True


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """What is added to the training part.

    Attributes:
        copies: augmented copies of every image.
        originals: whether the images themselves train beside their copies.
        drawn: ``once``, before the first epoch, or again before each one for ``every-epoch``.
        warp: ``both`` image and mask; ``image`` repeats a published mistake: the mask stays where it was.
        steps: the augmentations, in the order in which they are applied.
    """

    copies: Annotated[int, Range(0, 20, search=(0, 3))] = 0
    drawn: Literal["once", "every-epoch"] = "once"
    warp: Literal["both", "image"] = "both"
    originals: bool = field(default=True, metadata=ADDED_LATER)
    steps: tuple[AugmentationStep, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """What every optimizer has beside its own parameters: the rate that schedules start from."""

    learning_rate: Annotated[float, Range(1e-8, 10.0, search=(1e-4, 1e-2), log=True)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(LearningRate, ComponentConfig):
    """How the weights move: an optimizer, its base learning rate and its own parameters."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long, in what steps, and when to stop.

    Attributes:
        monitor: the metric that chooses the best epoch and stops a run early; ``val_loss`` is the ``loss``.
        patience: epochs without a better monitor after which training stops.
        precision: of the arithmetic in training; ``bfloat16`` keeps weights and updates in float32.
        pad: whether images are padded by reflection where the model does not take their size.
    """

    epochs: Annotated[int, Range(1, 100_000)]
    batch_size: Annotated[int, Range(1, 100_000, search=(8, 64), log=True)] = 32
    monitor: str = "val_loss"
    patience: Annotated[int, Range(1, 100_000)] = 5
    precision: Precision = "float32"
    pad: bool = field(default=False, metadata=ADDED_LATER)


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """A complete config, resolved: every value there, every component found.

    Attributes:
        metrics: those that plugins bring beside the built-in ones; every run is scored by all of them.
    """

    name: str
    summary: str
    framework: FrameworkConfig
    dataset: ComponentConfig
    split: SplitConfig
    augmentation: AugmentationConfig
    model: ComponentConfig
    loss: ComponentConfig
    optimizer: OptimizerConfig
    schedule: ComponentConfig
    training: TrainingConfig
    metrics: tuple[MetricSpec, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the config as it would stand in a TOML file: each component's parameters beside its name.

        What was added later (see ``craterbench.plugin.ADDED_LATER``) is left out where it is at its default.
        """
        return {
            "summary": self.summary,
            "framework": self.framework.name,
            "dataset": _flat(self.dataset),
            "split": _values(self.split),
            "augmentation": {
                **{key: value for key, value in _values(self.augmentation).items() if key != "steps"},
                **{step.name: _step(step) for step in self.augmentation.steps},
            },
            "model": _flat(self.model),
            "loss": _flat(self.loss),
            "optimizer": {
                "name": self.optimizer.name,
                "learning_rate": self.optimizer.learning_rate,
                **_values(self.optimizer.parameters),
            },
            "schedule": _flat(self.schedule),
            "training": _values(self.training),
        }

    def versions(self) -> dict[str, int]:
        """Return the version of every component that shapes the numbers, by ``kind name``."""
        versions = {name: component.version for name, component in self._components().items()}
        # the built-in metrics are of the evaluator's version
        monitors = [spec for spec in self.metrics if spec.name == self.training.monitor]
        return versions | {f"metric {spec.name}": spec.version for spec in monitors}

    def sources(self) -> dict[str, str]:
        """Return the digest of the source behind every component that shapes the numbers, by ``kind name``."""
        return {name: component.source for name, component in self._components().items()}

    def sources_of_others(self) -> dict[str, str]:
        """Return those digests whose change is another run, since nobody answers for the versions.

        Left out is what is craterbench's own, where a version is raised when the numbers can change, and the data set:
        what its code came to is known from the data.
        """
        others = {name: component for name, component in self._components().items() if not component.own}
        return {name: component.source for name, component in others.items() if not name.startswith("dataset ")}

    def _components(self) -> dict[str, ComponentConfig | FrameworkConfig]:
        chosen = {"dataset": self.dataset, "model": self.model, "loss": self.loss, "schedule": self.schedule}
        components: dict[str, ComponentConfig | FrameworkConfig] = {
            f"{kind} {component.name}": component for kind, component in chosen.items()
        }
        components |= {f"augmentation {step.name}": step for step in self.augmentation.steps}
        components[f"framework {self.framework.name}"] = self.framework
        components[f"optimizer {self.optimizer.name}"] = self.optimizer
        return components


#: The parts of a config that name a component, and so may hold its parameters.
COMPONENT_SECTIONS = ("dataset", "model", "loss", "optimizer", "schedule")


def flatten(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return the values of nested tables by their dotted keys."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        dotted = f"{path}.{key}" if path else key
        found |= flatten(value, dotted) if isinstance(value, Mapping) and value else {dotted: value}
    return found


def parse_value(text: str) -> Any:
    """Read a value from the command line: TOML, or plain text where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _values(parameters: Any) -> dict[str, Any]:
    found = {each.name: (each, getattr(parameters, each.name)) for each in fields(parameters)}
    return {
        name: value
        for name, (each, value) in found.items()
        if value is not None and not ("added_later" in each.metadata and value == each.default)
    }


def _step(step: AugmentationStep) -> dict[str, Any]:
    return _values(step.parameters) | ({} if step.probability == 1 else {"probability": step.probability})


def _flat(chosen: ComponentConfig) -> dict[str, Any]:
    return {"name": chosen.name, **_values(chosen.parameters)}
