"""``bench data chips`` on a tile that the test writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from craterbench.plugin import UserError
from craterbench_datasets import File, Tiles
from craterbench_datasets.files import npz
from craterbench_datasets.tile import tile


@pytest.fixture
def mosaic(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (400, 500)).astype(np.uint8)).save(tmp_path / "mosaic.tif")
    circles = np.column_stack([draw.uniform(0, 400, (40, 2)), draw.uniform(8, 40, 40)])
    np.savetxt(tmp_path / "mosaic.csv", circles, delimiter=",")
    return tmp_path / "mosaic.tif"


def test_the_file_has_what_the_data_set_has(bench, mosaic, tmp_path):
    out = tmp_path / "chips.npz"
    done = bench("data", "chips", str(mosaic), "--out", str(out), "--chips", "30", "--size", "32", "--seed", "3")
    assert done.exit_code == 0, done.output
    assert "mosaic.tif: 24 chips to train on and 6 to test, 40 craters" in done.stdout
    wanted = tile(Tiles(path=str(mosaic), chips=30, size=32, seed=3))
    found = npz(File(path=str(out)))
    for part, other in ((found.train_val, wanted.train_val), (found.test, wanted.test)):
        np.testing.assert_array_equal(part.images, other.images)
        np.testing.assert_array_equal(part.masks, other.masks)
        np.testing.assert_array_equal(part.groups, other.groups)
        for one, another in zip(part.circles, other.circles, strict=True):
            np.testing.assert_array_equal(one, another)
    assert found.digest() == wanted.digest()
    with np.load(out) as arrays:
        assert arrays["names"].tolist() == list(wanted.train_val.names)


def test_a_catalogue_may_be_elsewhere_and_nothing_may_test(bench, mosaic, tmp_path):
    elsewhere = tmp_path / "craters" / "of mosaic.csv"
    elsewhere.parent.mkdir()
    mosaic.with_suffix(".csv").rename(elsewhere)
    out = tmp_path / "chips.npz"
    done = bench("data", "chips", str(mosaic), str(elsewhere), "-o", str(out), "--chips", "30", "--test", "none")
    assert done.exit_code == 0, done.output
    with np.load(out) as arrays:
        assert sorted(arrays) == ["circles", "groups", "images", "masks", "names"]
        assert arrays["images"].shape == arrays["masks"].shape == (30, 48, 48)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["mosaic.tif", "none.csv", "-o", "a.npz"], ["none.csv", "no such file"], id="no catalogue"),
        pytest.param(["none.tif", "-o", "a.npz"], ["none.tif", "no such file"], id="no tile"),
        pytest.param([".", "mosaic.csv", "-o", "a.npz"], ["is a folder", "leave out"], id="a folder and a catalogue"),
        pytest.param(["mosaic.tif", "-o", "a.csv"], ["a.csv", "--out a.npz"], id="another ending"),
        pytest.param(["mosaic.tif", "-o", "none/a.npz"], ["none", "make it first"], id="no folder"),
        pytest.param(["mosaic.tif", "-o", "a.npz", "--test", "b"], ["'b'", "regions"], id="an unknown tile to test"),
        pytest.param(
            ["mosaic.tif", "-o", "a.npz", "--smallest", "50"], ["smallest or size lower"], id="no crater so wide"
        ),
    ],
)
def test_a_bad_command_writes_nothing(bench, mosaic, monkeypatch, arguments, words):
    monkeypatch.chdir(mosaic.parent)
    before = sorted(mosaic.parent.rglob("*"))
    done = bench("data", "chips", *arguments)
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert "Traceback" not in done.output
    assert all(word in done.output for word in words), done.output
    assert sorted(mosaic.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("circles", "word"),
    [
        (np.zeros((3, 3)), "(3, 3)"),
        (np.array([["a", "b", "c", "d"]]), "(1, 4)"),
        (np.array([[30.0, 1, 1, 5]]), "one of the 24 images"),
        (np.array([[0.0, 1, 1, 5], [0, np.nan, 1, 5]]), "in row 1"),
        (np.array([[0.0, 1, 1, 0]]), "a diameter above 0"),
    ],
)
def test_circles_in_a_file_that_are_none_are_refused(mosaic, tmp_path, circles, word):
    part = tile(Tiles(path=str(mosaic), chips=24, test="none")).train_val
    path = tmp_path / "own.npz"
    np.savez(path, images=part.images, masks=part.masks, circles=circles)
    with pytest.raises(UserError) as caught:
        npz(File(path=str(path)))
    assert str(caught.value).startswith(f"{path}: circles")
    assert word in str(caught.value)


def test_a_file_that_cannot_be_written_is_said_with_the_cure(bench, mosaic, tmp_path):
    too_long = tmp_path / f"{'x' * 300}.npz"
    done = bench("data", "chips", str(mosaic), "--out", str(too_long))
    assert done.exit_code == 2
    assert "give another --out" in done.output
