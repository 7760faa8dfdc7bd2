"""Data sets that are read from files or made."""

from dataclasses import dataclass
from typing import Annotated

from craterbench.plugin import DatasetSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class File:
    """The parameters of a data set that is read.

    Attributes:
        path: the file, or for ``course`` the folder.
    """

    path: str


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """The parameters of made-up images.

    Attributes:
        images: number of images for training and validation.
        test_images: number of images for the test.
        size: height and width, in pixels.
        seed: of the images; it does not move with a run's seed.
    """

    images: Annotated[int, Range(4, 100_000)] = 200
    test_images: Annotated[int, Range(1, 100_000)] = 50
    size: Annotated[int, Range(16, 512)] = 48
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """The parameters of chips that are cut from tiles around their craters.

    Attributes:
        path: an image with its catalogue beside it (``a.tif`` and ``a.csv``), or a folder of them.
        size: height and width of the chips, in pixels.
        chips: number of chips, those of the test included; fewer if the tiles do not have as many.
        smallest: the least diameter of a crater that chips are cut around, in pixels of the tile.
        test: the name of the tile that tests; ``regions`` takes a fifth of each tile, ``none`` leaves it to the split.
        seed: of the chips; it does not move with a run's seed.
    """

    path: str
    size: Annotated[int, Range(8, 1024)] = 48
    chips: Annotated[int, Range(4, 100_000)] = 700
    smallest: Annotated[float, Range(1, 10_000)] = 10.0
    test: str = "regions"
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0


@hookimpl
def bench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="course",
            summary="Xtrain2_b.npy and Ytrain2_b.npy in one folder, as the reference's authors had them",
            target="craterbench_datasets.files:course",
            parameters=File,
            provenance="course project 'Image Segmentation of Martian Craters using U-Net CNN', 2025",
            licence="not published with a licence; bring your own copy",
        ),
        DatasetSpec(
            name="npz",
            summary="one npz file with the arrays images, masks and, if wanted, groups",
            target="craterbench_datasets.files:npz",
            parameters=File,
            provenance="the user's own file",
            licence="the user's own",
        ),
        DatasetSpec(
            name="synthetic",
            summary="craters of shaded relief, made from a seed",
            target="craterbench_datasets.synthetic:synthetic",
            parameters=Synthetic,
            provenance="made by craterbench",
            licence="MIT",
        ),
        DatasetSpec(
            name="tile",
            summary="chips cut around the craters of tiles or mosaics of any size, each with a catalogue",
            target="craterbench_datasets.tile:tile",
            parameters=Tiles,
            provenance="the user's own images and catalogues",
            licence="the user's own",
        ),
    ]
