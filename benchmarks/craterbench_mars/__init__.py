"""Benchmarks on Mars: the definitions, the built-in chips and the published figures."""

from pathlib import Path

from craterbench.plugin import BenchmarkSpec, DatasetSpec, PublishedResult, benchmarks_in, hookimpl, published_in

_HERE = Path(__file__).parent


@hookimpl
def bench_benchmarks() -> list[BenchmarkSpec]:
    return benchmarks_in(_HERE)


@hookimpl
def bench_published() -> list[PublishedResult]:
    return published_in(_HERE / "published.toml")


@hookimpl
def bench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="mars-hrsc",
            summary="48x48 chips around craters in Xanthe Terra, cut from one HRSC image; the default, built in",
            target="craterbench_mars.chips:mars_hrsc",
            provenance="HRSC nadir image h0905_0000, 12.5 m a pixel, ESA/DLR/FU Berlin; labels of pycda 0.1.16",
            licence="CC BY-SA 3.0 IGO",
            stretched=True,
        )
    ]
