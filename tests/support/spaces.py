"""Spaces as the command line asks for them, and what is in them."""

from __future__ import annotations

from craterbench.config.resolve import Override, resolve
from craterbench.search.space.overrides import SpaceOverrides, parse_space_overrides
from craterbench.search.space.space import Space, build_space


def space(registry, vary="", fix=(), file=None, *, name="reference", framework="torch") -> Space:
    space_overrides = parse_space_overrides([vary] if vary else [], fix, file)
    return build_space(registry, resolve(registry, name, fixed(space_overrides, framework)).benchmark, space_overrides)


def fixed(space_overrides: SpaceOverrides, framework: str) -> list[Override]:
    return [Override("framework", framework, "--framework"), *space_overrides.fixed]


def names(space: Space) -> list[str]:
    return [parameter.name for parameter in space.parameters]


def parameter(space: Space, name: str) -> dict[str, object]:
    (found,) = (each.as_json() for each in space.parameters if each.name == name)
    return found
