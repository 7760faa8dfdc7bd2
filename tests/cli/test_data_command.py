from __future__ import annotations


def test_list_shows_where_data_come_from_their_licence_and_what_may_be_set(bench):
    listed = bench("data", "list").stdout
    start = listed.index("\nsynthetic: ")
    assert "  licence: CC BY-SA 3.0 IGO\n" in listed[:start]
    assert "  dataset.path: must be given\n" in listed[:start]
    assert "  dataset.size: default 48, 16 to 512\n" in listed[start:]
