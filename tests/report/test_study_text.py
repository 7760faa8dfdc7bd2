"""What a person sees of a search: while it goes, at its end, and in a browser."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import pytest
from made_findings import EPOCHS, confirmation, study
from parsed_page import Page
from rich.console import Console

from craterbench.report.study.study_html import study_page
from craterbench.report.study.study_progress import Lines, Quiet, Trials, study_live
from craterbench.report.study.study_text import Listed, list_studies, render_study
from craterbench.report.study.trials import parameters_text, short_names, value_text
from craterbench.search.summary import StudySummary, Trial

BOTH = ("balanced_accuracy", "val_loss")


def console(width: int = 80, height: int = 24, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=terminal, color_system=None)


def shown(summary: StudySummary, width: int = 120) -> str:
    progress = console(width)
    render_study(summary, progress)
    return progress.file.getvalue()


@cache
def fifty() -> tuple[StudySummary, str]:
    return study(), study_page(study())


def words(text: str) -> str:
    return " ".join(text.split())


def drawings(page: Page) -> list[str]:
    found = [source.partition("data:image/svg+xml;base64,")[2] for source in page.sources]
    return [base64.b64decode(content).decode() for content in found]


def without_complete() -> StudySummary:
    failed = [replace(trial, state="failed", values=(), reason="out of memory") for trial in study(12).trials]
    return replace(study(12), trials=failed, confirmation=None, importances={}, front=())


def nothing() -> StudySummary:
    return replace(study(1), trials=[], confirmation=None, importances={}, front=())


def test_the_text_has_the_ten_best_trials_in_their_order():
    summary = study()
    complete = [trial for trial in summary.trials if trial.state == "complete"]
    best = sorted(complete, key=lambda trial: -trial.values[0])[:10]
    for width in range(70, 250, 9):
        lines = shown(summary, width).splitlines()
        assert max(map(len, lines)) <= width
        numbers = [re.findall(r"^ +(\d+) +(0\.\d{4}) +(\d+)  (\S+)  ", line) for line in lines]
        assert [found[0] for found in numbers if found] == [
            (
                str(trial.number),
                f"{trial.values[0]:.4f}",
                str(trial.epochs),
                value_text(trial.parameters["optimizer.learning_rate"]),
            )
            for trial in best
        ]


def test_less_loss_is_better():
    summary = study(objectives=("val_loss",))
    least = min((trial for trial in summary.trials if trial.state == "complete"), key=lambda trial: trial.values[0])
    assert re.findall(r"^ +(\d+) +0\.\d{4} ", shown(summary), re.MULTILINE)[0] == str(least.number)


def test_two_objectives_show_the_front_and_no_other_trial():
    summary = study(objectives=BOTH)
    numbers = re.findall(r"^ +(\d+) +0\.\d{4} +0\.\d{4} ", shown(summary), re.MULTILINE)
    assert sorted(map(int, numbers)) == sorted(summary.front)
    assert "Pareto front" in Page(study_page(summary)).said


@pytest.mark.parametrize("width", [80, 120])
def test_what_was_confirmed_is_shown_with_all_its_numbers(width):
    summary, page = fifty()
    text, page = words(shown(summary, width)), "".join(Page(page).said)
    assert summary.confirmation is not None
    for row in summary.confirmation.rows:
        for score in filter(None, (row.validation, row.test)):
            for said in (f"{score.mean:.4f} ± {score.sd:.4f}", f"[{score.low:.4f}, {score.high:.4f}]"):
                assert said in text
                assert said in page
        if row.difference is not None:
            for number in (row.difference.mean, row.difference.low, row.difference.high):
                assert f"{number:+.4f}" in text
                assert f"{number:+.4f}" in page
        if row.found is not None:
            assert f"{row.found:.4f} {summary.confirmation.selection_bias:.4f}" in text
    for line in summary.confirmation.lines:
        assert line in text
        assert line in page


def test_trials_and_what_became_of_them_are_counted():
    summary, page = fifty()
    states = [trial.state for trial in summary.trials]
    told = ", ".join(f"{states.count(state)} {state}" for state in ("complete", "pruned", "failed"))
    reasons = {trial.reason for trial in summary.trials if trial.state == "failed"}
    for text in (shown(summary, 200), "\n".join(Page(page).said)):
        assert told in text
        assert all(f"failed: {reason}" in text for reason in reasons)
    rows = {row[0]: row for row in Page(page).rows}
    for trial in summary.trials:
        assert rows[str(trial.number)][1] == trial.state
        assert rows[str(trial.number)][2] == (f"{trial.values[0]:.4f}" if trial.values else "–")
    assert "tried once more as trial 6" in rows["5"][-1]
    assert rows["6"][-1] == "trial 5 once more"


@pytest.mark.parametrize("summary", [without_complete(), nothing()], ids=["all failed", "none"])
def test_a_study_without_a_complete_trial_says_why_and_has_no_empty_table(summary):
    text, page = shown(summary), Page(study_page(summary))
    for said in (text, "".join(page.said)):
        assert "No trial is complete" in said
        assert "nan" not in said
    assert "epochs  " not in text.partition("No trial is complete")[2]
    if summary.trials:
        assert f"{len(summary.trials)} failed" in text
        assert "failed: out of memory" in text
    else:
        assert page.sources == []
        assert 'class="trials"' not in study_page(summary)


@pytest.mark.parametrize(
    "summary",
    [study(), study(objectives=BOTH), study(objectives=("val_loss",)), study(1), without_complete(), nothing()],
    ids=["fifty", "two objectives", "loss", "one", "all failed", "none"],
)
def test_the_page_needs_no_network_and_is_the_same_when_it_is_made_again(summary):
    text = study_page(summary)
    assert study_page(summary) == text
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", text)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert page.tags.count("img") == text.count('<img alt="') == len(page.sources)
    for drawing in drawings(page):
        ElementTree.fromstring(drawing)
        assert not re.search(r"<script|href=\"(?!#|data:)|url\([^#]", drawing)
        assert not re.search(r"\bnan\b", drawing, re.IGNORECASE)


def test_a_thousand_trials_are_a_page_of_less_than_three_megabytes():
    summary = study(1000)
    text = study_page(summary)
    assert len(text) < 3_000_000
    assert len(Page(text).rows) > 1000


def test_scores_that_are_not_numbers_are_shown_as_none():
    summary = study()
    trials = [replace(trial, values=[math.nan], curve=[math.nan] * 3) for trial in summary.trials[:5]]
    summary = replace(summary, trials=[*trials, *summary.trials[5:]])
    page = study_page(summary)
    assert not any(re.search(r"\b(nan|inf)\b", text, re.IGNORECASE) for text in (*drawings(Page(page)), shown(summary)))
    assert "nan<" not in page


def test_what_plugins_are_called_is_shown_and_not_obeyed():
    name, category = "loss.[bold]<b>weight", "$x^$<script>[red]&amp;"
    summary = study()
    trials = [
        replace(
            trial, parameters={**trial.parameters, name: trial.number / 7, "model.name": category * (trial.number % 2)}
        )
        for trial in summary.trials
    ]
    failed = replace(trials[5], reason="[/bold] <i>no")
    summary = replace(
        summary, name="<u>[x]", trials=[*trials[:5], failed, *trials[6:]], importances={name: 0.5, "model.name": 0.4}
    )
    text, page = shown(summary, 200), study_page(summary)
    for said in (text, "\n".join(Page(page).said)):
        for written in ("[bold]<b>weight", category, "[/bold] <i>no", "<u>[x]"):
            assert written in said
    assert text.count(name.removeprefix("loss.")) == 2  # the head of a column, and a bar
    assert not {"b", "i", "u", "script"} & set(Page(page).tags)
    assert any("$x^$&lt;scr" in drawing for drawing in drawings(Page(page)))
    progress = console(200, terminal=True)
    live = Trials(progress)
    with live:
        for trial in (replace(trials[1], state="running"), replace(trials[2], state="running"), failed):
            live.trial(trial, most=EPOCHS)
        lines = "\n".join(screenful(live, progress))
        live.log("[/red] as it is")
    assert category in lines
    assert "[/bold] <i>no" in lines
    assert "[/red] as it is" in progress.file.getvalue()


def test_names_are_as_short_as_they_can_be_and_mean_one_parameter():
    names = ["loss.name", "loss.dice.smooth", "loss.bce-dice.smooth", "model.depth", "augmentation.loss", "depth"]
    short = short_names(names)
    assert short["loss.dice.smooth"] == "dice.smooth"
    assert short["loss.bce-dice.smooth"] == "bce-dice.smooth"
    assert short["model.depth"] == "model.depth"
    assert len(set(short.values())) == len(names)
    rates = {"optimizer.learning_rate": 0.000512345, "optimizer.name": "adam", "flips": True, "rotation": 123.456}
    assert parameters_text(rates, short_names(rates)) == (
        "learning_rate=5.12e-4 optimizer=adam flips=true rotation=123"
    )


def screenful(live: Trials, progress: Console) -> list[str]:
    lines = progress.render_lines(live._shown(), progress.options, pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@pytest.mark.parametrize(("width", "height", "workers"), [(80, 24, 2), (80, 24, 40), (120, 50, 4), (60, 12, 3)])
def test_the_live_table_fits_the_terminal(width, height, workers):
    progress = console(width, height, terminal=True)
    live = Trials(progress)
    summary = study()
    with live:
        live.progress(done=0, wanted=50, best=None, workers=workers, left=None)
        for position, trial in enumerate(summary.trials):
            live.trial(replace(trial, state="running", values=trial.curve[:1], epochs=1, reason=None), most=EPOCHS)
            if position >= workers:
                live.trial(summary.trials[position - workers], most=EPOCHS)
            lines = screenful(live, progress)
            assert max(map(len, lines)) <= width
            assert len(lines) < height
        live.progress(done=12, wanted=50, best=summary.trials[0], workers=workers, left=31 * 60.0)
        first = screenful(live, progress)[0]
    said = f"done 12 of 50, best {summary.trials[0].values[0]:.4f} (trial 0), workers {workers}, about 31 min left"
    assert first == said or (width < len(said) and first.endswith("…"))


def test_the_live_table_shows_what_runs_above_what_ended_without_what_all_share():
    progress = console(120, terminal=True)
    live = Trials(progress)
    first, second, third = study().trials[:3]
    with live:
        for trial in (first, second, third):
            live.trial(replace(trial, state="running", epochs=0, values=()), most=EPOCHS)
        live.trial(replace(second, state="failed", reason="out of memory"), most=EPOCHS)
        lines = "\n".join(screenful(live, progress))
    numbers = re.findall(r"^ +(\d+)  (running|failed)", lines, re.MULTILINE)
    assert numbers == [("0", "running"), ("2", "running"), ("1", "failed")]
    assert "out of memory" in lines
    assert "monitor" not in lines
    assert "learning_rate=" in lines


def test_what_is_no_terminal_gets_a_line_for_each_trial_that_ends(capsys):
    summary = study()
    best = max((trial for trial in summary.trials[:10] if trial.state == "complete"), key=lambda trial: trial.values[0])
    with study_live(quiet=False) as live:
        assert isinstance(live, Lines)
        for trial in summary.trials[:10]:
            live.trial(replace(trial, state="running"), most=EPOCHS)
            live.trial(trial, most=EPOCHS)
            live.progress(done=trial.number, wanted=50, best=best, workers=2, left=7300)
    lines = capsys.readouterr().err.splitlines()
    ended = [line for line in lines if line.startswith("trial ")]
    assert [line.partition(":")[0] for line in ended] == [f"trial {number}" for number in range(10)]
    assert "failed, 0.6563, epochs 2/24, its worker died (signal 9); tried again: loss=" in ended[5]
    assert "trial 5 once more: loss=" in ended[6]
    (better,) = [line for line in lines if line.startswith("done ")]
    assert better == f"done 0 of 50, best {best.values[0]:.4f} (trial {best.number}), workers 2, about 2 h 2 min left"


def test_quiet_shows_nothing_but_what_must_be_seen(capsys):
    with study_live(quiet=True) as live:
        assert isinstance(live, Quiet)
        live.trial(study(1).trials[0], most=EPOCHS)
        live.progress(done=1, wanted=1, best=study(1).trials[0], workers=1, left=None)
        live.log("see")
    assert capsys.readouterr().err == "see\n"


def test_studies_are_listed_and_no_name_is_cut():
    progress = console(80)
    long = "a-name-that-somebody-found-good-and-that-is-long-enough-for-two"
    listed = Listed(name=long, done=3, wanted=50, objective="loss", best=0.25, state="running", when="2026-11-05 12:00")
    list_studies([listed, replace(listed, name="[b]", best=None)], progress)
    lines = progress.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    text = "".join(line.strip().partition("  ")[0] for line in lines)
    assert long in text
    assert "3/50  0.2500" in progress.file.getvalue()
    assert "[b]" in progress.file.getvalue()


def test_a_winner_without_scores_says_why():
    made = confirmation(Trial(number=3, state="complete", parameters={}, values=[0.9], epochs=1))
    lost = replace(made.rows[0], validation=None, val_loss=None, test=None, difference=None, problem="it died")
    summary = replace(study(), confirmation=replace(made, rows=[lost, made.rows[1]], lines=["Nothing is certain."]))
    for said in (shown(summary), "".join(Page(study_page(summary)).said)):
        assert "it died" in said
        assert "Nothing is certain." in said


def test_the_best_that_was_not_confirmed_is_said_to_be_lucky():
    for made in (study(confirmation=None), study(objectives=("val_loss",), confirmation=None)):
        best = (max if made.objectives[0].greater_is_better else min)(
            (trial for trial in made.trials if trial.state == "complete"), key=lambda trial: trial.values[0]
        )
        for said in (words(shown(made, 80)), "".join(Page(study_page(made)).said)):
            assert f"The best trial so far is {best.number}, with" in said
            assert "It is not confirmed, and the best of many is always in part the luckiest." in said
    summary, page = fifty()
    for said in (shown(summary, 80), "".join(Page(page).said)):
        assert "best trial so far" not in said


def test_importances_say_on_how_many_trials_they_rest():
    summary, page = fifty()
    complete = sum(trial.state == "complete" for trial in summary.trials)
    for said in (words(shown(summary, 80)), "".join(Page(page).said)):
        assert f"told from the search's own {complete} complete trials, so roughly" in said


def columns(text: str) -> list[str]:
    """Return the last pieces of the parameters' names that head the table of trials."""
    (heads,) = [line for line in text.splitlines() if line.startswith(" trial  ")]
    return heads.split("epochs")[1].split()


def test_parameters_that_few_of_the_shown_trials_have_stand_behind_the_others():
    weights = {"loss.focal.gamma": 0.4, "model.depth": 0.3, "optimizer.learning_rate": 0.2, "loss.focal.alpha": 0.1}
    summary = study(importances=weights)
    best = sorted((t for t in summary.trials if t.state == "complete"), key=lambda trial: -trial.values[0])[:10]
    assert 0 < sum("loss.focal.gamma" in trial.parameters for trial in best) < 5
    wide = shown(summary, 250)
    every = columns(wide)
    assert every[:2] == ["depth", "rate"]
    rare = {name for trial in summary.trials for name in trial.parameters if name.startswith("loss.")} - {"loss.name"}
    assert every[-len(rare) :][:2] == ["gamma", "alpha"]
    assert sorted(every[-len(rare) :]) == sorted(name.rpartition(".")[2] for name in rare)
    assert "left out" not in wide
    narrow = shown(summary, 80)
    left_out = re.search(r"left out, since the terminal is narrow: (.*?)\n\n", narrow, re.DOTALL)
    told = [re.split(r"[._-]", name)[-1] for name in words(left_out[1]).split(", ")]
    assert [*columns(narrow), *told] == every
    dash = "– where a trial does not have the parameter\n"
    assert dash in wide
    assert dash not in narrow


def test_only_the_first_winner_has_the_luck_of_the_best_and_all_differ_from_where_the_search_began():
    summary, _ = fifty()
    first, reference = summary.confirmation.rows
    second = replace(first, name="trial 9", trial=9, found=0.9)
    rows = [first, second, replace(reference, name="dice framework=torch")]
    for objective, rest in (("balanced_accuracy", ""), ("val_loss", ", balanced accuracy")):
        made = study(objectives=(objective,), confirmation=replace(summary.confirmation, rows=rows, lines=["So."]))
        text, page = shown(made, 200), Page(study_page(made))
        assert re.findall(r"^ (trial \d+|dice).*?(0\.9\d+|–) +(\S+) ", text, re.MULTILINE) == [
            (first.name, f"{first.found:.4f}", f"{summary.confirmation.selection_bias:.4f}"),
            (second.name, "0.9000", "–"),
            ("dice", "–", "–"),
        ]
        assert f"difference to dice{rest}" in text
        cells = {row[0]: row[2] for row in page.rows if len(row) > 4}
        assert [cells[row.name] for row in rows] == [f"{summary.confirmation.selection_bias:.4f}", "–", "–"]
        assert "difference to dice" in page.said
        assert "to reference" not in text + "".join(page.said)
        assert max(map(len, shown(made, 80).splitlines())) <= 80


def test_a_long_setting_is_wrapped_and_every_head_of_the_page_says_what_it_heads():
    summary, page = fifty()
    assert summary.settings["searched"] in words(shown(summary, 80))
    assert summary.settings["searched"] in Page(page).said
    assert re.findall(r"<th\b(?![^>]* scope=)[^>]*>|<th[^>]*></th>", page) == []
