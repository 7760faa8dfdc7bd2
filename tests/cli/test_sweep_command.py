"""``bench sweep``: commands that are killed, interrupted and refused, and what is left of their studies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import install
from processes import BENCH, PATIENCE, after, children, eventually

from craterbench.results.record import Record
from craterbench.results.store import Store
from craterbench.search.study import StudyView

SEARCH = ("--benchmark", "scripted", "--vary", "model.quality", "--sampler", "random", "--confirm", "0")
SEARCH += ("--epochs", "2", "--name", "s")


def command(results: Path, *more: str) -> list[str]:
    return [BENCH, "sweep", "--results", str(results), *more]


def in_the_middle(script, results: Path) -> subprocess.Popen[str]:
    """Start a search for five trials with two workers, and return it when two are complete and two are under way."""
    script.say(start_2="wait", start_3="wait")
    process = subprocess.Popen(
        command(results, *SEARCH, "--trials", "5", "--workers", "2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert eventually(lambda: len(script.starts()) == 4)
    assert eventually(lambda: sorted(states(results)) == ["complete", "complete", "running", "running"])
    return process


def trials(results: Path):
    return StudyView(results / "studies" / "s").trials()


def states(results: Path) -> list[str]:
    return [trial.state for trial in trials(results)]


def statuses(results: Path) -> list[str]:
    """Return the status of each record of the study, by trial; all of them are whole."""
    store = Store(results / "studies" / "s")
    assert not store.running.exists()
    records, damaged = store.records()
    assert damaged == []
    assert not any("test" in record.parts for record in records)
    return [record.status for record in sorted(records, key=lambda record: int(record.benchmark.split("-")[1]))]


def check_it_goes_on(script, bench) -> None:
    """Go on with the search that was broken off in the middle, and look at what came of it."""
    script.go()
    result = bench("sweep", "--resume", "s", "--confirm", "0")
    assert result.exit_code == 0, result.output
    assert "done 5 of 5" in result.output
    found = trials(bench.results)
    assert sorted(trial.state for trial in found) == ["complete"] * 5 + ["failed"] * 2
    failed = [trial.number for trial in found if trial.state == "failed"]
    assert sorted(trial.retry_of for trial in found if trial.retry_of is not None) == failed
    for trial in found:
        if trial.retry_of is not None:
            assert trial.parameters == found[trial.retry_of].parameters
    assert len({trial.parameters["model.quality"] for trial in found}) == 5
    assert statuses(bench.results) == ["interrupted" if number in failed else "done" for number in range(7)]
    assert all(trial.record for trial in found)


def test_a_search_that_is_killed_takes_its_children_along_and_goes_on_to_as_many_as_were_wanted(script, bench):
    process = in_the_middle(script, bench.results)
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert sorted(states(bench.results)) == ["complete", "complete", "running", "running"]
    listed = bench("sweep", "--list")
    assert "2/5" in listed.output
    assert "unfinished" in listed.output
    check_it_goes_on(script, bench)


def test_ctrl_c_leaves_the_study_whole_and_says_how_to_go_on(script, bench):
    process = in_the_middle(script, bench.results)
    workers = children(process.pid)
    second = bench("sweep", "--resume", "s")
    assert second.exit_code == 2
    assert f"study 's' is being searched by another command: process {process.pid} on" in second.output
    shown, listed = bench("sweep", "--show", "s"), bench("sweep", "--list")
    assert (shown.exit_code, listed.exit_code) == (0, 0)
    assert "done 2 of 5" in shown.output
    assert "running" in listed.output
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    how = f"bench sweep --resume s --results {bench.results} --workers 2"
    *_, hint, last = said.splitlines()
    assert sorted(hint.removeprefix("go on with: ").split()) == sorted(how.split())
    assert last == "interrupted"
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert sorted(states(bench.results)) == ["complete", "complete", "failed", "failed", "waiting", "waiting"]
    assert sorted(statuses(bench.results)) == ["done"] * 2 + ["interrupted"] * 2
    check_it_goes_on(script, bench)


LISTENER = """
from pathlib import Path
from craterbench.plugin import hookimpl

def note(*words):
    with (Path(__file__).parent / "heard").open("a") as file:
        print(*words, file=file)

@hookimpl
def bench_study_started(study):
    note("study", study.name, study.config["trials"])

@hookimpl
def bench_run_started(run):
    note("run", run.study, run.trial)

@hookimpl
def bench_run_finished(run, record, samples):
    note("ended", run.trial, record["status"])

@hookimpl
def bench_trial_finished(study, trial):
    note("trial", trial["number"], trial["state"])
    trial["values"] = [99.0]

@hookimpl
def bench_study_finished(study, summary):
    note("end", study.name, len(summary["trials"]))
    if summary["front"]:
        raise RuntimeError("deaf")
"""


def test_who_listens_to_a_study_is_told_of_its_trials_and_of_its_end_also_when_it_is_broken_off(script, bench):
    install(script.folder, "listens", LISTENER)
    script.say(start_0="raise")
    result = bench("sweep", *SEARCH, "--trials", "2", "--workers", "1")
    assert result.exit_code == 0, result.output
    heard = (script.folder / "heard").read_text().splitlines()
    of_trials = [
        line
        for number, (status, state) in enumerate([("failed", "failed"), ("done", "complete"), ("done", "complete")])
        for line in (f"run s {number}", f"ended {number} {status}", f"trial {number} {state}")
    ]
    assert heard == ["study s 2", *of_trials, "end s 3"]
    assert result.stderr.count("plugin listens: bench_study_finished raised RuntimeError: deaf") == 1
    assert [list(trial.values) == [99.0] for trial in trials(bench.results)] == [False] * 3
    (script.folder / "heard").unlink()
    script.say(start_3="wait", start_4="wait")
    process = subprocess.Popen(
        command(bench.results, "--resume", "s", "--trials", "3", "--workers", "1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert eventually(lambda: len(script.starts()) == 4)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    heard = (script.folder / "heard").read_text().splitlines()
    assert heard == ["study s 3", "run s 3", "ended 3 interrupted", "trial 3 failed", "end s 5"]


def test_a_disk_that_is_full_is_told_and_the_search_goes_on_when_there_is_room(script, bench):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))"
    result = subprocess.run(
        after(limit, command(bench.results, *SEARCH, "--trials", "6", "--workers", "1")),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},  # or half a module's bytecode would be left for others
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "File too large; when that is mended, go on with: bench sweep --resume s" in result.stderr
    done = states(bench.results).count("complete")
    assert 1 <= done < 6
    result = bench("sweep", "--resume", "s", "--confirm", "0")
    assert result.exit_code == 0, result.output
    assert "done 6 of 6" in result.output


def test_a_search_of_which_nothing_is_complete_says_why_and_confirms_nothing(script, bench):
    script.say(always="raise")
    result = bench("sweep", *SEARCH, "--trials", "3", "--workers", "1", "--confirm", "1")
    assert result.exit_code == 1
    assert "the script says so" in result.stdout
    assert "The best" not in result.stdout
    assert states(bench.results) == ["failed"] * 3
    assert not (bench.results / "studies" / "s" / "best.toml").exists()
    assert not (bench.results / "runs").exists()


def confirmation(results: Path) -> dict[str, Any]:
    return json.loads((results / "studies" / "s" / "confirmation.json").read_text())


def definition(store: Store, run: Record) -> dict[str, Any]:
    return tomllib.loads((store.folder(run) / "benchmark.toml").read_text())


def test_the_best_are_confirmed_on_seeds_no_trial_had_beside_what_the_search_began_from(script, bench):
    result = bench(
        "sweep", *SEARCH, "--trials", "3", "--workers", "1", "--confirm", "2", "--fix", "training.patience=9"
    )
    assert result.exit_code == 0, result.output
    folder = bench.results / "studies" / "s"
    best, second, _ = sorted(trials(bench.results), key=lambda trial: -trial.values[0])
    assert tomllib.loads((folder / "best.toml").read_text())["model"]["quality"] == best.parameters["model.quality"]
    runs, damaged = Store(bench.results).records()
    assert damaged == []
    named = {"s": best.parameters["model.quality"], "s-2": second.parameters["model.quality"], "scripted": 0.5}
    assert {(run.benchmark, run.seed) for run in runs} == {(name, seed) for name in named for seed in (42, 43, 44)}
    for run in runs:
        assert {"curves.png", "samples.png"} <= {file.name for file in Store(bench.results).folder(run).iterdir()}
        asked = definition(Store(bench.results), run)
        assert asked["model"]["quality"] == named[run.benchmark]
        assert asked["training"]["epochs"] == 4  # as the definition has it; trials had two
        assert asked["training"]["patience"] == (100 if run.benchmark == "scripted" else 9)
    kept = confirmation(bench.results)
    assert [(row["name"], row["trial"], row["seeds"]) for row in kept["rows"]] == [
        ("s", best.number, [42, 43, 44]), ("s-2", second.number, [42, 43, 44]), ("scripted", None, [42, 43, 44]),
    ]  # fmt: skip
    assert not any(isinstance(value, str) for value in kept.values() if value != kept["part"])  # words are shown
    said = " ".join(result.stdout.split())
    assert f"the candidate, trial {best.number}, beats scripted: balanced accuracy" in said
    assert "training.monitor balanced_accuracy instead of val_loss, training.patience 9 instead of 100." in said
    assert "epochs 2 instead" not in said
    assert "Scripted was not tuned: it had none of the 3 trials" in said
    assert "bench sweep reference scripted --trials 3 --confirm 2 and the other options of this search" in said
    assert re.search(r"^ *s +3/3 .* done ", bench("sweep", "--list").stdout, re.MULTILINE)
    former = ("name", "trial", "seeds", "found", "validation", "val_loss", "test", "difference", "problem")
    rows = [{key: row[key] for key in former} for row in kept["rows"]]
    older = {"rows": rows, "luck": kept["selection_bias"], "lines": ["As it was said."], "tried": 3}
    (folder / "confirmation.json").write_text(json.dumps(older))
    assert "As it was said." in bench("sweep", "--show", "s").stdout
    (folder / "confirmation.json").unlink()
    assert re.search(r"^ *s +3/3 .* not confirmed ", bench("sweep", "--list").stdout, re.MULTILINE)


@pytest.mark.usefixtures("undrawn")
def test_a_study_goes_on_as_it_was_asked_for_and_what_is_shown_is_of_now(script, bench):
    assert bench("sweep", *SEARCH, "--confirm", "2", "--trials", "2").exit_code == 0
    folder = bench.results / "studies" / "s"
    assert (folder / "best-2.toml").exists()
    older = bench("sweep", "--resume", "s", "--trials", "4", "--confirm", "0")
    assert "is the best of the 2 trials that there were then; it has 4 now" in " ".join(older.stdout.split())
    assert not (folder / "best-2.toml").exists()
    best = max(trials(bench.results), key=lambda trial: trial.values[0])
    now = tomllib.loads((folder / "best.toml").read_text())
    assert (now["model"]["quality"], now["training"]["epochs"]) == (best.parameters["model.quality"], 4)
    newer = bench("sweep", "--resume", "s", "--confirm", "1")
    assert newer.exit_code == 0, newer.output
    assert "that there were then" not in bench("sweep", "--show", "s").stdout
    assert confirmation(bench.results)["tried"] == 4
    plain = bench("sweep", "--resume", "s")
    assert plain.exit_code == 0
    assert [row["name"] for row in confirmation(bench.results)["rows"]] == ["s", "scripted"]


def test_what_was_not_confirmed_is_said_to_be_so(script, bench):
    result = bench("sweep", *SEARCH, "--trials", "1")
    assert result.exit_code == 0
    said = "the best is not confirmed; bench sweep --resume s --confirm 1 does that"
    assert said in " ".join(result.stdout.split())
    assert (bench.results / "studies" / "s" / "best.toml").exists()


@pytest.mark.usefixtures("undrawn")
def test_no_config_is_confirmed_twice(script, bench):
    few = ("--vary", "model.quality=0.3|0.6", "--benchmark", "scripted", "--epochs", "2", "--name", "s")
    assert bench("sweep", *few, "--trials", "5", "--confirm", "3").exit_code == 0
    rows = confirmation(bench.results)["rows"]
    assert [row["name"] for row in rows] == ["s", "s-2", "scripted"]
    assert rows[0]["validation"]["mean"] > rows[1]["validation"]["mean"]


@pytest.mark.usefixtures("undrawn")
def test_what_is_found_in_one_framework_is_certified_in_its_twin(script, bench):
    search = ("--benchmark", "scripted", "--epochs", "2", "--name", "s", "--trials", "2", "--framework", "scripted")
    assert bench("sweep", *search, "--confirm-with", "twin").exit_code == 0
    trained = {run.framework for run in Store(bench.results / "studies" / "s").records()[0]}
    anew = {run.framework for run in Store(bench.results).records()[0]}
    assert (trained, anew) == ({"scripted"}, {"twin"})
    assert not any("loss.name" in trial.parameters for trial in trials(bench.results))  # `lone` has no twin
    assert bench("sweep", *search, "--name", "alone", "--confirm", "0").exit_code == 0
    alone = StudyView(bench.results / "studies" / "alone").trials()
    assert all("loss.name" in trial.parameters for trial in alone)


def test_studies_that_are_damaged_or_half_made_are_told_one_by_one(script, bench):
    assert bench("sweep", *SEARCH, "--trials", "1").exit_code == 0
    folders = bench.results / "studies"
    whole = (folders / "s" / "study.json").read_text()
    for name, files in {
        "empty": {},
        "torn": {"study.json": whole[:99]},
        "no-journal": {"study.json": whole.replace('"name": "s"', '"name": "no-journal"')},
        "damaged": {"study.json": whole.replace('"name": "s"', '"name": "damaged"'), "journal.log": '{}\n[1]\nx\n"\n'},
        "moved": {"study.json": whole},
    }.items():
        (folders / name).mkdir()
        for file, content in files.items():
            (folders / name / file).write_text(content)
    listed = bench("sweep", "--list")
    assert listed.exit_code == 0
    assert "1/1" in listed.stdout
    told = listed.stderr.splitlines()
    assert [name for name in ("damaged", "moved", "no-journal", "torn") if not any(name in line for line in told)] == []
    assert len(told) == 4
    for name in ("empty", "torn", "no-journal", "damaged", "moved", "missing"):
        shown = bench("sweep", "--show", name)
        assert shown.exit_code == 2, name
        assert shown.stderr.startswith("error: ")
        assert isinstance(shown.exception, SystemExit)
    assert not (folders / "no-journal" / "journal.log").exists()


REFUSED = {
    "--trials 0": "0 is not in the range x>=1",
    "--workers 0": "0 is not in the range x>=1",
    "--timeout 0": "0.0 is not in the range x>0",
    "--timeout nan": "nan is no number of seconds",
    "--trial-timeout inf": "inf is no number of seconds",
    "--executor dusk": "unknown executor 'dusk'; did you mean 'dask'?",
    "--scheduler somewhere:1": "add --executor dask",
    "--framework scripte": "unknown framework 'scripte'; did you mean 'scripted'?",
    "--framework absent": "framework 'absent' needs no_such_module, which is not installed",
    "--confirm-with absent": "framework 'absent' needs no_such_module, which is not installed",
    "--benchmark scriptet": "unknown benchmark 'scriptet'; did you mean 'scripted'?",
    "--fix model.quality=2 --vary loss": "2.0 is outside 0 to 1",
    "--vary model.qualiti": "did you mean 'model.quality'?",
    "--vary qualiti": "did you mean 'model.quality'?",
    "--confirm-with twin --vary loss.name=lone|scripted": "loss 'lone'",
    "--resume nope": "there is no study 'nope' in",
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_had_is_refused_before_a_study_is_made(script, bench, option):
    given = [*SEARCH, "--trials", "1", *option.split()] if "--resume" not in option else option.split()
    result = bench("sweep", *given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert REFUSED[option] in " ".join(result.stderr.split())
    assert not (bench.results / "studies").exists()


def test_a_study_that_is_there_is_neither_begun_again_nor_changed(script, bench):
    assert bench("sweep", *SEARCH, "--trials", "1").exit_code == 0
    again = bench("sweep", *SEARCH)
    assert again.exit_code == 2
    assert "there is a study 's' already; bench sweep --resume s goes on with it" in again.stderr
    changed = bench("sweep", "--resume", "s", "--vary", "model.quality", "--seed", "1")
    assert changed.exit_code == 2
    assert "leave out --vary, --seed" in changed.stderr
    unknown = bench("sweep", "--resume", "t")
    assert "there is no study 't'" in unknown.stderr
    assert "there are s" in unknown.stderr
    assert "there are s" in bench("sweep", "--show", "t").stderr
    assert len(trials(bench.results)) == 1


def test_a_study_whose_data_have_moved_goes_on_where_they_are_now(bench, tmp_path):
    images = np.random.default_rng(0).uniform(size=(10, 16, 16, 1)).astype(np.float32)
    before, now = tmp_path / "before.npz", tmp_path / "now.npz"
    np.savez(before, images=images, masks=images > 0.7)
    search = ("--benchmark", "logistic", "--vary", "training.batch_size", "--epochs", "1", "--workers", "1")
    of_data = ("--dataset", "npz", "--data", str(before), "--confirm", "0", "--name", "s")
    assert bench("sweep", *search, *of_data, "--trials", "1").exit_code == 0
    before.rename(now)
    lost = bench("sweep", "--resume", "s", "--trials", "2")
    assert (lost.exit_code, "before.npz" in lost.stderr) == (2, True)
    moved = bench("sweep", "--resume", "s", "--trials", "2", "--data", str(now))
    assert moved.exit_code == 0, moved.output
    assert states(bench.results) == ["complete", "complete"]
    further = bench("sweep", "--resume", "s", "--trials", "3")  # which knows where they are from now on
    assert further.exit_code == 0, further.output
    np.savez(now, images=images, masks=images > 0.6)
    other = bench("sweep", "--resume", "s", "--trials", "4", "--data", str(now))
    assert (other.exit_code, "  data: " in other.stderr) == (2, True)
    assert "dataset.path" not in other.stderr


def test_a_study_from_before_optimizers_had_versions_goes_on(bench, script):
    assert bench("sweep", *SEARCH, "--trials", "1", "--workers", "1").exit_code == 0
    plan = bench.results / "studies" / "s" / "study.json"
    content = json.loads(plan.read_text())
    del content["versions"]["optimizer plain"]
    plan.write_text(json.dumps(content))
    result = bench("sweep", "--resume", "s", "--trials", "2")
    assert result.exit_code == 0, result.output
    assert states(bench.results) == ["complete", "complete"]
