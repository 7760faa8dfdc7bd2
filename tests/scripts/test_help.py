from __future__ import annotations

import pytest
from harness_scripts import SCRIPTS, WITH_KERAS, WITH_TORCH, check_help


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name not in WITH_KERAS + WITH_TORCH])
def test_a_script_answers_help(script):
    check_help(script)
