"""A study as one page for a browser: no network, no scripts, and the same bytes from the same summary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from craterbench.metrics.intervals import Estimate
from craterbench.report.estimate_text import estimate_text, number_text
from craterbench.report.html import picture, section, sheet
from craterbench.report.study.narrative import verdict
from craterbench.report.study.space_plots import LINES, PARALLEL, draw_parallel, draw_slices
from craterbench.report.study.study_plots import NAMED, draw_curves, draw_front, draw_history, draw_importances
from craterbench.report.study.trials import (
    baseline_name,
    counted,
    importances_text,
    nothing_complete,
    objective_value,
    parameters_text,
    pareto_front,
    reasons,
    selection_bias_text,
    short_names,
    sort_by_objective,
    unconfirmed,
    unvaried,
    value_text,
    varied,
)
from craterbench.report.table.axis import Axis
from craterbench.search.summary import ConfirmedScores, StudySummary, Trial

__all__ = ["study_page"]

#: What is to be said of a drawing that clips scores.
_EDGE = "Trials far worse than the others are drawn at the edge."


def study_page(summary: StudySummary) -> str:
    """Return a study as HTML."""
    sections = [
        f"<h1>craterbench: study {escape(summary.name)}</h1>",
        *_said(summary),
        _confirmed(summary),
        section("Trials that failed", reasons(summary)),
        f'<div class="figures">{"".join(_figures(summary))}</div>',
        "".join(_wide(summary)),
        _trials(summary),
        _settings(summary),
        section("Notes", summary.notes),
    ]
    return sheet(f"craterbench: study {summary.name}", sections)


def _said(summary: StudySummary) -> Iterable[str]:
    """Return what came of the study in sentences, the one that matters most first and large."""
    done = sum(trial.state in ("complete", "pruned") for trial in summary.trials)
    lines = list(verdict(summary))
    if not lines:
        lines = [unconfirmed(summary)] if sort_by_objective(summary) else [nothing_complete(summary)]
    for position, line in enumerate(lines):
        yield f'<p class="verdict">{escape(line)}</p>' if position == 0 else f"<p>{escape(line)}</p>"
    yield f'<p class="dim">Done {done} of {summary.wanted} trials: {counted(summary) or "none was started"}.</p>'


def _confirmed(summary: StudySummary) -> str:
    confirmation = summary.confirmation
    if confirmation is None or not confirmation.rows:
        return ""
    rows = confirmation.rows
    heads = [
        _head("found in the search", summary.objectives[0].label),
        _head("of that, selection bias", "to be expected"),
    ]
    columns = [
        [_plain(number_text(row.found)) for row in rows],
        [_plain(selection_bias_text(confirmation, row)) for row in rows],
    ]
    every: dict[tuple[str, str], list[Estimate | None]] = {
        ("validation", "balanced accuracy"): [row.validation for row in rows],
        ("validation", "loss"): [row.val_loss for row in rows],
        ("validation", summary.objectives[0].label): [row.on_validation(summary.objectives[0]) for row in rows],
        ("test", "balanced accuracy"): [row.test for row in rows],
        (f"difference to {baseline_name(confirmation)}", "balanced accuracy"): [row.difference for row in rows],
    }
    for (heading, what), scores in every.items():
        if any(scores):
            axis = Axis.over(scores)
            heads.append(_head(heading, what, axis.drawn() if axis else ""))
            columns.append([_score(score, axis, signed=heading.startswith("difference")) for score in scores])
    names = [f'<th scope="row">{escape(row.name)}{_problem(row)}</th>' for row in rows]
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(names, *columns, strict=True))
    seeds = ", ".join(map(str, dict.fromkeys(seed for row in rows for seed in row.seeds)))
    unseen = " The search never saw the test part." if any(row.test for row in rows) else ""
    return (
        f'<h2>Confirmed</h2><p class="dim">On seeds that the search had not used: {seeds}. Mean over seeds ± their '
        f"standard deviation, with the 95 % interval of the mean.{unseen}</p>"
        f'<div class="scroll"><table><thead><tr><th scope="col">config</th>{"".join(heads)}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _head(heading: str, what: str, drawn: str = "") -> str:
    content = f'{escape(heading)}<span class="interval">{escape(what)}</span>{drawn}'
    return f'<th scope="col" class="number">{content}</th>'


def _plain(text: str) -> str:
    return f'<td class="number">{text}</td>'


def _problem(row: ConfirmedScores) -> str:
    return f'<span class="warning">: {escape(row.problem)}</span>' if row.problem else ""


def _score(score: Estimate | None, axis: Axis | None, *, signed: bool) -> str:
    mean, _, interval = estimate_text(score, between="\n", signed=signed, with_sd=not signed).partition("\n")
    drawn = axis.interval(score) if axis and score and score.has_interval else ""
    return f'<td class="number">{escape(mean)}<span class="interval">{escape(interval)}</span>{drawn}</td>'


def _figures(summary: StudySummary) -> Iterable[str]:
    """Return the drawings that stand side by side, each if there is something to be drawn."""
    name = summary.objectives[0].label
    complete = sort_by_objective(summary)
    if any(objective_value(trial) is not None for trial in summary.trials):
        best = (
            f"; the best is {number_text(objective_value(complete[0]))}, of trial {complete[0].number}"
            if complete
            else ""
        )
        yield _figure(
            "History", f"{name} of each trial, and the best so far. {_EDGE}", draw_history(summary),
            f"{name} of {len(summary.trials)} trials in their order{best}",
        )  # fmt: skip
    if len(summary.objectives) > 1 and complete:
        unbeaten = pareto_front(summary)
        numbered = "with their numbers" if len(unbeaten) <= NAMED else f"the {NAMED} best by {name} with their numbers"
        yield _figure(
            "Pareto front",
            f"The trials that no other beats in both, {numbered}. Others that are far worse are drawn at the edge.",
            draw_front(summary),
            f"two objectives of {len(complete)} complete trials; the front has {len(unbeaten)} of them",
        )
    if any(map(math.isfinite, (value for trial in summary.trials for value in trial.curve))):
        yield _figure(
            "Learning curves", f"{name} that each trial had reached after each epoch.", draw_curves(summary),
            f"{name} over the epochs, a line for each trial",
        )  # fmt: skip
    if summary.importances:
        most = max(summary.importances, key=lambda name: summary.importances[name])
        yield _figure(
            "Importances", f"{importances_text(summary)}.", draw_importances(summary),
            f"importances of parameters, {most} the greatest with {summary.importances[most]:.2f}",
        )  # fmt: skip


def _wide(summary: StudySummary) -> Iterable[str]:
    """Return the drawings that are as wide as the page."""
    complete, names = sort_by_objective(summary), varied(summary)
    if len(complete) < 2 or not names:
        return
    name = summary.objectives[0].label
    order = ", the most important first" if summary.importances else ""
    best = "the best is a diamond" if len(summary.objectives) == 1 else "those of the Pareto front are diamonds"
    yield _figure(
        "Slices",
        f"{name} over each parameter{order}. A dot is a complete trial, a triangle a pruned one; {best}. {_EDGE}",
        draw_slices(summary),
        f"{name} over each of {len(names)} parameters",
    )
    few = f"The {LINES} best trials, and the" if len(complete) > LINES else "The complete trials, and the"
    most = "most important" if summary.importances else "first"
    few += f" {PARALLEL} {most} parameters" if len(names) > PARALLEL else " parameters"
    yield _figure(
        "Parallel coordinates",
        f"{few}: a line for each trial, dark where its {name} is good, below the axis of a parameter that it does not "
        f"have. {_EDGE}",
        draw_parallel(summary),
        f"the parameters of {min(LINES, len(complete))} complete trials and their {name}",
    )


def _figure(heading: str, caption: str, drawing: str, alt: str) -> str:
    shown = picture(drawing.encode(), "image/svg+xml", alt)
    return f'<figure><h2>{escape(heading)}</h2><p class="dim">{escape(_sentence(caption))}</p>{shown}</figure>\n'


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _trials(summary: StudySummary) -> str:
    if not summary.trials:
        return ""
    short = short_names(name for trial in summary.trials for name in trial.parameters)
    names = varied(summary)
    again = {trial.retry_of: trial.number for trial in summary.trials if trial.retry_of is not None}
    head, number = '<th scope="col">', '<th scope="col" class="number">'
    heads = "".join(f"{number}{escape(objective.label)}</th>" for objective in summary.objectives)
    parameters = "".join(f'<th scope="col" title="{escape(name)}">{escape(short[name])}</th>' for name in names)
    rows = "\n".join(_row(trial, names, len(summary.objectives), again.get(trial.number)) for trial in summary.trials)
    return (
        f'<h2>All trials</h2><div class="scroll"><table class="trials"><thead><tr>{head}trial</th>{head}state</th>'
        f"{heads}{number}epochs</th>{number}seconds</th>{parameters}{head}remarks</th></tr></thead>"
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(trial: Trial, names: Iterable[str], objectives: int, again: int | None) -> str:
    values = [*trial.values, *[math.nan] * objectives][:objectives]
    numbers = [*map(number_text, values), str(trial.epochs), "–" if trial.seconds is None else f"{trial.seconds:.1f}"]
    parts = [
        trial.reason,
        f"tried once more as trial {again}" if again is not None else None,
        f"trial {trial.retry_of} once more" if trial.retry_of is not None else None,
    ]
    record = f' title="record {escape(trial.record)}"' if trial.record else ""
    chosen = [value_text(trial.parameters[name]) if name in trial.parameters else "" for name in names]
    return (
        f'<tr><th scope="row"{record}>{trial.number}</th><td>{escape(trial.state)}</td>'
        + "".join(f'<td class="number">{number}</td>' for number in numbers)
        + "".join(f"<td>{escape(text)}</td>" for text in chosen)
        + f'<td class="long">{escape("; ".join(text for text in parts if text))}</td></tr>'
    )


def _settings(summary: StudySummary) -> str:
    same = unvaried(summary) if summary.trials else {}
    settings = dict(summary.settings)
    if same:
        settings["the same in all trials"] = parameters_text(same, {name: name for name in same}, between=", ")
    rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>\n' for k, v in settings.items())
    return f'<h2>Settings</h2><table class="settings"><tbody>\n{rows}</tbody></table>' if rows else ""
