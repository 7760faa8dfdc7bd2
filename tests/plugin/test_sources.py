"""The source behind a target is found without importing it."""

from __future__ import annotations

import sys
import zipfile

import pytest

from craterbench.plugin.sources import source_digest


@pytest.fixture
def site(tmp_path, monkeypatch):
    package = tmp_path / "site" / "never_imported"
    (package / "inner").mkdir(parents=True)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").write_text("raise RuntimeError('was imported')\n")
    (package / "inner" / "code.py").write_text("def loss():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return package


def test_only_the_modules_own_text_counts_and_nothing_is_imported(site):
    before = source_digest("never_imported.inner.code:loss")
    assert source_digest("never_imported.inner.code:another") == before
    (site / "inner" / "__init__.py").write_text("raise RuntimeError('was imported, too')\n")
    assert source_digest("never_imported.inner.code:loss") == before
    (site / "inner" / "code.py").write_bytes(b"def loss():\r\n    return 1\r\n")
    assert source_digest("never_imported.inner.code:loss") == before
    (site / "inner" / "code.py").write_text("def loss():\n    return 2\n")
    assert source_digest("never_imported.inner.code:loss") != before
    assert "never_imported" not in sys.modules


def test_of_several_targets_each_counts(site):
    one, two = "never_imported.inner.code:loss", "never_imported:loss"
    assert len({source_digest(one), source_digest(two), source_digest(one, two)}) == 3


def test_a_package_in_an_archive_has_a_source_as_well(site, tmp_path, monkeypatch):
    expected = source_digest("never_imported.inner.code:loss")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for file in site.rglob("*.py"):
            archive.write(file, str(file.relative_to(site.parent)).replace("never_imported", "packed"))
    monkeypatch.syspath_prepend(tmp_path / "packed.zip")
    assert source_digest("packed.inner.code:loss") == expected


@pytest.mark.parametrize("target", ["no_such_package.code:loss", "never_imported.gone:loss", "sys:path"])
def test_what_has_no_source_counts_as_empty(site, target):
    assert source_digest(target) == source_digest("builtins:print")
