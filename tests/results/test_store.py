from __future__ import annotations

import copy
import csv
import json
import math
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_runs import config, counts, run
from safetensors.numpy import load_file

from craterbench.plugin import UserError
from craterbench.results.migrations import SCHEMA
from craterbench.results.record import Record
from craterbench.results.store import Store, new_id

STATISTICS = counts("validation", 1, 0.8).sums()


def record(**changes) -> Record:
    run_id, started = new_id()
    fields = {
        "id": run_id,
        "benchmark": "reference",
        "seed": 1,
        "status": "running",
        "started": started,
        "overrides": [],
        "definition": "d",
        "config": config({}),
        "protocol": "by group",
        "environment": {},
        "dataset": {"name": "synthetic", "digest": "d"},
        "parts": {"validation": {"fingerprint": "y", "num_images": 24, "statistics": STATISTICS}},
    }
    return Record(**fields | changes)


def test_a_run_is_under_way_until_it_is_whole(tmp_path):
    store = Store(tmp_path / "results")
    mine = record(status="done")
    folder = store.begin(mine)
    assert store.records() == ([], [])
    assert store.recover() == ([], [])  # its process, this one, lives
    folder.write_history([{"epoch": 1, "val_loss": 1 / 3}])
    folder.write_weights({"a.kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T})
    whole = folder.finish(mine)
    assert whole == store.folder(mine)
    assert store.records() == ([mine], [])
    assert not store.running.exists()
    with (whole / "history.csv").open() as file:
        assert float(next(csv.DictReader(file))["val_loss"]) == 1 / 3  # to the last digit
    np.testing.assert_array_equal(load_file(whole / "weights.safetensors")["a.kernel"], [[0, 3], [1, 4], [2, 5]])


def test_what_has_not_changed_is_not_written_again(tmp_path):
    mine = record()
    folder = Store(tmp_path / "results").begin(mine)
    file = folder.path / "record.json"
    first = file.stat().st_ino
    folder.write_record(replace(mine))
    assert file.stat().st_ino == first
    folder.write_record(replace(mine, error="it broke"))
    assert file.stat().st_ino != first
    history = []
    for epoch in (1, 2, 3):
        history.append({"epoch": epoch, "val_loss": 1 / epoch})
        before = b"" if epoch == 1 else (folder.path / "history.csv").read_bytes()
        folder.write_history(history)
        assert (folder.path / "history.csv").read_bytes().startswith(before)
    with (folder.path / "history.csv").open(newline="") as file:
        assert [float(row["val_loss"]) for row in csv.DictReader(file)] == [1, 1 / 2, 1 / 3]


def test_a_run_that_had_ended_when_its_process_died_is_not_called_interrupted(tmp_path):
    store = Store(tmp_path / "results")
    mine = record()
    folder = store.begin(mine)
    ended = replace(mine, status="done")
    folder.write_record(ended)
    folder._lock.release()  # as the system does for a dead process
    assert store.recover() == ([ended], [])
    assert store.records() == ([ended], [])


def test_a_run_under_way_that_cannot_be_read_is_left_and_named(tmp_path):
    file = tmp_path / ".running" / "newer" / "record.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"schema": SCHEMA + 1}))
    _, damaged = Store(tmp_path).recover()
    assert file.exists()
    assert "newer" in damaged[0]


def test_a_run_that_two_processes_want_to_go_on_with_is_gone_on_with_by_one(tmp_path):
    store = Store(tmp_path)
    left = record(status="interrupted")
    store.begin(left).finish(left)
    mine = store.reopen(left)
    with pytest.raises(UserError, match="another process is at it"):
        Store(tmp_path).reopen(left)
    assert not store.folder(left).exists()
    done = replace(left, status="done")
    assert mine.finish(done) == store.folder(left)
    with pytest.raises(UserError, match="another process has just done so"):
        Store(tmp_path).reopen(left)  # it had read the record before
    assert store.recover() == ([], [])
    assert store.records() == ([done], [])
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["runs", "reference", left.id, "record.json"])


def test_a_run_whose_place_is_taken_is_left_and_named(tmp_path):
    store = Store(tmp_path)
    mine = record()
    folder = store.begin(mine)
    store.folder(mine).mkdir()
    (store.folder(mine) / "file").write_text("")
    done = replace(mine, status="done")
    assert folder.finish(done) == folder.path
    recovered, (line,) = store.recover()
    assert recovered == []
    assert line == f"{folder.path / 'record.json'}: left where it is: {store.folder(mine)} is there already"
    assert [path.name for path in store.folder(mine).iterdir()] == ["file"]
    (store.folder(mine) / "file").unlink()
    store.folder(mine).rmdir()
    assert store.recover() == ([done], [])


def test_a_run_that_is_discarded_leaves_nothing(tmp_path):
    store = Store(tmp_path / "results")
    store.begin(record()).discard()
    assert not (tmp_path / "results").exists()


def test_a_folder_that_cannot_be_written_is_named_with_the_cure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/results cannot be written .*--results"):
        Store(tmp_path / "file" / "results").begin(record())


def test_what_a_killed_process_left_under_way_is_marked_as_interrupted(tmp_path):
    script = f"""
        import sys, time
        sys.path[:0] = {[str(folder) for folder in (Path(__file__).parent, Path(__file__).parents[1] / "support")]!r}
        from pathlib import Path
        from test_store import Store, record
        store = Store(Path({str(tmp_path)!r}))
        folder = store.begin(record())
        print("begun", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    store = Store(tmp_path)
    assert store.recover() == ([], [])
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    ((recovered,), _) = store.recover()
    assert recovered.status == "interrupted"
    assert store.records() == ([recovered], [])


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", json.dumps({"schema": SCHEMA + 1}), json.dumps({"schema": SCHEMA, "id": "x"})],
)
def test_a_damaged_record_is_left_out_and_named(tmp_path, content):
    store = Store(tmp_path)
    good = record(status="done")
    store.begin(good).finish(good)
    bad = store.runs / "reference" / "bad" / "record.json"
    bad.parent.mkdir()
    bad.write_text(content)
    records, damaged = store.records()
    assert records == [good]
    assert len(damaged) == 1
    assert "bad" in damaged[0]


WRONG = {
    "dataset": [None, {}, {"name": "synthetic"}, {"name": "synthetic", "digest": 1}, {"digest": "d"}],
    "parts": [None, [1], {"validation": None}, {"validation": {"fingerprint": "y"}}, {}],
    "parts.validation.fingerprint": [None, 1],
    "parts.validation.num_images": [None, 1.5],
    "parts.validation.statistics": [None, {}, {"confusion": [[1, 2, 3, 4]] * 2}],
    "parts.validation.statistics.confusion": [None, [], [[1, 2, 3, 4]], [[1, 2, 3]] * 2, [[1, 2, 3, 0.5]] * 2],
    "parts.validation.statistics.cross_entropy": [[[1.0], [2.0]], [[1.0, "2"]] * 2, [[1.0, True]] * 2],
    "parts.validation.statistics.boundary": [None, [1.0] * 5, [[1.0] * 6]],
    "parts.validation.statistics.craters:found": [None, 1, [None], [[1.0]], ["1"]],
    "config": [None, [], {}],
    "config.loss": [None, "bce", {}],
    "config.training.monitor": [None, 1],
    "overrides": [None, "a=1", [1]],
    "warnings": [None, [None]],
    "seconds": [None, {"training": "1"}, {"training": None}],
    "environment": [None, []],
    "environment.threads": ["2", None],
    "environment.packages": [[], {"numpy": 2}],
    "environment.components": [None, {"loss bce": "1"}],
    "seed": ["one", None, True],
    "fold": ["x", "0/5", "6/5", "/", 2],
    "status": [None, "?"],
    "schema": [True, None, "2", 1],
    "id": [5, None, "other", "..", ""],
    "benchmark": ["dice", "../reference", "a/b", "a\\b", "", "..", None],
    "peak_memory": ["1", 1.5],
}


@pytest.mark.parametrize("where", WRONG)
def test_a_record_with_a_wrong_value_is_left_out_and_named_wherever_it_is(tmp_path, where):
    store = Store(tmp_path)
    good, bad = run(store, "reference", 1), run(store, "reference", 2, environment={"threads": 1, "packages": {}})
    file = store.folder(bad) / "record.json"
    content = json.loads(file.read_text())
    *above, key = where.split(".")
    for wrong in WRONG[where]:
        changed = copy.deepcopy(content)
        inner = changed
        for name in above:
            inner = inner[name]
        inner[key] = wrong
        file.write_text(json.dumps(changed))
        records, damaged = store.records()
        assert [record.id for record in records] == [good.id], wrong
        (line,) = damaged
        assert line.startswith(f"{file}: left out: "), wrong
    file.write_text(json.dumps(content))
    assert len(store.records()[0]) == 2


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_has_not_is_damage(tmp_path, number):
    store = Store(tmp_path)
    file = store.folder(run(store, "reference")) / "record.json"
    file.write_text(file.read_text().replace('"images_per_second": 100.0', f'"images_per_second": {number}'))
    assert store.records() == ([], [f"{file}: left out: {number} is no JSON"])


def test_a_run_under_way_whose_record_is_of_another_run_is_left_and_named(tmp_path):
    store = Store(tmp_path)
    mine = record()
    folder = store.begin(mine)
    folder.write_record(replace(mine, id="other"))
    folder._lock.release()
    recovered, (line,) = store.recover()
    assert recovered == []
    assert line.endswith("left where it is: its id, other, is not the name of its folder")
    assert [path.name for path in store.running.iterdir()] == [mine.id]


def test_a_record_is_read_in_few_steps_for_there_may_be_thousands(tmp_path):
    content = record(status="done").as_json()
    Record.from_json(content)  # what is found out once and kept is not its own
    calls = Counter()
    sys.setprofile(lambda frame, event, argument: calls.update([event]))
    try:
        Record.from_json(content)
    finally:
        sys.setprofile(None)
    assert calls["call"] + calls["c_call"] < 1000


def test_a_record_survives_json_and_nan_is_null():
    mine = record(images_per_second=math.nan)
    text = json.dumps(mine.as_json(), allow_nan=False)
    back = Record.from_json(json.loads(text))
    assert back.images_per_second is None
    assert back.parts == mine.parts


def test_a_record_of_another_shape_is_refused():
    content = record().as_json()
    for wrong in (
        {k: v for k, v in content.items() if k != "seed"},
        content | {"status": "?"},
    ):
        with pytest.raises(ValueError, match=r"seed|status"):
            Record.from_json(wrong)
