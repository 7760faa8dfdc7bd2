"""Whether what a ``record.json`` holds has the shape of a record.

Types are checked by annotations, as pydantic does, which takes longer to import than this takes for a thousand records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import UnionType
from typing import Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

__all__ = ["Config", "DatasetRecord", "Environment", "PartRecord", "misfit_of", "misshapen"]


class Environment(TypedDict, total=False):
    """Versions, threads, device and machine."""

    craterbench: str
    evaluator: int
    components: dict[str, int]
    sources: dict[str, str]
    python: str
    packages: dict[str, str]
    machine: str
    threads: int
    device: str


class _Named(TypedDict):
    name: str


class DatasetRecord(_Named, total=False):
    """Where the data come from; the digest is known once they have been read.

    ``split`` is there if the parts are other images than earlier versions cut from the same data.
    """

    provenance: str
    licence: str
    digest: str
    notes: list[str]
    split: str


class _Training(TypedDict):
    monitor: str
    precision: str


class Config(TypedDict):
    """What every config says; a complete one says more."""

    framework: str
    model: _Named
    loss: _Named
    training: _Training


class _Sums(TypedDict):
    """The sums of the built-in statistics, rim and interior apart; those of plugins have names of their own."""

    confusion: list[list[int]]
    cross_entropy: list[list[float]]


class PartRecord(TypedDict):
    """A part that was scored."""

    fingerprint: str
    num_images: int
    statistics: _Sums


#: How many numbers a region has of each built-in statistic.
_NUMBERS = {"confusion": 4, "cross_entropy": 2, "squared_error": 2}

#: How many numbers those have that are counted on demand, over all pixels.
_NUMBERS_ON_DEMAND = {"boundary": 6, "image_overlap": 3, "objects": 7}


def misshapen(statistics: Mapping[str, Any]) -> str | None:
    """Return the name of the first statistic whose sums have not a statistic's shape, if there is one."""
    for name, sums in statistics.items():
        apart = type(sums) is list and len(sums) == 2 and all(type(region) is list for region in sums)
        regions = sums if apart else [sums]
        fits = all(type(each) is list and set(map(type, each)) <= {int, float} for each in regions)
        if name in _NUMBERS:
            fits = fits and apart and [len(region) for region in sums] == [_NUMBERS[name]] * 2
        elif name in _NUMBERS_ON_DEMAND:
            fits = fits and not apart and len(sums) == _NUMBERS_ON_DEMAND[name]
        if not fits or len(set(map(len, regions))) > 1:
            return name
    return None


@cache
def misfit_of(kind: Any) -> Callable[[Any], str | None]:
    """Return what finds the first place in a parsed JSON value that has not the type it is annotated with.

    Args:
        kind: a class, a typed dictionary, or lists, dictionaries and unions of such.

    Returns:
        A function of the value. It returns ``None`` where all fits, else the way to the place, such as ``.scores.rim``,
        which is empty for the value itself.
    """
    origin, inner = get_origin(kind), [misfit_of(each) for each in get_args(kind)]
    if is_typeddict(kind):
        return _of_typed(kind)
    if origin is dict:
        return lambda value: _first(inner[1], value.items()) if type(value) is dict else ""
    if origin is list:
        return lambda value: _first(inner[0], enumerate(value)) if type(value) is list else ""
    if origin is UnionType:
        return lambda value: None if any(fits(value) is None for fits in inner) else ""
    if kind is Any:
        return lambda value: None
    classes = (int, float) if kind is float else (kind,)
    return lambda value: None if type(value) in classes else ""  # not isinstance: true is no number


def _of_typed(kind: Any) -> Callable[[Any], str | None]:
    known = {key: misfit_of(each) for key, each in get_type_hints(kind).items()}
    required = kind.__required_keys__

    def misfit(value: Any) -> str | None:
        if type(value) is not dict:
            return ""
        if lacking := required - value.keys():
            return f".{min(lacking)}"
        for key, find in known.items():
            if key in value and (where := find(value[key])) is not None:
                return f".{key}{where}"
        return None

    return misfit


def _first(find: Callable[[Any], str | None], items: Any) -> str | None:
    return next((f".{key}{where}" for key, value in items if (where := find(value)) is not None), None)
