"""Tables of runs, in which two numbers stand in one column only if they may be compared."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from craterbench.metrics.metric import BALANCED_ACCURACY, LOSS, TUNED, Metrics
from craterbench.plugin import UserError
from craterbench.plugin.components import PublishedResult
from craterbench.report.table.columns import Column, ScoreColumns, cost_columns, run_columns
from craterbench.report.table.notes import mixture_notes, same_name_notes
from craterbench.report.table.row_comparisons import Ranks
from craterbench.report.table.row_intervals import Comparison, RowIntervals
from craterbench.report.table.row_parity import Verdicts
from craterbench.report.table.row_thresholds import threshold_notes
from craterbench.report.table.rows import Row, ScoredRuns, label_fingerprints, rows_of
from craterbench.report.table.selection import chosen, differing_columns, filtered, sorted_by
from craterbench.results.record import Record
from craterbench.results.store import Store

__all__ = ["Table", "check_test_parts", "tabulate"]

#: What is shown by default, with config keys; and of that, what may be left out where it does not fit.
_USUAL = ("benchmark", "runs", "epochs", BALANCED_ACCURACY.name, "difference", "verdict", LOSS.name, "warnings")
_USUAL_ON_TEST = (TUNED.name, "auroc")
_OPTIONAL = ("epochs", LOSS.name)


@dataclass(frozen=True)
class Table:
    """What a table shows, whatever it looks like.

    Attributes:
        cells: by row and column.
        published: the published results about the data of its rows, which stand below.
        remarks: lines on each fingerprint, by its label.
        ranks: how stable the ranks on a fingerprint are, by its label.
        notes: lines on all of it.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    cells: Sequence[Sequence[Any]]
    published: Sequence[PublishedResult] = ()
    remarks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ranks: Mapping[str, Ranks] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def lines(self) -> list[str]:
        """All that is to be said of it."""
        return [f"{label}: {line}" for label, lines in self.remarks.items() for line in lines] + list(self.notes)


def tabulate(
    store: Store,
    records: Sequence[Record],
    published: Sequence[PublishedResult] = (),
    *,
    test: bool = False,
    columns: Sequence[str] | None = None,
    sort: str | None = None,
    where: Sequence[str] = (),
    baseline: str | None = None,
    margin: float | None = None,
    whole_names: bool = False,
    notes: Sequence[str] = (),
    metrics: Metrics | None = None,
) -> Table:
    """Return a table with a row for each config of a benchmark, over its seeds and folds.

    Of runs that repeat each other the newest counts. Numbers on another fingerprint stand in columns of their own,
    headed by what differs.

    Args:
        store: of the statistics behind the records, and of parity verdicts.
        test: whether to show the test part too.
        columns: what to show, by name or dotted key, or ``["all"]``; by default what is usually wanted, and in what
            configs differ.
        sort: the name of a column or a dotted key, with ``-`` before it for the greatest first; by default the oldest
            row comes first.
        where: what is true of the runs that are shown, each ``KEY=VALUE``; the others still are what these are compared
            with.
        baseline: the name of the row that the others are compared with; by default that of the benchmark ``reference``.
        margin: the smallest difference of balanced accuracy that matters: each row then has a verdict.
        whole_names: whether a row's name has also those changes by the command line that all rows share.
        notes: lines to add.
        metrics: those that columns can show; by default the built-in ones.

    Raises:
        UserError: a column or key is unknown, no row is the baseline, the margin is out of range, no run is left, or no
            run has a test part that is to be shown.
    """
    if margin is not None and not 0 < margin < 1:
        raise UserError(
            f"a margin of {margin:g} is not between 0 and 1: it is the smallest difference of balanced accuracy that "
            "matters, such as 0.005"
        )
    if test:
        check_test_parts(records)
    rows = rows_of(records)
    common = [] if whole_names else _common(rows)
    rows = [replace(row, common=frozenset(common)) for row in rows]
    evidence = RowIntervals(store, rows, baseline)
    about, cost = run_columns(), cost_columns(Verdicts(store.root))
    rows = filtered([*about, *cost], rows, where)
    fingerprints = [
        ScoreColumns(label, example, evidence, metrics or Metrics(), rows, margin)
        for part in (("validation", "test") if test else ("validation",))
        for label, example in label_fingerprints(rows, part)
    ]
    known = [
        *(column for column in about if column.key == "benchmark" or column.factor),
        *differing_columns(rows),
        *(column for column in about if column.key != "benchmark" and not column.factor),
        *(column for fingerprint in fingerprints for column in fingerprint.columns()),
        *cost,
    ]
    if sort is not None:
        rows = sorted_by(rows, chosen(known, rows, [sort.removeprefix("-")]), descending=sort.startswith("-"))
    if columns is None:
        shown = [
            replace(column, optional=column.optional or column.key in _OPTIONAL)
            for column in known
            if column.factor or column.key in _USUAL or (column.part == "test" and column.key in _USUAL_ON_TEST)
        ]
        shown, cells, same = drop_constant_columns(shown, [[column.value(row) for column in shown] for row in rows])
        common = [*same, *common]
    else:
        shown = known if list(columns) == ["all"] else chosen(known, rows, columns)
        cells = [[column.value(row) for column in shown] for row in rows]
    sure = any("high" in column.fields for column in shown)
    remarks = {
        each.label: [
            _legend(each),
            *((*_certainty(each, rows), *each.comparisons.notes(), *threshold_notes(each, rows)) if sure else ()),
        ]
        for each in fingerprints
    }
    validation = [column.label for column in shown if column.part == "validation"]
    if validation:
        remarks[validation[0]].append(_chosen_on(rows, test=test))
    said = [f"all rows: {', '.join(common)}"] if common else []
    said += [*same_name_notes(rows), *mixture_notes(rows), *_selection_bias(rows)]
    said += [f"{row.name}: warning: {line}" for row in rows for line in row.warnings]
    data = {row.newest.dataset.get("name") for row in rows}
    published = [result for result in published if result.dataset in data]
    ranks = {each.label: found for each in fingerprints if sure and (found := each.comparisons.ranks)}
    return Table(shown, rows, cells, published, remarks, ranks, [*said, *evidence.lacking, *notes])


def _common(rows: Sequence[Row]) -> list[str]:
    """Return the changes by the command line that all rows share; one row alone keeps them in its name."""
    first, *others = [row.newest.overrides for row in rows] or [[]]
    return [change for change in first if others and all(change in changes for changes in others)]


def drop_constant_columns(
    columns: Sequence[Column], cells: Sequence[Sequence[Any]]
) -> tuple[list[Column], list[list[Any]], list[str]]:
    """Leave out what is the same in all rows: empty columns, and factors that are the same in all rows.

    Returns:
        The columns and cells that are left, and what all rows have in common.
    """
    left, same = [], []
    for position, column in enumerate(columns):
        values = [row[position] for row in cells]
        if column.factor and len(set(values)) == 1:
            same += [f"{column.heading} {values[0]}"] if values[0] is not None else []
        elif sum(value is not None for value in values) > (column.key == "difference"):  # the reference's own is 0
            left.append(position)
    return [columns[p] for p in left], [[row[p] for p in left] for row in cells], same


def _legend(fingerprint: ScoreColumns) -> str:
    """Say on what the numbers of a fingerprint were scored."""
    example = fingerprint.example
    images, pixels, crater = example.size
    how = f"; split {example.split}" if example.split else ""
    which = ", ".join(sorted({record.parts[example.part]["fingerprint"][:8] for record in example.runs}))
    return f"{example.data}, {images} images, {pixels} pixels, {crater / pixels:.1%} crater{how}; fingerprint {which}"


def check_test_parts(records: Iterable[Record]) -> None:
    """Check that there is a test part to be shown.

    Raises:
        UserError: runs are done, and none of them has one.
    """
    parts = [record.parts for record in records if record.status == "done"]
    if parts and not any("test" in each for each in parts):
        raise UserError(
            "no run has a test part, so there is nothing that --test could show; bench run --set split.test=0.2 cuts "
            "one from the images, and data may bring one, an npz file as test_images and test_masks"
        )


def _chosen_on(rows: Iterable[Row], *, test: bool) -> str:
    """Say why a validation score promises more than new images would give, and where there are such images."""
    chosen = "the epoch was chosen on these images"
    if not any(scored.part == "test" for row in rows for scored in row.scored):
        return chosen
    where = "the test part has" if test else "--test shows"
    return f"{chosen}; {where} images that chose nothing"


def _certainty(fingerprint: ScoreColumns, rows: Sequence[Row]) -> list[str]:
    """Say what the differences on a fingerprint are to, and how small a difference these data could show."""
    evidence = fingerprint.evidence
    scored = [each for row in rows if (each := fingerprint.of(row))]
    compared = [pair for each in scored if (pair := evidence.comparison(each)) and pair.reference is not each]
    lines = []
    for reference in dict.fromkeys(pair.reference for pair in compared):
        pairs = [pair for pair in compared if pair.reference is reference]
        name, units = reference.row.name, _units(reference)
        if any(row.title == reference.row.title and row is not reference.row for row in rows):
            lines.append(f"differences are to the {name} with the newest run, {reference.runs[-1].id}")
        elif name != evidence.baseline:
            lines.append(f"differences are to {name}")
        fewer = [f"{p.scored.row.name} {p.paired} of {p.num_runs}" for p in pairs if p.paired < p.num_runs]
        if fewer:
            lines.append(f"compared over the {units} that {name} has too: {', '.join(fewer)}")
        # what another seed would change is in a pair of several seeds only
        for alike in ([pair for pair in pairs if pair.seeds > 1], [pair for pair in pairs if pair.seeds == 1]):
            lines += _minimum_detectable(evidence, alike)
    one = [pair.scored.row.name for pair in compared if pair.seeds == 1 < len(pair.scored.by_seed)]
    if one or any(len(each.by_seed) == 1 for each in scored):
        which = f"; differences over one seed: {', '.join(one)}" if one else ""
        lines.append(f"an interval over one seed leaves out what another seed would change{which}")
    return list(dict.fromkeys(lines))


def _minimum_detectable(evidence: RowIntervals, pairs: Sequence[Comparison]) -> list[str]:
    """Say how small a difference these pairs with one reference could show, if there are any."""
    found = [smallest for pair in pairs if (smallest := evidence.minimum_detectable_difference(pair)) is not None]
    shown = [smallest for smallest in found if smallest > 0]
    if not shown:
        return ["too few groups of images for an interval"] if any(map(math.isnan, found)) else []
    reference = pairs[0].reference
    paired = _range([pair.paired for pair in pairs], str)
    units = _units(reference)
    if {pair.seeds for pair in pairs} == {1}:
        units = "seed" if units == "seeds" else f"{units} of one seed"
    return [
        f"with {reference.size[0]} images in {evidence.num_groups(reference)} groups and {paired} {units}, a true "
        f"difference of balanced accuracy to {reference.row.name} below about "
        f"{_range(shown, '{:.2g}'.format)} would mostly go unseen"
    ]


def _units(scored: ScoredRuns) -> str:
    return "seeds" if scored.row.folds is None or scored.pooled_over_folds else "runs"


def _range(values: Sequence[float], text: Callable[[float], str]) -> str:
    """Return the smallest and the greatest of values, or the one where they look alike."""
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low} to {high}"


def _selection_bias(rows: Iterable[Row]) -> list[str]:
    """Say how far the choice of the validation images alone moves a score."""
    found = []
    for scored in (scored for row in rows for scored in row.scored if scored.pooled_over_folds):
        folds: dict[str | None, list[float]] = {}
        for record, value in zip(scored.runs, scored.of_each_run(BALANCED_ACCURACY), strict=True):
            if value is not None:
                folds.setdefault(record.fold, []).append(value)
        if len(folds) > 1:
            sd = statistics.stdev(statistics.fmean(values) for values in folds.values())
            found.append(f"{scored.row.name} {sd:.4f}")
    label = "variation over splits, as the standard deviation of balanced accuracy over folds"
    return [f"{label}: {', '.join(found)}"] if found else []
