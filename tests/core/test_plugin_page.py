from __future__ import annotations

import json
import re

import plugin_page

from craterbench.plugin import hookspecs


def test_the_page_names_every_hook_with_its_arguments():
    page = plugin_page.PAGE.read_text(encoding="utf-8")
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
    assert [(record["model"], record["status"]) for record in records] == [("logistic", "done"), ("steep", "done")]
    table = plugin_page.bench(environment, tmp_path, "table", "--format", "csv").splitlines()
    (row,) = (line for line in table if line.startswith("steep"))
    assert "1 done" in row
