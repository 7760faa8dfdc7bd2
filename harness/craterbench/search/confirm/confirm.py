"""The confirmation: what a search found is trained again, on seeds and images that had no part in the choice.

The best of many trials is in part the luckiest, and the search chose it by the validation part. So it is trained again
as ordinary runs beside the reference, and what counts is the difference on the test part, which no trial loads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from craterbench.config.resolve import ResolvedConfig
from craterbench.execution.batch import train
from craterbench.execution.executor import ExecutionOptions
from craterbench.execution.run import RunFactory
from craterbench.execution.run_spec import RunSpec
from craterbench.metrics.metric import Metric
from craterbench.results.files import write_atomically
from craterbench.results.record import Record
from craterbench.search.confirm.scores import CandidateResult, conclude
from craterbench.search.summary import Confirmation

__all__ = ["Candidate", "alike", "confirm", "write_best"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A config that the search found, as it will be confirmed.

    Attributes:
        trial: the number of the trial that found it.
        found: the first objective that this had reached, on the validation part.
    """

    trial: int
    found: float
    resolved: ResolvedConfig


def write_best(file: Path, resolved: ResolvedConfig, *, name: str, summary: str) -> None:
    """Write a complete config as a TOML file that ``bench run`` takes, atomically.

    Args:
        name: what the benchmark is called, in the table and in the folder of results.
        summary: one line that says where it comes from, such as the study and the trial.
    """
    import tomli_w

    config = {"name": name, **resolved.benchmark.as_dict(), "summary": summary}
    about = f"# What bench sweep found, as a complete benchmark: bench run {file.name} trains it.\n\n"
    write_atomically(file, about + tomli_w.dumps(config))


def confirm(
    factory: RunFactory,
    candidates: Sequence[Candidate],
    reference: ResolvedConfig,
    options: ExecutionOptions,
    *,
    seeds: Sequence[int],
    objective: Metric,
    tried: int,
) -> Confirmation:
    """Train the candidates and the reference on these seeds, and say whether the candidates beat it.

    The runs are kept in the factory's store like those of ``bench run``. What is done already is not repeated, and what
    was interrupted is resumed. A candidate that is the reference's own config is not trained twice.

    Args:
        candidates: what the search found, best first, at least one.
        options: where they train.
        seeds: seeds that the search has not used.
        objective: the first that the search aimed at.
        tried: how many configs the search had to choose from.

    Raises:
        UserError: the results folder cannot be written, or there is nobody to train.
    """
    resolved = [*(candidate.resolved for candidate in candidates), reference]
    configs = {_config_key(each): each for each in resolved}  # of two that are alike the last, so of any the reference
    specs = [RunSpec(each, seed) for each in configs.values() for seed in seeds]
    records = _trained(factory, dict(enumerate(specs)), options)
    # those whose process was killed are gone on with, once: they left what they can go on from
    killed = {
        p: spec
        for p, spec in enumerate(specs)
        if records[p].status == "failed" and factory.store.checkpoint(records[p])
    }
    records |= _trained(factory, killed, options)

    def trained(of: ResolvedConfig, trial: int | None = None, found: float | None = None) -> CandidateResult:
        alike = configs[_config_key(of)]
        runs = [records[position] for position, each in enumerate(specs) if each.resolved is alike]
        return CandidateResult(name=_row(alike), records=runs, trial=trial, found=found)

    return conclude(
        factory.store,
        [trained(candidate.resolved, candidate.trial, candidate.found) for candidate in candidates],
        trained(reference),
        objective=objective,
        tried=tried,
    )


def _trained(factory: RunFactory, specs: Mapping[int, RunSpec], options: ExecutionOptions) -> dict[int, Record]:
    """Train what is not done already, and return the records by the same numbers."""
    numbers = list(specs)
    with closing(train(factory, list(specs.values()), options, resume=True)) as ends:
        return {numbers[ended.position]: ended.record for ended in ends}


def alike(one: ResolvedConfig, other: ResolvedConfig) -> bool:
    """Whether two train alike, whatever they are called."""
    return _config_key(one) == _config_key(other)


def _config_key(resolved: ResolvedConfig) -> str:
    """Return what is equal for two that train alike, whatever they are called."""
    return repr(replace(resolved.benchmark, name="", summary=""))


def _row(resolved: ResolvedConfig) -> str:
    """Return the name of its row in the table."""
    return " ".join([resolved.benchmark.name, *map(str, resolved.overrides)])
