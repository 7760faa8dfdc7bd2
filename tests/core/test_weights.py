from __future__ import annotations

import numpy as np
import pytest

from craterbench.plugin import UserError
from craterbench.records.weights import read_weights, write_weights


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
