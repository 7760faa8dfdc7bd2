from __future__ import annotations

import types
from pathlib import Path

import installed
import pytest

from craterbench.plugin import LossSpec, ModelSpec, RunContext, UserError, hookimpl
from craterbench.plugin.registry import Registry


def plugin(**hooks):
    """A module with hooks, as an entry point would load it."""
    module = types.ModuleType("made")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return lambda: module


def loss(name: str) -> LossSpec:
    return LossSpec(name=name, summary="", target="a:b")


def raises_at_import():
    raise ModuleNotFoundError("No module named 'torchscience'")


def test_a_plugin_that_raises_at_import_is_reported_and_the_rest_goes_on():
    registry = Registry([("broken", raises_at_import), ("good", plugin(bench_losses=lambda: [loss("bce")]))])
    assert registry.get("loss", "bce").name == "bce"
    assert [problem.plugin for problem in registry.problems] == ["broken"]
    assert "torchscience" in registry.problems[0].message


def test_a_plugin_that_raises_in_a_hook_is_reported_and_the_rest_goes_on():
    def bench_losses():
        raise RuntimeError("no losses today")

    registry = Registry(
        [("broken", plugin(bench_losses=bench_losses)), ("good", plugin(bench_losses=lambda: [loss("bce")]))]
    )
    assert registry.names("loss") == ["bce"]
    assert "no losses today" in registry.problems[0].message


def test_a_misspelt_hook_is_reported_with_the_nearest_name():
    registry = Registry([("typo", plugin(bench_loses=lambda: [loss("bce")]))])
    assert "bench_loses" in registry.problems[0].message
    assert "bench_losses" in registry.problems[0].message


def test_a_spec_of_another_kind_is_reported():
    model = ModelSpec(name="unet", summary="", target="a:b")
    registry = Registry([("confused", plugin(bench_losses=lambda: [model]))])
    assert registry.names("loss") == []
    assert "unet" in registry.problems[0].message


def test_parameters_that_name_an_unknown_type_are_reported(tmp_path, monkeypatch):
    code = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from craterbench.plugin import LossSpec, hookimpl\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Parameters:\n"
        "    gamma: Unimported\n"
        "@hookimpl\n"
        "def bench_losses():\n"
        "    return [LossSpec(name='untyped', summary='', target='a:b', parameters=Parameters)]\n"
    )
    installed.install(tmp_path, "plugin_with_untyped_parameters", code)
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry.installed()
    assert "untyped" not in registry.names("loss")
    assert ["Unimported" in problem.message for problem in registry.problems] == [True]


def test_a_name_that_two_plugins_take_is_an_error_only_for_who_asks_for_it():
    registry = Registry(
        [
            ("one", plugin(bench_losses=lambda: [loss("dice"), loss("bce")])),
            ("two", plugin(bench_losses=lambda: [loss("dice")])),
        ]
    )
    assert registry.get("loss", "bce").name == "bce"
    assert {problem.plugin for problem in registry.problems} == {"one", "two"}
    with pytest.raises(UserError, match=r"'dice' .*one, two|'dice' .*two, one"):
        registry.get("loss", "dice")


def test_an_unknown_component_is_named_with_the_nearest():
    registry = Registry([("good", plugin(bench_losses=lambda: [loss("dice"), loss("focal")]))])
    with pytest.raises(UserError, match=r"unknown loss 'foccal'; did you mean 'focal'\?"):
        registry.get("loss", "foccal")


def test_a_miss_points_to_the_plugins_that_could_not_be_loaded():
    registry = Registry([("broken", raises_at_import)])
    with pytest.raises(UserError, match="broken"):
        registry.get("loss", "dice")


def test_life_cycle_hooks_are_all_called_and_one_that_raises_is_reported():
    heard = []

    def bad(run, epoch):
        raise ValueError("tensorboard is full")

    registry = Registry(
        [
            ("bad", plugin(bench_epoch_finished=bad)),
            ("good", plugin(bench_epoch_finished=lambda epoch: heard.append(epoch))),
        ]
    )
    problems = registry.tell("bench_epoch_finished", run={}, epoch={"epoch": 1})
    assert heard == [{"epoch": 1}]
    assert [(problem.plugin, "tensorboard is full" in problem.message) for problem in problems] == [("bad", True)]


def test_what_one_listener_does_to_what_it_is_told_no_other_sees():
    heard = []

    def spoil(run, epoch):
        epoch["epoch"] = 99
        run.config["name"] = "mine"

    def keep(run, epoch):
        heard.append((run.config["name"], epoch["epoch"]))

    registry = Registry([("a", plugin(bench_epoch_finished=spoil)), ("b", plugin(bench_epoch_finished=keep))])
    run, epoch = RunContext(id="1", folder=Path("x"), config={"name": "ours"}, seed=1), {"epoch": 1}
    assert registry.tell("bench_epoch_finished", run=run, epoch=epoch) == []
    assert heard == [("ours", 1)]
    assert (run.config, epoch) == ({"name": "ours"}, {"epoch": 1})


def test_an_object_of_this_process_listens_as_a_plugin_does_for_as_long_as_it_is_asked_to():
    heard = []
    registry, listener = Registry([]), plugin(bench_epoch_finished=lambda epoch: heard.append(epoch["epoch"]))()
    with registry.listening(progress=listener):
        registry.tell("bench_epoch_finished", run=None, epoch={"epoch": 1})
    registry.tell("bench_epoch_finished", run=None, epoch={"epoch": 2})
    assert heard == [1]


def test_a_component_knows_the_distribution_that_brings_it(tmp_path, monkeypatch):
    code = (
        "from craterbench.plugin import LossSpec, hookimpl\n"
        "@hookimpl\n"
        "def bench_losses():\n"
        "    return [LossSpec(name='brought', summary='', target='a:b')]\n"
    )
    installed.install(tmp_path, "plugin_of_its_own", code)
    monkeypatch.syspath_prepend(tmp_path)
    brought = {entry.spec.name: entry.distribution for entry in Registry.installed().entries("loss")}
    assert (brought["brought"], brought["bce"]) == ("plugin_of_its_own", "craterbench")


def test_the_installed_plugins_have_no_problem():
    assert Registry.installed().problems == []


def test_every_target_of_a_frameworkless_component_can_be_imported():
    from craterbench.plugin.components import load

    registry = Registry.installed()
    for kind in ("augmentation", "dataset", "schedule"):
        for entry in registry.entries(kind):
            assert callable(load(entry.spec.target))
