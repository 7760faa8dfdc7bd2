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


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The parameters of a shift.

    Attributes:
        shift: largest distance, as a share of the side, either way.
    """

    shift: Annotated[float, Range(0.0, 1.0, search=(0.0, 0.3))] = 0.1


@dataclass(frozen=True, kw_only=True)
class Shear:
    """The parameters of a shear.

    Attributes:
        angle: largest angle, in degrees, either way.
    """

    angle: Annotated[float, Range(0.0, 80.0, search=(0.0, 30.0))] = 10.0


@dataclass(frozen=True, kw_only=True)
class Elastic:
    """The parameters of an elastic deformation.

    Attributes:
        displacement: root mean square of what a pixel moves across, and down, in pixels.
        smoothness: standard deviation of the Gaussian that smooths the field, in pixels.
    """

    displacement: Annotated[float, Range(0.0, 20.0, search=(0.0, 3.0))] = 1.0
    smoothness: Annotated[float, Range(0.5, 100.0, search=(3.0, 12.0))] = 6.0


@dataclass(frozen=True, kw_only=True)
class Brightness:
    """The parameters of a change of brightness.

    Attributes:
        brightness: largest change, either way, where black is 0 and white 1.
    """

    brightness: Annotated[float, Range(0.0, 1.0, search=(0.0, 0.4))] = 0.2


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The parameters of a change of contrast.

    Attributes:
        contrast: largest change, as a share, either way.
    """

    contrast: Annotated[float, Range(0.0, 1.0, search=(0.0, 0.8))] = 0.3


@dataclass(frozen=True, kw_only=True)
class Gamma:
    """The parameters of a gamma curve.

    Attributes:
        gamma: largest power; the smallest is 1 / ``gamma``.
    """

    gamma: Annotated[float, Range(1.0, 10.0, search=(1.0, 3.0))] = 1.5


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The parameters of noise.

    Attributes:
        deviation: largest standard deviation, where black is 0 and white 1.
    """

    deviation: Annotated[float, Range(0.0, 1.0, search=(0.0, 0.2))] = 0.05


@dataclass(frozen=True, kw_only=True)
class Blur:
    """The parameters of a Gaussian blur.

    Attributes:
        deviation: largest standard deviation, in pixels.
    """

    deviation: Annotated[float, Range(0.0, 20.0, search=(0.0, 2.0))] = 1.0


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """The parameters of a cutout.

    Attributes:
        side: of the square, as a share of the image's shorter side.
    """

    side: Annotated[float, Range(0.0, 1.0, search=(0.0, 0.5))] = 0.25


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
        AugmentationSpec(
            name="quarter-turns",
            summary="turn by 0, 90, 180 or 270 degrees",
            target="craterbench_augment.flips:quarter_turns",
        ),
        AugmentationSpec(
            name="shift",
            summary="move across and down",
            target="craterbench_augment.warps:shift",
            parameters=Shift,
        ),
        AugmentationSpec(
            name="shear",
            summary="shear along the rows",
            target="craterbench_augment.warps:shear",
            parameters=Shear,
        ),
        AugmentationSpec(
            name="elastic",
            summary="move every pixel by a smooth random field",
            target="craterbench_augment.warps:elastic",
            parameters=Elastic,
        ),
        AugmentationSpec(
            name="brightness",
            summary="add a grey value",
            target="craterbench_augment.grey:brightness",
            geometric=False,
            parameters=Brightness,
        ),
        AugmentationSpec(
            name="contrast",
            summary="stretch or squeeze the grey values about their mean",
            target="craterbench_augment.grey:contrast",
            geometric=False,
            parameters=Contrast,
        ),
        AugmentationSpec(
            name="gamma",
            summary="raise the grey values to a power",
            target="craterbench_augment.grey:gamma",
            geometric=False,
            parameters=Gamma,
        ),
        AugmentationSpec(
            name="noise",
            summary="add normal noise",
            target="craterbench_augment.grey:noise",
            geometric=False,
            parameters=Noise,
        ),
        AugmentationSpec(
            name="blur",
            summary="blur by a Gaussian",
            target="craterbench_augment.grey:blur",
            geometric=False,
            parameters=Blur,
        ),
        AugmentationSpec(
            name="cutout",
            summary="replace a square of the image by its mean",
            target="craterbench_augment.grey:cutout",
            geometric=False,
            parameters=Cutout,
        ),
    ]
