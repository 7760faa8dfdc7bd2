"""Plugins put where Python finds them, as pip does."""

from __future__ import annotations

from pathlib import Path


def register(folder: Path, name: str) -> None:
    """Make a module of that name known as a plugin to whoever has the folder on their path."""
    metadata = folder / f"{name}-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[craterbench]\n{name} = {name}\n")


def install(folder: Path, name: str, code: str) -> None:
    """Write a module and register it."""
    register(folder, name)
    (folder / f"{name}.py").write_text(code)
