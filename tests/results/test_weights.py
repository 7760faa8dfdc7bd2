from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from craterbench.plugin import UserError
from craterbench.results.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from craterbench.results.weights import read_weights, write_weights


def test_weights_come_back_whatever_their_layout_in_memory(tmp_path):
    weights = {
        "a.kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        "b.bias": np.array([1e-300, np.pi]),
        "c.steps": np.array(7),
    }
    write_weights(tmp_path / "w.safetensors", weights)
    back = read_weights(tmp_path / "w.safetensors")
    assert back.keys() == weights.keys()
    for name, array in weights.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize("kept", [0, 4, 40, -1])
def test_a_file_that_is_cut_short_is_named_with_the_cure(tmp_path, kept):
    file = tmp_path / "w.safetensors"
    write_weights(file, {"a.kernel": np.ones((3, 3), np.float32)})
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"w\.safetensors: is cut short .*copy it again"):
        read_weights(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"w\.safetensors: there is no such file"):
        read_weights(tmp_path / "w.safetensors")


def write_raw(path: Path, content: bytes, **header: object) -> None:
    """Write a safetensors file by its specification: the header's length in 8 bytes, the header as JSON, the arrays."""
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2"])
def test_numbers_that_numpy_has_not_are_refused(tmp_path, kind):
    file = tmp_path / "w.safetensors"
    content = bytes(4)
    shape = [2 if kind == "BF16" else 4]
    write_raw(file, content, a={"dtype": kind, "shape": shape, "data_offsets": [0, 4]})
    with pytest.raises(UserError, match=r"w\.safetensors: holds numbers of a type that NumPy has not"):
        read_weights(file)
    with pytest.raises(ValueError, match="a type that NumPy has not"):
        read_checkpoint(file)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value):
    file = tmp_path / "w.safetensors"
    write_weights(file, {"a.bias": np.zeros(2, np.float32), "b.bias": np.array([1.0, value])})
    with pytest.raises(UserError, match=r"w\.safetensors: b\.bias holds NaN or infinity"):
        read_weights(file)


def test_a_checkpoint_that_lacks_a_part_cannot_be_read(tmp_path):
    whole = {"history": [], "images_trained": 3, "generators": {}}
    file = tmp_path / "state.safetensors"
    write_checkpoint(file, Checkpoint(**whole, best_weights={}, session={}))
    assert read_checkpoint(file).images_trained == 3
    headers = [{}, {"plain": "["}, {"plain": "[]"}, {"plain": "null"}]
    headers += [{"plain": json.dumps({key: whole[key] for key in whole if key != lost})} for lost in whole]
    for header in headers:
        write_raw(file, b"", __metadata__={"version": "1", **header})
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it lacks
            read_checkpoint(file)
