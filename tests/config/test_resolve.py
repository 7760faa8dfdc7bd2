from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w

from craterbench.config.identity import config_digest, run_identity
from craterbench.config.resolve import Override, parse_override, resolve
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.installed()


def sets(*settings: str) -> list[Override]:
    return [parse_override(setting) for setting in settings]


def test_the_reference_is_what_was_published(registry):
    asked = resolve(registry, "reference").benchmark.as_dict()
    assert asked["loss"] == {"name": "bce"}
    assert asked["optimizer"] == {"name": "adam", "learning_rate": 5e-4}
    assert asked["training"] == {"epochs": 48, "batch_size": 32, "monitor": "val_loss", "patience": 5} | {
        "precision": "float32"
    }
    assert asked["split"]["validation"] == 0.2
    assert asked["augmentation"]["copies"] == 2
    assert asked["augmentation"]["rotate-zoom"] == {"rotation": 20.0, "zoom": 0.3}
    assert asked["model"] == {"name": "unet", "depth": 3, "filters": 16, "dropout": 0.1}


def test_as_published_differs_from_the_reference_by_the_two_mistakes_alone(registry):
    reference, published = (resolve(registry, name).benchmark.as_dict() for name in ("reference", "as-published"))
    reference["split"]["when"] = "after-augmentation"
    reference["augmentation"]["warp"] = "image"
    del reference["summary"], published["summary"]
    assert reference == published


def test_every_value_says_where_it_comes_from(registry):
    sources = resolve(registry, "as-published", sets("training.epochs=3")).sources
    assert sources["split.when"] == "as-published.toml"
    assert sources["split.seed"] == "reference.toml"
    assert sources["training.epochs"] == "--set"
    assert resolve(registry, "logistic").sources["model.scales"] == "default"


def test_all_errors_are_told_at_once_each_with_its_path_and_cure(registry):
    wrong = sets(
        "training.epoch=3",
        "training.batch_size=0",
        "training.patience='5'",
        "optimizer.learning_rate=true",
        "los.name=dice",
        "loss.name=bces",
        "model.depht=2",
        "split.when=never",
        "augmentation.flip.horizontal=true",
        "framework=kers",
    )
    with pytest.raises(UserError) as caught:
        resolve(registry, "reference", wrong)
    said = str(caught.value)
    for line in (
        "training.epoch: unknown key; did you mean 'epochs'?",
        "training.batch_size: 0 is outside 1 to 100000",
        "training.patience: input should be a valid integer, not '5'",
        "optimizer.learning_rate: input should be a valid number, not True",
        "los: unknown key; did you mean 'loss'?",
        "unknown loss 'bces'; did you mean 'bce'?",
        "model.depht: unknown key of model 'unet'; did you mean 'depth'?",
        "split.when: input should be 'before-augmentation' or 'after-augmentation'",
        "unknown augmentation 'flip'",
        "unknown framework 'kers'; did you mean 'keras'?",
    ):
        assert line in said, said


def test_an_unknown_benchmark_is_named_with_the_nearest(registry):
    with pytest.raises(UserError, match=r"unknown benchmark 'refrence'; did you mean 'reference'\?"):
        resolve(registry, "refrence")


def test_a_model_that_is_not_written_for_the_framework(registry):
    with pytest.raises(UserError, match=r"model 'unet' is not written for framework 'sklearn'; it is for keras"):
        resolve(registry, "reference", sets("framework=sklearn", "optimizer.name=sgd", "optimizer.learning_rate=1e-3"))


def test_an_optimizer_that_the_framework_has_not(registry):
    with pytest.raises(UserError, match=r"optimizer 'adam' is not written for framework 'sklearn'; it is for"):
        resolve(registry, "logistic", sets("optimizer.name=adam", "optimizer.learning_rate=1e-3"))


def test_an_optimizer_has_parameters_of_its_own(registry):
    sgd = resolve(registry, "reference", sets("optimizer.name=sgd", "optimizer.learning_rate=1e-2"))
    assert sgd.benchmark.as_dict()["optimizer"] == {"name": "sgd", "learning_rate": 1e-2, "momentum": 0.9}
    with pytest.raises(UserError, match=r"optimizer\.momentum: 1.5 is outside 0 to 0.999"):
        resolve(registry, "reference", [*sgd.overrides, *sets("optimizer.momentum=1.5")])
    with pytest.raises(UserError, match=r"optimizer\.momentum: unknown key of optimizer 'adam'; it takes none"):
        resolve(registry, "reference", sets("optimizer.momentum=0.9"))


def test_a_precision_that_the_framework_has_not(registry):
    with pytest.raises(
        UserError, match=r"training\.precision: framework 'keras' has no 'bfloat16'; it has float32, float64"
    ):
        resolve(registry, "reference", sets("training.precision=bfloat16"))


def test_what_is_split_after_augmentation_cannot_be_augmented_anew(registry):
    with pytest.raises(UserError, match=r"augmentation.drawn: every-epoch"):
        resolve(registry, "as-published", sets("augmentation.drawn=every-epoch"))


def test_a_component_of_another_name_starts_from_its_own_defaults(registry):
    resolved = resolve(registry, "reference", sets("dataset.name=synthetic", "dataset.images=20"))
    assert resolved.benchmark.dataset.parameters.images == 20
    logistic = resolve(registry, "logistic").benchmark.as_dict()
    assert logistic["model"] == {"name": "logistic", "scales": 4}  # nothing of the reference's depth and filters


def test_the_order_of_settings_means_nothing(registry):
    settings = ("dataset.images=20", "dataset.size=16", "dataset.name=synthetic")
    for order in (settings, settings[::-1]):
        parameters = resolve(registry, "reference", sets(*order)).benchmark.dataset.parameters
        assert (parameters.images, parameters.size) == (20, 16)


def test_what_cannot_be_set_is_refused(registry):
    with pytest.raises(UserError, match="extends"):
        resolve(registry, "reference", sets("extends=constant"))
    with pytest.raises(UserError, match="summary: give a line of text, not 3"):
        resolve(registry, "reference", sets("summary=3"))


def test_a_file_extends_another_beside_it(registry, tmp_path):
    write(tmp_path, "base", extends="reference", model={"depth": 2})
    path = write(tmp_path, "variant", extends="base.toml", model={"filters": 8})
    assert resolve(registry, path).benchmark.model.parameters.depth == 2


def write(folder: Path, name: str, /, **definition: object) -> str:
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(definition))
    return str(path)


def test_a_variant_is_a_file_of_a_few_lines(registry, tmp_path):
    path = write(tmp_path, "depth-2", extends="reference", model={"depth": 2})
    benchmark = resolve(registry, path).benchmark
    assert benchmark.name == "depth-2"
    assert benchmark.model.parameters.depth == 2
    assert benchmark.model.parameters.filters == 16


def test_definitions_that_extend_each_other_in_a_circle(registry, tmp_path):
    first = write(tmp_path, "first", extends=str(tmp_path / "second.toml"))
    write(tmp_path, "second", extends=first)
    with pytest.raises(UserError, match=r"first.toml -> second.toml -> first.toml: .* circle"):
        resolve(registry, first)


def test_a_variant_of_something_unknown(registry, tmp_path):
    path = write(tmp_path, "variant", extends="referense")
    with pytest.raises(UserError, match="did you mean 'reference'"):
        resolve(registry, path)


@pytest.mark.parametrize(("content", "said"), [("training = [", "is not TOML"), ("training = 3", "give a table")])
def test_a_file_that_is_no_definition(registry, tmp_path, content, said):
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(UserError, match=said):
        resolve(registry, str(path))


def test_a_file_that_is_not_there(registry, tmp_path):
    with pytest.raises(UserError, match="No such file"):
        resolve(registry, str(tmp_path / "gone.toml"))


@pytest.mark.parametrize("text", ["epochs", "=3", "training..epochs=3"])
def test_a_setting_that_is_none(text):
    with pytest.raises(UserError, match="--set key=value"):
        parse_override(text)


def steps(benchmark) -> dict[str, object]:
    return {step.name: step.parameters for step in benchmark.augmentation.steps}


def test_a_step_is_taken_in_and_left_out_by_a_boolean(registry):
    flips = resolve(registry, "reference", sets("augmentation.flips=true"))
    assert flips.benchmark.as_dict()["augmentation"] == resolve(registry, "flips").benchmark.as_dict()["augmentation"]
    assert config_digest(flips.benchmark) == config_digest(resolve(registry, "flips").benchmark)
    assert flips.sources["augmentation.flips"] == "--set"
    none = resolve(registry, "reference", sets("augmentation.rotate-zoom=false")).benchmark
    assert none.as_dict()["augmentation"] == {"copies": 2, "drawn": "once", "warp": "both"}


def test_a_step_that_is_there_keeps_its_values_and_one_that_was_left_out_has_its_defaults(registry):
    kept = resolve(registry, "reference", sets("augmentation.rotate-zoom.zoom=0.1", "augmentation.rotate-zoom=true"))
    assert kept.benchmark.augmentation.steps[0].parameters.zoom == 0.1
    assert kept.sources["augmentation.rotate-zoom.rotation"] == "reference.toml"
    back = resolve(
        registry,
        "reference",
        sets("augmentation.rotate-zoom.zoom=0.1", "augmentation.rotate-zoom=false", "augmentation.rotate-zoom=true"),
    )
    assert back.benchmark.augmentation.steps[0].parameters.zoom == 0.3
    assert back.sources["augmentation.rotate-zoom.zoom"] == "default"
    changed = sets("augmentation.rotate-zoom=true", "augmentation.rotate-zoom.rotation=33")
    assert resolve(registry, "no-augmentation", changed).benchmark.augmentation.steps[0].parameters.rotation == 33


def test_steps_are_booleans_in_files_and_through_what_they_extend(registry, tmp_path):
    write(tmp_path, "one", extends="reference", augmentation={"rotate-zoom": False, "flips": True})
    two = write(tmp_path, "two", extends="one.toml", augmentation={"rotate-zoom": {"zoom": 0.2}})
    assert list(steps(resolve(registry, str(tmp_path / "one.toml")).benchmark)) == ["flips"]
    again = resolve(registry, two)
    assert set(steps(again.benchmark)) == {"flips", "rotate-zoom"}
    assert steps(again.benchmark)["rotate-zoom"].zoom == 0.2
    assert again.sources["augmentation.rotate-zoom.zoom"] == "two.toml"


def test_a_step_that_nobody_has_cannot_be_left_out_and_a_number_is_no_boolean(registry):
    for value in ("true", "false"):
        with pytest.raises(UserError, match=r"augmentation\.flps: unknown augmentation 'flps'; did you mean 'flips'"):
            resolve(registry, "reference", sets(f"augmentation.flps={value}"))
    with pytest.raises(UserError, match=r"augmentation\.copies: input should be a valid integer, not True"):
        resolve(registry, "reference", sets("augmentation.copies=true"))
    with pytest.raises(UserError, match=r"augmentation\.flips: unknown key"):
        resolve(registry, "reference", sets("augmentation.flips=1"))


def test_a_boolean_is_shown_as_it_is_given():
    assert str(parse_override("augmentation.flips=true")) == "augmentation.flips=true"


def test_a_file_may_say_what_its_benchmark_is_called(registry, tmp_path):
    path = write(tmp_path, "best", name="sweep-1.best", extends="reference", model={"depth": 2})
    assert resolve(registry, path).benchmark.name == "sweep-1.best"
    assert resolve(registry, path, label="trial").benchmark.name == "trial"
    assert resolve(registry, "reference", label="trial").benchmark.name == "trial"
    heir = resolve(registry, write(tmp_path, "heir", extends="best.toml")).benchmark
    assert (heir.name, heir.model.parameters.depth) == ("heir", 2)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "a b", "é", "a\n", 3, True])
def test_a_name_that_is_none_of_a_folder(registry, tmp_path, name):
    path = write(tmp_path, "best", name=name, extends="reference")
    with pytest.raises(UserError, match=r"best\.toml: name: .* give letters, digits"):
        resolve(registry, path)


def test_settings_are_toml_or_plain_text():
    assert parse_override("training.epochs=3").value == 3
    assert parse_override("loss.name=dice").value == "dice"
    assert parse_override("loss.name='3'").value == "3"


def test_a_definition_that_is_written_resolves_to_itself(registry, tmp_path):
    for name in registry.names("benchmark"):
        asked = resolve(registry, name).benchmark
        path = tmp_path / f"{name}.toml"
        path.write_text(tomli_w.dumps(asked.as_dict()))
        assert tomllib.loads(path.read_text()) == asked.as_dict()
        assert resolve(registry, str(path)).benchmark == asked


def test_every_variant_of_the_reference_has_a_torch_form(registry):
    for name in registry.names("benchmark"):
        asked = resolve(registry, name).benchmark
        if asked.model.name == "unet" and asked.framework.name == "keras":
            twin = resolve(registry, name, sets("framework=torch")).benchmark.as_dict()
            assert twin == asked.as_dict() | {"framework": "torch"}


def test_the_digest_follows_what_is_asked_and_nothing_else(registry, tmp_path):
    reference = resolve(registry, "reference").benchmark
    same = resolve(registry, write(tmp_path, "other-name", extends="reference", summary="another")).benchmark
    assert config_digest(same) == config_digest(reference)
    for setting in (
        "training.epochs=47",
        "augmentation.rotate-zoom.zoom=0.2",
        "split.seed=1",
        "dataset.name=synthetic",
    ):
        assert config_digest(resolve(registry, "reference", sets(setting)).benchmark) != config_digest(reference)


def test_the_digest_follows_the_version_of_every_component(registry):
    reference = resolve(registry, "reference").benchmark
    for section in ("model", "loss", "dataset", "schedule"):
        chosen = getattr(reference, section)
        raised = replace(reference, **{section: replace(chosen, version=chosen.version + 1)})
        assert config_digest(raised) != config_digest(reference)


def test_the_path_of_data_is_not_what_was_asked_but_its_content_is_part_of_the_identity(registry):
    here, there = (
        resolve(registry, "reference", sets("dataset.name=npz", f"dataset.path={path}")).benchmark for path in "ab"
    )
    assert config_digest(here) == config_digest(there)
    common = {"seed": 1, "fold": None}
    assert run_identity(here, data="x", **common) == run_identity(there, data="x", **common)
    assert run_identity(here, data="x", **common) != run_identity(here, data="y", **common)
    for change in ({"seed": 2}, {"fold": "1/5"}):
        assert run_identity(here, data="x", **(common | change)) != run_identity(here, data="x", **common)
