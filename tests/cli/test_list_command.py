from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tomli_w
from installed import install
from processes import BENCH


def test_list_shows_everything_and_show_says_where_a_value_comes_from(bench):
    listed = bench("list").stdout
    for name in ("reference", "as-published", "keras", "sklearn", "unet", "bce", "rotate-zoom", "mars-hrsc", "course"):
        assert f"  {name} " in listed
    assert "problems" not in listed
    assert "unet" not in bench("list", "losses").stdout
    shown = bench("show", "as-published").stdout.splitlines()
    (line,) = (line for line in shown if line.startswith("split.when"))
    assert line.split() == ["split.when", "=", '"after-augmentation"', "#", "as-published.toml"]


def test_show_of_a_file(bench, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps({"extends": "reference", "model": {"depth": 2}}))
    assert "model.depth = 2" in bench("show", str(path)).stdout


def test_show_of_an_augmentation_without_parameters(bench):
    (line,) = (line for line in bench("show", "flips").stdout.splitlines() if line.startswith("augmentation.flips"))
    assert line.split() == ["augmentation.flips", "=", "{}", "#", "flips.toml"]


def test_list_shows_plugins_that_have_a_problem_and_the_rest_goes_on(tmp_path):
    install(tmp_path, "explodes", "raise RuntimeError('boom')")
    install(
        tmp_path,
        "greedy",
        "from craterbench.plugin import LossSpec, hookimpl\n"
        "@hookimpl\n"
        "def bench_losses():\n"
        "    return [LossSpec(name='bce', summary='mine', target='a:b')]\n",
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [BENCH, "list"]
    listed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "explodes: RuntimeError: boom" in listed
    assert "greedy: its loss 'bce' is left out: craterbench_losses brings one already; give yours another" in listed
    assert "mars-hrsc" in listed
    shown = subprocess.run([BENCH, "show", "reference"], env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["data", "list"], ["run", "--help"], ["sweep", "--help"]])
def test_help_and_list_import_nothing_heavy(arguments):
    heavy = (
        "numpy",
        "scipy",
        "sklearn",
        "pandas",
        "matplotlib",
        "pydantic",
        "rich",
        "tensorflow",
        "keras",
        "torch",
        "optuna",
    )
    code = (
        "import sys\n"
        "from craterbench.cli.main import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"sys.stderr.write(' '.join(name for name in {heavy!r} if name in sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout


def test_a_search_starts_without_what_only_its_end_needs():
    later = ("sklearn", "scipy.integrate", "scipy.stats", "matplotlib")
    code = (
        "import sys\n"
        "import craterbench.search.sweep, craterbench.search.summarize\n"
        f"print(*(name for name in {later!r} if name in sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
