from __future__ import annotations

import json
import math

import installed
import optuna
import pytest
from spaces import fixed, names, parameter, space

from craterbench.config.resolve import Override, flatten, resolve
from craterbench.plugin import Range, UserError
from craterbench.plugin.registry import Registry
from craterbench.search.space.overrides import parse_space_overrides
from craterbench.search.space.space import Space

#: What a search leaves alone, in every benchmark.
LEFT_ALONE = (
    *("summary", "framework", "dataset.", "split.", "augmentation.drawn", "augmentation.warp"),
    *("training.epochs", "training.patience", "training.monitor", "training.precision"),
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.installed()


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def trials(space: Space, number: int = 200, seed: int = 1):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(number):
        trial = study.ask()
        yield trial, space.suggest(trial)


# What is declared


@pytest.mark.parametrize(
    ("low", "high", "search", "log", "said"),
    [
        (5, 0, None, False, "the range 5 to 0 is empty"),
        (math.nan, 1, None, False, "is empty"),
        (0, 5, (3, 3), False, r"search=\(3, 3\) is empty"),
        (0, 5, (4, 2), False, r"search=\(4, 2\) is empty"),
        (0, 5, (1, math.nan), False, "is empty"),
        (0, 5, (1, 6), False, "not within 0 to 5"),
        (0, 5, (-1, 2), False, "not within 0 to 5"),
        (0, 5, None, True, "start it above 0"),
        (-1, 5, (-1, 2), True, "start it above 0"),
    ],
)
def test_a_range_that_makes_no_sense_cannot_be_declared(low, high, search, log, said):
    with pytest.raises(ValueError, match=said):
        Range(low, high, search=search, log=log)


def test_a_logarithmic_search_within_a_range_from_0():
    assert Range(0, 100, search=(0.1, 10), log=True).searched == (0.1, 10)
    assert Range(0, 5).searched == (0, 5)


# What is tried


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("reference", "torch"),
        ("reference", "keras"),
        ("focal", "torch"),
        ("augment-every-epoch", "torch"),
        ("as-published", "keras"),
        ("no-augmentation", "torch"),
        ("flips", "torch"),
        ("sgd", "torch"),
        ("logistic", "sklearn"),
    ],
)
def test_every_trial_is_a_benchmark_that_can_be_run_and_all_of_it_that_can_be_searched_is(registry, name, framework):
    searched = space(registry, name=name, framework=framework)
    for trial, values in trials(searched):
        assert values == trial.params
        overrides = searched.overrides(trial.params)
        assert {override.source for override in overrides} == {"search"}
        benchmark = resolve(registry, name, [Override("framework", framework, ""), *overrides]).benchmark
        asked = flatten(benchmark.as_dict())
        steps = {f"augmentation.{step.name}" for step in benchmark.augmentation.steps}
        for override in overrides:
            if override.key.startswith("augmentation.") and isinstance(override.value, bool):
                assert (override.key in steps) is override.value
            elif isinstance(override.value, bool):
                assert asked.get(override.key, False) is override.value  # what was added later is left out where false
            else:
                assert asked[override.key] == override.value
                assert type(asked[override.key]) is type(override.value)
        is_active = {key for key in asked if not key.startswith(LEFT_ALONE)} - steps
        if benchmark.augmentation.copies == 0:
            is_active = {key for key in is_active if not key.startswith(tuple(f"{step}." for step in steps))}
        if framework == "sklearn":
            is_active -= {"loss.name", "optimizer.name"}  # there is one of each
        if framework != "sklearn":
            is_active -= {"model.name"}
        switches = {override.key for override in overrides if isinstance(override.value, bool)}
        assert is_active - switches == {override.key for override in overrides} - switches


def test_every_choice_and_both_ends_of_every_range_are_come_to(registry):
    searched = space(registry)
    seen: dict[str, set[object]] = {}
    for _, values in trials(searched, 1000):
        for name, value in values.items():
            seen.setdefault(name, set()).add(value)
    for each in searched.parameters:
        if each.kind == "choice":
            assert seen[each.name] == set(each.choices)
        elif each.kind == "int" and each.high - each.low < 10:
            assert seen[each.name] == set(range(int(each.low), int(each.high) + 1))
        else:
            assert all(each.low <= value <= each.high for value in seen[each.name])
            spread = (max(seen[each.name]) - min(seen[each.name])) / (each.high - each.low)
            assert spread > 0.85


def test_a_stored_trial_gives_the_benchmark_that_was_run(registry, tmp_path):
    searched = space(registry)
    file = str(tmp_path / "journal.log")

    def storage():
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(file))

    study = optuna.create_study(storage=storage(), study_name="s", sampler=optuna.samplers.RandomSampler(seed=3))
    given = []
    for _ in range(20):
        trial = study.ask()
        given.append(searched.overrides(searched.suggest(trial)))
        study.tell(trial, 0.5)
    stored = optuna.load_study(study_name="s", storage=storage()).trials
    again = [space(registry).overrides(trial.params) for trial in stored]
    assert again == given
    assert [[type(o.value) for o in overrides] for overrides in again] == [[type(o.value) for o in g] for g in given]


def test_values_of_another_space_are_refused(registry):
    _, values = next(trials(space(registry, "loss.name,loss.gamma")))
    with pytest.raises(UserError, match=r"model\.depth has no value here"):
        space(registry, "loss.name,loss.gamma,model.depth").overrides(values)
    with pytest.raises(UserError, match=r"loss\.name is not in play here"):
        space(registry, "model.depth").overrides(values | {"model.depth": 2})


def test_a_description_is_plain_and_equal_for_equal_spaces(registry):
    one, other = space(registry).as_json(), space(Registry.installed()).as_json()
    assert json.loads(json.dumps(one)) == one == other
    assert one != space(registry, "loss").as_json()
    assert parameter(space(registry), "loss.focal.gamma") == {
        "name": "loss.focal.gamma",
        "key": "loss.gamma",
        "kind": "float",
        "low": 0.0,
        "high": 5.0,
        "log": False,
        "when": {"parameter": "loss.name", "is": ["focal"]},
    }


PLUGIN = """
from dataclasses import dataclass
from typing import Annotated, Literal

from craterbench.plugin import AugmentationSpec, LossSpec, Range, ScheduleSpec, hookimpl


@dataclass(frozen=True, kw_only=True)
class Brosch:
    missed: Annotated[float, Range(0, 1, search=(0.2, 0.8))] = 0.7
    power: Annotated[int, Range(1, 9)]
    per: Literal["image", "batch"] = "image"
    squared: bool = False
    label: str = "any"
    cap: Annotated[float, Range(0, float("inf"))] = 1.0


@dataclass(frozen=True, kw_only=True)
class Recited:
    file: str


@hookimpl
def bench_losses():
    return [
        LossSpec(name="brosch", summary="", target={"torch": "a:b"}, parameters=Brosch),
        LossSpec(name="recited", summary="", target="a:b", parameters=Recited),
    ]


@hookimpl
def bench_augmentations():
    return [AugmentationSpec(name="fog", summary="", target="a:b", parameters=Brosch)]


@hookimpl
def bench_schedules():
    return [ScheduleSpec(name="cosine", summary="another one", target="a:b")]
"""


@pytest.fixture
def with_plugin(tmp_path, monkeypatch):
    installed.install(tmp_path, "space_of_a_plugin", PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    return Registry.installed()


def test_an_installed_component_is_searched_with_no_change_elsewhere(with_plugin):
    searched = space(with_plugin)
    fields = ["missed", "power", "per", "squared"]
    assert [name for name in names(searched) if "brosch" in name] == [f"loss.brosch.{field}" for field in fields]
    assert [name for name in names(searched) if "fog" in name] == [
        "augmentation.fog",
        *(f"augmentation.fog.{field}" for field in fields),
    ]
    losses, steps = set(), set()
    for _, values in trials(searched):
        benchmark = resolve(with_plugin, "torch-twin", searched.overrides(values)).benchmark
        losses.add(benchmark.loss.name)
        steps |= {step.name for step in benchmark.augmentation.steps}
    built_in = {"bce", "bce-dice", "dice", "focal", "lovasz", "tversky", "weighted-bce"}
    assert losses == {*built_in, "brosch"}  # the one that needs a file cannot be tried
    assert steps >= {"flips", "rotate-zoom", "fog"}
    assert "brosch" not in parameter(space(with_plugin, framework="keras"), "loss.name")["choices"]
    cosine = next(entry for entry in with_plugin.entries("schedule") if entry.spec.name == "cosine")
    assert cosine.plugin == "craterbench_schedules"  # the name was taken, and stays as searchable as it was
    assert "cosine" in parameter(searched, "schedule.name")["choices"]


def test_what_a_component_cannot_be_tried_without(with_plugin):
    said = r"--vary loss\.name: loss 'brosch' needs power, which has no default and is not varied"
    with pytest.raises(UserError, match=said):
        space(with_plugin, "loss.name=brosch|bce")
    assert names(space(with_plugin, "loss.name=brosch|bce,loss.power")) == ["loss.name", "loss.brosch.power"]
    with pytest.raises(UserError, match=r"loss\.brosch\.cap: cannot be varied: its declaration does not say"):
        space(with_plugin, "loss.name,loss.power,loss.brosch.cap")
    with pytest.raises(UserError, match=r"loss 'brosch' is not written for framework 'keras'"):
        space(with_plugin, "loss.name=brosch|bce", framework="keras")


# What is in play


def test_a_parameter_is_in_play_with_what_it_belongs_to(registry):
    for _, values in trials(space(registry)):
        assert ("loss.focal.gamma" in values) == (values["loss.name"] == "focal")
        assert ("optimizer.sgd.momentum" in values) == (values["optimizer.name"] == "sgd")
        assert "optimizer.learning_rate" in values
        some = values["augmentation.copies"] > 0
        assert ("augmentation.flips" in values) == some
        assert ("augmentation.rotate-zoom.zoom" in values) == (some and values["augmentation.rotate-zoom"])


def test_what_is_fixed_is_out_of_the_space_and_what_it_decides_with_it(registry):
    focal = space(registry, fix=["loss.name=focal"])
    assert {"loss.gamma", "loss.alpha"} == {name for name in names(focal) if name.startswith("loss")}
    assert "when" not in parameter(focal, "loss.gamma")
    assert not [name for name in names(space(registry, fix=["augmentation.copies=0"])) if "augmentation" in name]
    copied = space(registry, fix=["augmentation.copies=3"])
    assert "when" not in parameter(copied, "augmentation.flips")
    assert "augmentation.rotate-zoom.zoom" not in names(space(registry, fix=["augmentation.rotate-zoom=false"]))
    turned = space(registry, fix=["augmentation.rotate-zoom=true"])
    assert "augmentation.rotate-zoom" not in names(turned)
    assert parameter(turned, "augmentation.rotate-zoom.zoom")["when"]["parameter"] == "augmentation.copies"


def test_a_fixed_value_holds_in_every_trial(registry):
    fix = ["optimizer.learning_rate=0.003", "augmentation.rotate-zoom.rotation=7.5", "model.depth=2"]
    searched = space(registry, fix=fix)
    space_overrides = parse_space_overrides([], fix, None)
    for _, values in trials(searched, 60):
        overrides = [*fixed(space_overrides, "torch"), *searched.overrides(values)]
        asked = flatten(resolve(registry, "reference", overrides).benchmark.as_dict())
        assert (asked["optimizer.learning_rate"], asked["model.depth"]) == (0.003, 2)
        assert asked.get("augmentation.rotate-zoom.rotation", 7.5) == 7.5


def test_the_learning_rate_stays_when_the_optimizer_varies_alone(registry):
    searched = space(registry, "optimizer.name")
    for _, values in trials(searched, 20):
        optimizer = resolve(registry, "torch-twin", searched.overrides(values)).benchmark.optimizer
        assert (optimizer.name, optimizer.learning_rate) == (values["optimizer.name"], 5e-4)
