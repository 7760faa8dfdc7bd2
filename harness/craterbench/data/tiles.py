"""Cut tiles, images of any size with a catalogue of craters, into a data set of chips, as the built-in one was cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from craterbench.data.catalogue import CATALOGUE_SUFFIXES, read_catalogue
from craterbench.data.chips import Window, crater_mask, deal, overlap_groups, resample, shown, stretch, windows_around
from craterbench.data.dataset import Dataset
from craterbench.data.georeference import Georeference, read_georeference
from craterbench.data.ground import Ground
from craterbench.data.image_files import IMAGE_SUFFIXES
from craterbench.data.raster import Raster, open_raster
from craterbench.data.rims import doubt_diameters
from craterbench.data.values import Arrays, make_dataset
from craterbench.plugin import UserError
from craterbench.plugin.errors import nearest

__all__ = ["NO_TEST", "REGIONS", "Tile", "cut_tiles", "find_tiles"]

Floats = npt.NDArray[np.float64]

#: Instead of the name of the tile that tests: regions of each tile, or nothing.
REGIONS, NO_TEST = "regions", "none"

#: A tile is divided into regions along its longer side; those that test stand once in every row and every column of
#: five by five regions, as in the built-in data set.
_DIVISIONS = 5
_TEST_REGIONS = frozenset({(0, 2), (1, 4), (2, 1), (3, 3), (4, 0)})  # row, column

#: One chip in so many tests.
_TEST_SHARE = 5

#: The diameter of the widest crater that a window may show a part of, in sides of the window.
_WIDEST = 0.75


@dataclass(frozen=True)
class Tile:
    """An image and the catalogue of its craters."""

    image: Path
    catalogue: Path

    @property
    def name(self) -> str:
        """The name of the image without its ending."""
        return self.image.stem


@dataclass(frozen=True)
class _Open:
    """A tile that is open: its raster, its craters in pixels, (M, 3), and how many of its catalogue lie elsewhere."""

    tile: Tile
    raster: Raster
    craters: Floats
    elsewhere: int
    georeference: Georeference | None


@dataclass(frozen=True)
class _Chip:
    """A chip: the number of its tile, its window and its pixels, uint8 (size, size)."""

    tile: int
    window: Window
    pixels: npt.NDArray[np.uint8]


def find_tiles(path: Path) -> list[Tile]:
    """Return the tile of an image, or those of a folder, each with the catalogue of the same name beside it.

    Raises:
        UserError: there is none, or an image lacks its catalogue or has several.
    """
    if path.is_dir():
        images = sorted(each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES)
        if not images:
            endings = ", ".join(sorted(IMAGE_SUFFIXES))
            raise UserError(
                f"{path}: has no image; put tiles ({endings}) there, each with its catalogue (a.tif, a.csv)"
            )
    elif path.exists():
        if path.suffix.lower() in CATALOGUE_SUFFIXES:
            raise UserError(f"{path}: is a catalogue; name the image that it belongs to, or the folder of both")
        images = [path]
    else:
        raise UserError(f"{path}: there is no such file; name a tile, or a folder of tiles, with --data PATH")
    for one, other in itertools.pairwise(images):
        if one.stem == other.stem:
            raise UserError(f"{one}: {other.name} has the same name without its ending; rename one of them")
    return [Tile(image, _catalogue_of(image)) for image in images]


def cut_tiles(
    tiles: Sequence[Tile], *, size: int, number: int, smallest: float, test: str = REGIONS, seed: int = 0
) -> Dataset:
    """Cut chips around the craters of tiles.

    Each crater of the least diameter on is shown in turn, in windows of half a chip's side and wider, which are
    resampled by area and stretched to the whole range of grey values. Windows with pixels that were not observed are
    left out, as are those that cross from what tests to what does not. A fifth of the chips test.

    Windows that overlap, in one tile or by the georeferences of several, are one group; no pixel and no ground is in
    the test part and outside of it.

    Args:
        size: of the chips, in pixels.
        number: of chips; fewer if there are not as many windows.
        smallest: the least diameter of a crater that chips are cut around, in pixels of the tile.
        test: the name of the tile that tests, ``"regions"`` of each tile, or ``"none"``.

    Raises:
        UserError: naming the tile or its catalogue, what is wrong with it and what cures it.
    """
    names = [tile.name for tile in tiles]
    if test not in (REGIONS, NO_TEST, *names):
        raise UserError(f"test: no tile is called {test!r}; {nearest(test, (REGIONS, NO_TEST, *names))}")
    if len(tiles) == 1 and test in names:
        raise UserError(f"test: {test!r} is the only tile, so that none is left to train on; give {REGIONS!r}")
    with ExitStack() as stack:
        opened = [_open(tile, stack, size) for tile in tiles]
        choices = [_choices(each, size, smallest) for each in opened]
        if not any(itertools.chain(*choices)):
            raise UserError(_nothing_shown(opened, size, smallest))
        test_chips: list[_Chip] = []
        num_test = 0 if test == NO_TEST else max(1, round(number / _TEST_SHARE))
        if num_test:
            test_chips = _cut(opened, _of_part(choices, opened, test, tests=True), num_test, size, seed, [])
            if not test_chips:
                where = f"where the test is ({test})"
                raise UserError(_no_window(tiles, where, f"set test to another tile or to {NO_TEST!r}"))
        kept = _of_part(choices, opened, test, tests=False)
        chips = _cut(opened, kept, number - num_test, size, seed, test_chips)
        if not chips:
            raise UserError(_no_window(tiles, "outside of the test", f"set test to {NO_TEST!r}"))
        return _dataset(opened, chips, test_chips, size)


def _catalogue_of(image: Path) -> Path:
    found = sorted(
        each for each in image.parent.glob(f"{_escaped(image.stem)}.*") if each.suffix.lower() in CATALOGUE_SUFFIXES
    )
    if not found:
        raise UserError(
            f"{image}: has no catalogue; put {image.stem}.csv beside it, a line for each crater: x, y and diameter in "
            "pixels, or longitude, latitude and diameter_km"
        )
    if len(found) > 1:
        raise UserError(f"{image}: has several catalogues ({', '.join(each.name for each in found)}); keep one")
    return found[0]


def _escaped(stem: str) -> str:
    """Return a name as a pattern of glob."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)


def _open(tile: Tile, stack: ExitStack, size: int) -> _Open:
    raster = stack.enter_context(open_raster(tile.image))
    if min(raster.height, raster.width) < size / 2:
        raise UserError(
            f"{tile.image}: is {raster.width}x{raster.height} pixels, less than the smallest window of chips of "
            f"{size}; give a larger tile, or set size lower"
        )
    catalogue, georeference = read_catalogue(tile.catalogue), read_georeference(tile.image)
    if not len(catalogue):
        raise UserError(f"{tile.catalogue}: has no crater; give a line for each")
    craters = catalogue.circles()
    if craters is None:
        if georeference is None:
            raise UserError(
                f"{tile.catalogue}: has longitudes and latitudes, and {tile.image.name} has no georeference that leads "
                "from them to pixels; give a GeoTIFF, or x, y and diameter in pixels"
            )
        craters = georeference.to_image(catalogue).circles()
        assert craters is not None
        if not len(craters):
            raise UserError(_elsewhere(tile, georeference, catalogue.on_body()))
    else:
        _check_inside(tile, raster, craters)
    return _Open(tile, raster, craters, len(catalogue) - len(craters), georeference)


def _check_inside(tile: Tile, raster: Raster, craters: Floats) -> None:
    """Refuse a catalogue in pixels that has craters beside the image."""
    x, y, diameter = craters.T
    across, down = x - np.clip(x, 0, raster.width), y - np.clip(y, 0, raster.height)
    off = np.flatnonzero(np.hypot(across, down) >= diameter / 2)
    if len(off):
        first = ", ".join(
            f"{name} {value:g}" for name, value in zip(("x", "y", "diameter"), craters[off[0]], strict=True)
        )
        raise UserError(
            f"{tile.catalogue}: {len(off)} of {len(craters)} craters are off {tile.image.name}, which is "
            f"{raster.width}x{raster.height} pixels, first {first}; is it the catalogue of another tile, or are the "
            "columns in another order? name them x, y and diameter"
        )


def _elsewhere(tile: Tile, georeference: Georeference, on_body: Floats | None) -> str:
    assert on_body is not None
    corners = georeference.to_lonlat([0, georeference.width], [georeference.height, 0])
    covers = " and ".join(
        f"{what} {low:.4g} to {high:.4g}"
        for what, (low, high) in zip(("longitudes", "latitudes"), corners, strict=True)
    )
    low, high = on_body.min(axis=0), on_body.max(axis=0)
    held = f"longitudes {low[0]:.4g} to {high[0]:.4g} and latitudes {low[1]:.4g} to {high[1]:.4g}"
    return (
        f"{tile.catalogue}: none of its {len(on_body)} craters is on {tile.image.name}, which covers {covers}; the "
        f"catalogue has {held}: is it of another tile, are the names of its columns swapped, or do its longitudes "
        "count westwards?"
    )


def _choices(tile: _Open, size: int, smallest: float) -> list[list[Window]]:
    """Return the windows that show each crater of the least diameter on.

    Windows are half a chip wide, two thirds, and so on, each time doubled, as far as the tile goes.
    """
    extent = tile.raster.height, tile.raster.width
    doubled = itertools.takewhile(lambda side: side <= min(extent), (round(size / 2) * 2**n for n in itertools.count()))
    sides = {side for narrow in doubled for side in (narrow, round(narrow * 4 / 3)) if side <= min(extent)}
    wanted = tile.craters[tile.craters[:, 2] >= smallest]
    return [windows_around(crater, sides=tuple(sorted(sides)), extent=extent) for crater in wanted]


def _of_part(
    choices: list[list[list[Window]]], opened: list[_Open], test: str, *, tests: bool
) -> list[list[tuple[int, Window]]]:
    """Return the choices of each crater that lie in what tests, or in what does not, with the number of their tile."""
    return [
        [(number, window) for window in windows if _is_test(window, tile, test) is tests]
        for number, (tile, craters) in enumerate(zip(opened, choices, strict=True))
        for windows in craters
    ]


def _is_test(window: Window, tile: _Open, test: str) -> bool | None:
    """Return whether a window lies in what tests, or ``None`` if it also has pixels in the rest."""
    if test != REGIONS:
        return tile.tile.name == test
    region = -(-max(tile.raster.height, tile.raster.width) // _DIVISIONS)
    down, across = (range(start // region, (start + window.side - 1) // region + 1) for start in (window.y, window.x))
    inside = {place in _TEST_REGIONS for place in itertools.product(down, across)}
    return inside.pop() if len(inside) == 1 else None


def _cut(
    opened: list[_Open],
    choices: list[list[tuple[int, Window]]],
    number: int,
    size: int,
    seed: int,
    beside: list[_Chip],
) -> list[_Chip]:
    """Return chips of windows as they are dealt, but for those that cannot be shown or share ground with others."""
    taken = Ground([each.georeference for each in opened], [(chip.tile, chip.window) for chip in beside])
    good = (
        _Chip(tile, window, pixels)
        for tile, window in deal(choices, None, seed=seed)
        if not taken.shared(tile, window) and (pixels := _pixels(opened[tile], window, size)) is not None
    )
    return list(itertools.islice(good, number))


def _pixels(tile: _Open, window: Window, size: int) -> npt.NDArray[np.uint8] | None:
    """Return the pixels of a chip, or ``None`` if they were not all observed, show nothing, or too wide a crater."""
    if tile.craters[shown(tile.craters, window), 2].max(initial=0) > _WIDEST * window.side:
        return None
    pixels = tile.raster.read(window.x, window.y, window.side, window.side)
    if pixels.min() == pixels.max() or tile.raster.missing(pixels).any():
        return None
    chip: npt.NDArray[Any] = resample(_whole(pixels), size)
    stretched: npt.NDArray[np.uint8] = stretch(chip[None])[0]
    return stretched


def _whole(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return grey values as integers of at most 16 bits from 0 on; the order of values and their distances stay."""
    if pixels.dtype.kind in "bu" and pixels.dtype.itemsize <= 2:
        return pixels.astype(np.int64)
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind in "iu" and int(high) - int(low) < 2**16:
        return pixels.astype(np.int64) - int(low)
    span = float(high) - float(low)
    return np.rint((pixels.astype(np.float64) - float(low)) * ((2**16 - 1) / span)).astype(np.int64)


def _dataset(opened: list[_Open], chips: list[_Chip], test_chips: list[_Chip], size: int) -> Dataset:
    every = chips + test_chips
    groups = _groups(opened, every)
    masks, circles = [], []
    for chip in every:
        craters = opened[chip.tile].craters
        visible = craters[shown(craters, chip.window)]
        masks.append(crater_mask(visible, chip.window, size))
        start = np.array([chip.window.x, chip.window.y, 0])
        circles.append((visible - start) * (size / chip.window.side))
    names = [f"{opened[c.tile].tile.name} x={c.window.x} y={c.window.y} side={c.window.side}" for c in every]
    parts = [
        Arrays(
            np.stack([chip.pixels for chip in every[rows]]),
            np.stack(masks[rows]),
            groups[rows],
            tuple(names[rows]),
            tuple(circles[rows]),
        )
        for rows in (slice(len(chips)), slice(len(chips), None))
        if every[rows]
    ]
    source = ", ".join(str(tile.tile.image) for tile in opened)
    made = make_dataset(*parts, source=source, scale="byte", notes=list(_notes(opened, chips, test_chips)))
    doubts = [(tile.tile.catalogue, doubt_diameters(tile.raster, tile.craters)) for tile in opened]
    return replace(made, warnings=(*made.warnings, *(f"{path.name}: {doubt}" for path, doubt in doubts if doubt)))


def _groups(opened: list[_Open], chips: list[_Chip]) -> npt.NDArray[np.int64]:
    """Return a group for each chip: chips that share a pixel of a tile, or ground, share a group."""
    tiles = np.array([chip.tile for chip in chips])
    numbers = np.zeros(len(chips), np.int64)
    for tile in np.unique(tiles):
        rows = np.flatnonzero(tiles == tile)
        numbers[rows] = overlap_groups([chips[row].window for row in rows]) + numbers.max() + 1
    ground = Ground([each.georeference for each in opened], [(chip.tile, chip.window) for chip in chips])
    together = ground.pairs()
    together |= numbers[:, None] == numbers[None, :]
    _, groups = connected_components(coo_array(together), directed=False)
    return np.asarray(groups, dtype=np.int64)


def _notes(opened: list[_Open], chips: list[_Chip], test_chips: list[_Chip]) -> Iterator[str]:
    """Say how the chips were cut."""
    for number, tile in enumerate(opened):
        held = sum(chip.tile == number for chip in chips), sum(chip.tile == number for chip in test_chips)
        said = f"{tile.tile.image.name}: {held[0]} chips to train on and {held[1]} to test, {len(tile.craters)} craters"
        if tile.elsewhere:
            said += f"; {tile.elsewhere} more of the catalogue are not on the tile"
        yield said + (f"; {tile.raster.note}" if tile.raster.note else "")
    unknown = [tile.tile.name for tile in opened if tile.georeference is None]
    if len(opened) > 1 and unknown:
        yield f"{', '.join(unknown)}: no georeference, so taken to share no ground with another tile"


def _no_window(tiles: Sequence[Tile], where: str, cure: str) -> str:
    images = ", ".join(str(tile.image) for tile in tiles)
    return (
        f"{images}: no window around a crater lies {where}, with pixels that were all observed, more than one grey "
        f"value and no crater wider than {_WIDEST} of it; {cure}, or smallest or size lower"
    )


def _nothing_shown(opened: list[_Open], size: int, smallest: float) -> str:
    widest = max(tile.craters[:, 2].max() for tile in opened)
    where = ", ".join(str(tile.tile.catalogue) for tile in opened)
    return (
        f"{where}: no window of {round(size / 2)} pixels or more shows one of its craters; the widest has a diameter "
        f"of {widest:.4g} pixels, and chips are cut around those of {smallest:g} and wider; set "
        "smallest or size lower"
    )
