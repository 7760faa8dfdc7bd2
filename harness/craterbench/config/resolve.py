"""From a name, the files that it extends and the command line to a benchmark, with every error at once."""

from __future__ import annotations

import copy
import json
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from craterbench.config.benchmark import (
    COMPONENT_SECTIONS,
    AugmentationConfig,
    AugmentationStep,
    BenchmarkConfig,
    ComponentConfig,
    FrameworkConfig,
    LearningRate,
    OptimizerConfig,
    Probability,
    SplitConfig,
    TrainingConfig,
    flatten,
    parse_value,
)
from craterbench.plugin.builtin_metrics import ALIASES, BUILT_IN_METRICS
from craterbench.plugin.components import PLAIN_NAME, Component
from craterbench.plugin.errors import UserError, nearest
from craterbench.plugin.metric_spec import MetricSpec
from craterbench.plugin.registry import Registry

__all__ = [
    "Override",
    "ResolvedConfig",
    "flatten",
    "parse_override",
    "parse_value",
    "resolve",
    "resolve_parent",
    "resolve_recorded",
]

_PLAIN: Mapping[str, type] = types.MappingProxyType(
    {"split": SplitConfig, "augmentation": AugmentationConfig, "training": TrainingConfig}
)
_TOP = ("summary", "extends", "framework", *COMPONENT_SECTIONS, *_PLAIN)

#: Fields of a config's dataclasses that are not read from a table of their own name.
_FILLED_IN = ("tuple[AugmentationStep, ...]",)

#: The keys of ``[augmentation]`` that say how steps are applied; any other is a step.
_ABOUT_STEPS = tuple(field.name for field in fields(AugmentationConfig) if field.type not in _FILLED_IN)


@dataclass(frozen=True)
class Override:
    """One value from the command line: its dotted key, and the option that gave it."""

    key: str
    value: Any
    source: str

    def __str__(self) -> str:
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value  # as it is given
        return f"{self.key}={value}"


@dataclass(frozen=True)
class ResolvedConfig:
    """A benchmark, and for each dotted key of it where its value comes from."""

    benchmark: BenchmarkConfig
    sources: Mapping[str, str]
    overrides: tuple[Override, ...]


def parse_override(text: str, option: str = "--set") -> Override:
    """Read ``key=value``; the value is TOML, or plain text where it is none.

    Raises:
        UserError: there is no ``=`` or no key.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise UserError(f"{option} {text}: write it as {option} key=value, for example {option} training.epochs=10")
    return Override(key, parse_value(value), option)


def resolve(
    registry: Registry, name: str, overrides: Sequence[Override] = (), label: str | None = None
) -> ResolvedConfig:
    """Return the benchmark of a name, or of a path to a TOML file, with the overrides applied last.

    Args:
        label: what the benchmark is called; by default the name, and for a file what its own top-level ``name`` says
            (another that extends it does not inherit that), or else the stem of its path.

    Raises:
        UserError: naming everything that is wrong, each with its dotted path.
    """
    chain = _chain(registry, name)
    return _resolved(registry, label or _called(name, *chain[-1]), chain, overrides)


def resolve_parent(registry: Registry, name: str) -> ResolvedConfig | None:
    """Return the benchmark that the one of a name, or of a path, extends; ``None`` if it extends none.

    Raises:
        UserError: one of the two cannot be read, or what is extended cannot be run by itself.
    """
    *parents, _ = _chain(registry, name)
    return _resolved(registry, parents[-1][0], parents, ()) if parents else None


def resolve_recorded(
    registry: Registry, name: str, config: Mapping[str, Any], overrides: Sequence[Override] = ()
) -> ResolvedConfig:
    """Return the benchmark of a config as a record holds it, with the overrides applied.

    Raises:
        UserError: naming everything that is wrong, such as a component that is not installed any more.
    """
    return _resolved(registry, name, [("its record", config)], overrides)


def _resolved(
    registry: Registry, label: str, chain: Sequence[tuple[str, Mapping[str, Any]]], overrides: Sequence[Override]
) -> ResolvedConfig:
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for file, layer in chain:
        _merge(merged, {key: value for key, value in layer.items() if key != "name"}, sources, file)
    for override in sorted(overrides, key=lambda override: not override.key.endswith(".name")):
        # a component's name first, for it takes the place of all that was said of another
        if override.key == "extends":
            raise UserError(
                f"{override.source} extends: cannot be changed here; write a TOML file that extends another"
            )
        layer = override.value
        for part in reversed(override.key.split(".")):
            layer = {part: layer}
        _merge(merged, layer, sources, override.source)
    check = Validator(registry, sources)
    benchmark = check.benchmark(label, merged)
    if check.problems or benchmark is None:
        raise UserError("\n".join([f"benchmark {label!r} cannot be run:", *(f"  {p}" for p in check.problems)]))
    return ResolvedConfig(benchmark, check.sources_of(benchmark), tuple(overrides))


def _chain(registry: Registry, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the configs from the one that extends nothing to the one of this name."""
    chain: list[tuple[str, dict[str, Any]]] = []
    files: list[Path] = []
    following: str | None = name
    while following is not None:
        is_path = following.endswith(".toml")
        file = Path(following) if is_path else registry.get("benchmark", following).file
        if file in files:
            circle = " -> ".join([*(label for label, _ in chain), file.name])
            raise UserError(f"{circle}: these configs extend each other in a circle; take one 'extends' out")
        try:
            config = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{following}: cannot be read ({error.strerror}); bench list shows the names") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{following}: is not TOML: {error}") from None
        files.append(file)
        chain.append((file.name, config))
        following = config.pop("extends", None)
        if following is not None and not isinstance(following, str):
            raise UserError(f"{file.name}: extends: give the name of one benchmark, not {following!r}")
        if following is not None and following.endswith(".toml"):
            following = str(file.parent / following)  # beside the file that says it
    return chain[::-1]


def _called(name: str, file: str, config: Mapping[str, Any]) -> str:
    """Return the name of a benchmark, which is that of its folder of runs, too."""
    if not name.endswith(".toml"):
        return name
    if "name" not in config:
        return Path(name).stem
    called = config["name"]
    if not isinstance(called, str) or not PLAIN_NAME.fullmatch(called):
        raise UserError(
            f"{file}: name: its runs are kept in a folder of that name: give letters, digits, '-', '_' and '.', "
            f"a letter or digit first, not {called!r}"
        )
    return called


def _merge(base: dict[str, Any], layer: Mapping[str, Any], sources: dict[str, str], label: str, path: str = "") -> None:
    """Lay a config over another. A component of another name starts from its own defaults."""
    renamed = path in COMPONENT_SECTIONS and layer.get("name", base.get("name")) != base.get("name")
    if renamed:
        base.clear()
        _forget(sources, path)
    for key, value in layer.items():
        dotted = f"{path}.{key}" if path else key
        if path == "augmentation" and key not in _ABOUT_STEPS:
            value = {} if value is True else value  # with the values that it has, or its defaults
            if isinstance(value, Mapping) and base.get(key) is False:
                base[key] = {}
        if isinstance(value, Mapping) and isinstance(base.get(key, {}), dict):
            _merge(base.setdefault(key, {}), value, sources, label, dotted)
        else:
            base[key] = copy.deepcopy(value)
            _forget(sources, dotted)
        sources[dotted] = label


def _forget(sources: dict[str, str], path: str) -> None:
    for dotted in [key for key in sources if key.startswith(f"{path}.")]:
        del sources[dotted]


class Validator:
    """Turns a merged config into a benchmark and collects all that is wrong on the way."""

    def __init__(self, registry: Registry, sources: Mapping[str, str]) -> None:
        self.registry = registry
        self.sources = sources
        self.problems: list[str] = []

    def benchmark(self, name: str, merged: dict[str, Any]) -> BenchmarkConfig | None:
        for key in merged.keys() - set(_TOP):
            self.problem(key, f"unknown key; {nearest(key, _TOP)}")
        if not isinstance(merged.get("summary", ""), str):
            self.problem("summary", f"give a line of text, not {merged['summary']!r}")
        tables = {key: self.table(merged, key) for key in (*COMPONENT_SECTIONS, *_PLAIN)}
        framework = self.found("framework", "framework", merged.get("framework"))
        steps = self.steps(tables["augmentation"])
        plain: dict[str, Any] = {key: self.values(cls, tables[key], key) for key, cls in _PLAIN.items()}
        rate = {key: tables["optimizer"].pop(key) for key in ("learning_rate",) if key in tables["optimizer"]}
        plain["optimizer"] = self.values(LearningRate, rate, "optimizer")
        chosen: dict[str, Any] = {key: self.chosen(key, tables[key], framework) for key in COMPONENT_SECTIONS}
        split, augmentation, training = plain["split"], plain["augmentation"], plain["training"]
        if split and augmentation and split.when == "after-augmentation" and augmentation.drawn == "every-epoch":
            self.problem("augmentation.drawn", "every-epoch needs split.when = 'before-augmentation'; draw it once")
        if split and augmentation and not augmentation.originals:
            if split.when == "after-augmentation":
                self.problem("augmentation.originals", "false needs split.when = 'before-augmentation'; leave it true")
            if not augmentation.copies:
                self.problem("augmentation.originals", "false leaves no image; set augmentation.copies to 1 or more")
        if framework is not None and training is not None and training.precision not in framework.precisions:
            has = f"it has {', '.join(framework.precisions)}"
            self.problem("training.precision", f"framework {framework.name!r} has no {training.precision!r}; {has}")
        if training is not None:
            plain["training"] = self.monitored(training)
        if self.problems or framework is None:
            return None
        source, own = self.registry.source("framework", framework.name, framework.name)
        return BenchmarkConfig(
            name=name,
            summary=str(merged.get("summary", "")),
            framework=FrameworkConfig(
                name=framework.name,
                version=framework.version,
                target=framework.target,
                distributions=framework.distributions,
                ignores_pixels=framework.ignores_pixels,
                source=source,
                own=own,
            ),
            split=split,
            augmentation=replace(augmentation, steps=steps),
            training=plain["training"],
            **chosen | {"optimizer": OptimizerConfig(**vars(plain["optimizer"]), **vars(chosen["optimizer"]))},
            metrics=_plugin_metrics(self.registry),
        )

    def problem(self, path: str, message: str) -> None:
        source = self.sources.get(path)
        self.problems.append(f"{path}: {message}" + (f" (from {source})" if source else ""))

    def table(self, merged: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = merged.get(key, {})
        if isinstance(value, dict):
            return dict(value)
        self.problem(key, f"give a table, [{key}], not {value!r}")
        return {}

    def found(self, kind: str, path: str, name: Any) -> Any:
        """Return the spec of a component, or None after noting why there is none."""
        if not isinstance(name, str):
            wrong = "is missing" if name is None else f"give a name, not {name!r}"
            self.problem(path, f"{wrong}; known: {', '.join(self.registry.names(kind))}")
            return None
        try:
            return self.registry.get(kind, name)
        except UserError as error:
            self.problem(path, str(error))
            return None

    def chosen(self, kind: str, table: dict[str, Any], framework: Any) -> ComponentConfig | None:
        name = table.pop("name", None)
        spec = self.found(kind, f"{kind}.name", name)
        return None if spec is None else self.component(spec, table, kind, framework)

    def component(self, spec: Component, table: dict[str, Any], path: str, framework: Any) -> ComponentConfig | None:
        owner, name = f"{spec.kind} {spec.name!r}", "" if framework is None else framework.name
        parameters = self.values(spec.parameters_for(name), table, path, owner=owner)
        try:
            target = spec.target_for(name)
        except UserError as error:
            if framework is not None:  # what it may be written for is not known, if that is wrong itself
                self.problem(f"{path}.name", str(error))
            return None
        if parameters is None:
            return None
        source, own = self.registry.source(spec.kind, spec.name, name)
        return ComponentConfig(
            name=spec.name,
            version=spec.version,
            target=target,
            parameters=parameters,
            initial=getattr(spec, "initial", None),
            multiple_of=getattr(spec, "multiple_of", None),
            source=source,
            own=own,
        )

    def monitored(self, training: TrainingConfig) -> TrainingConfig:
        """Check the metric that training goes by; one of two names is written as it always was."""
        aliases = {name: alias for alias, name in ALIASES.items()}
        monitor = aliases.get(training.monitor, training.monitor)
        if monitor not in ALIASES:
            self.found("metric", "training.monitor", monitor)
        return replace(training, monitor=monitor)

    def steps(self, table: dict[str, Any]) -> tuple[AugmentationStep, ...]:
        """Take the augmentations out of their table: every table in it is one, in the order of the file.

        One that is ``false`` is left out, and ``true`` has become an empty table.
        """
        steps = []
        for name in [key for key, value in table.items() if isinstance(value, dict) or _is_left_out(key, value)]:
            path = f"augmentation.{name}"
            values = table.pop(name)
            spec = self.found("augmentation", path, name)
            if spec is None or values is False:
                continue
            own = dict(values)
            chance = {key: own.pop(key) for key in ("probability",) if key in own}
            probability = self.values(Probability, chance, path)
            step = self.component(spec, own, path, None)
            if step is not None and probability is not None:
                steps.append(AugmentationStep(**vars(probability), **vars(step), geometric=spec.geometric))
        return tuple(steps)

    def values(self, cls: type, table: Mapping[str, Any], path: str, owner: str = "") -> Any:
        """Return an instance of a dataclass of parameters, or None after noting every value that does not fit."""
        known = [field.name for field in fields(cls) if field.type not in _FILLED_IN]
        before = len(self.problems)
        for key in table.keys() - set(known):
            of = f" of {owner}" if owner else ""
            cure = nearest(key, known) if known else "it takes none"
            if path == "dataset" and key == "path" and "path" not in known:
                cure = "say with --dataset NAME what reads your files; bench data list shows the names"
            self.problem(f"{path}.{key}", f"unknown key{of}; {cure}")
        values = {key: value for key, value in table.items() if key in known}
        adapter = _adapter(cls)
        try:
            # JSON, and strict: "3" is no integer there, true is no number, and a list may be a tuple.
            instance = adapter.validate_json(json.dumps(values, default=str), strict=True)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where = ".".join([path, *map(str, detail["loc"])])
                if detail["type"] == "missing":
                    own = where == "dataset.path"
                    cure = "name the data with --data PATH" if own else f"give it in the file or with --set {where}=…"
                    self.problems.append(f"{where}: is missing; {cure}")
                else:
                    self.problem(where, _said(detail))
            return None
        return instance if len(self.problems) == before else None

    def sources_of(self, benchmark: BenchmarkConfig) -> dict[str, str]:
        """Return where each value of the finished benchmark comes from."""
        return {key: self.sources.get(key, "default") for key in flatten(benchmark.as_dict())}


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    """Return what validates a dataclass: a search resolves a thousand configs, and making one takes a while."""
    return TypeAdapter(cls)


def _plugin_metrics(registry: Registry) -> tuple[MetricSpec, ...]:
    """Return the metrics that plugins bring, but those whose names are taken."""
    taken = {spec.name for spec in BUILT_IN_METRICS}
    found = {entry.spec.name: entry.spec for entry in registry.entries("metric")}
    return tuple(spec for name, spec in found.items() if name not in taken)


def _is_left_out(key: str, value: Any) -> bool:
    return value is False and key not in _ABOUT_STEPS


def _said(detail: Any) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    return f"{message[0].lower()}{message[1:]}, not {detail['input']!r}"
