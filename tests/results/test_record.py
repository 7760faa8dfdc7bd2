"""The file of a record."""

from __future__ import annotations

import json

from made_runs import run


def test_it_is_the_record_with_each_list_of_numbers_in_one_line(store):
    record = run(store, "logistic", shift=0.0)
    text = (store.folder(record) / "record.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(record.as_json()))
    assert len(text.splitlines()) < 200  # a histogram alone has 256 numbers
    (line,) = (line for line in text.splitlines() if '"started"' in line)
    assert line == ' "started": "2026-01-01T00:00:00+00:00",'
