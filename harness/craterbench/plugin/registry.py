"""Find the plugins, one by one, and what each of them brings."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import pluggy

from craterbench.plugin import builtin_metrics, hookspecs
from craterbench.plugin.errors import UserError, nearest
from craterbench.plugin.parameters import NoParameters

__all__ = ["KINDS", "Entry", "Problem", "Registry"]

#: The kinds of component, and the hook that returns each.
KINDS = {
    "benchmark": "bench_benchmarks",
    "framework": "bench_frameworks",
    "model": "bench_models",
    "loss": "bench_losses",
    "augmentation": "bench_augmentations",
    "dataset": "bench_datasets",
    "schedule": "bench_schedules",
    "metric": "bench_metrics",
    "executor": "bench_executors",
    "published": "bench_published",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a plugin. The other plugins go on without it."""

    plugin: str
    message: str


@dataclass(frozen=True)
class Entry:
    """A component, the plugin that brings it, and the distribution that holds the plugin, if that is known."""

    plugin: str
    spec: Any
    distribution: str | None = None


class Registry:
    """The plugins that could be loaded, their components by kind and name, and the problems of the rest."""

    def __init__(
        self, plugins: Iterable[tuple[str, Callable[[], object]]], distributions: Mapping[str, str] | None = None
    ) -> None:
        """Load plugins, each a name and a function that imports it; what goes wrong is kept in ``problems``.

        Args:
            distributions: which distribution holds a plugin, by the plugin's name.
        """
        self.problems: list[Problem] = []
        self._distributions = distributions or {}
        self._manager = pluggy.PluginManager("craterbench")
        self._manager.add_hookspecs(hookspecs)
        self._manager.register(builtin_metrics, name="craterbench")
        for name, importer in sorted(plugins, key=lambda plugin: plugin[0]):
            try:
                self._register(name, importer())
            except (Exception, SystemExit) as error:  # a broken plugin must not take the others with it
                self.problems.append(Problem(name, f"{type(error).__name__}: {error}"))
        self._entries: dict[str, dict[str, list[Entry]]] = {kind: self._collect(kind) for kind in KINDS}

    @classmethod
    def installed(cls) -> Registry:
        """Return the registry of the installed plugins: the entry points in the group ``craterbench``."""
        points = importlib.metadata.entry_points(group="craterbench")
        distributions = {point.name: point.dist.name for point in points if point.dist is not None}
        return cls(((point.name, point.load) for point in points), distributions)

    def _register(self, name: str, plugin: object) -> None:
        known = {hook for hook, _ in inspect.getmembers(hookspecs, inspect.isfunction) if hook.startswith("bench_")}
        self._manager.register(plugin, name=name)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            callers = self._manager.get_hookcallers(plugin) or []
            self._manager.unregister(plugin)
            unknown = next(caller.name for caller in callers if caller.name not in known)
            raise AttributeError(f"no hook is called {unknown!r}; {nearest(unknown, known)}") from None

    def _collect(self, kind: str) -> dict[str, list[Entry]]:
        entries: dict[str, list[Entry]] = {}
        for implementation in getattr(self._manager.hook, KINDS[kind]).get_hookimpls():
            plugin = implementation.plugin_name
            try:
                specs = list(implementation.function())
                for spec in specs:
                    if getattr(spec, "kind", None) != kind or not isinstance(spec.name, str):
                        raise TypeError(f"{spec!r} is no spec of a {kind} with a name")
                    parameters = getattr(spec, "parameters", NoParameters)
                    if not dataclasses.is_dataclass(parameters):
                        raise TypeError(f"the parameters of {spec.name!r} are no dataclass")
                    get_type_hints(parameters)  # raises where they name a type that their module has not imported
            except Exception as error:
                self.problems.append(Problem(plugin, f"{KINDS[kind]} raised {type(error).__name__}: {error}"))
                continue
            for spec in specs:
                entries.setdefault(spec.name, []).append(Entry(plugin, spec, self._distributions.get(plugin)))
        for name, taken in entries.items():
            if len(taken) > 1:
                for entry in taken:
                    self.problems.append(Problem(entry.plugin, _taken_twice(kind, name, taken)))
        return entries

    def names(self, kind: str) -> list[str]:
        """Return the names of all components of a kind, sorted."""
        return sorted(self._entries[kind])

    def entries(self, kind: str) -> list[Entry]:
        """Return all components of a kind, sorted by name; a name that was taken twice appears twice."""
        return [entry for name in self.names(kind) for entry in self._entries[kind][name]]

    def get(self, kind: str, name: str) -> Any:
        """Return the spec of a component.

        Raises:
            UserError: there is none of that name, or two plugins bring one.
        """
        found = self._entries[kind].get(name, [])
        if len(found) == 1:
            return found[0].spec
        if found:
            raise UserError(f"{_taken_twice(kind, name, found)}; uninstall one of them")
        message = f"unknown {kind} {name!r}; {nearest(name, self._entries[kind])}"
        if self.problems:
            message += (
                f" (plugins with problems: {', '.join(sorted({p.plugin for p in self.problems}))}; see bench list)"
            )
        raise UserError(message)

    def tell(self, hook: str, **arguments: object) -> list[Problem]:
        """Call a life-cycle hook of every plugin, and return what went wrong in which."""
        problems = []
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:
                problems.append(Problem(implementation.plugin_name, f"{hook} raised {type(error).__name__}: {error}"))
        return problems


def _taken_twice(kind: str, name: str, entries: Iterable[Entry]) -> str:
    return f"{kind} {name!r} is brought by more than one plugin: {', '.join(entry.plugin for entry in entries)}"
