"""The package of docs/how-to/write-a-plugin.md, built from the page's own code blocks and installed as a user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "how-to" / "write-a-plugin.md"

#: A file's name in backticks at the start of a paragraph, and the code block that follows it.
BLOCK = re.compile(r"^`(?P<name>[\w/.]+)` .*?```\w+\n(?P<content>.*?)```", re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    """Return the page's console commands, cut into words."""
    console = re.search(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert console
    return [line.removeprefix("$ ").split() for line in console[1].splitlines()]


def install(folder: Path) -> dict[str, str]:
    """Write the files of the page, install them, and return the environment in which Python finds them."""
    written = {match["name"]: match["content"] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}
    assert set(written) == {"pyproject.toml", "steep/__init__.py", "steep/code.py", "steep/steep.toml"}
    for name, content in written.items():
        file = folder / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(folder / "source")], check=True)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])}


def bench(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    """Run the command and return what it prints to the standard output."""
    command = [str(Path(sys.executable).with_name("bench")), *arguments]
    return subprocess.run(command, env=environment, cwd=folder, check=True, text=True, stdout=subprocess.PIPE).stdout
