"""The rows of a table: which runs make one, on which parts they were scored, and what their columns are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from craterbench.config.benchmark import flatten
from craterbench.config.identity import comparable_overrides
from craterbench.metrics.metric import Metric
from craterbench.results.record import STATUSES, Record

__all__ = ["Row", "ScoredRuns", "label_fingerprints", "rows_of", "slug"]


@dataclass(frozen=True, eq=False)
class Row:
    """The runs of one config of a benchmark, of each seed and fold one, oldest first.

    Attributes:
        common: changes by the command line that all rows share, and so are not in its name.
    """

    runs: Sequence[Record]
    common: frozenset[str] = frozenset()

    @cached_property
    def name(self) -> str:
        """The benchmark's name and what the command line changed in it."""
        changes = [change for change in self.newest.overrides if change not in self.common]
        return " ".join([self.newest.benchmark, *changes])

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its config, by dotted keys; a step of an augmentation has a key of its own, beside its parameters."""
        steps: dict[str, Any] = {
            f"augmentation.{name}": {} for name, step in self._sections("augmentation") if isinstance(step, dict)
        }
        return steps | flatten(self.newest.config)

    def _sections(self, name: str) -> Iterable[tuple[str, Any]]:
        section = self.newest.config.get(name, {})
        return section.items() if isinstance(section, dict) else ()

    @property
    def title(self) -> str:
        """Its name, and into how many folds its data was cut."""
        return self.name if self.folds is None else f"{self.name}, {self.folds} folds"

    @property
    def newest(self) -> Record:
        """The newest run."""
        return self.runs[-1]

    @cached_property
    def done(self) -> Sequence[Record]:
        """The runs that have scores."""
        return [record for record in self.runs if record.status == "done"]

    @cached_property
    def folds(self) -> int | None:
        """Into how many folds the development part was cut; ``None`` where the config's own split cut it."""
        return _num_folds(self.newest)

    @property
    def status(self) -> str:
        """How many runs ended how: ``3 done, 1 failed``."""
        counted = {status: sum(record.status == status for record in self.runs) for status in STATUSES}
        return ", ".join(f"{number} {status}" for status, number in counted.items() if number)

    @property
    def warnings(self) -> list[str]:
        """What makes its scores doubtful, each line once."""
        return list(dict.fromkeys(line for record in self.runs for line in record.warnings))

    @cached_property
    def scored(self) -> Sequence[ScoredRuns]:
        """The scored parts, those on another fingerprint apart."""
        found: dict[tuple[str, str], list[Record]] = {}
        for record in self.done:
            for part, scored in record.parts.items():
                together = self.folds is not None and part == "validation"
                found.setdefault((part, "folds" if together else scored["fingerprint"]), []).append(record)
        return [ScoredRuns(self, part, runs) for (part, _), runs in found.items()]


@dataclass(frozen=True, eq=False)
class ScoredRuns:
    """What the runs of a row scored on one part, on one fingerprint.

    The validation parts of folds differ from fold to fold. Together they are all the images but the test part, and
    their fingerprint is made of all of theirs: rows whose folds are the same share it.
    """

    row: Row
    part: str
    runs: Sequence[Record]

    @property
    def pooled_over_folds(self) -> bool:
        """Whether the runs of a seed were scored on parts that belong together."""
        return self.row.folds is not None and self.part == "validation"

    @cached_property
    def by_seed(self) -> dict[int, list[Record]]:
        """The runs of each seed, in the order of their fingerprints, which is the same for all rows."""
        seeds: dict[int, list[Record]] = {}
        for record in sorted(self.runs, key=lambda record: str(record.parts[self.part]["fingerprint"])):
            seeds.setdefault(record.seed, []).append(record)
        return seeds

    @cached_property
    def fingerprint(self) -> str:
        """Equal for two if their numbers may stand in one column."""
        if not self.pooled_over_folds:
            return str(self.runs[0].parts[self.part]["fingerprint"])
        sets = {tuple(record.parts[self.part]["fingerprint"] for record in runs) for runs in self.by_seed.values()}
        return " | ".join("+".join(each) for each in sorted(sets))

    @cached_property
    def complete(self) -> bool:
        """Whether each seed has all the folds."""
        return not self.pooled_over_folds or {len(runs) for runs in self.by_seed.values()} == {self.row.folds}

    def values(self, metric: Metric, region: str | None = None) -> list[float | None]:
        """Return a metric of each run, or of each seed over the images of all its folds where these are pooled.

        It is ``None`` where it is not defined, or a run lacks its statistic.
        """
        if not self.pooled_over_folds:
            return self.of_each_run(metric, region)
        return [metric.score_part(_over_folds(runs, self.part), self.part, region) for runs in self.by_seed.values()]

    def of_each_run(self, metric: Metric, region: str | None = None) -> list[float | None]:
        """Return a metric of each run by itself."""
        return [record.score(self.part, metric, region) for record in self.runs]

    @cached_property
    def size(self) -> tuple[int, int, int]:
        """The images, pixels and crater pixels behind the scores of one seed."""
        runs = next(iter(self.by_seed.values())) if self.pooled_over_folds else self.runs[:1]
        parts = [record.parts[self.part] for record in runs]
        confusion = np.sum([part["statistics"]["confusion"] for part in parts], axis=(0, 1))
        return sum(part["num_images"] for part in parts), int(confusion.sum()), int(confusion[0] + confusion[2])

    @property
    def data(self) -> str:
        """The name of the data set."""
        return str(self.runs[0].dataset["name"])

    @property
    def split(self) -> str:
        """How a validation part came to be; what is done to the training part alone is left out."""
        if self.part != "validation":
            return ""
        return "by group" if self.runs[0].protocol.startswith("by group") else self.runs[0].protocol

    @property
    def folds(self) -> str:
        """The folds that are pooled, if there are any."""
        if not self.pooled_over_folds:
            return ""
        return f"{self.row.folds} folds" if self.complete else f"{self.row.folds} folds, incomplete"


def rows_of(records: Iterable[Record]) -> list[Row]:
    """Return the rows in the order of their first runs: of each seed and fold the newest done run, or else the newest.

    The same config on other data, on other parts of them, or in folds, is another row; a run that ended before its data
    was known joins the latest.
    """
    rows: dict[tuple[Any, ...], dict[str, dict[tuple[int, str | None], Record]]] = {}
    for record in sorted(records, key=lambda record: (record.status != "done", record.id)):
        key = (record.benchmark, *comparable_overrides(record.overrides), record.definition, _num_folds(record))
        on = rows.setdefault(key, {})
        key = record.seed, record.fold
        if record.status == "done":
            images = f"{record.dataset['digest']} {record.dataset.get('split', '')}"
            on.setdefault(images, {})[key] = record
        else:
            runs = list(on.values())[-1] if on else on.setdefault("", {})
            if runs.get(key, record).status != "done":
                runs[key] = record
    found = [Row(sorted(runs.values(), key=lambda run: run.id)) for on in rows.values() for runs in on.values()]
    return sorted(found, key=lambda row: row.runs[0].id)


def label_fingerprints(rows: Iterable[Row], part: str) -> list[tuple[str, ScoredRuns]]:
    """Return for each fingerprint of a part what its columns are headed, and an example, in order of appearance.

    The heading says what differs: the data, the split, the folds. Where that is not enough, letters do.
    """
    examples: dict[str, ScoredRuns] = {}
    for row in rows:
        for scored in row.scored:
            if scored.part == part:
                examples.setdefault(scored.fingerprint, scored)
    data = {example.data for example in examples.values()}
    splits = {example.split for example in examples.values()}
    plain = []
    for example in examples.values():
        context = [part, example.data if len(data) > 1 else "", example.split if len(splits) > 1 else "", example.folds]
        plain.append(", ".join(text for text in context if text))
    slugs = [slug(label) for label in plain]
    labels = [
        f"{label} {_letters(slugs[:position].count(own))}" if slugs.count(own) > 1 else label
        for position, (label, own) in enumerate(zip(plain, slugs, strict=True))
    ]
    return list(zip(labels, examples.values(), strict=True))


def slug(text: str) -> str:
    """Return a text in snake case."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _over_folds(runs: Sequence[Record], part: str) -> dict[str, Any]:
    """Return the sums of statistics over several folds; what one of them lacks is left out."""
    folds = [record.parts[part]["statistics"] for record in runs]
    names = [name for name in folds[0] if all(name in fold for fold in folds)]
    return {name: np.sum([fold[name] for fold in folds], axis=0) for name in names}


def _num_folds(record: Record) -> int | None:
    return None if record.fold is None else int(record.fold.partition("/")[2])


def _letters(position: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    before = "" if position < 26 else _letters(position // 26 - 1)
    return before + chr(ord("A") + position % 26)
