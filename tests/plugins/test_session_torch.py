from __future__ import annotations

import numpy as np
import pytest
import torch
from session_contract import SessionContract, arrays, rates

from craterbench.training.fit import batches_of


class TestTorch(SessionContract):
    framework = "torch"

    def test_bfloat16_trains_in_half_the_digits_and_keeps_weights_and_scores_whole(self):
        images, masks = arrays()
        batches = batches_of(np.arange(40), 10)
        half, single = (self.opened(f"training.precision={p}", "model.dropout=0") for p in ("bfloat16", "float32"))
        objectives = [s.train_epoch(images, masks, batches, rates(batches)) for s in (half, single)]
        assert objectives[0] != objectives[1]
        assert objectives[0] == pytest.approx(objectives[1], rel=1e-2)
        assert {array.dtype for array in half.weights().values()} == {np.dtype(np.float32)}
        probabilities = half.predict(images)
        assert probabilities.dtype == np.float32
        assert len(np.unique(probabilities)) > 1000  # bfloat16 has 128 values between 1/2 and 1

    def test_a_gpu_that_is_not_there_is_named_with_its_cure(self, bench):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        result = bench("run", "torch-twin", "--device", "gpu", "--dataset", "synthetic")
        assert result.exit_code == 2
        assert "--device cpu" in result.stderr
