"""Errors that a user can mend, and the nearest name that cures a typing mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["UserError", "nearest"]


_MOST = 20  # names in a message


class UserError(Exception):
    """Say what is wrong and what cures it; commands print the message without a traceback and exit with status 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the known name nearest to a wrong one, or else the first of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"known: {', '.join(names[:_MOST])}{more}" if names else "none is known"
