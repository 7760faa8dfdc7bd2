"""Prepares a search: resolves its benchmark, builds its space, reads its data, and makes or loads its config."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from craterbench.config.benchmark import COMPONENT_SECTIONS, BenchmarkConfig
from craterbench.config.resolve import Override, ResolvedConfig, flatten, resolve
from craterbench.data.dataset import TrainVal
from craterbench.execution.devices import computes_bfloat16, environment
from craterbench.execution.worker import WorkerDied, WorkerError, WorkerProcess
from craterbench.metrics.evaluator import EVALUATOR_VERSION
from craterbench.metrics.metric import Metrics
from craterbench.plugin import UserError
from craterbench.plugin.components import PLAIN_NAME, FrameworkSpec
from craterbench.plugin.registry import Registry
from craterbench.search.space.overrides import ParameterOverride, SpaceOverrides, parse_space_overrides
from craterbench.search.space.space import Space, build_space
from craterbench.search.sweep_config import STUDY_FILE, SWEEP_FILE, SweepConfig, differences
from craterbench.training.augment import is_drawn

__all__ = [
    "EPOCHS",
    "PreparedSweep",
    "continue_sweep",
    "create_sweep",
    "framework_of_trials",
    "load_sweep",
    "new_name",
    "read_train_val",
]

_TRAIN_VAL = "craterbench.training.parts:train_val"

#: The most that a trial trains, unless the user says otherwise.
EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class PreparedSweep:
    """A search that can start, or go on.

    Attributes:
        base: the benchmark of its trials, before anything is tried.
        train_val: the images, without the test part.
    """

    registry: Registry
    config: SweepConfig
    base: BenchmarkConfig
    space: Space
    train_val: TrainVal = field(repr=False)

    def trial(self, number: int, tried: Sequence[Override]) -> ResolvedConfig:
        """Return the benchmark of a trial.

        Raises:
            UserError: what is tried fits no benchmark.
        """
        overrides = [*_fixed(self.config), *tried]
        return resolve(self.registry, self.config.benchmark, overrides, label=f"trial-{number}")

    def full_config(self, tried: Sequence[Override]) -> ResolvedConfig:
        """Return the benchmark that confirms what was tried, with nothing made cheaper.

        Raises:
            UserError: it does not fit the framework that it is to be confirmed in.
        """
        kept = [override for override in _fixed(self.config) if override.key not in self.config.search_only]
        return resolve(self.registry, self.config.benchmark, [*_in(self.config.confirm_with, kept), *tried])

    def file(self, path: Path) -> ResolvedConfig:
        """Return the benchmark of a file.

        Raises:
            UserError: it cannot be run.
        """
        return resolve(self.registry, str(path))

    def reference(self) -> ResolvedConfig:
        """Return the benchmark that the search started from, on the same data; it changes nothing else.

        Raises:
            UserError: it does not fit the framework that candidates are confirmed in.
        """
        plain, framework = resolve(self.registry, self.config.benchmark, _data(self.config)), self.config.confirm_with
        if plain.benchmark.framework.name == framework:
            return plain
        return resolve(self.registry, self.config.benchmark, _in(framework, _data(self.config)))


def new_name(studies: Path, name: str | None) -> str:
    """Return the name of a new study or sweep: the one that is given, or ``sweep-1``, ``sweep-2`` and so on.

    Args:
        studies: the folder of all studies.
        name: the one that is given, if any.

    Raises:
        UserError: there is a study of that name.
    """
    if name is None:
        return next(free for number in count(1) if not (studies / (free := f"sweep-{number}")).exists())
    if any((studies / name / file).exists() for file in (STUDY_FILE, SWEEP_FILE)):
        raise UserError(
            f"there is a study {name!r} already; bench sweep --resume {name} goes on with it, or give another name"
        )
    return name


def create_sweep(
    registry: Registry,
    *,
    name: str,
    benchmark: str,
    framework: str | None = None,
    settings: Sequence[Override] = (),
    epochs: int | None = None,
    vary: Sequence[str] = (),
    fix: Sequence[str] = (),
    space_file: Path | None = None,
    objectives: Sequence[str] = ("balanced_accuracy",),
    sampler: str = "tpe",
    pruner: str = "median",
    seed: int = 0,
    trials: int = 50,
    trial_timeout: float | None = None,
    confirm: int = 1,
    confirm_with: str | None = None,
    device: str = "auto",
    defining: Sequence[Override] = (),
    beside: Sequence[str] = (),
    sweep: str | None = None,
    read: Callable[[BenchmarkConfig], TrainVal] | None = None,
) -> PreparedSweep:
    """Prepare a new search.

    Args:
        registry: the components.
        name: of the study.
        benchmark: name or path of the benchmark that it starts from.
        framework: ``None`` is the benchmark's own, or one with bfloat16 where this machine computes in it.
        settings: what else holds for every trial, such as the data.
        epochs: of a trial; ``None`` is what a search finds right.
        vary: what is varied, as the command line has it.
        fix: what is fixed, as the command line has it.
        space_file: a TOML file with both.
        objectives: the first first.
        sampler: ``tpe`` or ``random``.
        pruner: ``median``, ``hyperband`` or ``none``.
        seed: of the search.
        trials: how many there are to be, complete or pruned.
        trial_timeout: seconds after which a trial has failed.
        confirm: how many of the best trials are confirmed.
        confirm_with: the framework that the best are confirmed in; ``None`` is that of the trials.
        device: what trials train on.
        defining: values of the benchmark that are kept, since they set it apart from others of the same sweep.
        beside: the frameworks of those others, which all that is tried is to fit as well.
        sweep: the name of the sweep, if there are others.
        read: reads the data; by default ``read_train_val``.

    Raises:
        UserError: an argument is wrong.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise UserError(
            f"--name {name!r}: is the name of a folder, and of the benchmark that is found: give letters, "
            "digits, '-', '_' and '.', a letter or digit first"
        )
    metrics = Metrics.of(registry)
    if len({metrics.get(objective) for objective in objectives}) < len(objectives):
        raise UserError(f"--objective {','.join(objectives)}: they are one metric; give two different ones")
    if name in registry.names("benchmark"):
        raise UserError(f"--name {name}: a benchmark is called so; give another name")
    space_overrides = parse_space_overrides(vary, fix, space_file)
    chosen = framework or framework_of_trials(registry, [benchmark], settings, space_overrides.fixed, device)
    if chosen is None:  # its own, whose absence is reported with its cure
        chosen = resolve(registry, benchmark, settings).benchmark.framework.name
    space_overrides = replace(space_overrides, fixed=[*space_overrides.fixed, *defining])
    confirm_with = confirm_with or chosen
    spec: FrameworkSpec = registry.get("framework", chosen)
    for each in (chosen, confirm_with):
        registry.get("framework", each).check_installed()
    fixed = _in(chosen, [*settings, *map(_anywhere, space_overrides.fixed)])
    taken = {override.key for override in fixed}
    cheaper = [] if "training.epochs" in taken else [Override("training.epochs", epochs or EPOCHS, "search")]
    if epochs is not None and not cheaper:
        raise UserError("--epochs and --fix training.epochs=… both say how long a trial trains; leave out one of them")
    if "training.precision" not in taken and "bfloat16" in spec.precisions and computes_bfloat16(device):
        cheaper.append(Override("training.precision", "bfloat16", "search"))
    if "training.monitor" not in taken:
        fixed.append(Override("training.monitor", objectives[0], "search"))
    if benchmark.endswith(".toml"):
        benchmark = str(Path(benchmark).absolute())  # a search may go on elsewhere
    base = resolve(registry, benchmark, [*fixed, *cheaper]).benchmark
    frameworks = list(dict.fromkeys((chosen, confirm_with, *beside)))
    space = build_space(registry, base, space_overrides, frameworks)
    train_val = (read or read_train_val)(base)
    config = SweepConfig(
        name=name,
        created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        benchmark=benchmark,
        fixed=[[override.key, override.value, override.source] for override in [*fixed, *cheaper]],
        search_only=[override.key for override in cheaper],
        pinned=[override.key for override in space_overrides.fixed],
        vary={key: asdict(override) for key, override in space_overrides.varied.items()},
        definition=base.as_dict(),
        versions=_versions(registry, base, space),
        frameworks=frameworks,
        space=space.as_json(),
        data=train_val.digest,
        drawn=is_drawn(train_val, base),
        objectives=list(objectives),
        sampler=sampler,
        pruner=pruner,
        seed=seed,
        epochs=base.training.epochs,
        trials=trials,
        trial_timeout=trial_timeout,
        confirm=confirm,
        confirm_with=confirm_with,
        sweep=sweep,
    )
    return PreparedSweep(registry=registry, config=config, base=base, space=space, train_val=train_val)


def load_sweep(
    registry: Registry, folder: Path, changed: Mapping[str, Any], data: Override | None = None
) -> PreparedSweep:
    """Prepare a search that goes on.

    Args:
        changed: what is to be otherwise than before, of what a config may change.
        data: the path of its data now, if they have moved.

    Raises:
        UserError: there is none, or its benchmark, its space or its data have changed since it began.
    """
    config = SweepConfig.read(folder)
    if config.sweep is not None and (folder.parent / config.sweep / SWEEP_FILE).exists():
        whole = f"bench sweep --resume {config.sweep} goes on with all of them"
        raise UserError(
            f"study {config.name!r} is one of the sweep {config.sweep!r}, and they have equal budgets: {whole}"
        )
    return continue_sweep(registry, config, changed, data)


def continue_sweep(
    registry: Registry,
    config: SweepConfig,
    changed: Mapping[str, Any],
    data: Override | None = None,
    read: Callable[[BenchmarkConfig], TrainVal] | None = None,
) -> PreparedSweep:
    """Prepare a search that goes on with the config that it began with (see ``load_sweep``).

    Args:
        read: reads the data; by default ``read_train_val``.

    Raises:
        UserError: its benchmark, its space or its data have changed since it began.
    """
    config = replace(config, **changed)
    if data is not None:
        others = [each for each in _fixed(config) if each.key != data.key]
        moved = [[each.key, each.value, each.source] for each in (*others, data)]
        config = replace(config, fixed=moved)
    base = resolve(registry, config.benchmark, _fixed(config)).benchmark
    for name in (base.framework.name, config.confirm_with):
        registry.get("framework", name).check_installed()
    varied = {
        name: ParameterOverride(**saved | {"choices": tuple(saved["choices"])}) for name, saved in config.vary.items()
    }
    pinned = [override for override in _fixed(config) if override.key in config.pinned]
    space = build_space(registry, base, SpaceOverrides(varied=varied, fixed=pinned), config.frameworks)
    train_val = (read or read_train_val)(base)
    now = _versions(registry, base, space)
    versions = {name: version for name, version in now.items() if name in config.versions}  # optimizers had none once
    differing = [
        *differences(_wherever(config.definition), _wherever(json.loads(json.dumps(base.as_dict())))),  # as written
        *(f"version of {line}" for line in differences(config.versions, versions)),
        *(f"space: {line}" for line in differences(_by_name(config.space), _by_name(space.as_json()))),
    ]
    if config.data != train_val.digest:
        differing.append(f"data: {config.data[:16]} when it began, {train_val.digest[:16]} now")
    elif config.drawn != is_drawn(train_val, base):
        differing.append("split: an earlier version, with which it began, cut the same images in other parts")
    if differing:
        raise UserError(
            "\n".join(
                [
                    f"study {config.name!r} cannot go on, for it would not be the same search:",
                    *(f"  {line}" for line in differing),
                    "bring back what it began with, or start another study",
                ]
            )
        )
    return PreparedSweep(registry=registry, config=config, base=base, space=space, train_val=train_val)


def _fixed(config: SweepConfig) -> list[Override]:
    return [Override(*each) for each in config.fixed]


def _wherever(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config by dotted keys without the path of its data, for which their digest stands."""
    return {key: value for key, value in flatten(config).items() if key != "dataset.path"}


def _anywhere(override: Override) -> Override:
    """Return a path to data as it holds wherever the search goes on."""
    if override.key != "dataset.path":
        return override
    return replace(override, value=str(Path(str(override.value)).absolute()))


def _data(config: SweepConfig) -> list[Override]:
    """Return what the config says of the data."""
    return [override for override in _fixed(config) if override.key.partition(".")[0] in ("dataset", "split")]


def _in(framework: str, overrides: Sequence[Override]) -> list[Override]:
    return [Override("framework", framework, "--framework"), *(each for each in overrides if each.key != "framework")]


def _versions(registry: Registry, base: BenchmarkConfig, space: Space) -> dict[str, int]:
    """Return the versions of the evaluator and of all components that trials may have, by ``kind name``."""
    versions = {"evaluator": EVALUATOR_VERSION, **base.versions()}
    for parameter in space.parameters:
        kind, _, rest = parameter.key.partition(".")
        if kind in COMPONENT_SECTIONS and rest == "name":
            versions |= {f"{kind} {name}": registry.get(kind, name).version for name in parameter.choices}
        elif kind == "augmentation" and rest in registry.names(kind):
            versions[f"{kind} {rest}"] = registry.get(kind, rest).version
    return versions


def _by_name(space: dict[str, object]) -> dict[str, object]:
    """Return a plain description of a space by the names of its parameters, to compare it with another."""
    parameters = space["parameters"]
    assert isinstance(parameters, list)
    return {parameter["name"]: parameter for parameter in parameters} | {"kept": space["kept"]}


def framework_of_trials(
    registry: Registry, benchmarks: Sequence[str], settings: Sequence[Override], fixed: Sequence[Override], device: str
) -> str | None:
    """Return the framework of the first benchmark, or one that has bfloat16 where this machine computes in it.

    That takes half the time of single precision or less; between frameworks in single precision there is less to gain.

    Args:
        registry: the components.
        benchmarks: all of which are to fit it.
        settings: what else holds for every trial.
        fixed: what the user fixed, such as the framework.
        device: what trials train on.

    Returns:
        ``None`` where none that is installed fits them all.
    """
    named = [override.value for override in fixed if override.key == "framework"]
    if named:
        return str(named[-1])
    own = resolve(registry, benchmarks[0], settings).benchmark.framework.name
    names = [own, *(name for name in registry.names("framework") if name != own)]
    fitting = [name for name in names if all(_fits(registry, each, settings, name) for each in benchmarks)]
    if not fitting:
        return None
    if computes_bfloat16(device):
        fitting.sort(key=lambda name: "bfloat16" not in registry.get("framework", name).precisions)
    return fitting[0]


def _fits(registry: Registry, benchmark: str, settings: Sequence[Override], framework: str) -> bool:
    """Whether a framework is installed, and the benchmark fits it."""
    try:
        registry.get("framework", framework).check_installed()
        resolve(registry, benchmark, _in(framework, settings))
    except UserError:
        return False
    return True


def read_train_val(base: BenchmarkConfig) -> TrainVal:
    """Read the data in a process of its own, so that the test part is never in this one; if it is killed, once more."""
    cause: WorkerError | None = None
    for _ in range(2):
        with WorkerProcess(environment(threads=1, device="cpu", framework={})) as child:
            try:
                found: TrainVal = child.call(_TRAIN_VAL, {"benchmark": base}, log=Path(os.devnull))
                return found
            except WorkerError as error:
                cause = error
                if not isinstance(error, WorkerDied):
                    break
    raise UserError(f"the data {base.dataset.name!r} cannot be read: {cause}")
