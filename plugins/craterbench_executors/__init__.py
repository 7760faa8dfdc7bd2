"""The executors: worker processes on this machine, or the workers of a Dask cluster."""

from craterbench.plugin import ExecutorSpec, hookimpl


@hookimpl
def bench_executors() -> list[ExecutorSpec]:
    return [
        ExecutorSpec(
            name="local",
            summary="processes on this machine",
            target="craterbench.execution.local:open_executor",
        ),
        ExecutorSpec(
            name="dask",
            summary="the workers of a Dask cluster, on any number of machines",
            target="craterbench_executors.dask:open_executor",
            requires=("distributed",),
            extra="dask",
        ),
    ]
