"""The space of a search: the parameters that it varies, as the installed components declare them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from craterbench.config.benchmark import AugmentationConfig, BenchmarkConfig, LearningRate, TrainingConfig
from craterbench.config.resolve import Override
from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest
from craterbench.plugin.registry import Registry
from craterbench.search.space.distribution import Distribution, Kind, declared, narrowed, required
from craterbench.search.space.overrides import ParameterOverride, SpaceOverrides

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["SECTIONS", "Parameter", "Space", "build_space", "is_searched"]

#: The parts of a config of which something is searched.
SECTIONS = ("loss", "model", "augmentation", "optimizer", "schedule", "training")

#: What a search leaves as the benchmark has it, and why.
_NOT_SEARCHED = {
    "framework": "twins are proven to be equal; choose one with --framework",
    "dataset": "trials on other images cannot be compared; choose one with --fix dataset.name=NAME",
    "split": "trials that are scored on other images cannot be compared; set it with --fix",
    "augmentation.drawn": "it is part of the protocol; set it with --fix augmentation.drawn=every-epoch",
    "augmentation.warp": "masks that are not warped with their images are a mistake, not a setting",
    "training.epochs": "it is the budget of every trial; set it with --epochs N",
    "training.patience": "it is part of the budget of every trial; set it with --fix training.patience=N",
    "training.monitor": "it follows what is searched for; set it with --fix training.monitor=NAME",
    "training.precision": "it says how fast a trial is, not how good; set it with --fix training.precision=NAME",
}


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter that is varied.

    Attributes:
        name: how Optuna and people see it: ``loss.focal.gamma`` where the loss varies, too, and ``loss.gamma`` where
            it does not.
        key: the dotted key of the config, ``loss.gamma``; for an augmentation, whether it is a step.
        kind: ``int`` and ``float`` from ``low`` to ``high``, both included, or a ``choice`` among ``choices``.
        when: the name of another parameter, and the values of it with which this one is in play; ``None`` is always.
    """

    name: str
    key: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    when: tuple[str, tuple[Any, ...]] | None = None

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the parameter means anything beside the values of those before it that are in play."""
        return self.when is None or (self.when[0] in values and values[self.when[0]] in self.when[1])

    def suggest(self, trial: BaseTrial) -> Any:
        """Ask Optuna for a value."""
        if self.kind == "int":
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        if self.kind == "float":
            return trial.suggest_float(self.name, self.low, self.high, log=self.log)
        return trial.suggest_categorical(self.name, self.choices)

    def as_json(self) -> dict[str, Any]:
        """Return a plain description."""
        said: dict[str, Any] = {"name": self.name, "key": self.key, "kind": self.kind}
        if self.kind == "choice":
            said["choices"] = list(self.choices)
        else:
            said |= {"low": self.low, "high": self.high, "log": self.log}
        if self.when is not None:
            said["when"] = {"parameter": self.when[0], "is": list(self.when[1])}
        return said


@dataclass(frozen=True)
class Space:
    """What a search varies.

    Attributes:
        parameters: each after the one that its being in play depends on.
        kept: values of the benchmark that would be lost with the name of a component that is varied.
    """

    parameters: tuple[Parameter, ...]
    kept: tuple[Override, ...] = ()

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Ask Optuna for a value of each parameter that is in play, by name."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_active(values):
                values[parameter.name] = parameter.suggest(trial)
        return values

    def varies(self, key: str) -> bool:
        """Whether a key of the config is varied, or belongs to a component or a step that is."""
        varied = {parameter.key.removesuffix(".name") for parameter in self.parameters}
        pieces = key.split(".")
        return any(".".join(pieces[:end]) in varied for end in range(1, len(pieces) + 1))

    def overrides(self, values: Mapping[str, Any]) -> list[Override]:
        """Return what the values of ``suggest``, or a trial's stored ones, change in the config.

        Raises:
            UserError: they are values of another space.
        """
        played: dict[str, Any] = {}
        overrides = list(self.kept)
        for parameter in self.parameters:
            if not parameter.is_active(played):
                continue
            if parameter.name not in values:
                raise UserError(f"{parameter.name} has no value here; this comes from a search of another space")
            played[parameter.name] = values[parameter.name]
            overrides.append(Override(parameter.key, values[parameter.name], "search"))
        for name in values.keys() - played.keys():
            raise UserError(f"{name} is not in play here; this comes from a search of another space")
        return overrides

    def as_json(self) -> dict[str, Any]:
        """Return a plain description: equal for equal spaces, and a list of what differs for others."""
        return {
            "parameters": [parameter.as_json() for parameter in self.parameters],
            "kept": {override.key: override.value for override in self.kept},
        }


def is_searched(key: str) -> bool:
    """Whether a key of a config is of those that a search may vary."""
    return key.partition(".")[0] in SECTIONS and not any(f"{key}.".startswith(f"{kept}.") for kept in _NOT_SEARCHED)


def build_space(
    registry: Registry, base: BenchmarkConfig, space_overrides: SpaceOverrides, frameworks: Sequence[str] = ()
) -> Space:
    """Return what can be varied of a benchmark with the components that are installed and fit its framework.

    Args:
        base: with all that is fixed applied.
        frameworks: others that the components are to fit as well.

    Raises:
        UserError: an override cannot be applied, or nothing is left to vary.
    """
    return _SpaceBuilder(registry, base, space_overrides, frameworks).space()


class _SpaceBuilder:
    """Goes through all that can be varied, takes what the overrides name, and notes why the rest is not taken."""

    def __init__(
        self, registry: Registry, base: BenchmarkConfig, space_overrides: SpaceOverrides, frameworks: Sequence[str]
    ) -> None:
        self.registry = registry
        self.frameworks = tuple(dict.fromkeys((base.framework.name, *frameworks)))
        self.base = base
        self.space_overrides = space_overrides
        self.fixed = space_overrides.fixed_keys
        self.parameters: list[Parameter] = []
        self.used: set[str] = set()
        self.known: set[str] = set()
        self.not_taken: dict[str, str] = {}

    def space(self) -> Space:
        """Return the parameters in the order in which people think of them."""
        for key, override in self.space_overrides.varied.items():
            if key in SECTIONS and override.says_how:
                raise UserError(f"{override.source} {key}: is a section; give values to one of its parameters")
        self.section("loss", self.fitting("loss"))
        self.section("model", self.fitting("model"))
        self.augmentation()
        rate = self.add("optimizer.learning_rate", declared(LearningRate)["learning_rate"])
        named = self.section("optimizer", self.fitting("optimizer"))
        self.section("schedule", self.fitting("schedule"))
        self.add("training.batch_size", declared(TrainingConfig)["batch_size"])
        self.check()
        kept = []
        if named and rate is None and "optimizer.learning_rate" not in self.fixed:
            kept.append(Override("optimizer.learning_rate", self.base.optimizer.learning_rate, "search"))
        return Space(tuple(self.parameters), tuple(kept))

    def fitting(self, kind: str) -> dict[str, type]:
        """Return the classes of parameters of the components that fit the frameworks, by name."""
        first = self.frameworks[0]
        return {
            spec.name: spec.parameters_for(first)
            for spec in (entry.spec for entry in self.registry.entries(kind))
            if isinstance(spec.target, str) or all(name in spec.target for name in self.frameworks)
        }

    def override(self, key: str, *aliases: str) -> ParameterOverride | None:
        """Return how a parameter is to be varied, or None if it is not to be varied."""
        section = key.partition(".")[0]
        self.known |= {*aliases, key, section}
        names = [name for name in (*aliases, key, section) if name in self.space_overrides.varied]
        self.used |= set(names)
        if key in self.fixed:
            if names and names[0] != section:
                raise UserError(f"{names[0]} is both to be varied and fixed; leave out one of the two")
            return None
        if not self.space_overrides.varied:
            return ParameterOverride()
        said = [self.space_overrides.varied[name] for name in names]
        return next((override for override in said if override.says_how), said[0] if said else None)

    def add(
        self,
        key: str,
        distribution: Distribution | None,
        *aliases: str,
        name: str | None = None,
        when: tuple[str, tuple[Any, ...]] | None = None,
    ) -> Parameter | None:
        """Take a parameter if it is to be varied."""
        if distribution is None:
            why = "its declaration does not say what to try: that is a Range with two ends, a Literal or a bool"
            self.leave((*aliases, key), why)
            return None
        override = self.override(key, *aliases)
        if override is None:
            return None
        distribution = narrowed(name or key, distribution, override)
        parameter = Parameter(
            name=name or key,
            key=key,
            kind=distribution.kind,
            low=distribution.low,
            high=distribution.high,
            log=distribution.log,
            choices=distribution.choices,
            when=when,
        )
        self.parameters.append(parameter)
        return parameter

    def leave(self, names: tuple[str, ...], why: str) -> None:
        """Keep in mind why something is not in the space."""
        for name in names:
            self.not_taken.setdefault(name, why)

    def section(self, section: str, components: Mapping[str, type]) -> bool:
        """Take the name of a component, if several can be chosen, and the parameters of each; say whether it varies."""
        key = f"{section}.name"
        names = self.names(section, components)
        varies = len(names) > 1
        if varies:
            self.check_common(section)
            self.add(key, Distribution(kind="choice", choices=tuple(names)))
        for name, parameters in components.items():
            for field, distribution in declared(parameters).items():
                aliases, own = (f"{section}.{name}.{field}",), f"{section}.{field}"
                if name not in names:
                    cure = f"add {name} to its choices" if varies else f"vary that, too, or --fix {key}={name}"
                    now = " or ".join(names)
                    self.leave((*aliases, own), f"it belongs to {section} {name!r}, and {key} is {now}; {cure}")
                elif varies:
                    self.add(own, distribution, *aliases, name=aliases[0], when=(key, (name,)))
                else:
                    self.add(own, distribution, *aliases)
        return varies

    def names(self, section: str, components: Mapping[str, type]) -> list[str]:
        """Return the components of a section that are to be tried: the benchmark's own, if no more."""
        key, own = f"{section}.name", getattr(self.base, section).name
        override = self.override(key)
        if override is None:
            return [own]
        for choice in override.choices:
            if choice not in components:
                raise UserError(f"{override.source} {key}: {self.why_not(section, choice, components)}")
        complete = [name for name in components if name == own or not self.lacking(section, name, components[name])]
        for choice in override.choices:
            if choice not in complete:
                lacking = ", ".join(self.lacking(section, choice, components[choice]))
                why = f"{section} {choice!r} needs {lacking}, which has no default and is not varied"
                raise UserError(f"{override.source} {key}: {why}")
        if len(complete) == 1 and key in self.space_overrides.varied:
            alone = f"{own!r} is the only {section} for {' and '.join(self.frameworks)}"
            raise UserError(f"{override.source} {key}: there is nothing to choose, since {alone}")
        return list(override.choices) or complete

    def why_not(self, section: str, choice: Any, components: Mapping[str, type]) -> str:
        if isinstance(choice, str):
            try:
                for framework in self.frameworks:
                    self.registry.get(section, choice).target_for(framework)
            except UserError as error:
                return str(error)
        where = " and ".join(self.frameworks)
        return f"there is no {section} {choice!r} in {where}; {nearest(str(choice), components)}"

    def lacking(self, section: str, name: str, parameters: type) -> list[str]:
        """Return the parameters of a component that have no default and that the search gives no value."""
        domains = declared(parameters)

        def has_value(field: str) -> bool:
            alone = f"{section}.{name}.{field}"
            key = alone if section == "augmentation" else f"{section}.{field}"
            return domains[field] is not None and self.override(key, alone) is not None

        return [field for field in domains if field in required(parameters) and not has_value(field)]

    def check_common(self, section: str) -> None:
        """Refuse a fixed parameter of one component where another may take its place."""
        for key in self.fixed:
            if key.startswith(f"{section}.") and key not in (f"{section}.name", "optimizer.learning_rate"):
                raise UserError(
                    f"{key} is fixed, but {section}.name varies, and not every {section} has it; fix that as well: "
                    f"--fix {section}.name={getattr(self.base, section).name}"
                )

    def augmentation(self) -> None:
        """Take the number of copies, and for where there are any whether each augmentation is a step, and how."""
        copies = self.add("augmentation.copies", declared(AugmentationConfig)["copies"])
        when = None if copies is None else _positive(copies)
        steps = {step.name for step in self.base.augmentation.steps}
        for name, parameters in self.fitting("augmentation").items():
            key = f"augmentation.{name}"
            domains = {f"{key}.{field}": distribution for field, distribution in declared(parameters).items()}
            if copies is None and self.base.augmentation.copies == 0:
                cure = "vary augmentation.copies, too, or fix it to another number"
                self.leave((key, *domains), f"nothing is augmented, since augmentation.copies is 0; {cure}")
                continue
            switch = None
            if name in steps or not self.lacking("augmentation", name, parameters):
                switch = self.add(key, Distribution(kind="choice", choices=(False, True)), when=when)
            else:
                self.leave((key,), "it has parameters without a default that the search does not give it")
            for field, distribution in domains.items():
                if switch is not None:
                    self.add(field, distribution, when=(key, (True,)))
                elif name in steps:
                    self.add(field, distribution, when=when)
                else:
                    self.leave((field,), f"{key} is no step of the augmentation; vary that, too, or --fix {key}=true")

    def check(self) -> None:
        """Raise a UserError unless every override is used and something varies."""
        for key, override in self.space_overrides.varied.items():
            if key not in self.used:
                raise UserError(f"{override.source} {key}: {self.why(key)}")
        if not self.parameters:
            raise UserError("nothing is left to vary; fix less, or vary something else")

    def why(self, key: str) -> str:
        """Say why an override cannot be applied."""
        if key in self.not_taken:
            return f"cannot be varied: {self.not_taken[key]}"
        for kept, reason in _NOT_SEARCHED.items():
            if f"{key}.".startswith(f"{kept}."):
                return f"is not searched: {reason}"
        known = sorted(self.known | self.not_taken.keys(), key=lambda name: (len(name), name))
        section = key.partition(".")[0]
        for name in known:
            if name.endswith(f".{key}"):
                return f"give the full key: {name}"
        if section in SECTIONS:
            return f"no component has it; {nearest(key, (name for name in known if name.startswith(section)))}"
        ends = {name.rpartition(".")[2]: name for name in reversed(known)}
        for close in difflib.get_close_matches(key, ends, n=1) if "." not in key else ():
            return f"no component has it; did you mean {ends[close]!r}?"
        return f"no component has it; {nearest(section, SECTIONS)}"


def _positive(copies: Parameter) -> tuple[str, tuple[Any, ...]] | None:
    """Return the condition that there is any augmented copy, or None where there always is."""
    values = copies.choices
    if copies.kind == "int":
        values = tuple(range(int(copies.low), int(copies.high) + 1))
    positive = tuple(value for value in values if value > 0)
    return None if len(positive) == len(values) else (copies.name, positive)
