"""``bench show``: a benchmark, resolved."""

from __future__ import annotations

import click

from craterbench.plugin.registry import Registry

__all__ = ["show_command"]


@click.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """Show the benchmark NAME, or one in a TOML file: every value, and where it comes from."""
    from craterbench.config.resolve import flatten, resolve

    resolved = resolve(Registry.installed(), name)
    values = flatten(resolved.benchmark.as_dict())
    width = max(len(f"{key} = {_toml(value)}") for key, value in values.items() if key != "summary")
    for key, value in values.items():
        click.echo(f"{f'{key} = {_toml(value)}':{width}}  # {resolved.sources[key]}")


def _toml(value: object) -> str:
    import tomli_w

    if value == {}:
        return "{}"  # an augmentation without parameters
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()
