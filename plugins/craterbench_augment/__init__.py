"""Augmentations: NumPy arrays in, NumPy arrays out, image and mask changed alike."""

from dataclasses import dataclass
from typing import Annotated

from craterbench.plugin import AugmentationSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class RotateZoom:
    """The parameters of a rotation and zoom.

    Attributes:
        rotation: largest angle, in degrees, either way.
        zoom: largest change of size, as a share, either way.
    """

    rotation: Annotated[float, Range(0.0, 180.0)] = 20.0
    zoom: Annotated[float, Range(0.0, 0.9, search=(0.0, 0.5))] = 0.3


@hookimpl
def bench_augmentations() -> list[AugmentationSpec]:
    return [
        AugmentationSpec(
            name="rotate-zoom",
            summary="turn about the centre and zoom, one warp for image and mask",
            target="craterbench_augment.warps:rotate_zoom",
            parameters=RotateZoom,
        ),
        AugmentationSpec(
            name="flips",
            summary="mirror left to right and top to bottom, each with probability 1/2",
            target="craterbench_augment.flips:flips",
        ),
    ]
