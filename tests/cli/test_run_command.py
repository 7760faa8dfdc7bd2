from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from installed import install
from processes import BENCH, PATIENCE, children, started
from rich.console import Console

from craterbench.execution import devices
from craterbench.plugin import RunContext
from craterbench.report.progress import ProgressBars
from craterbench.results.store import Store

SMALL = ("--dataset", "synthetic", "--set", "dataset.images=12", "--set", "dataset.size=16", "--epochs", "2")
ENDLESS = ("--dataset", "synthetic", "--epochs", "100000", "--set", "training.patience=100000")


# A run


@pytest.fixture(scope="module")
def ran(bench_in, tmp_path_factory):
    """A run of two benchmarks, and what it said, for the tests that only look at what is left of it."""
    bench = bench_in(tmp_path_factory.mktemp("ran") / "results")
    return bench, bench("run", "constant", "logistic", *SMALL)


of_what_ran = pytest.mark.xdist_group("of what ran")  # so that only one process runs it


@pytest.fixture
def after(ran, bench):
    """Continue after that run, on a copy of what is left of it."""
    shutil.copytree(ran[0].results, bench.results)
    return bench


def record_of(bench, benchmark: str):
    (file,) = bench.results.glob(f"runs/{benchmark}/*/record.json")
    return json.loads(file.read_text())


@of_what_ran
def test_a_run_leaves_its_files_and_a_table(ran):
    bench, result = ran
    assert result.exit_code == 0, result.output
    assert "constant" in result.stdout
    assert "0.8867" not in result.stdout  # which was published about other data
    (folder,) = (bench.results / "runs" / "logistic").iterdir()
    assert str(folder) in result.stdout
    assert {file.name for file in folder.iterdir()} == {
        "benchmark.toml", "record.json", "history.csv", "statistics.npz", "weights.safetensors", "curves.png",
        "samples.png", "predictions.npz", "log.txt",
    }  # fmt: skip
    assert not (bench.results / ".running").exists()
    assert "logistic seed 42: epoch 2/2" in result.stderr


@of_what_ran
def test_the_sums_of_a_record_are_those_of_the_images_beside_it(ran):
    from craterbench.metrics.statistics import Statistics

    bench, _ = ran
    record = record_of(bench, "logistic")
    assert record["num_weights"] == 6  # five features and an intercept
    with np.load(bench.results / "runs" / "logistic" / record["id"] / "statistics.npz") as kept:
        for part in ("validation", "test"):
            arrays = {name.removeprefix(f"{part}/"): kept[name] for name in kept.files if name.startswith(f"{part}/")}
            groups = arrays.pop("groups")
            assert {"confusion", "cross_entropy", "histogram", "boundary"} < arrays.keys()
            scored = record["parts"][part]
            assert scored["statistics"] == Statistics(arrays, groups).sums()
            assert scored["num_images"] == len(kept[f"{part}/groups"])


def test_json_is_the_records_and_nothing_else(bench):
    result = bench("run", "constant", *SMALL, "--seeds", "2", "--seed", "7", "--json")
    records = json.loads(result.stdout)
    assert [record["seed"] for record in records] == [7, 8]
    assert all(record["status"] == "done" for record in records)
    assert result.stderr == ""


@of_what_ran
def test_names_may_be_patterns(ran):
    bench, _ = ran
    result = bench("run", "con*", "l?gistic", *SMALL, "--json")
    assert [record["benchmark"] for record in json.loads(result.stdout)] == ["constant", "logistic"]


@pytest.mark.usefixtures("undrawn")
def test_the_same_seed_gives_the_same_history_and_identity_and_another_seed_another(bench):
    again = ("--force", "--json")
    records = [json.loads(bench("run", "logistic", *SMALL, "--seed", s, *again).stdout)[0] for s in "112"]

    def history(record) -> list[list[str]]:
        lines = (bench.results / "runs" / "logistic" / record["id"] / "history.csv").read_text().splitlines()
        seconds = lines[0].split(",").index("seconds")
        return [[cell for column, cell in enumerate(line.split(",")) if column != seconds] for line in lines]

    assert history(records[0]) == history(records[1]) != history(records[2])
    assert records[0]["identity"] == records[1]["identity"] != records[2]["identity"]


@pytest.mark.parametrize(("runs", "threads"), [(1, 8), (2, 4), (3, 2), (5, 2)])
def test_workers_are_as_many_as_runs_and_machine_allow_and_all_runs_have_the_same_threads(
    bench, monkeypatch, runs, threads
):
    monkeypatch.setattr(devices, "available_cores", lambda: 8)
    monkeypatch.setattr(devices, "fitting_workers", lambda device: 3)
    records = json.loads(bench("run", "constant", *SMALL, "--seeds", str(runs), "--json").stdout)
    assert [record["environment"]["threads"] for record in records] == [threads] * runs


@pytest.mark.usefixtures("undrawn")
def test_folds_validate_on_every_image_once_and_are_runs_of_their_own(bench):
    records = json.loads(bench("run", "constant", *SMALL, "--folds", "3", "--json").stdout)
    assert [record["fold"] for record in records] == ["1/3", "2/3", "3/3"]
    assert len({record["identity"] for record in records}) == 3
    assert len({record["parts"]["test"]["fingerprint"] for record in records}) == 1
    validated = []
    for record in records:
        with np.load(bench.results / "runs" / "constant" / record["id"] / "statistics.npz") as kept:
            validated += kept["validation/groups"].tolist()
    assert sorted(validated) == list(range(12))  # each synthetic image is a group of its own
    again = bench("run", "constant", *SMALL, "--folds", "3")
    assert "constant seed 42 fold 2/3: done already" in again.stderr


@pytest.mark.usefixtures("undrawn")
def test_data_that_have_changed_where_they_lie_are_trained_on_again(bench, tmp_path):
    asked = ("run", "constant", "--dataset", "npz", "--data", npz(tmp_path), "--json")
    (first,), (same,) = (json.loads(bench(*asked).stdout) for _ in range(2))
    npz(tmp_path, number=11)
    (other,) = json.loads(bench(*asked).stdout)
    assert first["id"] == same["id"] != other["id"]


@of_what_ran
def test_a_row_is_not_left_out_because_another_benchmark_is_the_same(after, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps({"summary": "the same by another name", "extends": "constant"}))
    (record,) = json.loads(after("run", str(path), *SMALL, "--json").stdout)
    assert record["benchmark"] == "mine"


@of_what_ran
def test_what_makes_scores_doubtful_is_said_once_and_kept(ran, bench):
    mistakes = ("--set", "split.when=after-augmentation", "--set", "augmentation.warp=image")
    result = bench("run", "constant", *SMALL, *mistakes, "--json")
    (record,) = json.loads(result.stdout)
    assert record["warnings"] == [
        "leak: 8 of 8 validation images are copies of training images",
        "alignment: the masks of augmented images were not warped with them",
    ]
    assert [result.stderr.count(warning) for warning in record["warnings"]] == [1, 1]
    assert record_of(ran[0], "constant")["warnings"] == []


def test_on_a_terminal_there_is_a_bar(tmp_path):
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "160", "TERM": "xterm"}
    command = [BENCH, "run", "constant", *SMALL, "--results", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            shown += os.read(leader, 65536)
        except OSError:  # how Linux says that the other side of a terminal is gone
            break
    os.close(leader)
    assert process.wait() == 0
    text = shown.decode()
    assert "━" in text
    assert "2/2" in text
    assert "val_loss" in text
    assert "done" in text


def test_however_many_runs_have_ended_those_under_way_are_in_sight(tmp_path):
    progress = Console(file=io.StringIO(), force_terminal=True, width=80, height=10)
    row = {"epoch": 1, "objective": 0.5, "training_loss": 0.5, "val_loss": 0.4, "balanced_accuracy": 0.75, "best": 1}
    with ProgressBars(progress) as bar:
        for number in range(20):
            config = {"name": "logistic", "training": {"epochs": 8}}
            run = RunContext(id=str(number), folder=tmp_path, config=config, seed=number)
            bar.bench_run_started(run)
            bar.bench_epoch_finished(run, row)
            if number < 18:
                bar.bench_run_finished(run, {"status": "done"})
        bar._progress.refresh()
        lines = progress.file.getvalue().splitlines()
    for number in range(18):
        said = f"logistic seed {number}: done after epoch 1/8, best 0.7500 in epoch 1,"
        assert any(said in line for line in lines), number
    shown = "\n".join(lines[-4:])  # what is under way now
    assert "logistic seed 18: objective 0.5000" in shown
    assert "logistic seed 19: objective 0.5000" in shown
    assert "1/8" in shown


def test_plugins_are_told_what_happens_in_the_order_in_which_it_does(tmp_path):
    install(
        tmp_path,
        "listens",
        "from craterbench.plugin import hookimpl\n"
        "def note(*words):\n"
        "    print(*words, file=open('heard.txt', 'a'))\n"
        "@hookimpl\n"
        "def bench_run_started(run):\n"
        "    note('started', run.config['name'], run.seed, run.folder.is_dir())\n"
        "@hookimpl\n"
        "def bench_epoch_finished(run, epoch):\n"
        "    note(run.seed, epoch.pop('epoch'))\n    epoch['val_loss'] = 0.5\n"
        "@hookimpl\n"
        "def bench_run_finished(run, record):\n"
        "    (run.folder / 'note.txt').write_text(record.pop('status'))\n"
        "    note('finished', sorted(record['parts']))\n"
        "    record['parts'].clear()\n"
        "    raise RuntimeError('deaf')\n",
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [BENCH, "run", "constant", *SMALL]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    heard = (tmp_path / "heard.txt").read_text().splitlines()
    assert heard == ["started constant 42 True", "42 1", "42 2", "finished ['test', 'validation']"]
    problem = "plugin listens: bench_run_finished raised RuntimeError: deaf"
    assert result.stderr.count(problem) == 1
    record, folder = the_record(tmp_path / "results")
    assert (record["status"], record["parts"].keys(), record["warnings"]) == ("done", {"validation", "test"}, [problem])
    assert (folder / "note.txt").read_text() == "done"
    with (folder / "history.csv").open() as file:
        assert [float(row["val_loss"]) == 0.5 for row in csv.DictReader(file)] == [False, False]


def test_a_plugin_brings_a_verb_and_one_that_breaks_or_takes_a_name_breaks_no_other(tmp_path):
    verb = "import click\nfrom craterbench.plugin import hookimpl\n@hookimpl\ndef bench_commands(cli):\n"
    install(tmp_path, "greets", f"{verb}    cli.add_command(click.Command('greet', callback=lambda: print('hello')))\n")
    install(tmp_path, "takes", f"{verb}    cli.add_command(click.Command('list', callback=lambda: print('mine')))\n")
    install(tmp_path, "breaks", f"{verb}    raise RuntimeError('no verb today')\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}

    def said(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([BENCH, *words], env=environment, capture_output=True, text=True, check=False)

    shown = said("--help")
    assert shown.returncode == 0
    assert "greet" in shown.stdout
    assert "List what is installed" in shown.stdout
    assert "plugin breaks: bench_commands raised RuntimeError: no verb today" in shown.stderr
    assert "plugin takes: there is a verb 'list' already" in shown.stderr
    assert said("greet").stdout == "hello\n"
    assert "mine" not in said("list", "losses").stdout
    assert said("list", "losses").stderr == ""  # nobody is asked for verbs where ours is meant
    assert said("gret").returncode == 2


def the_record(results: Path):
    (file,) = results.glob("runs/*/*/record.json")
    return json.loads(file.read_text()), file.parent


def test_ctrl_c_ends_the_child_and_leaves_the_run_interrupted(tmp_path):
    process = started([BENCH, "run", "logistic", *ENDLESS, "--results", str(tmp_path)])
    (child,) = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the child too
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not Path(f"/proc/{child}").exists()
    record, folder = the_record(tmp_path)
    assert record["status"] == "interrupted"
    assert record["epochs"] == len((folder / "history.csv").read_text().splitlines()) - 1 >= 1


def test_a_child_that_is_killed_leaves_a_failed_record_with_the_cause(tmp_path):
    process = started([BENCH, "run", "logistic", *ENDLESS, "--results", str(tmp_path)])
    (child,) = children(process.pid)
    os.kill(child, signal.SIGKILL)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    record, _ = the_record(tmp_path)
    assert record["status"] == "failed"
    assert "SIGKILL" in record["error"]
    assert record["error"] in said


def test_a_run_that_raises_leaves_a_failed_record_with_the_end_of_its_log(tmp_path):
    install(
        tmp_path,
        "stumbles",
        "from craterbench.plugin import DatasetSpec, hookimpl\n"
        "def load(parameters):\n"
        "    raise RuntimeError('the tape tore')\n"
        "@hookimpl\n"
        "def bench_datasets():\n"
        "    spec = dict(summary='', target='stumbles:load', provenance='', licence='')\n"
        "    return [DatasetSpec(name='stumbles', **spec)]\n",
    )
    command = [BENCH, "run", "constant", "--dataset", "stumbles", "--results", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    record, folder = the_record(tmp_path)
    assert record["status"] == "failed"
    assert record["error"] == "RuntimeError: the tape tore"
    assert record["log_tail"][-1] == "RuntimeError: the tape tore"
    assert str(folder / "log.txt") in result.stderr
    assert "1 failed" in result.stdout


def test_a_record_names_the_best_epoch_of_its_history(bench):
    settings = ("--epochs", "12", "--set", "optimizer.learning_rate=0.5", "--set", "training.patience=4")
    (record,) = json.loads(bench("run", "logistic", *SMALL, *settings, "--json").stdout)
    with (bench.results / "runs" / "logistic" / record["id"] / "history.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert record["best_epoch"] == 1 + losses.index(min(losses)) < record["epochs"] == len(losses)


@of_what_ran
def test_the_table_shows_the_test_part_when_it_is_asked_to(ran):
    bench, _ = ran
    assert "test_balanced_accuracy" not in bench("table", "--format", "csv").stdout
    assert "test_balanced_accuracy" in bench("table", "--format", "csv", "--test").stdout


@of_what_ran
def test_after_a_run_the_table_shows_it_beside_what_it_may_be_compared_with(after):
    beside = after("run", "logistic", *SMALL, "--seed", "43").stdout
    assert "constant" in beside
    apart = after("run", "logistic", *SMALL, "--set", "dataset.seed=9").stdout
    assert "constant" not in apart


@of_what_ran
def test_a_record_says_what_it_was_made_with(ran):
    record = record_of(ran[0], "constant")
    environment = record["environment"]
    two_at_once = min(2, devices.fitting_workers("auto"))
    assert environment["threads"] == max(1, devices.available_cores() // two_at_once)
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["device"] == "cpu"
    assert record["dataset"]["licence"] == "MIT"


def test_a_record_says_whether_the_files_are_the_published_ones_and_the_headline_stands_beside_it(bench, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (10, 2304))
    np.save(tmp_path / "Xtrain2_b.npy", images)
    np.save(tmp_path / "Ytrain2_b.npy", images > 128)
    shown = bench("run", "constant", "--dataset", "course", "--data", str(tmp_path)).stdout
    (record,) = (record.as_json() for record in Store(bench.results).records()[0])
    notes = record["dataset"]["notes"]
    assert "not the published files, by their sha256" in notes
    assert any(note.startswith("scale byte:") for note in notes)
    assert "0.8867" in shown
    assert "0.8144" not in shown  # of the published results the headline alone
    assert "0.8144" in bench("table").stdout


def test_the_command_after_a_kill_marks_what_was_left(bench):
    process = started([BENCH, "run", "logistic", *ENDLESS, "--results", str(bench.results)])
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    bench("table")
    assert the_record(bench.results)[0]["status"] == "interrupted"


# What cannot be done


def npz(path: Path, side: int = 16, number: int = 10) -> str:
    images = np.random.default_rng(0).uniform(size=(number, side, side))
    np.savez(path / "data.npz", images=images, masks=images > 0.7)
    return str(path / "data.npz")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "refrence"], "did you mean 'reference'"),
        (["run", "x*"], "no benchmark matches 'x*'"),
        (["run", "constant", "--set", "training.epoch=3"], "did you mean 'epochs'"),
        (["run", "constant", *SMALL, "--workers", "0"], "'0' is neither auto nor a number from 1 on"),
        (["run", "constant", *SMALL, "--workers", "all"], "'all' is neither auto nor a number from 1 on"),
        (["run", "constant", "--epochs", "0"], "training.epochs: 0 is outside 1 to 100000"),
        (["run", "constant", "--set", "epochs"], "--set key=value"),
        (
            ["run", "constant", "--dataset", "npz"],
            "dataset.path: is missing; name the data with --data PATH",
        ),
        (
            ["run", "constant", "--data", "some.npz"],
            "unknown key of dataset 'mars-hrsc'; say with --dataset NAME what reads your files",
        ),
        (
            ["run", "constant", *SMALL, "--set", "split.when=after-augmentation", "--folds", "2"],
            "set split.when=before-augmentation",
        ),
        (["run", "constant", *SMALL, "--folds", "1"], "x>=2"),
        (["run", "constant", "--results", "/dev/null/results"], "cannot be written"),
        (["table"], "no runs in"),
        (["show", "refrence"], "did you mean 'reference'"),
    ],
)
def test_bad_input_is_named_with_its_cure_and_writes_nothing(bench, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = bench(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "npz", "--data", "gone.npz"], "gone.npz: there is no such file"),
        ([*SMALL, "--device", "gpu"], "use --device cpu"),
        ([*SMALL, "--folds", "13"], "ask for --folds 12 or fewer"),
        ([*SMALL, "--set", "split.validation=0.01"], "too small to split"),
    ],
)
def test_a_run_that_cannot_be_had_as_asked_keeps_a_failed_record_and_says_the_cure(bench, arguments, said):
    result = bench("run", "constant", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    for record in Store(bench.results).records()[0]:
        assert (record.benchmark, record.status) == ("constant", "failed")
        assert said in record.error


def test_those_beside_a_run_that_cannot_be_had_are_done(bench, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(tomli_w.dumps({"extends": "constant", "dataset": {"name": "npz", "path": "gone.npz"}}))
    result = bench("run", str(path), "constant", "--json")
    assert result.exit_code == 2
    assert {record["benchmark"]: record["status"] for record in json.loads(result.stdout)} == {
        "bad": "failed",
        "constant": "done",
    }
    assert "bad" in result.stderr.splitlines()[-1]
    assert "gone.npz: there is no such file" in result.stderr


def test_definitions_are_all_checked_before_the_first_run_starts(bench):
    assert bench("run", "constant", "refrence", *SMALL).exit_code == 2
    assert not bench.results.exists()


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_a_framework_that_is_not_installed_is_named_with_its_cure(bench):
    result = bench("run", "reference")
    assert result.exit_code == 2
    assert "pip install 'craterbench[keras]'" in result.stderr
    assert "pip install 'craterbench[keras]'" in bench("list", "frameworks").stdout
