from __future__ import annotations

import pytest
from spaces import names, parameter, space

from craterbench.config.resolve import resolve
from craterbench.plugin import UserError
from craterbench.plugin.registry import Registry
from craterbench.search.space.overrides import parse_space_overrides
from craterbench.search.space.space import build_space


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.installed()


def test_only_what_is_named_is_varied(registry):
    asked = "loss.name,model.depth,optimizer.learning_rate=1e-3..1e-1:log,loss.name=dice|focal"
    searched = space(registry, asked)
    assert names(searched) == ["loss.name", "model.depth", "optimizer.learning_rate"]
    assert parameter(searched, "loss.name")["choices"] == ["dice", "focal"]
    assert parameter(searched, "optimizer.learning_rate") | {"name": ""} == {
        "name": "",
        "key": "optimizer.learning_rate",
        "kind": "float",
        "low": 1e-3,
        "high": 0.1,  # further than is declared to be searched, not further than is allowed
        "log": True,
    }


def test_wishes_by_full_name_by_key_and_by_section(registry):
    assert names(space(registry, "loss.name,loss.focal.gamma")) == ["loss.name", "loss.focal.gamma"]
    smooth = ["loss.name", "loss.bce-dice.smooth", "loss.dice.smooth", "loss.tversky.smooth"]
    assert names(space(registry, "loss.name,loss.smooth")) == smooth
    assert names(space(registry, "model")) == ["model.depth", "model.filters", "model.dropout"]
    assert names(space(registry, "loss,loss.name=bce|focal")) == ["loss.name", "loss.focal.gamma", "loss.focal.alpha"]
    assert names(space(registry, "loss.focal.gamma", ["loss.name=focal"])) == ["loss.gamma"]
    assert names(space(registry, "training")) == ["training.batch_size"]


def test_several_wishes_add_up(registry):
    space_overrides = parse_space_overrides(["model.depth", "training.batch_size=16|32, model.depth=2..3"], [], None)
    searched = build_space(registry, resolve(registry, "reference").benchmark, space_overrides)
    assert parameter(searched, "training.batch_size")["choices"] == [16, 32]
    assert (parameter(searched, "model.depth")["low"], parameter(searched, "model.depth")["high"]) == (2, 3)


def test_the_more_exact_of_two_wishes_says_how_and_one_that_says_nothing_leaves_it_to_the_other(registry):
    exact = space(registry, "loss.name,loss.smooth=3..4,loss.dice.smooth=1..2")
    assert [parameter(exact, f"loss.{loss}.smooth")["low"] for loss in ("bce-dice", "dice")] == [3, 1]
    general = space(registry, "loss.name,loss.smooth=3..4,loss.dice.smooth")
    assert [parameter(general, f"loss.{loss}.smooth")["low"] for loss in ("bce-dice", "dice")] == [3, 3]


def test_the_scale_of_a_range_is_the_declared_one_unless_it_is_said(registry):
    assert parameter(space(registry, "model.filters=4..64"), "model.filters")["log"] is True
    assert parameter(space(registry, "model.filters=4..64:linear"), "model.filters")["log"] is False
    assert parameter(space(registry, "model.dropout=0.01..0.2:log"), "model.dropout")["log"] is True


FILE = """
[vary]
loss.name = ["dice", "focal"]
"loss.focal.gamma" = true
optimizer.learning_rate = {low = 1e-4, high = 1e-2, log = false}
training.batch_size = true

[fix]
model.depth = 2
"augmentation.flips" = true
"""


def test_a_space_in_a_file_and_the_command_line_over_it(registry, tmp_path):
    file = tmp_path / "space.toml"
    file.write_text(FILE)
    searched = space(registry, file=file)
    assert names(searched) == ["loss.name", "loss.focal.gamma", "optimizer.learning_rate", "training.batch_size"]
    assert parameter(searched, "optimizer.learning_rate")["log"] is False
    space_overrides = parse_space_overrides(["loss.name=bce|focal"], ["model.depth=3"], file)
    assert {str(override) for override in space_overrides.fixed} == {"model.depth=3", "augmentation.flips=true"}
    assert space_overrides.varied["loss.name"].choices == ("bce", "focal")
    benchmark = resolve(registry, "reference", space_overrides.fixed).benchmark
    assert [step.name for step in benchmark.augmentation.steps] == ["rotate-zoom", "flips"]


# What is refused


@pytest.mark.parametrize(
    ("vary", "fix", "said"),
    [
        ("model.depth=4..2", [], "model.depth=4..2: the range from 4 to 2 is empty; the lower end first: 2..4"),
        ("model.depth=3..3", [], "the range from 3 to 3 is empty; to leave one value, fix it"),
        ("model.depth=two..4", [], "'two' is no number; write a range as low..high"),
        ("model.depth=nan..4", [], "needs two finite ends"),
        ("model.depth=1.5..4", [], "--vary model.depth: 1.5 is no whole number"),
        ("model.depth=2|deep", [], "--vary model.depth: deep is no whole number"),
        ("model.depth=2..4:lg", [], "the scale of a range is log or linear, not 'lg'"),
        ("model.depth=2..9", [], "--vary model.depth: 9 is outside 1 to 6"),
        ("model.depth=2|9", [], "9 is outside 1 to 6"),
        ("model.dropout=0..0.1:log", [], "a logarithmic scale has no 0; start above 0"),
        (
            "optimizer.learning_rate=0..0.1",
            [],
            "start above 0, or say that it is linear: optimizer.learning_rate=0..0.1:linear",
        ),
        ("model.depth=", [], "write it as key, key=low..high"),
        ("model.depth,,loss", [], "--vary '': write it as key"),
        ("model.depth=2..3,model.depth=3..4", [], "model.depth is to be varied in two ways"),
        ("model.depth=3", [], "one value is nothing to vary; to keep to it: --fix model.depth=3"),
        ("loss.name=dice|dice", [], "a choice is there twice"),
        ("loss.name=dice|fokal", [], "unknown loss 'fokal'; did you mean 'focal'?"),
        ("optimizer.name=adam|amad", [], "unknown optimizer 'amad'; known: adam, adamw, nadam, rmsprop, sgd"),
        ("loss.name,loss.per=image|bach", [], "--vary loss.bce-dice.per: there is no choice bach; did you mean 'batc"),
        ("loss.name,loss.per=1..2", [], "is no number; choose among image, batch, with | between them"),
        ("augmentation.flips=true|perhaps", [], "there is no choice perhaps; known: false, true"),
        ("model.name", [], "nothing to choose, since 'unet' is the only model for torch"),
        ("loss=1..2", [], "--vary loss: is a section; give values to one of its parameters"),
        ("model.depht", [], "--vary model.depht: no component has it; did you mean 'model.depth'?"),
        ("depth", [], "give the full key: model.depth"),
        ("los.name", [], "no component has it; did you mean 'loss'?"),
        ("loss.gamma", [], "belongs to loss 'focal', and loss.name is bce; vary that, too, or --fix loss.name=focal"),
        ("loss.focal.gamma", ["loss.name=dice"], "belongs to loss 'focal', and loss.name is dice"),
        ("loss.name=bce|dice,loss.gamma", [], "loss.name is bce or dice; add focal to its choices"),
        ("augmentation.flips", ["augmentation.copies=0"], "augmentation.copies is 0; vary augmentation.copies, too"),
        ("augmentation.rotate-zoom.zoom", ["augmentation.rotate-zoom=false"], "is no step of the augmentation"),
        ("model.depth", ["model.depth=3"], "model.depth is both to be varied and fixed; leave out one"),
        ("loss.name,loss.focal.gamma", ["loss.name=focal"], "loss.name is both to be varied and fixed"),
        ("loss.focal.gamma", ["loss.name=focal", "loss.gamma=1"], "loss.focal.gamma is both to be varied and fixed"),
        ("", ["model.depth=9"], "model.depth: 9 is outside 1 to 6 (from --fix)"),
        ("", ["model.depth"], "--fix model.depth: write it as --fix key=value"),
        ("", ["loss.focal.gamma=1"], "fix loss.name=focal and loss.gamma=1"),
        ("", ["optimizer.name=sgd", "loss.gamma=1"], "loss.gamma: unknown key of loss 'bce'"),
        ("model", ["model.depth=2", "model.filters=8", "model.dropout=0"], "nothing is left to vary"),
        ("framework", [], "is not searched: twins are proven to be equal; choose one with --framework"),
        ("dataset.name", [], "is not searched: trials on other images cannot be compared"),
        ("split", [], "is not searched"),
        ("training.epochs=3..9", [], "set it with --epochs N"),
        ("augmentation.warp", [], "is not searched"),
    ],
)
def test_a_wish_that_cannot_be_met_names_the_cure(registry, vary, fix, said):
    with pytest.raises(UserError) as caught:
        space(registry, vary, fix)
    assert said in str(caught.value)


def test_a_parameter_of_one_component_cannot_be_fixed_while_another_may_take_its_place(registry):
    with pytest.raises(UserError, match=r"loss\.gamma is fixed, but loss\.name varies.*--fix loss\.name=focal"):
        space(registry, fix=["loss.gamma=1"], name="focal")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("vary = [", "space.toml: is not TOML"),
        ("[very]\nmodel.depth = true", "very: unknown table; did you mean 'vary'?"),
        ("vary = true", "vary: give a table, [vary], not True"),
        ("[vary]\nmodel.depth = false", "space.toml [vary] model.depth: give true, a list of choices, or"),
        ("[vary]\nmodel.depth = []", "give true, a list of choices"),
        ("[vary]\nmodel.depth = {low = 2}", "a range is {low = number, high = number"),
        ("[vary]\nmodel.depth = {low = 2, hihg = 3}", "unknown key 'hihg'; did you mean 'high'?"),
        ("[vary]\nmodel.depth = {low = 2, high = '3'}", "a range is {low = number, high = number"),
        ("[vary]\nmodel.depth = {low = 4, high = 2}", "the range from 4 to 2 is empty"),
        ("[vary]\nmodel.depth = {low = 2, high = 9}", "space.toml [vary] model.depth: 9 is outside 1 to 6"),
        ("[vary]\nloss.name = ['dice', 'fokal']", "space.toml [vary] loss.name: unknown loss 'fokal'"),
        ("[vary]\nloss.gama = true\nloss.name = true", "space.toml [vary] loss.gama: no component has it"),
        ("[fix]\nmodel.depth = 9", "model.depth: 9 is outside 1 to 6 (from space.toml)"),
    ],
)
def test_a_file_that_is_no_space(registry, tmp_path, content, said):
    file = tmp_path / "space.toml"
    file.write_text(content)
    with pytest.raises(UserError) as caught:
        space(registry, file=file)
    assert said in str(caught.value)


def test_a_file_that_is_not_there(registry, tmp_path):
    with pytest.raises(UserError, match=r"gone\.toml: cannot be read \(No such file"):
        space(registry, file=tmp_path / "gone.toml")
