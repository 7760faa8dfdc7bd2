"""``bench sweep`` with several benchmarks: equal budgets, equal spaces, equal seeds, and a table of them all."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from processes import BENCH, PATIENCE, eventually

import craterbench
from craterbench.config.resolve import Override, resolve
from craterbench.metrics.metric import BALANCED_ACCURACY
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.results.store import Store
from craterbench.search.optimize import trial_seed
from craterbench.search.several.defining import defining_values
from craterbench.search.space.overrides import SpaceOverrides
from craterbench.search.space.space import build_space
from craterbench.search.study import StudyView
from craterbench.search.sweep_config import SweepConfig

SEARCH = ("--vary", "model.quality=0.2..0.9", "--sampler", "random", "--epochs", "2", "--name", "s", "--workers", "1")


def variant(script, name: str, text: str) -> str:
    """Write a benchmark that extends the scripted one, and return its path."""
    file = script.folder / f"{name}.toml"
    file.write_text(f'extends = "scripted"\n{text}\n')
    return str(file)


@pytest.fixture
def other(script) -> str:
    return variant(script, "other", 'loss.name = "lone"')


def study(results: Path, name: str) -> StudyView:
    return StudyView(results / "studies" / name)


def states(results: Path, name: str) -> list[str]:
    return [trial.state for trial in study(results, name).trials()]


def words(text: str) -> str:
    return " ".join(text.split())


def rows(output: str) -> list[str]:
    """Return the names of the rows of the tables of what was confirmed."""
    return re.findall(r"^ *(\w+, (?:trial \d+|untuned)) .* ± ", output, re.MULTILINE)


@pytest.mark.usefixtures("undrawn")
def test_one_that_is_killed_in_its_second_search_goes_on_with_what_is_missing(script, bench, other):
    script.say(start_3="wait")  # the second trial of the second
    process = subprocess.Popen(
        [BENCH, "sweep", "scripted", other, *SEARCH, "--trials", "2", "--results", str(bench.results)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert eventually(lambda: len(script.starts()) == 4)
    assert eventually(lambda: states(bench.results, "s-other") == ["complete", "running"])
    listed = bench("sweep", "--list").output
    assert [line.split()[:2] for line in listed.splitlines() if "/" in line] == [
        ["s", "3/4"], ["s-other", "1/2"], ["s-scripted", "2/2"],
    ]  # fmt: skip
    assert "running" in listed.splitlines()[3]
    process.kill()
    process.communicate(timeout=PATIENCE)
    shown = bench("sweep", "--show", "s")
    assert shown.exit_code == 0, shown.output
    assert "the searches are not at their end, so nothing is compared; bench sweep --resume s goes on" in words(
        shown.output
    )
    alone = bench("sweep", "--resume", "s-other")
    assert alone.exit_code == 2
    assert "they have equal budgets: bench sweep --resume s goes on with all of them" in alone.stderr
    script.go()
    result = bench("sweep", "--resume", "s")
    assert result.exit_code == 0, result.output

    assert states(bench.results, "s-scripted") == ["complete", "complete"]
    assert states(bench.results, "s-other") == ["complete", "failed", "complete"]
    one, another = (study(bench.results, name) for name in ("s-scripted", "s-other"))
    for key in ("trials", "seed", "sampler", "epochs", "objectives", "space", "data", "confirm", "sweep"):
        assert getattr(one.config, key) == getattr(another.config, key), key
    tried = [
        {trial.parameters["model.quality"] for trial in each.trials() if trial.state == "complete"}
        for each in (one, another)
    ]
    assert tried[0] == tried[1]
    assert len(tried[0]) == 2

    used = {trial_seed(each.config.seed, trial.number) for each in (one, another) for trial in each.trials()}
    records, damaged = Store(bench.results).records()
    assert damaged == []
    names = {"s-scripted": "scripted", "scripted": "scripted", "s-other": "lone", "other": "lone"}
    assert {(run.benchmark, run.seed) for run in records} == {(name, seed) for name in names for seed in (42, 43, 44)}
    assert not used & {run.seed for run in records}
    assert all(run.config["loss"]["name"] == names[run.benchmark] for run in records)

    best = max(tried[0])
    (first,) = (trial.number for trial in one.trials() if trial.parameters["model.quality"] == best)
    second = max(another.trials(), key=lambda trial: trial.values[0] if trial.values else 0.0).number
    expected = [f"scripted, trial {first}", "scripted, untuned", f"other, trial {second}", "other, untuned"]
    assert rows(result.output)[:4] == expected
    compared = json.loads((bench.results / "studies" / "s" / "comparison.json").read_text())
    assert [row["name"] for row in compared["rows"]] == ["scripted", "s-other", "other", "s-scripted"]
    scores = {
        name: [run.parts["test"]["statistics"] for run in records if run.benchmark == name and run.status == "done"]
        for name in names
    }
    mean = {name: sum(map(BALANCED_ACCURACY.score, of_each)) / 3 for name, of_each in scores.items()}
    for row in compared["rows"][:-1]:
        assert row["difference"]["mean"] == pytest.approx(mean[row["name"]] - mean["s-scripted"])
        assert row["seeds"] == [42, 43, 44]
    said = words(result.output)
    assert f"whether other, tuned (trial {second}), beats scripted, tuned alike: balanced accuracy" in said
    assert f"What tuning gained other: not certainly anything, {mean['s-other'] - mean['other']:+.4f}" in said
    assert "whichever row is taken for its scores here is chosen once more" in said
    assert "training.monitor balanced_accuracy instead of val_loss (scripted, other)" in said
    assert rows(bench("sweep", "--show", "s").output) == rows(result.output)
    page = (bench.results / "studies" / "s" / "sweep.html").read_text()
    assert re.findall(r'<th scope="row">(\w+, [^<]*)</th>', page)[:4] == expected
    assert 'href="../s-other/study.html"' in page
    assert "done" in bench("sweep", "--list").output.splitlines()[3]

    before = len(script.starts())
    assert bench("sweep", "--resume", "s").exit_code == 0
    assert len(script.starts()) == before  # all of it was there
    more = bench("sweep", "--resume", "s", "--trials", "3")
    assert more.exit_code == 0, more.output
    assert [study(bench.results, name).counted for name in ("s-scripted", "s-other")] == [3, 3]
    shown = bench("sweep", "--show", "s-other").output  # as any study, without what is said of one alone
    assert "was not tuned" not in shown


@pytest.mark.usefixtures("undrawn")
def test_a_run_that_fails_leaves_its_row_without_scores_until_it_is_trained_again(script, bench, other):
    script.say(start_2="raise")  # the first run that confirms, after a trial of each
    result = bench("sweep", "scripted", other, *SEARCH, "--trials", "1")
    assert result.exit_code == 1
    said = words(result.stdout)
    assert "scripted, trial 0 has no scores: s-scripted has 1 of 3 runs without scores: seed 42 failed" in said
    assert "It cannot be said whether other, tuned (trial 0), beats scripted, tuned alike: s-scripted has 1" in said
    assert "What tuning gained scripted cannot be said: s-scripted has 1 of 3 runs" in said
    assert "What tuning gained other: " in said
    (hint,) = (line for line in result.stderr.splitlines() if line.startswith("to train again what failed: "))
    how = f"to train again what failed: bench sweep --resume s --results {bench.results} --workers 1"
    assert sorted(hint.split()) == sorted(how.split())
    before = len(script.starts())
    again = bench("sweep", "--resume", "s", "--workers", "1")
    assert again.exit_code == 0, again.output
    assert len(script.starts()) == before + 1
    assert "has no scores" not in again.stdout


def test_where_the_time_is_up_nothing_is_compared_and_nothing_is_lost(script, bench, other):
    result = bench("sweep", "scripted", other, *SEARCH, "--trials", "1", "--confirm", "0", "--timeout", "1e-9")
    assert result.exit_code == 1
    assert "the time is up, after 0 of 1 trials; bench sweep --resume s goes on" in result.stderr
    assert "so nothing is compared" in words(result.stdout)
    again = bench("sweep", "--resume", "s")
    assert again.exit_code == 0, again.output
    assert "nothing is confirmed and compared yet; bench sweep --resume s --confirm 1 does that" in words(again.stdout)
    assert [states(bench.results, name) for name in ("s-scripted", "s-other")] == [["complete"], ["complete"]]


def test_what_defines_a_benchmark_is_kept_in_each_and_all_else_is_varied_alike():
    registry, names = Registry.installed(), ["reference", "dice", "focal", "depth-4"]
    kept = [{override.key: override.value for override in each} for each in defining_values(registry, names)]
    assert kept == [
        {"loss.name": loss, "model.depth": depth} for loss, depth in [("bce", 3), ("dice", 3), ("focal", 3), ("bce", 4)]
    ]
    spaces = []
    for name, defining in zip(names, defining_values(registry, names), strict=True):
        fixed = [Override("framework", "torch", "--framework"), *defining]
        base = resolve(registry, name, fixed).benchmark
        space = build_space(registry, base, SpaceOverrides(fixed=defining))
        spaces.append({parameter.name: parameter.as_json() for parameter in space.parameters})
    alike = {key: value for key, value in spaces[0].items() if all(other.get(key) == value for other in spaces)}
    assert {"optimizer.learning_rate", "augmentation.copies", "model.dropout", "training.batch_size"} <= alike.keys()
    assert not {"loss.name", "model.depth"} & set().union(*spaces)
    alone = [sorted(space.keys() - alike.keys()) for space in spaces]
    assert alone[0] == alone[3] == []
    assert all(key.startswith("loss.") for each in alone for key in each)
    assert alone[1] != alone[2]


def test_a_step_of_the_augmentation_that_one_has_and_a_name_that_none_differs_in_are_kept(tmp_path):
    registry = Registry.installed()
    kept = [{each.key: each.value for each in own} for own in defining_values(registry, ["reference", "flips"])]
    assert kept == [{"augmentation.flips": False}, {"augmentation.flips": True}]
    slow = tmp_path / "slow.toml"
    slow.write_text('extends = "dice"\noptimizer.learning_rate = 1e-4\n')
    kept = [{each.key: each.value for each in own} for own in defining_values(registry, ["dice", str(slow)])]
    assert [each["loss.name"] for each in kept] == ["dice", "dice"]  # one of them says that it is a Dice loss
    assert kept[0]["optimizer.learning_rate"] != kept[1]["optimizer.learning_rate"] == 1e-4


REFUSED = {
    "OTHER --benchmark scripted": "name all benchmarks in one way: bench sweep scripted",
    "scripted": "scripted is there 2 times; give each benchmark once",
    "scriptet": "unknown benchmark 'scriptet'; did you mean 'scripted'?",
    "OTHER --vary loss.name": "loss.name: it is what sets scripted and other apart; leave it out",
    "OTHER --fix loss.name=lone": "loss.name is what sets scripted and other apart; leave it out",
    "OTHER --vary loss": "scripted and other share nothing to search; vary what all of them have",
    "DATA --vary model": "scripted and data have not the same dataset, so they cannot be compared; --dataset NAME",
    "SPLIT --vary model": "scripted and split have not the same split, so they cannot be compared",
    "LONGER --vary model": "scripted and longer are the same here",
    "BETTER --vary model": "scripted: nothing is left to vary",
    "OTHER --resume s": "a study goes on with what it began with; leave out NAME",
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_cannot_be_searched_alike_is_refused_before_a_study_is_made(script, bench, other, given):
    for loss, parameters in (("scripted", "Images"), ("lone", "Quality")):
        script.change(
            f'LossSpec(name="{loss}", summary="",', f'LossSpec(name="{loss}", summary="", parameters={parameters},'
        )
    files = {
        "OTHER": other,
        "DATA": variant(script, "data", "dataset.seed = 7"),
        "SPLIT": variant(script, "split", "split.seed = 7"),
        "LONGER": variant(script, "longer", "training.epochs = 9"),
        "BETTER": variant(script, "better", "model.quality = 0.7"),
    }
    words_given = [files.get(word, word) for word in given.split()]
    result = bench("sweep", "scripted", *words_given, "--trials", "1", "--confirm", "0", "--epochs", "2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert REFUSED[given] in words(result.stderr)
    assert not (bench.results / "studies").exists()


def test_one_name_is_the_benchmark(script, bench):
    assert bench("sweep", "scripted", *SEARCH, "--trials", "1", "--confirm", "0").exit_code == 0
    assert SweepConfig.read(bench.results / "studies" / "s").benchmark == "scripted"


def test_from_python_the_trials_of_all_are_one_frame(script, tmp_path, other):
    trials = craterbench.sweep(
        ["scripted", other], trials=1, vary=["model.quality"], epochs=2, confirm=0, results=tmp_path, quiet=True
    )
    assert trials["study"].tolist() == ["sweep-1-scripted", "sweep-1-other"]
    assert trials["state"].tolist() == ["complete", "complete"]
    assert trials.attrs == {"study": "sweep-1", "conclusion": []}
    with pytest.raises(UserError, match="there is a study 'sweep-1' already"):
        craterbench.sweep(["scripted", other], name="sweep-1", results=tmp_path)
