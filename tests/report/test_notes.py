"""Versions of packages, as records name them."""

from __future__ import annotations

import importlib.metadata

from craterbench.execution.versions import versions_of


def test_a_process_looks_each_version_up_once(monkeypatch):
    looked_up = []

    def version(name: str) -> str:
        looked_up.append(name)
        if name == "absent":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(importlib.metadata, "version", version)
    for _ in range(3):
        assert versions_of(["made-up", "absent"]) == {"made-up": "1.2.3"}
    assert looked_up == ["made-up", "absent"]


def test_a_version_is_that_of_what_is_installed():
    assert versions_of(["numpy"]) == {"numpy": importlib.metadata.version("numpy")}
