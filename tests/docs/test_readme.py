"""What README.md and the pages of ``docs/`` say is so: their examples run, their tables list what there is."""

from __future__ import annotations

import fnmatch
import re
import shlex
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import pytest

from craterbench.cli.main import main
from craterbench.config.resolve import parse_override, resolve
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.results.parity_verdicts import Verdict
from craterbench.results.record import Record
from craterbench.search.space.overrides import parse_space_overrides
from craterbench.search.space.space import build_space
from craterbench.search.sweep_config import SweepConfig

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
    for file in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
}

#: What it shows is installed and run by ``test_plugin_page.py``.
PLUGIN_PAGE = "docs/how-to/write-a-plugin.md"


def page(name: str) -> str:
    return PAGES[f"docs/{name}"]


def blocks(language: str) -> list[Any]:
    """Return the code blocks of a language, each with the page it stands on, but for those of the plugin page."""
    found = [
        pytest.param(block, id=f"{name}-{number}")
        for name, text in PAGES.items()
        if name != PLUGIN_PAGE
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL))
    ]
    assert found
    return found


def commands() -> list[Any]:
    """Return the words behind ``bench`` of every command on a line of its own."""
    return [
        pytest.param(
            shlex.split(rest.split(" > ")[0], comments=True), name != PLUGIN_PAGE, id=f"{name}: {rest.strip()}"
        )
        for name, text in PAGES.items()
        for rest in re.findall(r"^ *\$ (?:.*&& \S*)?bench ([^\n]*)", text, re.MULTILINE)
    ]


def rows(text: str, columns: int) -> list[list[str]]:
    """Return the cells of the tables with so many columns, without the backticks."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line] for line in lines if len(line) == columns]


def names(text: str) -> list[str]:
    """Return what stands in backticks in the first column of the tables."""
    return [
        name for line in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in re.findall(r"`(.*?)`", line)
    ]


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next of its level or above."""
    marks = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(marks)}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_links_of_the_readme_lead_somewhere():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_page_is_linked_from_the_readme():
    pages = {file.relative_to(ROOT).as_posix() for file in DOCS.glob("*/*.md")}
    made_by_sphinx = {"docs/reference/python.md", "docs/reference/reference-table.md"}
    assert pages - made_by_sphinx - set(re.findall(r"\]\(([^)]+)\)", README)) == set()


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_file_can_be_used(block, tmp_path):
    registry, path = Registry.installed(), tmp_path / "shallow.toml"
    path.write_text(block, encoding="utf-8")
    if "[vary]" in block:
        space_overrides = parse_space_overrides([], [], path)
        config = resolve(registry, "reference", space_overrides.fixed).benchmark
        assert build_space(registry, config, space_overrides).parameters
    else:
        assert resolve(registry, str(path)).benchmark.model.parameters.depth == 2


@pytest.mark.parametrize(("words", "installed"), commands())
def test_every_command_can_be_given(words, installed):
    registry = Registry.installed()
    verb, *rest = words
    given = main.commands[verb].make_context(verb, rest).params
    if installed and verb in ("run", "show"):
        asked = given["names"] if verb == "run" else [given["name"]]
        for name in asked:
            if not name.endswith(".toml"):  # such a file is made by the reader
                matching = fnmatch.filter(registry.names("benchmark"), name)
                assert matching, f"there is no benchmark {name}"
                short = {"dataset.name": given.get("dataset"), "dataset.path": given.get("data")}
                settings = [f"{key}={value}" for key, value in short.items() if value is not None]
                overrides = [parse_override(setting) for setting in (*settings, *given.get("settings", ()))]
                assert all(resolve(registry, match, overrides) for match in matching)
    if verb == "sweep":
        space_overrides = parse_space_overrides(given["vary"], given["fix"], None)
        config = resolve(registry, given["benchmark"], space_overrides.fixed).benchmark
        assert build_space(registry, config, space_overrides).parameters


def test_the_pages_show_every_command():
    assert {words.values[0][0] for words in commands()} == set(main.commands)


def test_the_reference_of_commands_has_every_option():
    verbs = {name: command for name, command in main.commands.items() if not isinstance(command, click.Group)}
    for group in (command for command in main.commands.values() if isinstance(command, click.Group)):
        verbs |= {f"{group.name} {name}": command for name, command in group.commands.items()}
    for verb, command in verbs.items():
        described = re.findall(
            r"^\| `(--[\w-]+)", section(page("reference/commands.md"), f"## bench {verb}"), re.MULTILINE
        )
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        options = [name for parameter in shown for name in parameter.opts if name.startswith("--")]
        assert sorted(described) == sorted(options), verb


def test_the_reference_of_benchmark_files_has_every_key_with_its_default():
    text = page("reference/benchmark-file.md")
    described = {key: default for key, default, _ in rows(text, 3) if "." in key}
    config = resolve(Registry.installed(), "reference").benchmark
    plain = {
        f"{part}.{field.name}": _shown(field.default)
        for part in ("split", "augmentation", "training")
        for field in fields(getattr(config, part))
        if field.name != "steps"  # each is a table of its own
    }
    chosen = {f"{part}.name": "" for part in ("dataset", "model", "loss", "optimizer", "schedule")}
    assert described == plain | chosen | {"optimizer.learning_rate": ""}


@pytest.mark.parametrize("kind", ["dataset", "augmentation", "model", "loss", "optimizer", "schedule"])
def test_the_reference_of_benchmark_files_has_every_parameter_with_its_default(kind):
    described: dict[str, dict[str, str]] = {}
    name = ""
    for component, parameter, default, _ in rows(section(page("reference/benchmark-file.md"), f"## `[{kind}]`"), 4)[1:]:
        name = component or name
        if set(name) - {"-"}:
            described.setdefault(name, {}).update({parameter: default} if parameter else {})
    registry = Registry.installed()
    installed = {entry.spec.name: entry.spec.parameters_for("torch") for entry in registry.entries(kind)}
    declared = {name: {each.name: _shown(each.default) for each in fields(of)} for name, of in installed.items()}
    assert described == declared


def _shown(default: object) -> str:
    return "" if default is MISSING else str(default)


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("### `record.json`", Record), ("### `study.json`", SweepConfig), ("## Files of `bench parity`", Verdict)],
)
def test_the_reference_of_files_has_every_field(heading, kind):
    described = names(section(page("reference/files.md"), heading))
    assert sorted(described) == sorted(field.name for field in fields(kind))


def test_the_data_that_a_page_writes_can_be_read_by_its_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registry = Registry.installed()
    text = page("how-to/use-your-own-data.md")
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "use-your-own-data.md", "exec"), {})
    read = []
    for words in re.findall(r"^\$ bench run (.*)$", text, re.MULTILINE):
        given = main.commands["run"].make_context("run", shlex.split(words)).params
        if given["data"] is not None and given["data"].exists():
            settings = [f"dataset.name={given['dataset']}", f"dataset.path={given['data']}", *given["settings"]]
            chosen = resolve(registry, *given["names"], [parse_override(each) for each in settings]).benchmark.dataset
            dataset = load(chosen.target)(chosen.parameters)
            assert len(dataset.train_val) == {"tile": 560}.get(given["dataset"], 40), words
            read.append(given["dataset"])
    assert set(read) >= {"npz", "folder", "coco", "yolo", "tile"}


def test_continuous_integration_runs_the_readmes_own_test_command():
    (command,) = re.findall(r"^\$ (.*/tox)$", README, re.MULTILINE)
    assert command in (ROOT / ".ci" / "run").read_text()
