"""Find the plugins, one by one, and what each of them brings."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

import pluggy

from craterbench.plugin import hookspecs
from craterbench.plugin.errors import UserError, nearest
from craterbench.plugin.parameters import NoParameters

if TYPE_CHECKING:
    import click

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

    @contextlib.contextmanager
    def listening(self, **listeners: object) -> Iterator[None]:
        """Have objects of this process hear what happens as plugins do, each by a name."""
        try:
            for name, listener in listeners.items():
                self._register(name, listener)
            yield
        finally:
            for listener in listeners.values():
                if self._manager.is_registered(listener):
                    self._manager.unregister(listener)

    def tell(self, hook: str, **arguments: object) -> list[Problem]:
        """Call a life-cycle hook of every plugin, and return what went wrong in which.

        Each gets copies of its own, so that none can change what is kept or what another is told.
        """
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return self._call(hook, lambda name: copy.deepcopy(arguments[name]), implementations)

    def hears(self, hook: str) -> bool:
        """Whether anybody listens to a life-cycle hook."""
        return bool(getattr(self._manager.hook, hook).get_hookimpls())

    def add_commands(self, cli: click.Group) -> list[Problem]:
        """Have every plugin add its verbs, and return what went wrong in which; a verb that is there stays as it is."""
        problems: list[Problem] = []
        for implementation in self._manager.hook.bench_commands.get_hookimpls():
            before = dict(cli.commands)
            problems += self._call("bench_commands", lambda name: cli, [implementation])
            taken = [name for name, command in before.items() if cli.commands.get(name) is not command]
            cli.commands.update(before)
            problems += [Problem(implementation.plugin_name, f"there is a verb {name!r} already") for name in taken]
        return problems

    def _call(
        self, hook: str, argument: Callable[[str], object], implementations: Iterable[pluggy.HookImpl]
    ) -> list[Problem]:
        problems = []
        for implementation in implementations:
            try:
                implementation.function(*(argument(name) for name in implementation.argnames))
            except Exception as error:
                problems.append(Problem(implementation.plugin_name, f"{hook} raised {type(error).__name__}: {error}"))
        return problems


def _taken_twice(kind: str, name: str, entries: Iterable[Entry]) -> str:
    return f"{kind} {name!r} is brought by more than one plugin: {', '.join(entry.plugin for entry in entries)}"
