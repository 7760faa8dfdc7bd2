"""What the arguments of several calls are."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from craterbench.config.resolve import Override

__all__ = ["AnyPath", "overrides_of"]

AnyPath = str | PathLike[str]


def overrides_of(values: Mapping[str, Any]) -> list[Override]:
    """Return the values of dotted keys as what the config takes."""
    return [Override(key, value, "overrides") for key, value in values.items()]
