from __future__ import annotations

import numpy as np
import pytest
import torch

from craterbench_unet import UNet
from craterbench_unet.initial import dropouts
from craterbench_unet.torch import build


@pytest.mark.parametrize("depth", [2, 3])
def test_dropout_is_between_the_convolutions_of_every_stage_at_its_rate_and_only_in_training(depth):
    """Dropout is what parity cannot see, since it is proven without."""
    parameters = UNet(depth=depth)
    model = build(parameters, (48, 48), 0)
    found: dict[str, list[torch.Tensor]] = {}
    for stage in [name.removesuffix("_conv_1") for name, _ in model.named_children() if name.endswith("_conv_1")]:
        pair = found.setdefault(stage, [])
        model.get_submodule(f"{stage}_conv_1").register_forward_hook(lambda m, i, out, pair=pair: pair.append(out))
        model.get_submodule(f"{stage}_conv_2").register_forward_pre_hook(lambda m, i, pair=pair: pair.append(i[0]))
    images = torch.rand(64, 1, 48, 48)
    model.train()
    model(images)
    *levels, bottleneck = dropouts(parameters)
    expected = {"bottleneck": bottleneck}
    for level, rate in enumerate(levels, start=1):
        expected |= {f"down_{level}": rate, f"up_{level}": rate}
    assert found.keys() == expected.keys()
    for stage, (before, after) in found.items():
        some = before != 0
        assert float((after[some] == 0).float().mean()) == pytest.approx(expected[stage], abs=0.01)
        kept = some & (after != 0)
        np.testing.assert_allclose((after[kept] / before[kept]).numpy(force=True), 1 / (1 - expected[stage]), rtol=1e-5)
        found[stage].clear()
    model.eval()
    model(images)
    assert all(torch.equal(before, after) for before, after in found.values())


def test_the_reference_has_the_published_number_of_parameters():
    assert sum(weight.numel() for weight in build(UNet(), (48, 48), 0).parameters()) == 481_745
