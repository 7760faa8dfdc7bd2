from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.stats import ks_2samp

from craterbench.plugin import UserError
from craterbench_unet import UNet
from craterbench_unet.initial import weights
from craterbench_unet.keras import build


def named(model: keras.Model) -> dict[str, np.ndarray]:
    return {weight.path.replace("/", "."): weight.numpy() for weight in model.weights}


def test_the_reference_has_the_published_number_of_parameters():
    assert build(UNet(), (48, 48), 0).count_params() == 481_745


@pytest.mark.parametrize("parameters", [UNet(), UNet(depth=2, filters=8), UNet(depth=4)])
def test_initial_weights_have_the_names_and_shapes_of_the_model(parameters):
    model = named(build(parameters, (48, 48), 0))
    drawn = weights(parameters, (48, 48), 0)
    assert list(model) == list(drawn)  # the order too, from input to output
    assert {name: array.shape for name, array in model.items()} == {n: a.shape for n, a in drawn.items()}
    assert {array.dtype for array in drawn.values()} == {np.dtype(np.float32)}


def test_the_dropout_rates_are_the_published_ones():
    model = build(UNet(), (48, 48), 0)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == pytest.approx([0.1, 0.1, 0.2, 0.3, 0.2, 0.1, 0.1])
    seeds = [layer.seed for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(set(seeds)) == 7


def test_upsampled_comes_first_and_the_skip_second():
    model = build(UNet(), (48, 48), 0)
    for level in (1, 2, 3):
        first, second = model.get_layer(f"up_{level}_concatenate").input
        assert first is model.get_layer(f"up_{level}_up").output
        assert second is model.get_layer(f"down_{level}_conv_2").output


@pytest.mark.parametrize(
    ("name", "initializer"),
    [
        ("bottleneck_conv_2.kernel", keras.initializers.HeNormal(seed=1)),
        ("down_3_conv_1.kernel", keras.initializers.HeNormal(seed=2)),
        ("up_3_up.kernel", keras.initializers.GlorotUniform(seed=3)),
    ],
)
def test_initial_weights_are_distributed_as_keras_draws_them(name, initializer):
    drawn = weights(UNet(), (48, 48), 7)[name]
    oracle = keras.ops.convert_to_numpy(initializer(drawn.shape))
    assert drawn.std() == pytest.approx(oracle.std(), rel=0.03)
    assert np.abs(drawn).max() == pytest.approx(np.abs(oracle).max(), rel=0.01)  # where both are cut off
    assert ks_2samp(drawn.ravel(), oracle.ravel()).pvalue > 0.001


def test_the_output_layer_is_glorot_uniform_and_biases_are_zero():
    drawn = weights(UNet(filters=256), (48, 48), 0)
    limit = np.sqrt(6 / (256 + 1))
    assert np.abs(drawn["output.kernel"]).max() == pytest.approx(limit, rel=0.05)
    assert all(not array.any() for name, array in drawn.items() if name.endswith("bias"))


def test_another_seed_draws_other_weights_and_the_same_seed_the_same():
    first, again, other = (weights(UNet(), (48, 48), seed)["output.kernel"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_size_that_the_depth_does_not_divide_is_named_with_its_cure():
    with pytest.raises(
        UserError, match=r"depth 5 needs sides that are multiples of 32, and the images are 48x48.*depth"
    ):
        weights(UNet(depth=5), (48, 48), 0)


def test_other_sizes_are_free():
    model = build(UNet(), (32, 64), 0)
    assert model(np.zeros((1, 32, 64, 1), np.float32)).shape == (1, 32, 64, 1)
