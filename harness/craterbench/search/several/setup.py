"""Prepares a sweep of several benchmarks: one study each, with the same budget and space but for what defines it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.config.resolve import Override, resolve
from craterbench.data.dataset import TrainVal
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.search.setup import (
    PreparedSweep,
    continue_sweep,
    create_sweep,
    framework_of_trials,
    new_name,
    read_train_val,
)
from craterbench.search.several.defining import defining_values
from craterbench.search.several.plan import SweepPlan, varied_alike
from craterbench.search.space.overrides import SpaceOverrides, parse_space_overrides
from craterbench.search.sweep_config import STUDY_FILE, SweepConfig

__all__ = ["PreparedSweeps", "create_sweeps", "load_sweeps"]

#: What may be changed when they go on, in all of them alike.
_MAY_CHANGE = ("trials", "trial_timeout", "confirm", "confirm_with")


@dataclass(frozen=True, kw_only=True)
class PreparedSweeps:
    """Several searches that can start, or go on.

    Attributes:
        plan: which studies there are, in their order.
        members: what is searched in each.
    """

    plan: SweepPlan
    members: Sequence[PreparedSweep]


def create_sweeps(
    registry: Registry,
    *,
    studies: Path,
    name: str,
    benchmarks: Sequence[str],
    framework: str | None = None,
    settings: Sequence[Override] = (),
    vary: Sequence[str] = (),
    fix: Sequence[str] = (),
    space_file: Path | None = None,
    device: str = "auto",
    **same: Any,
) -> PreparedSweeps:
    """Prepare a new sweep of several benchmarks.

    Args:
        registry: the components.
        studies: the folder of all studies.
        name: of the sweep; that of each study has its benchmark behind it.
        benchmarks: names or paths; the first is what the others are compared with.
        framework: ``None`` is one that fits them all, or else each one's own.
        settings: what else holds for every trial, such as the data.
        vary: as for ``craterbench.search.setup.create_sweep``.
        fix: likewise.
        space_file: likewise.
        device: what trials train on.
        **same: all else that ``create_sweep`` takes, for all of them.

    Raises:
        UserError: an argument is wrong, or they cannot be searched alike or compared.
    """
    called = [resolve(registry, benchmark).benchmark.name for benchmark in benchmarks]
    for label, number in Counter(called).items():
        if number > 1:
            raise UserError(f"{label} is there {number} times; give each benchmark once, and files names of their own")
        new_name(studies, f"{name}-{label}")  # which must be free
    overrides = parse_space_overrides(vary, fix, space_file)
    defining = defining_values(registry, benchmarks)
    _check_kept(called, defining, overrides)
    if framework is None:
        framework = framework_of_trials(registry, benchmarks, settings, overrides.fixed, device)
    frameworks = [framework or _own_framework(registry, each, settings, overrides, device) for each in benchmarks]
    read = _reading_once()
    members = []
    for benchmark, label, kept, chosen in zip(benchmarks, called, defining, frameworks, strict=True):
        try:
            member = create_sweep(
                registry,
                name=f"{name}-{label}",
                benchmark=benchmark,
                framework=chosen,
                settings=settings,
                vary=vary,
                fix=fix,
                space_file=space_file,
                device=device,
                defining=kept,
                beside=frameworks,
                sweep=name,
                read=read,
                **same,
            )
        except UserError as error:
            raise UserError(f"{label}: {error}") from None
        members.append(member)
    _check_comparable(called, members)
    created = members[0].config.created
    plan = SweepPlan(name=name, created=created, members=[member.config for member in members])
    return PreparedSweeps(plan=plan, members=members)


def load_sweeps(
    registry: Registry, folder: Path, changed: Mapping[str, Any], data: Override | None = None
) -> PreparedSweeps:
    """Prepare a sweep of several that goes on, with whatever of it is missing.

    Args:
        registry: the components.
        folder: of the sweep.
        changed: what is to be otherwise than before, in all of them.
        data: the path of their data now, if they have moved.

    Raises:
        UserError: it cannot be read, or what one of them began with has changed since.
    """
    plan, read = SweepPlan.read(folder), _reading_once()
    members = []
    for planned in plan.members:
        study = folder.parent / planned.name
        config = SweepConfig.read(study) if (study / STUDY_FILE).exists() else planned
        alike = {key: getattr(planned, key) for key in _MAY_CHANGE}  # of all, where one did not hear of a change
        members.append(continue_sweep(registry, config, {**alike, **changed}, data, read))
    return PreparedSweeps(plan=replace(plan, members=[member.config for member in members]), members=members)


def _own_framework(
    registry: Registry, benchmark: str, settings: Sequence[Override], overrides: SpaceOverrides, device: str
) -> str:
    """Return what trains a benchmark that has no framework in common with the others."""
    found = framework_of_trials(registry, [benchmark], settings, overrides.fixed, device)
    return found or resolve(registry, benchmark, settings).benchmark.framework.name


def _reading_once() -> Callable[[BenchmarkConfig], TrainVal]:
    """Return what reads the data of each benchmark, those that several have once."""
    known: dict[str, TrainVal] = {}

    def read(base: BenchmarkConfig) -> TrainVal:
        key = repr((base.dataset, base.split))
        if key not in known:
            known[key] = read_train_val(base)
        return known[key]

    return read


def _check_kept(called: Sequence[str], defining: Sequence[Sequence[Override]], overrides: SpaceOverrides) -> None:
    """Refuse to vary, or to fix alike, what sets the benchmarks apart."""
    kept = {override.key for each in defining for override in each}
    for key, override in overrides.varied.items():
        if key in kept:
            raise UserError(f"{override.source} {key}: it is what sets {_list(called)} apart; leave it out")
    for fixed in overrides.fixed:
        if fixed.key in kept:
            raise UserError(f"{fixed.source} {fixed}: {fixed.key} is what sets {_list(called)} apart; leave it out")


def _check_comparable(called: Sequence[str], members: Sequence[PreparedSweep]) -> None:
    """Refuse those on other images, two that would be one search, and those that share nothing to search."""
    first, *others = members
    for label, member in zip(called[1:], others, strict=True):
        data = "dataset" if member.config.data != first.config.data else "split"
        if data == "dataset" or member.base.split != first.base.split:
            cure = "--dataset NAME gives all the same" if data == "dataset" else "--fix split.KEY=VALUE makes it one"
            raise UserError(f"{called[0]} and {label} have not the same {data}, so they cannot be compared; {cure}")
    seen: dict[str, str] = {}
    for label, member in zip(called, members, strict=True):
        search = repr(replace(member.base, name="", summary=""))
        if search in seen:
            raise UserError(
                f"{seen[search]} and {label} are the same here: all in which they differ, a search sets or was fixed; "
                "leave out one of them"
            )
        seen[search] = label
    configs = [member.config for member in members]
    if not varied_alike(configs):
        each = (
            f"  {label}: {', '.join(parameter['name'] for parameter in config.space['parameters'])}"
            for label, config in zip(called, configs, strict=True)
        )
        cure = "vary what all of them have, such as --vary optimizer.learning_rate"
        raise UserError("\n".join([f"{_list(called)} share nothing to search; {cure}", *each]))


def _list(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
