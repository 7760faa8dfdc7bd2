"""The losses."""

from craterbench.plugin import LossSpec, hookimpl


@hookimpl
def bench_losses() -> list[LossSpec]:
    return [
        LossSpec(
            name="bce",
            summary="binary cross-entropy, the mean over all pixels",
            target={"keras": "craterbench_losses.in_keras:bce", "sklearn": "craterbench_losses.in_sklearn:bce"},
        )
    ]
