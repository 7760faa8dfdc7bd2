"""A sweep of several benchmarks as one page for a browser, with links to the pages of its studies."""

from __future__ import annotations

from html import escape

from craterbench.metrics.intervals import Estimate
from craterbench.report.estimate_text import estimate_text
from craterbench.report.html import section, sheet
from craterbench.report.study.several_narrative import (
    ComparedScore,
    compared_scores,
    row_name,
    several_sentences,
    several_settings,
)
from craterbench.report.study.trials import counted
from craterbench.search.several.compare import SweepsSummary

__all__ = ["several_page"]


def several_page(summary: SweepsSummary) -> str:
    """Return a sweep of several benchmarks as HTML, for a file in its own folder."""
    title = f"craterbench: sweep {summary.name}"
    settings = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>\n'
        for key, value in several_settings(summary).items()
    )
    sections = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in several_sentences(summary)),
        *(_table(summary, score) for score in compared_scores(summary)),
        f"<h2>Searches</h2><ul>{''.join(_searches(summary))}</ul>",
        f'<h2>Settings</h2><table class="settings"><tbody>\n{settings}</tbody></table>',
        section("Notes", summary.notes),
    ]
    return sheet(title, sections)


def _searches(summary: SweepsSummary) -> list[str]:
    return [
        f'<li><a href="../{escape(member.study.name)}/study.html">{escape(member.benchmark)}</a>: '
        f"{escape(counted(member.study) or 'not begun')}</li>"
        for member in summary.members
    ]


def _table(summary: SweepsSummary, score: ComparedScore) -> str:
    """Return the table of a score."""
    first = summary.members[0]
    heads = ["", summary.part, f"difference to {row_name(first, first.rows[0])}", "gained by tuning"]
    rows = []
    for member in summary.members:
        for row, gain in zip(member.rows, member.gains, strict=True):
            problem = f'<span class="warning">: {escape(row.problem)}</span>' if row.problem else ""
            cells = [_cell(score.of(row)), *(_cell(score.difference(each), signed=True) for each in (row, gain))]
            rows.append(f'<tr><th scope="row">{escape(row_name(member, row))}{problem}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col" class="number">{escape(text or "config")}</th>' for text in heads)
    seeds, body = ", ".join(map(str, summary.seeds)), "\n".join(rows)
    return (
        f'<h2>{escape(score.heading)}</h2><p class="dim">On seeds that no search had used: {seeds}. Mean over seeds ± '
        "their standard deviation, with the 95 % interval of the mean.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
    )


def _cell(estimate: Estimate | None, *, signed: bool = False) -> str:
    mean, _, interval = estimate_text(estimate, between="\n", signed=signed, with_sd=not signed).partition("\n")
    return f'<td class="number">{escape(mean)}<span class="interval">{escape(interval)}</span></td>'
