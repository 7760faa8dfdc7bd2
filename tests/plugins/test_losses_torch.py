"""NumPy's losses, in the committed file, are the oracle. This file has a twin in tests/keras."""

from __future__ import annotations

import loss_cases
import numpy as np
import pytest
import torch


def value_and_gradient(label, masks, probabilities, dtype, known=None):
    p = torch.tensor(probabilities, dtype=dtype, requires_grad=True)
    known = None if known is None else torch.tensor(known, dtype=dtype)
    loss = loss_cases.loss_in("torch", label)(torch.tensor(masks, dtype=dtype), p, known)
    assert (loss.shape, loss.dtype) == ((), dtype)
    loss.backward()
    return loss.item(), p.grad.numpy()


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_values_and_gradients_in_double_precision(label):
    for case, masks, probabilities, value, gradient in loss_cases.golden(label):
        got, slopes = value_and_gradient(label, masks, probabilities, torch.float64)
        assert got == pytest.approx(value, rel=1e-11, abs=1e-15), case
        np.testing.assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-15, err_msg=case)


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_values_and_gradients_in_single_precision(label):
    for case, masks, probabilities, value, gradient in loss_cases.golden(label):
        got, slopes = value_and_gradient(label, masks, probabilities, torch.float32)
        assert np.isfinite(slopes).all(), case
        if loss_cases.unclipped(probabilities):
            assert got == pytest.approx(value, rel=2e-6), case
            np.testing.assert_allclose(slopes, gradient, rtol=2e-5, atol=1e-7, err_msg=case)
        else:  # 1 - 1e-7 is 1.2e-7 from 1 in single precision
            assert got == pytest.approx(value, rel=2e-2, abs=1e-6), case


@pytest.mark.parametrize("label", loss_cases.LOSSES)
def test_ignored_pixels_are_in_neither_value_nor_gradient(label):
    value, gradient = loss_cases.of_known(label)
    masks, probabilities, known = loss_cases.ignored()
    got, slopes = value_and_gradient(label, masks, probabilities, torch.float64, known)
    assert got == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("case", ["mixed", "all background", "all crater", "a single crater pixel"])
def test_bce_is_that_of_torch_where_nothing_is_clipped(case):
    masks, probabilities = loss_cases.cases()[case]
    expected = torch.nn.functional.binary_cross_entropy(torch.tensor(probabilities), torch.tensor(masks)).item()
    got, _ = value_and_gradient("bce", masks, probabilities, torch.float64)
    assert got == pytest.approx(expected, rel=1e-12)
