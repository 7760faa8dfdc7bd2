from __future__ import annotations

import re
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import installed
import pytest

from craterbench.plugin import (
    FrameworkSpec,
    Implementation,
    LossSpec,
    ModelSpec,
    NoParameters,
    OptimizerSpec,
    Range,
    RunContext,
    UserError,
    hookimpl,
)
from craterbench.plugin.errors import nearest
from craterbench.plugin.registry import Registry


def plugin(**hooks):
    """A module with hooks, as an entry point would load it."""
    module = types.ModuleType("made")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return lambda: module


def loss(name: str, **said) -> LossSpec:
    return LossSpec(**{"name": name, "summary": "", "target": "a:b"} | said)


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


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_that_is_taken_is_the_newcomers_problem(order):
    plugins = [
        ("another", plugin(bench_losses=lambda: [loss("dice"), loss("lovasz")])),
        ("built_in", plugin(bench_losses=lambda: [loss("dice", summary="the first")])),
        ("third", plugin(bench_losses=lambda: [loss("lovasz"), loss("tversky"), loss("tversky")])),
    ]
    registry = Registry(plugins[::order], {"built_in": "craterbench", "another": "another"})
    assert registry.get("loss", "dice").summary == "the first"
    brought = {entry.spec.name: entry.plugin for entry in registry.entries("loss")}
    assert brought == {"dice": "built_in", "lovasz": "another", "tversky": "third"}
    assert [(problem.plugin, problem.message) for problem in registry.problems] == [
        ("another", "its loss 'dice' is left out: built_in brings one already; give yours another name"),
        ("third", "its loss 'lovasz' is left out: another brings one already; give yours another name"),
        ("third", "its loss 'tversky' is left out: it brings two of them; give yours another name"),
    ]


def framework(name: str) -> FrameworkSpec:
    return FrameworkSpec(name=name, summary="", target="a:b")


def implementing(*implementations: tuple[str, str, str]):
    found = [
        Implementation(kind=kind, name=name, framework=framework, target="mine.code:target")
        for kind, name, framework in implementations
    ]
    return plugin(bench_frameworks=lambda: [framework("mine")], bench_implementations=lambda: found)


def test_a_framework_from_elsewhere_has_code_for_what_others_brought():
    others = plugin(
        bench_losses=lambda: [loss("bce", target={"torch": "losses:bce"})],
        bench_models=lambda: [ModelSpec(name="unet", summary="", target={"torch": "unet:build"}, initial="unet:draw")],
        bench_optimizers=lambda: [OptimizerSpec(name="adam", summary="", target={"torch": "adam:adam"})],
    )
    mine = implementing(("loss", "bce", "mine"), ("model", "unet", "mine"), ("optimizer", "adam", "mine"))
    registry = Registry([("others", others), ("mine", mine)], {"others": "craterbench", "mine": "my-distribution"})
    assert registry.problems == []
    for kind, name in (("loss", "bce"), ("model", "unet"), ("optimizer", "adam")):
        assert registry.get(kind, name).target_for("mine") == "mine.code:target"
        assert registry.get(kind, name).target_for("torch") != "mine.code:target"
        (entry,) = registry.entries(kind)
        assert (entry.plugin, entry.distributions) == ("others", {"craterbench", "my-distribution"})
    assert registry.get("model", "unet").initial == "unet:draw"


@pytest.mark.parametrize(
    ("implemented", "said"),
    [
        (("loss", "bec", "mine"), "loss 'bec' for mine is left out: there is no loss 'bec'; did you mean 'bce'?"),
        (("loss", "bce", "mien"), "for mien is left out: there is no framework 'mien'; did you mean 'mine'?"),
        (("loss", "bce", "torch"), "'bce' for torch is left out: others brings one already; leave out one of the two"),
        (("loss", "all", "mine"), "'all' for mine is left out: others brings one already"),
    ],
)
def test_an_implementation_that_cannot_be_taken_is_left_out_and_told(implemented, said):
    losses = [loss("bce", target={"torch": "losses:bce"}), loss("all")]
    others = plugin(bench_frameworks=lambda: [framework("torch")], bench_losses=lambda: losses)
    registry = Registry([("others", others), ("zz", implementing(implemented))])
    assert registry.get("loss", "bce") == losses[0]
    ((who, message),) = ((problem.plugin, problem.message) for problem in registry.problems)
    assert who == "zz"
    assert said in message


def test_of_two_implementations_for_a_framework_the_second_is_left_out():
    others = plugin(bench_losses=lambda: [loss("bce", target={"torch": "losses:bce"})])
    second = [Implementation(kind="loss", name="bce", framework="mine", target="second:bce")]
    registry = Registry(
        [
            ("one", implementing(("loss", "bce", "mine"))),
            ("two", plugin(bench_implementations=lambda: second)),
            ("others", others),
        ]
    )
    assert registry.get("loss", "bce").target_for("mine") == "mine.code:target"
    ((who, message),) = ((problem.plugin, problem.message) for problem in registry.problems)
    assert (who, "one brings one already" in message) == ("two", True)


@dataclass(frozen=True, kw_only=True)
class Named:
    name: str = "any"


@dataclass(frozen=True, kw_only=True)
class Rate:
    learning_rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class TooMuch:
    gamma: Annotated[float, Range(0, 5)] = 7.0


@dataclass(frozen=True, kw_only=True)
class NoChoice:
    per: Literal["image", "batch"] = "bach"


@dataclass(kw_only=True)
class Melted:
    gamma: float = 1.0


@dataclass(frozen=True)
class Positional:
    gamma: float = 1.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "my loss"}, "loss 'my loss': name 'my loss' is no plain name; give letters, digits"),
        ({"name": 7}, "name 7 is no plain name"),
        ({"target": "losses.bce"}, "target 'losses.bce' is none; write it as 'module:attribute'"),
        ({"target": {"torch": "losses"}}, "target for torch 'losses' is none; write it as 'module:attribute'"),
        ({"version": 0}, "version 0 is none; give a whole number, 1 or more"),
        ({"version": "2"}, "version '2' is none"),
        ({"version": True}, "version True is none"),
        ({"parameters": dict}, "are no dataclass; give the class itself"),
        ({"parameters": NoParameters()}, "are no dataclass; give the class itself"),
        ({"parameters": Melted}, "its parameters Melted must not change; declare them with @dataclass(frozen=True"),
        ({"parameters": Positional}, "declare them with @dataclass(frozen=True, kw_only=True)"),
        ({"parameters": Named}, "have a field 'name', which stands for something else; rename it"),
        ({"parameters": TooMuch}, "have gamma = 7.0 by default, which is outside 0 to 5; change either"),
        ({"parameters": NoChoice}, "have per = 'bach' by default, which is none of 'image', 'batch'"),
    ],
)
def test_a_spec_checks_itself_and_says_which_and_what_cures_it(wrong, said):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        LossSpec(**{"name": "mine", "summary": "", "target": "losses:mine"} | wrong)
    assert str(caught.value).startswith(f"loss {wrong.get('name', 'mine')!r}: ")


def test_an_optimizers_learning_rate_is_not_one_of_its_own_parameters():
    LossSpec(name="mine", summary="", target="losses:mine", parameters=Rate)
    with pytest.raises(ValueError, match="have a field 'learning_rate', which stands for something else"):
        OptimizerSpec(name="mine", summary="", target="a:b", parameters=Rate)
    with pytest.raises(ValueError, match=r"optimizer 'mine' for torch: .* have a field 'learning_rate'"):
        OptimizerSpec(name="mine", summary="", target="a:b", parameters_in={"torch": Rate})


def test_a_framework_and_an_implementation_check_themselves_as_well():
    with pytest.raises(ValueError, match=r"framework 'mine': target .* is none; write it as 'module:attribute'"):
        FrameworkSpec(name="mine", summary="", target={"mine": "a:b"})
    with pytest.raises(ValueError, match="kind 'dataset' is written for no framework; give model, loss or optimizer"):
        Implementation(kind="dataset", name="mars", framework="mine", target="a:b")
    with pytest.raises(ValueError, match="implementation of loss 'bce': target 'bce' is none"):
        Implementation(kind="loss", name="bce", framework="mine", target="bce")


def test_a_faulty_spec_costs_the_hook_of_its_plugin_alone():
    faulty = plugin(bench_losses=lambda: [loss("sound"), loss("my loss")], bench_frameworks=lambda: [framework("mine")])
    registry = Registry([("faulty", faulty), ("good", plugin(bench_losses=lambda: [loss("bce")]))])
    assert (registry.names("loss"), registry.names("framework")) == (["bce"], ["mine"])
    ((who, message),) = ((problem.plugin, problem.message) for problem in registry.problems)
    assert who == "faulty"
    assert "bench_losses raised ValueError: loss 'my loss': name 'my loss' is no plain name" in message


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
    problems = registry.call_hook("bench_epoch_finished", run={}, epoch={"epoch": 1})
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
    assert registry.call_hook("bench_epoch_finished", run=run, epoch=epoch) == []
    assert heard == [("ours", 1)]
    assert (run.config, epoch) == ({"name": "ours"}, {"epoch": 1})


def test_an_object_of_this_process_listens_as_a_plugin_does_for_as_long_as_it_is_asked_to():
    heard = []
    registry, listener = Registry([]), plugin(bench_epoch_finished=lambda epoch: heard.append(epoch["epoch"]))()
    with registry.listening(progress=listener):
        registry.call_hook("bench_epoch_finished", run=None, epoch={"epoch": 1})
    registry.call_hook("bench_epoch_finished", run=None, epoch={"epoch": 2})
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


def test_of_many_names_a_message_has_the_first_twenty():
    assert nearest("zzz", [f"{number:03}" for number in range(20)]).endswith("018, 019")
    assert nearest("zzz", [f"{number:03}" for number in range(60)]).endswith("018, 019 and 40 more")
