from __future__ import annotations

import re
import shlex
from pathlib import Path

from craterbench.cli.main import main
from craterbench.config.resolve import resolve
from craterbench.plugin.registry import Registry
from craterbench.search.space.overrides import parse_space_overrides
from craterbench.search.space.space import build_space

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

TOML = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


def test_every_definition_in_the_readme_resolves(tmp_path):
    definitions = [block for block in TOML if "[vary]" not in block]
    assert definitions
    for block in definitions:
        path = tmp_path / "shallow.toml"
        path.write_text(block)
        assert resolve(Registry.installed(), str(path)).benchmark.model.parameters.depth == 2


def test_every_command_in_the_readme_exists_with_its_options():
    commands = re.findall(r"^\$ bench (\w+)([^#\n]*)", README, re.MULTILINE)
    assert {verb for verb, _ in commands} == {"run", "sweep", "table", "parity", "list", "show"}
    for verb, rest in commands:
        command = main.commands[verb]
        known = {name for parameter in command.params for name in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known
        names = [word.strip("'") for word in rest.split() if not word.startswith("-")]
        assert verb in ("list", "sweep", "table", "parity") or names


def test_every_space_in_the_readme_can_be_searched(tmp_path):
    spaces = [block for block in TOML if "[vary]" in block]
    assert spaces
    registry, path = Registry.installed(), tmp_path / "space.toml"
    for block in spaces:
        path.write_text(block)
        space_overrides = parse_space_overrides([], [], path)
        assert build_space(
            registry, resolve(registry, "reference", space_overrides.fixed).benchmark, space_overrides
        ).parameters


def test_every_wish_in_the_readme_can_be_met():
    registry = Registry.installed()
    commands = [rest for rest in re.findall(r"^ *\$ bench sweep([^#\n]*)", README, re.MULTILINE) if "--vary" in rest]
    assert commands
    for rest in commands:
        words = shlex.split(rest)
        given = {
            option: [words[at + 1] for at, word in enumerate(words) if word == option] for option in ("--vary", "--fix")
        }
        space_overrides = parse_space_overrides(given["--vary"], given["--fix"], None)
        assert build_space(
            registry, resolve(registry, "reference", space_overrides.fixed).benchmark, space_overrides
        ).parameters


def test_continuous_integration_runs_the_readmes_own_test_command():
    (command,) = re.findall(r"^\$ (.*/tox)$", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text()
