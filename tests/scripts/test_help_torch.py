from __future__ import annotations

import pytest
from harness_scripts import WITH_TORCH, check_help


@pytest.mark.parametrize("script", WITH_TORCH)
def test_a_script_answers_help(script):
    check_help(script)
