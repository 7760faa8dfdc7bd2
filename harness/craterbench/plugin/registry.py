"""Find the plugins, one by one, and what each of them brings."""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pluggy

from craterbench.plugin import builtin_metrics, hookspecs
from craterbench.plugin.components import Implementation
from craterbench.plugin.errors import UserError, nearest
from craterbench.plugin.sources import source_digest

if TYPE_CHECKING:
    import click

__all__ = ["KINDS", "Entry", "Problem", "Registry"]

#: The distribution whose plugins come first, and whose versions say what its code does.
_OWN = "craterbench"

#: The kinds of component, and the hook that returns each.
KINDS = {
    "benchmark": "bench_benchmarks",
    "framework": "bench_frameworks",
    "model": "bench_models",
    "loss": "bench_losses",
    "optimizer": "bench_optimizers",
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
    """A component, the plugin that brings it, and the distribution that holds the plugin, if that is known.

    Attributes:
        spec: with the targets that other plugins implement it by among its own.
        implementations: the entries of those, by framework.
    """

    plugin: str
    spec: Any
    distribution: str | None = None
    implementations: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def distributions(self) -> set[str]:
        """The distributions that hold any of its code, as far as they are known."""
        held = {self.distribution, *(entry.distribution for entry in self.implementations.values())}
        return {name for name in held if name is not None}


class Registry:
    """The plugins that could be loaded, their components by kind and name, and the problems of the rest."""

    def __init__(
        self, plugins: Iterable[tuple[str, Callable[[], object]]], distributions: Mapping[str, str] | None = None
    ) -> None:
        """Load plugins, each a name and a function that imports it; what goes wrong is kept in ``problems``.

        Where two bring one name, it is the first one's: that of craterbench's own plugins, or else of those of others
        by their names, in whatever order.

        Args:
            distributions: which distribution holds a plugin, by the plugin's name.
        """
        self.problems: list[Problem] = []
        self._distributions = distributions or {}
        self._manager = pluggy.PluginManager("craterbench")
        self._manager.add_hookspecs(hookspecs)
        self._ranks: dict[str | None, int] = {"craterbench": -1}
        self._digests: dict[tuple[str, ...], str] = {}
        self._manager.register(builtin_metrics, name="craterbench")
        for name, importer in sorted(plugins, key=lambda plugin: (not self._is_own(plugin[0]), plugin[0])):
            self._ranks[name] = len(self._ranks)
            try:
                self._register(name, importer())
            except (Exception, SystemExit) as error:  # a broken plugin must not take the others with it
                self.problems.append(Problem(name, f"{type(error).__name__}: {error}"))
        self._entries: dict[str, dict[str, Entry]] = {kind: self._collect(kind) for kind in KINDS}
        for plugin, implementation in self._returned("bench_implementations", Implementation):
            self._implement(plugin, implementation)

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

    def _is_own(self, plugin: str) -> bool:
        return self._distributions.get(plugin) == _OWN

    def _returned(self, hook: str, kind: str | type) -> Iterator[tuple[str, Any]]:
        """Yield what the plugins return, each with the plugin's name, in the order in which they were loaded."""
        calls = getattr(self._manager.hook, hook).get_hookimpls()
        for call in sorted(calls, key=lambda call: self._ranks[call.plugin_name]):
            try:
                specs = list(call.function())
                for spec in specs:
                    if (type(spec) if isinstance(kind, type) else getattr(spec, "kind", None)) != kind:
                        raise TypeError(f"{spec!r} is no spec of {kind if isinstance(kind, str) else kind.__name__}")
            except Exception as error:
                self.problems.append(Problem(call.plugin_name, f"{hook} raised {type(error).__name__}: {error}"))
                continue
            for spec in specs:
                yield call.plugin_name, spec

    def _collect(self, kind: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for plugin, spec in self._returned(KINDS[kind], kind):
            if (taken := entries.get(spec.name)) is not None:
                message = (
                    f"its {kind} {spec.name!r} is left out: {_taken(taken.plugin, plugin)}; give yours another name"
                )
                self.problems.append(Problem(plugin, message))
            else:
                entries[spec.name] = Entry(plugin, spec, self._distributions.get(plugin))
        return entries

    def _implement(self, plugin: str, new: Implementation) -> None:
        """Add a target to the component that it is for, unless there is none, or one for the framework already."""
        entry, frameworks = self._entries[new.kind].get(new.name), self._entries["framework"]
        if new.framework not in frameworks:
            wrong = f"there is no framework {new.framework!r}; {nearest(new.framework, frameworks)}"
        elif entry is None:
            wrong = f"there is no {new.kind} {new.name!r}; {nearest(new.name, self._entries[new.kind])}"
        elif isinstance(entry.spec.target, str) or new.framework in entry.spec.target:
            first = entry.implementations.get(new.framework, entry).plugin
            wrong = f"{_taken(first, plugin)}; leave out one of the two"
        else:
            own = Entry(plugin, new, self._distributions.get(plugin))
            self._entries[new.kind][new.name] = replace(
                entry,
                spec=replace(entry.spec, target={**entry.spec.target, new.framework: new.target}),
                implementations={**entry.implementations, new.framework: own},
            )
            return
        what = f"its implementation of {new.kind} {new.name!r} for {new.framework}"
        self.problems.append(Problem(plugin, f"{what} is left out: {wrong}"))

    def names(self, kind: str) -> list[str]:
        """Return the names of all components of a kind, sorted."""
        return sorted(self._entries[kind])

    def entries(self, kind: str) -> list[Entry]:
        """Return all components of a kind, sorted by name."""
        return [self._entries[kind][name] for name in self.names(kind)]

    def get(self, kind: str, name: str) -> Any:
        """Return the spec of a component.

        Raises:
            UserError: there is none of that name.
        """
        if name in self._entries[kind]:
            return self._entries[kind][name].spec
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

    def source(self, kind: str, name: str, framework: str) -> tuple[str, bool]:
        """Return a digest of the source of a component in a framework, and whether all of it is craterbench's own."""
        entry = self._entries[kind][name]
        code = entry.implementations.get(framework, entry)
        targets, plugins = [entry.spec.target_for(framework)], {code.plugin}
        if getattr(entry.spec, "initial", None) is not None:
            targets.append(entry.spec.initial)
            plugins.add(entry.plugin)
        if tuple(targets) not in self._digests:  # a search resolves a thousand configs
            self._digests[tuple(targets)] = source_digest(*targets)
        return self._digests[tuple(targets)], all(map(self._is_own, plugins))

    def call_hook(self, hook: str, **arguments: object) -> list[Problem]:
        """Call a life-cycle hook of every plugin, and return what went wrong in which.

        Each gets copies of its own, so that none can change what is kept or what another gets.
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


def _taken(first: str, second: str) -> str:
    return f"{first} brings one already" if first != second else "it brings two of them"
