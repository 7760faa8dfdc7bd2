"""What is done already is not repeated, and is told from what is not."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil

import numpy as np
import pytest
from installed import install

from craterbench.config.identity import config_digest
from craterbench.config.resolve import parse_override, resolve
from craterbench.execution import devices
from craterbench.plugin.registry import Registry

SMALL = ("--dataset", "synthetic", "--set", "dataset.images=12", "--set", "dataset.size=16", "--epochs", "2")


@pytest.mark.usefixtures("undrawn")
def test_what_is_done_is_not_repeated_unless_it_is_asked_to_be(bench):
    asked = ("run", "constant", "logistic", *SMALL, "--seeds", "2", "--json")

    def ids(result):
        return [record["id"] for record in json.loads(result.stdout)]

    first = ids(bench(*asked))
    (bench.results / "runs" / "logistic" / first[3] / "record.json").unlink()
    second = bench(*asked)
    assert ids(second)[:3] == first[:3]
    assert ids(second)[3] not in first
    assert f"constant seed 43: done already, {first[1]} (bench run --force repeats it)" in second.stderr.splitlines()
    assert not set(ids(bench(*asked, "--force"))) & set(ids(second))


@pytest.mark.usefixtures("undrawn")
def test_what_was_done_with_other_versions_says_so_and_what_another_evaluator_scored_is_done_again(bench):
    asked = ("run", "constant", *SMALL, "--json")
    (first,) = json.loads(bench(*asked).stdout)
    file = bench.results / "runs" / "constant" / first["id"] / "record.json"

    def again(**changes):
        environment = {key: value for key, value in (first["environment"] | changes).items() if value is not None}
        file.write_text(json.dumps(first | {"environment": environment}))
        result = bench(*asked)
        (record,) = json.loads(result.stdout)
        return record["id"], result.stderr

    packages = first["environment"]["packages"] | {"numpy": "1.0", "sunpy": "3"}
    found, said = again(packages=packages)
    assert found == first["id"]
    assert f"constant seed 42: done already with numpy 1.0, sunpy 3, {first['id']}" in said
    assert again(packages=None)[0] == first["id"]
    found, _ = again(evaluator=first["environment"]["evaluator"] + 1)
    assert found != first["id"]


def test_threads_and_device_make_no_other_run_but_are_said(bench, monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 6)
    asked = ("run", "constant", *SMALL, "--json")
    (first,) = json.loads(bench(*asked, "--workers", "2").stdout)
    assert (first["environment"]["threads"], first["environment"]["device"]) == (3, "cpu")
    alike = bench(*asked, "--workers", "2")
    assert f"constant seed 42: done already, {first['id']}" in alike.stderr
    other = bench(*asked, "--workers", "1", "--device", "gpu")  # which could not be had
    assert other.exit_code == 0
    assert f"constant seed 42: done already with threads 3, device cpu, {first['id']}" in other.stderr
    assert [json.loads(result.stdout)[0]["id"] for result in (alike, other)] == [first["id"]] * 2
    assert "use --device cpu" in bench(*asked, "--device", "gpu", "--force").stderr
    (again,) = json.loads(bench(*asked, "--workers", "1", "--force").stdout)
    assert again["environment"]["threads"] == 6
    assert again["identity"] == first["identity"]


def test_a_record_whose_identity_has_threads_and_device_in_it_is_still_known(bench):
    """As every record had before threads and device left the identity."""
    asked = ("run", "constant", *SMALL, "--json")
    (first,) = json.loads(bench(*asked).stdout)
    file = bench.results / "runs" / "constant" / first["id"] / "record.json"
    told = {"definition": first["definition"], "data": first["dataset"]["digest"], "seed": 42, "fold": None}

    def found(trained, recorded, **changed) -> bool:
        identity = hashlib.sha256(json.dumps(told | changed | trained).encode()).hexdigest()[:16]
        environment = first["environment"] | recorded
        file.write_text(json.dumps(first | {"identity": identity, "environment": environment}))
        (record,) = json.loads(bench(*asked).stdout)
        if record["id"] != first["id"]:
            shutil.rmtree(file.parents[1] / record["id"])
        return record["id"] == first["id"]

    trained = {"threads": 7, "device": "gpu"}
    assert found(trained, trained)
    assert not found(trained, {"threads": 7, "device": "cpu"})
    assert not found(trained, trained, data="other")


def test_what_is_done_already_takes_no_share_of_the_cores(bench, monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 4)
    monkeypatch.setattr(devices, "fitting_workers", lambda device: 4)
    asked = ("run", "constant", *SMALL, "--json")
    records = [json.loads(bench(*asked, "--seeds", seeds).stdout) for seeds in ("2", "3")][-1]
    assert [record["environment"]["threads"] for record in records] == [2, 2, 4]
    assert ": runs with threads 2 and 4\n" in bench("table", "--format", "markdown").stdout


# What makes no other run


def ids(result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [record["id"] for record in json.loads(result.stdout)]


def rows(bench) -> list[dict[str, object]]:
    return json.loads(bench("table", "--format", "json").stdout)["rows"]


@pytest.mark.usefixtures("undrawn")
def test_neither_the_folder_of_the_data_nor_the_order_of_what_is_set_makes_another_run(bench, tmp_path):
    images = np.random.default_rng(0).uniform(size=(10, 16, 16, 1)).astype(np.float32)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "mine.npz", images=images, masks=images > 0.7)
    settings = ("--set", "training.batch_size=4", "--set", "training.patience=3", "--set", "summary=mine")

    def run(folder: str, *settings: str) -> list[str]:
        data = ("--dataset", "npz", "--data", str(tmp_path / folder / "mine.npz"))
        return ids(bench("run", "constant", *data, "--epochs", "1", *settings, "--json"))

    first = run("here", *settings)
    assert run("there", *settings) == first
    assert run("here", *settings[2:4], *settings[:2]) == first
    assert run("there", *settings[2:4], *settings[:2], "--seed", "43") != first
    assert len(rows(bench)) == 1  # of both seeds
    assert run("there", "--set", "training.batch_size=8", *settings[2:]) != first
    assert len(rows(bench)) == 2
    np.savez(tmp_path / "there" / "mine.npz", images=images, masks=images > 0.6)
    assert run("there", *settings) != first


@pytest.fixture
def my_loss(tmp_path, monkeypatch):
    """The file with the code of a loss from elsewhere, which is imported by nobody but the process that trains."""
    code = (
        "from craterbench.plugin import LossSpec, hookimpl\n"
        "@hookimpl\n"
        "def bench_losses():\n"
        "    return [LossSpec(name='mine', summary='', target={'sklearn': 'my_code.losses:mine'})]\n"
    )
    site = tmp_path / "site"
    install(site, "my_losses", code)
    (site / "my_code").mkdir()
    (site / "my_code" / "__init__.py").write_text("import sys\nassert 'craterbench.cli.main' not in sys.modules\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    file = site / "my_code" / "losses.py"
    file.write_text("mine = 'log_loss'\n")
    return file


@pytest.mark.usefixtures("undrawn")
def test_the_code_of_a_plugin_that_is_edited_under_one_version_makes_another_run(bench, my_loss):
    asked = ("run", "logistic", *SMALL, "--set", "loss.name=mine", "--json")
    (first,) = json.loads(bench(*asked).stdout)
    assert first["environment"]["sources"].keys() == first["environment"]["components"].keys()
    assert ids(bench(*asked)) == [first["id"]]
    my_loss.write_text("mine = 'log_loss'\r\n")  # as another system checks it out
    assert ids(bench(*asked)) == [first["id"]]
    my_loss.write_text("mine = 'modified_huber'\n")
    (edited,) = json.loads(bench(*asked).stdout)
    assert edited["id"] != first["id"]
    sources = [record["environment"]["sources"] for record in (first, edited)]
    assert {name for name in sources[0] if sources[0][name] != sources[1][name]} == {"loss mine"}
    assert len(rows(bench)) == 2
    digests = " and ".join(each["loss mine"][:8] for each in sources)
    assert f"(2 rows): source of loss mine {digests}" in bench("table", "--format", "markdown").stdout
    my_loss.write_text("mine = 'log_loss'\n")
    assert ids(bench(*asked)) == [first["id"]]


@pytest.mark.usefixtures("undrawn")
def test_what_is_done_says_whose_code_has_changed_since_and_where_it_is_not_known(bench):
    asked = ("run", "constant", *SMALL, "--json")
    (first,) = json.loads(bench(*asked).stdout)
    file = bench.results / "runs" / "constant" / first["id"] / "record.json"
    sources = first["environment"]["sources"]

    def said(changed) -> str:
        environment = (
            {**first["environment"], "sources": changed} if changed is not None else dict(first["environment"])
        )
        if changed is None:
            del environment["sources"]
        file.write_text(json.dumps(first | {"environment": environment}))
        result = bench(*asked)
        assert ids(result) == [first["id"]]  # of craterbench's own components the version decides
        (line,) = (line for line in result.stderr.splitlines() if "done already" in line)
        return line.removeprefix("constant seed 42: ").removesuffix(f", {first['id']} (bench run --force repeats it)")

    assert said(sources) == "done already"
    assert said(sources | {"loss bce": "0", "framework sklearn": "1"}) == (
        "done already; the code has changed since of loss bce, framework sklearn"
    )
    assert said(None) == "done already; its code is not known"


def definition_before(benchmark) -> str:
    """Return the digest that a benchmark had before optimizers had versions and sources were known."""
    asked = benchmark.as_dict()
    del asked["summary"]
    asked["dataset"] = asked["dataset"]["name"]
    named = {"dataset": "dataset", "model": "model", "loss": "loss", "schedule": "schedule"}
    versions = {f"{kind} {getattr(benchmark, kind).name}": getattr(benchmark, kind).version for kind in named}
    versions |= {f"augmentation {step.name}": step.version for step in benchmark.augmentation.steps}
    versions |= {f"framework {benchmark.framework.name}": benchmark.framework.version}
    return hashlib.sha256(json.dumps({"definition": asked, "versions": versions}).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("framework=torch", "optimizer.name=adamw", "optimizer.learning_rate=1e-3"),
        ("optimizer.name=sgd", "optimizer.learning_rate=1e-3"),
        ("framework=sklearn", "model.name=logistic", "optimizer.name=sgd", "optimizer.learning_rate=1e-3"),
    ],
)
def test_a_benchmark_of_craterbenchs_own_components_has_the_digest_that_it_had(settings):
    overrides = [parse_override(setting) for setting in settings]
    benchmark = resolve(Registry.installed(), "reference", overrides).benchmark
    assert config_digest(benchmark) == definition_before(benchmark)


@pytest.mark.usefixtures("undrawn", "my_loss")
def test_what_a_plugin_did_before_its_source_was_known_is_done(bench):
    asked = ("run", "logistic", *SMALL, "--set", "loss.name=mine", "--json")
    (first,) = json.loads(bench(*asked).stdout)
    settings = [setting for flag, setting in itertools.pairwise(SMALL) if flag == "--set"]
    overrides = ["dataset.name=synthetic", *settings, "training.epochs=2", "loss.name=mine"]
    benchmark = resolve(Registry.installed(), "logistic", [parse_override(each) for each in overrides]).benchmark
    definition = definition_before(benchmark)
    assert definition != first["definition"]
    told = {"definition": definition, "data": first["dataset"]["digest"], "seed": 42, "fold": None}
    environment = {key: value for key, value in first["environment"].items() if key != "sources"}
    trained = {key: environment[key] for key in ("threads", "device")}
    file = bench.results / "runs" / "logistic" / first["id"] / "record.json"
    for told_then in (told, told | trained):
        identity = hashlib.sha256(json.dumps(told_then).encode()).hexdigest()[:16]
        changed = {"identity": identity, "definition": definition, "environment": environment}
        file.write_text(json.dumps(first | changed))
        result = bench(*asked)
        assert ids(result) == [first["id"]]
        assert "; its code is not known" in result.stderr
