from __future__ import annotations

import csv
import json
import re

import plugin_page

from craterbench.plugin import hookspecs


def test_the_reference_names_every_hook_with_its_arguments():
    page = (plugin_page.DOCS / "reference" / "hooks.md").read_text(encoding="utf-8")
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("bench_")}
    described = dict(re.findall(r"^\| `(bench_\w+)\(([\w, ]*)\)`", page, re.MULTILINE))
    assert described == {
        name: ", ".join(hook.__code__.co_varnames[: hook.__code__.co_argcount]) for name, hook in hooks.items()
    }


def test_the_model_of_the_page_gets_its_row(tmp_path):
    environment = plugin_page.install(tmp_path)
    _, listing, running, _ = plugin_page.commands()
    assert "steepness of the image" in plugin_page.bench(environment, tmp_path, *listing[1:])
    small = ["--dataset", "synthetic", "--set", "dataset.images=20", "--epochs", "2"]
    records = json.loads(plugin_page.bench(environment, tmp_path, *running[1:], *small, "--json"))
    assert [(record["config"]["model"]["name"], record["status"]) for record in records] == [
        ("logistic", "done"),
        ("steep", "done"),
    ]
    table = plugin_page.bench(environment, tmp_path, "table", "--format", "csv").splitlines()
    (row,) = (line for line in table if line.startswith("steep"))
    assert "1 done" in row

    reference = plugin_page.DOCS / "reference"
    folder = tmp_path / "results" / "runs" / "steep" / records[1]["id"]
    files = (
        (reference / "files.md").read_text(encoding="utf-8").partition("## Files of a run\n")[2].partition("\n## ")[0]
    )
    described = re.findall(r"^\| `([\w.]+)` \| .* \| (?:all|those done|all with)", files, re.MULTILINE)
    assert {file.name for file in folder.iterdir()} == set(described)
    with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
        assert set(next(csv.reader(file))) <= set(re.findall(r"`(\w+)`", files.partition("`history.csv`\n")[2]))

    columns = set(re.findall(r"`(\w+)`", (reference / "columns.md").read_text(encoding="utf-8")))
    shown = {re.sub(r"_(sd|low|high)$", "", name).removeprefix("validation_") for name in table[0].split(",")}
    assert {name for name in shown if "." not in name} <= columns  # with a dot it is a key of the config
