"""Spaces as the command line asks for them, and what is in them."""

from __future__ import annotations

from craterbench.definition.overrides import Override, resolve
from craterbench.search.space import Space, build_space
from craterbench.search.wishes import Wishes, read_wishes


def space(registry, vary="", fix=(), file=None, *, name="reference", framework="torch") -> Space:
    wishes = read_wishes([vary] if vary else [], fix, file)
    return build_space(registry, resolve(registry, name, fixed(wishes, framework)).benchmark, wishes)


def fixed(wishes: Wishes, framework: str) -> list[Override]:
    return [Override("framework", framework, "--framework"), *wishes.fixed]


def names(space: Space) -> list[str]:
    return [parameter.name for parameter in space.parameters]


def parameter(space: Space, name: str) -> dict[str, object]:
    (found,) = (each.as_json() for each in space.parameters if each.name == name)
    return found
