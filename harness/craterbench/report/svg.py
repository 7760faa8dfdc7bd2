"""Drawings for pages: equal drawings give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

__all__ = ["same_look", "svg"]

_LOOK: dict[Any, Any] = {
    "svg.hashsalt": "craterbench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,  # a name with two dollars in it is a name
}


@contextmanager
def same_look() -> Iterator[None]:
    """Draw in the look of a page, with names inside that do not change from one time to the next."""
    with mpl.rc_context(_LOOK):
        yield


def svg(figure: Figure) -> str:
    """Return a figure as SVG, without a date; what is rasterized in it has 150 dots an inch."""
    out = io.StringIO()
    figure.savefig(out, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    return out.getvalue()
