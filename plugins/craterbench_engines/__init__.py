"""Where the trials of a search run: on this machine, or on a Dask cluster."""

from craterbench.plugin import EngineSpec, hookimpl


@hookimpl
def bench_engines() -> list[EngineSpec]:
    return [
        EngineSpec(
            name="local",
            summary="processes on this machine",
            target="craterbench.host.local:open_engine",
        ),
        EngineSpec(
            name="dask",
            summary="the workers of a Dask cluster, on any number of machines",
            target="craterbench_engines.in_dask:open_engine",
            requires=("distributed",),
            extra="dask",
        ),
    ]
