"""Data sets that are read from files or made."""

from dataclasses import dataclass
from typing import Annotated, Literal

from craterbench.plugin import DatasetSpec, Range, hookimpl


@dataclass(frozen=True, kw_only=True)
class Values:
    """What the values of images and masks mean; the parameters that all data sets of files share.

    Attributes:
        scale: how grey values become [0, 1], for all images of a data set alike. ``unit``, ``byte`` and ``uint16`` are
            0 to 1, to 255 and to 65535; ``minmax`` is from the lowest to the highest of them; ``auto`` finds out which
            of the first three it is, or refuses.
        mask_threshold: the least value of a mask that is crater, for masks of more than two values.
        ignore: the value of a mask where nobody knows; such pixels are left out of objective and statistics.
    """

    scale: Literal["auto", "unit", "byte", "uint16", "minmax"] = "auto"
    mask_threshold: float | None = None
    ignore: Annotated[int, Range(0, 65535)] | None = None


@dataclass(frozen=True, kw_only=True)
class File(Values):
    """The parameters of a data set in NumPy files.

    Attributes:
        path: the file, or for ``course`` the folder.
    """

    path: str


@dataclass(frozen=True, kw_only=True)
class Folder(Values):
    """The parameters of a folder of images and masks.

    Attributes:
        path: the folder.
        mask_suffix: what the stem of a mask has more than that of its image, where they lie side by side.
    """

    path: str
    mask_suffix: str = "_mask"


@dataclass(frozen=True, kw_only=True)
class Coco(Values):
    """The parameters of a COCO file.

    Attributes:
        path: the JSON file.
        category: the name of the category that is crater; may be left out if there is one.
    """

    path: str
    category: str | None = None


@dataclass(frozen=True, kw_only=True)
class Yolo(Values):
    """The parameters of a folder of images with YOLO's text files.

    Attributes:
        path: the folder.
        category: the number of the class that is crater; may be left out if there is one.
    """

    path: str
    category: Annotated[int, Range(0, 100_000)] | None = None


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
            name="folder",
            summary="a folder with images and masks: PNG, JPEG, TIFF, GeoTIFF or PGM",
            target="craterbench_datasets.folder:folder",
            parameters=Folder,
            provenance="the user's own folder",
            licence="the user's own",
        ),
        DatasetSpec(
            name="coco",
            summary="a COCO JSON file, whose polygons and run lengths become masks, and its images",
            target="craterbench_datasets.annotations:coco",
            parameters=Coco,
            provenance="the user's own annotations",
            licence="the user's own; COCO files list licences of images",
        ),
        DatasetSpec(
            name="yolo",
            summary="a folder with images and YOLO's text files, whose boxes and polygons become masks",
            target="craterbench_datasets.annotations:yolo",
            parameters=Yolo,
            provenance="the user's own annotations",
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
            stretched=True,
        ),
    ]
