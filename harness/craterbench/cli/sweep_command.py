"""``bench sweep``: search, and confirm the best."""

from __future__ import annotations

import contextlib
import math
import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from craterbench.execution.devices import DEVICES
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry

if TYPE_CHECKING:
    from craterbench.execution.executor import ExecutionOptions
    from craterbench.search.setup import PreparedSweep
    from craterbench.search.several.compare import SweepsSummary
    from craterbench.search.several.setup import PreparedSweeps

__all__ = ["sweep_command"]

#: Options that say what a study is. One that goes on keeps what it began with.
_OF_THE_STUDY = (
    "names", "benchmark", "framework", "dataset", "epochs", "vary", "fix", "space", "objective", "sampler", "pruner",
    "seed", "name",
)  # fmt: skip

#: Options that it keeps as well, unless they are given again.
_MAY_CHANGE = ("trials", "trial_timeout", "confirm", "confirm_with")

_SECONDS = click.FloatRange(0, min_open=True)

#: What ``--objective both`` is short for.
_BOTH = ("balanced_accuracy", "val_loss")


def _finite(context: click.Context, parameter: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is no number of seconds", context, parameter)
    return seconds


@click.command("sweep")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--trials", type=click.IntRange(1), default=50, show_default=True, help="Complete or pruned, in all.")
@click.option("--benchmark", metavar="NAME", default="reference", hidden=True)  # as it is given, too
@click.option("--framework", metavar="NAME", help="What trains the trials; by default what is fast here.")
@click.option("--dataset", metavar="NAME", help="Short for --fix dataset.name=NAME.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Path of the data, for a data set of files; also of a study whose data have moved.",
)
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="The most that a trial trains; 10 unless fixed.")
@click.option(
    "--vary", multiple=True, metavar="KEY[=LOW..HIGH[:log|:linear]|=ONE|OTHER],...", help="Vary this, and no more."
)
@click.option("--fix", multiple=True, metavar="KEY=VALUE", help="Set a value for all trials.")
@click.option("--space", type=click.Path(path_type=Path), metavar="FILE.toml", help="A file with [vary] and [fix].")
@click.option(
    "--objective",
    metavar="METRIC[,METRIC]",
    default=_BOTH[0],
    show_default=True,
    help="Of the validation part; two give a Pareto front, without pruning; both is balanced_accuracy,val_loss.",
)
@click.option(
    "--sampler", type=click.Choice(("tpe", "random")), default="tpe", show_default=True, help="What draws the trials."
)
@click.option(
    "--pruner",
    type=click.Choice(("hyperband", "median", "none")),
    default="median",
    show_default=True,
    help="What stops poor trials early.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the search.")
@click.option("--timeout", type=_SECONDS, callback=_finite, metavar="S", help="Start no trial after S seconds.")
@click.option("--trial-timeout", type=_SECONDS, callback=_finite, metavar="S", help="A longer trial has failed.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Trials at once; by default what fits.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="What to train on.")
@click.option("--executor", metavar="NAME", default="local", show_default=True, help="Where trials run.")
@click.option("--engine", metavar="NAME", hidden=True)  # as it was called
@click.option("--scheduler", metavar="HOST:PORT", help="Address of an executor on other machines.")
@click.option(
    "--confirm",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="How many of the best to confirm: train again on fresh seeds, beside the reference.",
)
@click.option("--confirm-with", metavar="FRAMEWORK", help="Confirm them in this framework.")
@click.option("--name", metavar="NAME", help="Name of the study; by default sweep-1, sweep-2 and so on.")
@click.option("--resume", metavar="NAME", help="Go on with a study.")
@click.option("--list", "list_all", is_flag=True, help="List the studies.")
@click.option("--show", metavar="NAME", help="Show what a study has found.")
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def sweep_command(context: click.Context, /, **options: Any) -> None:
    """Search for a better config, confirm the best on fresh seeds, and say whether it beats the reference.

    NAME is the benchmark that the search starts from, by default the reference. Of several, each gets a search of its
    own with as many trials, and they are compared tuned and untuned.
    """
    results: Path = options["results"]
    if options["list_all"]:
        _list(results)
    elif options["show"] is not None:
        _show(results / "studies" / options["show"])
    else:
        sys.exit(_sweep(context, options))


def _list(results: Path) -> None:
    from rich.console import Console

    from craterbench.metrics.metric import Metrics
    from craterbench.report.study.study_text import Listed, list_studies
    from craterbench.search.several.compare import list_several
    from craterbench.search.several.plan import is_several, plans
    from craterbench.search.study import studies
    from craterbench.search.summarize import listed

    rows, unread = [], []
    metrics = Metrics.of(Registry.installed())
    for folder in sorted([*studies(results), *plans(results)]):
        try:
            describe = list_several if is_several(folder) else listed
            rows.append(Listed(**describe(folder, metrics)))
        except UserError as error:
            unread.append(str(error))
    if rows:
        list_studies(rows, Console())
    elif not unread:
        click.echo(f"there is no study in {results / 'studies'}; bench sweep starts one")
    for line in unread:
        click.echo(line, err=True)


def _show(folder: Path) -> None:
    from rich.console import Console

    from craterbench.metrics.metric import Metrics
    from craterbench.report.study.study_html import study_page
    from craterbench.report.study.study_text import render_study
    from craterbench.search.several.plan import is_several
    from craterbench.search.study import StudyView
    from craterbench.search.summarize import summarize

    if is_several(folder):
        _show_several(folder)
        return
    found = summarize(StudyView(folder, Metrics.of(Registry.installed())))
    render_study(found, Console())
    _write_page(folder / "study.html", study_page(found))


def _show_several(folder: Path) -> SweepsSummary:
    from rich.console import Console

    from craterbench.metrics.metric import Metrics
    from craterbench.report.study.several_html import several_page
    from craterbench.report.study.several_text import render_several
    from craterbench.report.study.study_html import study_page
    from craterbench.search.several.compare import summarize_several

    found = summarize_several(folder, Metrics.of(Registry.installed()))
    render_several(found, Console())
    for member in found.members:
        if (folder.parent / member.study.name).is_dir():
            _write_page(folder.parent / member.study.name / "study.html", study_page(member.study))
    _write_page(folder / "sweep.html", several_page(found))
    return found


def _sweep(context: click.Context, options: dict[str, Any]) -> int:
    """Search, confirm, show, and return the exit status."""
    from craterbench.execution.executor import ExecutionOptions
    from craterbench.search.several.setup import PreparedSweeps

    registry = Registry.installed()
    name = options.pop("engine") or options["executor"]
    registry.get("executor", name).check_installed()
    prepared = _prepared(registry, context, options)
    execution = ExecutionOptions(
        executor=name, address=options["scheduler"], device=options["device"], workers=options["workers"]
    )
    if isinstance(prepared, PreparedSweeps):
        return _sweep_several(context, prepared, options, execution)
    return _sweep_one(context, prepared, options, execution)


def _sweep_one(
    context: click.Context, prepared: PreparedSweep, options: dict[str, Any], execution: ExecutionOptions
) -> int:
    from rich.console import Console

    from craterbench.report.live import live_sweep
    from craterbench.report.study.study_html import study_page
    from craterbench.report.study.study_text import render_study
    from craterbench.search.summarize import summarize

    log = partial(click.echo, err=True)
    _say_without_test(prepared)
    with live_sweep(prepared, options["results"], execution, quiet=options["quiet"], log=log) as sweep:
        study = sweep.study
        with _saying_how_to_go_on(context, study.config.name, lambda: bool(study.trials())):
            sweep.search(timeout=options["timeout"])
            sweep.confirm(options["results"])
        found = summarize(study)
    render_study(found, Console())
    _write_page(study.folder / "study.html", study_page(found))
    if study.config.confirm and found.confirmation is not None and any(row.problem for row in found.confirmation.rows):
        click.echo(f"to train again what failed: {_resuming(context, study.config.name)}", err=True)
        return 1
    return 1 if sweep.gave_up or not found.front else 0


def _sweep_several(
    context: click.Context, prepared: PreparedSweeps, options: dict[str, Any], execution: ExecutionOptions
) -> int:
    from craterbench.report.live import sweep_several
    from craterbench.search.several.plan import is_several

    name, results = prepared.plan.name, options["results"]
    folder: Path = results / "studies" / name
    log = partial(click.echo, err=True)
    _say_without_test(prepared.members[0])
    with _saying_how_to_go_on(context, name, lambda: is_several(folder)):
        gave_up = sweep_several(
            prepared, results, execution, timeout=options["timeout"], quiet=options["quiet"], log=log
        )
    found = _show_several(folder)
    if any(row.problem for member in found.members for row in member.rows):
        click.echo(f"to train again what failed: {_resuming(context, name)}", err=True)
        return 1
    return 1 if gave_up or not all(member.study.front for member in found.members) else 0


def _say_without_test(prepared: PreparedSweep) -> None:
    """Say before anything is searched that there will be no images that have chosen nothing, and how to have some."""
    if prepared.config.confirm and not prepared.train_val.has_test:
        click.echo(
            "the data have no test part: what is confirmed will be compared on the validation part, by which the "
            "search chooses; --fix split.test=0.2 cuts one from the images",
            err=True,
        )


@contextlib.contextmanager
def _saying_how_to_go_on(context: click.Context, name: str, begun: Callable[[], bool]) -> Iterator[None]:
    """Say how to go on with what is broken off, if it was begun: else nothing is left of it."""
    try:
        yield
    except (KeyboardInterrupt, UserError):
        if begun():
            click.echo(f"go on with: {_resuming(context, name)}", err=True)
        raise
    except OSError as error:  # a full disk, say
        cure = f"when that is mended, go on with: {_resuming(context, name)}"
        raise UserError(f"{error.filename or name}: {error.strerror or error}; {cure}") from None


def _resuming(context: click.Context, name: str) -> str:
    """Return the command that goes on with a study in the same way."""
    words = ["bench", "sweep", "--resume", name]
    for option, value in context.params.items():
        is_set = context.get_parameter_source(option) is not ParameterSource.DEFAULT
        if is_set and option not in (*_OF_THE_STUDY, *_MAY_CHANGE, "data", "resume"):  # which it keeps from now on
            words += [f"--{option.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


def _prepared(registry: Registry, context: click.Context, options: dict[str, Any]) -> PreparedSweep | PreparedSweeps:
    from craterbench.config.resolve import Override
    from craterbench.search.setup import create_sweep, load_sweep, new_name
    from craterbench.search.several.plan import is_several
    from craterbench.search.several.setup import create_sweeps, load_sweeps

    def is_set(option: str) -> bool:
        return context.get_parameter_source(option) is not ParameterSource.DEFAULT

    studies: Path = options["results"] / "studies"
    data = None
    if options["data"] is not None:
        data = Override("dataset.path", str(options["data"].absolute()), "--data")
    if options["resume"] is not None:
        changed = ["NAME" if option == "names" else f"--{option}" for option in _OF_THE_STUDY if is_set(option)]
        if changed:
            raise UserError(f"a study goes on with what it began with; leave out {', '.join(changed)}")
        new_values = {option: options[option] for option in _MAY_CHANGE if is_set(option)}
        folder = studies / options["resume"]
        return (load_sweeps if is_several(folder) else load_sweep)(registry, folder, new_values, data=data)
    names = options["names"]
    if names and is_set("benchmark"):
        whole = shlex.join(["bench", "sweep", *dict.fromkeys([*names, options["benchmark"]])])
        raise UserError(f"--benchmark {options['benchmark']}: name all benchmarks in one way: {whole}")
    settings = []
    if options["dataset"] is not None:
        settings.append(Override("dataset.name", options["dataset"], "--dataset"))
    if data is not None:
        settings.append(data)
    same = ("framework", "epochs", "vary", "fix", "sampler", "pruner", "seed", "device", *_MAY_CHANGE)
    settings_of_all = {
        "name": new_name(studies, options["name"]),
        "settings": settings,
        "space_file": options["space"],
        "objectives": _objectives(options["objective"]),
        **{key: options[key] for key in same},
    }
    if len(names) > 1:
        return create_sweeps(registry, studies=studies, benchmarks=names, **settings_of_all)
    return create_sweep(registry, benchmark=names[0] if names else options["benchmark"], **settings_of_all)


def _objectives(text: str) -> tuple[str, ...]:
    if text == "both":
        return _BOTH
    names = tuple(name.strip() for name in text.split(","))
    if len(names) > 2:
        raise UserError(f"--objective {text}: give one metric or two")
    return names


def _write_page(file: Path, page: str) -> None:
    from craterbench.results.files import write_atomically

    try:
        write_atomically(file, page)
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror})") from None
    click.echo(file)
