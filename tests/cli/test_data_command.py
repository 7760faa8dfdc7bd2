from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic


def test_list_shows_where_data_come_from_their_licence_and_what_may_be_set(bench):
    listed = bench("data", "list").stdout
    start = listed.index("\nsynthetic: ")
    assert "  licence: CC BY-SA 3.0 IGO\n" in listed[:start]
    assert "  dataset.path: must be given\n" in listed[:start]
    assert "  dataset.size: default 48, 16 to 512\n" in listed[start:]


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Sixty images in groups of two, and fifteen for the test."""
    made = synthetic(Synthetic(images=60, test_images=15))
    parts = {"": made.train_val, "test_": made.test}
    found = {}
    for prefix, part in parts.items():
        found[f"{prefix}images"] = (part.images * 255).round().astype(np.uint8)
        found[f"{prefix}masks"] = part.masks
    return found | {"groups": np.arange(60) // 2, "test_groups": 100 + np.arange(15) // 3}


@pytest.fixture
def check(bench, tmp_path):
    """Write arrays into a file, check it, and return the exit status and the findings."""

    def checked(arrays: dict[str, np.ndarray], *options: str) -> tuple[int, list[str]]:
        np.savez(tmp_path / "mine.npz", **arrays)
        result = bench("data", "check", "--dataset", "npz", "--data", str(tmp_path / "mine.npz"), "--json", *options)
        return result.exit_code, json.loads(result.stdout)["findings"]

    return checked


def put(name: str, row: int, change):
    """Put a changed copy of the third image in another place, with its mask."""

    def plant(arrays):
        for kind in ("images", "masks"):
            arrays[f"{name}{kind}"] = arrays[f"{name}{kind}"].copy()
            arrays[f"{name}{kind}"][row] = change(arrays[kind][2], kind)

    return plant


def brighter(image: np.ndarray, kind: str) -> np.ndarray:
    return np.clip(image * 1.1, 0, 255).round() if kind == "images" else image


def with_noise(image: np.ndarray, kind: str) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(image + noise, 0, 255).round() if kind == "images" else image


def other_mask(image: np.ndarray, kind: str) -> np.ndarray:
    return image if kind == "images" else 1 - image


def masks(change):
    def plant(arrays):
        arrays["masks"] = change(arrays["masks"])

    return plant


def cut_group(arrays):
    arrays["test_groups"] = arrays["test_groups"].copy()
    arrays["test_groups"][0] = 7


LEAK = "test images are slightly changed, shifted, mirrored or turned copies of training or validation images"
PLANTED = {
    "exact": (put("test_", 4, lambda image, _: image), "1 of 15 test images are copies of training or validation"),
    "shifted": (put("test_", 4, lambda image, _: np.roll(image, 1, 0)), LEAK),
    "brighter by one": (put("test_", 4, lambda image, kind: image + 1.0 * (kind == "images")), LEAK),
    "brighter by 10 %": (put("test_", 4, brighter), LEAK),
    "with noise": (put("test_", 4, with_noise), LEAK),
    "mirrored": (put("test_", 4, lambda image, _: image[:, ::-1]), "test 4 is train_val 2 (mirrored)"),
    "turned": (put("test_", 4, lambda image, _: np.rot90(image)), "test 4 is train_val 2 (turned by 90 degrees)"),
    "a group cut": (cut_group, "leak: 1 of 15 test images share a group with training or validation images"),
    "masks shifted": (masks(lambda masks: np.roll(masks, 3, 1)), "moved by 3 up and 0"),
    "masks turned": (masks(lambda masks: masks.swapaxes(1, 2)), "with rows and columns swapped"),
    "masks of other images": (
        masks(lambda masks: masks[np.random.default_rng(1).permutation(60)]),
        "are they in another order?",
    ),
    "masks of the images before": (masks(lambda masks: np.roll(masks, 1, 0)), "on the image 1 before"),
    "twice": (put("", 3, lambda image, _: image), "are there twice, with equal masks: train_val 3 is train_val 2"),
    "twice, other mask": (put("", 3, other_mask), "are there twice, with different masks: train_val 3 is train_val 2"),
    "twice, in two groups": (put("", 40, lambda image, _: image), "train_val 40 is train_val 2"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(check, arrays, fault):
    plant, words = PLANTED[fault]
    planted = dict(arrays)
    plant(planted)
    status, findings = check(planted)
    assert status == 1
    assert any(words in finding for finding in findings), findings


def test_where_nothing_is_wrong_nothing_is_found(check, arrays):
    assert check(arrays) == (0, [])
    assert check(arrays, "--folds", "3") == (0, [])


def test_all_that_is_wrong_is_said_at_once(check, arrays):
    planted = dict(arrays)
    cut_group(planted)
    planted["masks"] = np.roll(planted["masks"], 3, 2)
    status, findings = check(planted, "--folds", "31", "--set", "split.test=0.2")
    assert status == 1
    for words in ("31 folds", "leave out split.test", "share a group", "moved by"):
        assert any(words in finding for finding in findings), (words, findings)


def test_images_that_the_model_does_not_take_are_found(check, arrays):
    cut = {name: array[:, :45, :45] if "groups" not in name else array for name, array in arrays.items()}
    status, findings = check(cut)
    assert status == 1
    assert any("45x45" in finding and "training.pad=true" in finding for finding in findings)
    for options in (("--set", "training.pad=true"), ("--benchmark", "logistic")):
        assert not any("45x45" in finding for finding in check(cut, *options)[1])


def test_a_run_warns_of_what_a_check_finds(bench, arrays, tmp_path):
    planted = dict(arrays)
    planted["masks"] = np.roll(planted["masks"], 3, 2)
    np.savez(tmp_path / "mine.npz", **planted)
    ran = bench("run", "constant", "--dataset", "npz", "--data", str(tmp_path / "mine.npz"), "--epochs", "1", "--json")
    (record,) = json.loads(ran.stdout)
    assert any("moved by 0" in warning and "3 left" in warning for warning in record["warnings"])


def test_the_built_in_data_pass(bench):
    checked = bench("data", "check")
    assert (checked.exit_code, checked.stdout) == (0, "nothing found\n")


def test_what_cannot_be_read_is_an_error(bench, tmp_path):
    checked = bench("data", "check", "--dataset", "npz", "--data", str(tmp_path / "absent.npz"))
    assert checked.exit_code == 2
    assert "there is no such file" in checked.stderr


def test_info_says_what_is_in_the_data(bench, arrays, tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays)
    options = ("data", "info", "--dataset", "npz", "--data", str(tmp_path / "mine.npz"))
    shown = bench(*options).stdout
    share = arrays["masks"].mean()
    for words in (
        "60 images of 48x48",
        "15 images of 48x48",
        f"crater pixels: {share:.1%}",
        "groups: 30 of 2 images each",
    ):
        assert words in shown
    told = json.loads(bench(*options, "--json").stdout)
    assert told["parts"]["test"]["group_sizes"] == [3] * 5
    assert f"fingerprint: {told['fingerprint']}" in shown


def test_the_sheet_shows_images_of_both_parts(bench, arrays, tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays)
    options = ("data", "info", "--dataset", "npz", "--data", str(tmp_path / "mine.npz"))
    assert bench(*options, "--sheet", str(tmp_path / "sheet.png")).exit_code == 0
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    outline = (abs(sheet - np.array([230, 158, 0])).max(axis=-1) < 20).any(axis=1)
    assert outline[: len(outline) // 2].any()
    assert outline[len(outline) // 2 :].any()
    refused = bench(*options, "--sheet", str(tmp_path / "sheet.pdf"))
    assert refused.exit_code == 2
    assert "--sheet sheet.png" in refused.stderr
    assert not (tmp_path / "sheet.pdf").exists()
