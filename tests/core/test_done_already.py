"""What is done already is not repeated, and is told from what is not."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from craterbench.execution import devices

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
