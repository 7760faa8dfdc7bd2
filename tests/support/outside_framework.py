"""A framework as an outside author would bring it, with code for the reference's components, which others brought."""

from __future__ import annotations

from pathlib import Path

from installed import install

#: Its session is PyTorch's, which it calls by another name: what is tested is that nobody else has to know of it.
_CODE = """
from craterbench.plugin import FrameworkSpec, Implementation, hookimpl

CODE = {
    ("model", "unet"): "craterbench_unet.torch:build",
    ("loss", "bce"): "craterbench_losses.torch:bce",
    ("optimizer", "adam"): "outside_code:adam",
}


@hookimpl
def bench_frameworks():
    return [
        FrameworkSpec(
            name="outside",
            summary="a framework from elsewhere",
            target="outside_code:Session",
            precisions=("float32", "float64"),
            requires=("torch",),
            distributions=("torch",),
        )
    ]


@hookimpl
def bench_implementations():
    return [
        Implementation(kind=kind, name=name, framework="outside", target=target)
        for (kind, name), target in CODE.items()
    ]
"""

_SESSION = """
import craterbench_optimizers.torch
from craterbench_frameworks.torch import TorchSession

RATE = {rate}


class Session(TorchSession):
    def train_epoch(self, images, masks, batches, rates):
        return super().train_epoch(images, masks, batches, rates * RATE)


adam = craterbench_optimizers.torch.adam
"""

_BENCHMARK = """
summary = "a small reference"
extends = "reference"
framework = "{framework}"
dataset = {{ name = "synthetic", images = 60, size = 16 }}
model = {{ name = "unet", filters = 4, depth = 2 }}
training = {{ epochs = 2 }}
"""


def put(folder: Path, *, rate: float = 1.0) -> Path:
    """Install the framework in a folder, and return that; with another ``rate`` than 1 it is wrong."""
    install(folder, "outside", _CODE)
    (folder / "outside_code.py").write_text(_SESSION.format(rate=rate))
    return folder


def write_benchmarks(folder: Path, *frameworks: str) -> None:
    """Write a small reference in each framework, ``FRAMEWORK.toml``."""
    for framework in frameworks:
        (folder / f"{framework}.toml").write_text(_BENCHMARK.format(framework=framework))
