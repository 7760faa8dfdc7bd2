"""The data set ``tile``: chips cut from files that these tests write."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from craterbench.data.chips import Window, crater_mask, cut
from craterbench.data.dataset import Dataset, Subset
from craterbench.plugin import UserError
from craterbench_datasets import Tiles
from craterbench_datasets.tile import tile

SIDE = 600
SPHERE = "+proj=longlat +R=3396190 +no_defs"

#: Kilometres in a degree of a sphere as large as Mars.
DEGREE = np.pi / 180 * 3396.19


def relief(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Return grey values, uint8 (side, side), in which no two windows are alike."""
    return np.random.default_rng(seed).integers(0, 256, (side, side)).astype(np.uint8)


def craters(seed: int = 0, side: int = SIDE, number: int = 60) -> np.ndarray:
    """Return x, y and diameter, (M, 3)."""
    draw = np.random.default_rng([seed, 1])
    return np.column_stack([draw.uniform(0, side, (number, 2)), draw.uniform(5, 40, number)])


def write_csv(path: Path, circles: np.ndarray, names: str = "x,y,diameter") -> Path:
    path.write_text(names + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in circles.tolist()))
    return path


def write_tile(folder: Path, name: str = "a.png", seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    Image.fromarray(relief(seed)).save(path)
    write_csv(path.with_suffix(".csv"), craters(seed))
    return path


def write_geotiff(
    path: Path,
    pixels: np.ndarray,
    corner: tuple[float, float],
    crs: str = SPHERE,
    step: float = 1 / 64,
    **more: Any,
) -> Path:
    """Write a GeoTIFF of so many degrees a pixel, its upper left corner at a longitude and a latitude."""
    rasterio = pytest.importorskip("rasterio")
    transform = rasterio.Affine(step, 0, corner[0], 0, -step, corner[1])
    height, width = pixels.shape
    options = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype, "crs": crs, "transform": transform, **more}
    with rasterio.open(path, "w", height=height, width=width, **options) as file:
        file.write(pixels, 1)
    return path


def made(path: Path, **parameters: Any) -> Dataset:
    return tile(Tiles(path=str(path), **{"chips": 40, **parameters}))


def windows(part: Subset | None) -> list[tuple[str, Window]]:
    """Return the tile and the window of each chip, as its name says."""
    assert part is not None
    assert part.names is not None
    found = []
    for name in part.names:
        of, *values = name.split()
        x, y, side = (int(value.split("=")[1]) for value in values)
        found.append((of, Window(x, y, side)))
    return found


def overlap(one: Window, other: Window) -> bool:
    across = one.x < other.x + other.side and other.x < one.x + one.side
    return across and one.y < other.y + other.side and other.y < one.y + one.side


def test_chips_are_those_that_the_built_in_data_would_have(tmp_path: Path) -> None:
    dataset = made(write_tile(tmp_path))
    part = dataset.train_val
    assert len(part) == 32
    assert dataset.test is not None
    assert len(dataset.test) == 8
    for each in (part, dataset.test):
        images, masks = cut(relief(), craters(), [window for _, window in windows(each)], size=48)
        np.testing.assert_array_equal(np.rint(each.images[..., 0] * 255), images)
        np.testing.assert_array_equal(each.masks[..., 0], masks)
    assert dataset.digest() == made(tmp_path / "a.png").digest()
    assert dataset.digest() != made(tmp_path / "a.png", seed=1).digest()


@pytest.mark.parametrize("size", [32, 50, 64])
def test_chips_keep_their_circles(tmp_path: Path, size: int) -> None:
    part = made(write_tile(tmp_path), size=size).train_val
    assert part.images.shape[1:] == (size, size, 1)
    assert part.circles is not None
    for circles, mask, (_, window) in zip(part.circles, part.masks[..., 0], windows(part), strict=True):
        np.testing.assert_array_equal(crater_mask(circles, Window(0, 0, size), size), mask)
        in_tile = circles * (window.side / size) + [window.x, window.y, 0]
        for circle in in_tile:
            assert np.abs(craters() - circle).max(axis=1).min() < 1e-9


def test_other_circles_are_other_data(tmp_path: Path) -> None:
    """Two craters of which one hides the other have the mask of one, and other objects."""
    part = made(write_tile(tmp_path)).train_val
    assert part.circles is not None
    first = part.circles[0][:1]
    more = replace(part, circles=(np.concatenate([part.circles[0], first * [1, 1, 0.5]]), *part.circles[1:]))
    assert part.digest() != more.digest()
    assert replace(part, circles=None).digest() not in (part.digest(), more.digest())


def test_no_pixel_is_in_the_test_and_outside_of_it_and_what_overlaps_is_one_group(tmp_path: Path) -> None:
    dataset = made(write_tile(tmp_path), chips=300)
    outside, inside = windows(dataset.train_val), windows(dataset.test)
    assert not any(overlap(one, other) for (_, one), (_, other) in itertools.product(outside, inside))
    for row, other in itertools.combinations(range(len(outside)), 2):
        if overlap(outside[row][1], outside[other][1]):
            assert dataset.train_val.groups[row] == dataset.train_val.groups[other]
    assert len(np.unique(dataset.train_val.groups)) > 3


@pytest.mark.parametrize("name", ["a.pgm", "a.tif", "a.tiff", "a.PNG"])
def test_the_format_of_the_file_does_not_matter(tmp_path: Path, name: str) -> None:
    wanted = made(write_tile(tmp_path / "one"))
    assert made(write_tile(tmp_path / "two", name)).digest() == wanted.digest()


@pytest.mark.parametrize(
    ("dtype", "factor", "offset"), [("uint16", 200, 7), ("int16", 100, -9000), ("float32", 0.25, -3.5)]
)
def test_the_type_of_the_pixels_does_not_matter(tmp_path: Path, dtype: str, factor: float, offset: float) -> None:
    wanted = made(write_tile(tmp_path / "one"), chips=20)
    (tmp_path / "two").mkdir()
    pixels = (relief().astype(np.float64) * factor + offset).astype(dtype)
    write_geotiff(tmp_path / "two" / "a.tif", pixels, (0, 0))
    write_csv(tmp_path / "two" / "a.csv", craters())
    found = made(tmp_path / "two", chips=20)
    # Means of a few grey values are rounded before they are stretched, more finely where there are more of them.
    np.testing.assert_allclose(found.train_val.images, wanted.train_val.images, atol=1.6 / 255)
    np.testing.assert_array_equal(found.train_val.masks, wanted.train_val.masks)


def test_one_tile_tests_what_the_others_trained(tmp_path: Path) -> None:
    for seed, name in enumerate(["a.png", "b.png", "c.png"]):
        write_tile(tmp_path, name, seed)
    dataset = made(tmp_path, test="b", chips=60)
    assert {of for of, _ in windows(dataset.train_val)} == {"a", "c"}
    assert {of for of, _ in windows(dataset.test)} == {"b"}
    assert (len(dataset.train_val), len(windows(dataset.test))) == (48, 12)
    assert any("a, b, c: no georeference" in note for note in dataset.notes)
    assert made(tmp_path, test="none").test is None


def test_without_overlap_of_tiles_groups_are_of_one_tile(tmp_path: Path) -> None:
    for seed, name in enumerate(["a.png", "b.png"]):
        write_tile(tmp_path, name, seed)
    part = made(tmp_path, test="none", chips=80).train_val
    tiles = np.array([of for of, _ in windows(part)])
    for group in np.unique(part.groups):
        assert len(set(tiles[part.groups == group])) == 1


def test_pixels_that_were_not_observed_are_in_no_chip(tmp_path: Path) -> None:
    pixels = np.maximum(relief(), 1)
    pixels[:, 300:] = 0
    write_geotiff(tmp_path / "a.tif", pixels, (0, 0), nodata=0)
    write_csv(tmp_path / "a.csv", craters())
    dataset = made(tmp_path, test="none")
    assert all(window.x + window.side <= 300 for _, window in windows(dataset.train_val))


def pits(circles: np.ndarray) -> np.ndarray:
    """Return grey values, uint8 (SIDE, SIDE), of craters that are lit from the left."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    image = np.random.default_rng(0).normal(128, 4, (SIDE, SIDE))
    for x, y, diameter in circles:
        inside = np.hypot(columns - x, rows - y) <= diameter / 2
        image[inside] += 60 * (columns[inside] - x) / diameter
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("factor", "word"), [(1.0, None), (0.5, "twice as far out"), (2.0, "half as far out"), (0.9, None), (1.1, None)]
)
def test_radii_that_stand_for_diameters_are_warned_of(bench, tmp_path: Path, factor: float, word: str | None) -> None:
    across, down = np.meshgrid(np.arange(100, 600, 100.0), np.arange(100, 600, 100.0))
    circles = np.column_stack([across.ravel(), down.ravel(), np.linspace(20, 45, 25)])
    Image.fromarray(pits(circles)).save(tmp_path / "a.png")
    write_csv(tmp_path / "a.csv", circles * [1, 1, factor])
    warned = made(tmp_path, smallest=5).warnings
    if word is None:
        assert not warned
    else:
        assert [each.startswith("a.csv: rims seem to lie ") and word in each for each in warned] == [True]
    cut = bench(
        "data", "chips", str(tmp_path / "a.png"), "-o", str(tmp_path / "a.npz"), "--chips", "40", "--smallest", "5"
    )
    assert cut.exit_code == 0, cut.output
    assert ("\nwarning: a.csv: rims seem to lie " in cut.stdout) == (word is not None)


# On a body


def places(circles: np.ndarray, corner: tuple[float, float]) -> np.ndarray:
    """Return longitude, latitude and kilometres of circles in an image of ``write_geotiff``, near the equator."""
    longitude, latitude = corner[0] + circles[:, 0] / 64, corner[1] - circles[:, 1] / 64
    stretched = np.sqrt(np.cos(np.radians(latitude)))  # a pixel is narrower than it is high, away from the equator
    return np.column_stack([longitude, latitude, circles[:, 2] / 64 * DEGREE * stretched])


@pytest.mark.parametrize("name", ["a.csv", "a.scc", "a.diam"])
def test_degrees_and_kilometres_are_cut_as_pixels_are(tmp_path: Path, name: str) -> None:
    wanted = made(write_tile(tmp_path / "one"))
    (tmp_path / "two").mkdir()
    write_geotiff(tmp_path / "two" / "a.tif", relief(), (137, 5))
    lines = [*places(craters(), (137, 5)).tolist(), [12.0, 5.0, 30.0]]  # and one elsewhere on the body
    head = {
        "a.csv": "lon,lat,diameter_km\n",
        "a.scc": "Total_area = 1 <km^2>\ncrater = {lon,lat,diam\n",
        "a.diam": "area = 1\ncrater = {lon,lat,diameter\n",
    }[name]
    separator, end = (",", "") if name == "a.csv" else ("\t", "}\n")
    (tmp_path / "two" / name).write_text(head + "".join(separator.join(map(repr, line)) + "\n" for line in lines) + end)
    found = made(tmp_path / "two")
    assert any("60 craters; 1 more of the catalogue are not on the tile" in note for note in found.notes)
    assert found.train_val.names == wanted.train_val.names
    assert found.train_val.circles is not None
    assert wanted.train_val.circles is not None
    for one, other in zip(found.train_val.circles, wanted.train_val.circles, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.train_val.images, wanted.train_val.images)


@pytest.fixture(params=[1 / 64, 1 / 4742], ids=["926 m a pixel", "12.5 m a pixel"])
def overlapping(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two tiles of one mosaic; the 200 columns on the right of ``a`` are those on the left of ``b``."""
    mosaic, every = relief(side=1000)[:600], craters(side=1000, number=150)
    for name, start in (("a", 0), ("b", 400)):
        write_geotiff(
            tmp_path / f"{name}.tif",
            mosaic[:, start : start + 600],
            (137 + start * request.param, 5),
            step=request.param,
        )
        own = every - [start, 0, 0]
        inside = (own[:, 0] > 0) & (own[:, 0] < 600) & (own[:, 1] < 600)
        write_csv(tmp_path / f"{name}.csv", own[inside])
    return tmp_path


def in_mosaic(of: str, window: Window) -> Window:
    return Window(window.x + {"a": 0, "b": 400}[of], window.y, window.side)


def test_what_two_tiles_share_is_one_group(overlapping: Path) -> None:
    part = made(overlapping, test="none", chips=120).train_val
    chips = [(of, in_mosaic(of, window)) for of, window in windows(part)]
    between = 0
    for row, other in itertools.combinations(range(len(chips)), 2):
        if overlap(chips[row][1], chips[other][1]):
            assert part.groups[row] == part.groups[other]
            between += chips[row][0] != chips[other][0]
    assert between > 5
    assert len(np.unique(part.groups)) > 5


@pytest.mark.parametrize("test", ["a", "b", "regions"])
def test_ground_that_tests_is_shown_to_no_training(overlapping: Path, test: str) -> None:
    dataset = made(overlapping, test=test, chips=150)
    outside, inside = ([in_mosaic(*each) for each in windows(part)] for part in (dataset.train_val, dataset.test))
    assert not any(overlap(one, other) for one, other in itertools.product(outside, inside))
    assert len(outside) > 20
    assert len(inside) > 10


# Larger than memory

CUT = """
import json, resource, sys
from craterbench_datasets import Tiles
from craterbench_datasets.tile import tile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = tile(Tiles(path=sys.argv[1], test="none", chips=20))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(dataset.train_val), before, after]))
"""


@pytest.mark.parametrize("name", ["a.tif", "a.pgm"])
def test_an_image_larger_than_memory_is_read_in_windows(tmp_path: Path, name: str) -> None:
    side = 200_000  # 40 gigabytes, of which hardly any are written
    path = tmp_path / name
    # The first and the last pixels.
    places = [(0, 0), (side - SIDE, side - SIDE)]
    if name == "a.tif":
        rasterio = pytest.importorskip("rasterio")
        options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True, "BIGTIFF": "YES"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(path, "w", "GTiff", side, side, 1, dtype="uint8", **options) as file:
                for x, y in places:
                    file.write(relief(), 1, window=rasterio.windows.Window(x, y, SIDE, SIDE))
    else:
        head = b"P5\n%d %d\n255\n" % (side, side)
        with path.open("wb") as file:
            file.write(head)
            for x, y in places:
                for row, pixels in enumerate(relief()):
                    file.seek(len(head) + (y + row) * side + x)
                    file.write(pixels.tobytes())
    write_csv(tmp_path / "a.csv", np.concatenate([craters() + np.array([x, y, 0]) for x, y in places]))
    done = subprocess.run([sys.executable, "-c", CUT, str(path)], capture_output=True, text=True, check=True)
    number, before, after = json.loads(done.stdout)
    assert number == 20
    assert after - before < 300_000  # kilobytes


# What is refused


def a_tile(folder: Path) -> None:
    write_tile(folder)


def with_csv(content: str) -> Any:
    def write(folder: Path) -> None:
        a_tile(folder)
        (folder / "a.csv").write_text(content)

    return write


def georeferenced(crs: str = SPHERE, line: str = "140,1,30") -> Any:
    def write(folder: Path) -> None:
        write_geotiff(folder / "a.tif", relief(), (137, 5), crs=crs)
        (folder / "a.csv").write_text(f"lon,lat,diameter_km\n{line}\n")

    return write


def of_another_tile(folder: Path) -> None:
    a_tile(folder)
    write_csv(folder / "a.csv", craters() + np.array([SIDE * 3, 0, 0]))


def small(folder: Path) -> None:
    Image.fromarray(relief(side=20)).save(folder / "a.png")
    write_csv(folder / "a.csv", np.array([[10.0, 10, 8]]))


def black(folder: Path) -> None:
    a_tile(folder)
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(folder / "a.png")


def without_catalogue(folder: Path) -> None:
    a_tile(folder)
    (folder / "a.csv").unlink()


def two_catalogues(folder: Path) -> None:
    a_tile(folder)
    (folder / "a.scc").write_text("")


def two_images(folder: Path) -> None:
    write_tile(folder, "a.png")
    write_tile(folder, "a.tif")


def catalogue_alone(folder: Path) -> None:
    write_csv(folder / "a.csv", craters())


def text_as_image(folder: Path) -> None:
    a_tile(folder)
    (folder / "a.png").write_text("x,y,diameter\n")


def truncated(folder: Path) -> None:
    a_tile(folder)
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:5000])


REFUSED = [
    pytest.param(
        with_csv("x,y,d\n10,700,5\n"), {}, ["a.csv", "1 of 1 craters are off a.png", "x 10"], id="off the tile"
    ),
    pytest.param(of_another_tile, {}, ["60 of 60", "another tile"], id="catalogue of another tile"),
    pytest.param(with_csv("x,y,d\n-9,10,5\n"), {}, ["off a.png", "x -9"], id="left of the tile"),
    pytest.param(with_csv("x,y,d\n10,10,0\n"), {}, ["a.csv", "line 2", "diameter"], id="of no diameter"),
    pytest.param(with_csv("x,y,d\n10,10,20 px\n"), {}, ["line 2", "'20 px'", "unit"], id="a unit in a cell"),
    pytest.param(with_csv("x,y,d\n10,10,NaN\n"), {}, ["line 2", "no finite number"], id="NaN"),
    pytest.param(with_csv("x,y,d\r1,5,2,5,20,5\r"), {}, ["line 2", "semicolons"], id="decimal commas and CR"),
    pytest.param(with_csv("x,y,d\n"), {}, ["a.csv", "no crater"], id="no crater"),
    pytest.param(with_csv("lon,lat,km\n1,2,3\n"), {}, ["a.csv", "GeoTIFF", "in pixels"], id="no georeference"),
    pytest.param(with_csv("x,y,d\n300,300,4\n"), {}, ["diameter of 4 pixels", "set smallest"], id="all too small"),
    pytest.param(with_csv("x,y,d\n300,300,599\n"), {}, ["diameter of 599", "size lower"], id="too wide for the tile"),
    pytest.param(georeferenced("EPSG:4326"), {}, ["a.tif", "the Earth", "IAU_2015:49900"], id="degrees of the Earth"),
    pytest.param(
        georeferenced(line="30,1,30"),
        {},
        ["none of its 1", "137 to 146.4", "names of its columns swapped"],
        id="another longitude",
    ),
    pytest.param(georeferenced(line="140,1,30000"), {}, ["does not fit", "diameter_m"], id="metres as kilometres"),
    pytest.param(georeferenced(line="140,120,3"), {}, ["line 2", "latitude"], id="no latitude"),
    pytest.param(small, {}, ["20x20", "size lower"], id="smaller than a chip"),
    pytest.param(black, {}, ["a.png", "more than one grey value", "smallest or size lower"], id="one grey value"),
    pytest.param(without_catalogue, {}, ["a.png", "no catalogue", "a.csv"], id="no catalogue"),
    pytest.param(two_catalogues, {}, ["a.png", "a.csv, a.scc", "keep one"], id="two catalogues"),
    pytest.param(two_images, {}, ["same name", "rename"], id="two images of one name"),
    pytest.param(catalogue_alone, {}, ["no image", ".tif"], id="no image"),
    pytest.param(text_as_image, {}, ["a.png", "save"], id="an image that is a text"),
    pytest.param(truncated, {}, ["a.png", "cut short or damaged"], id="a truncated image"),
    pytest.param(a_tile, {"test": "b"}, ["test: ", "'b'", "known: a"], id="an unknown tile for the test"),
    pytest.param(a_tile, {"test": "a"}, ["only tile", "regions"], id="the only tile for the test"),
    pytest.param(a_tile, {"path": "b.png"}, ["b.png", "no such file", "--data"], id="no file"),
]


@pytest.mark.parametrize(("write", "parameters", "words"), REFUSED)
def test_a_bad_tile_is_refused(tmp_path: Path, write: Any, parameters: dict[str, Any], words: list[str]) -> None:
    write(tmp_path)
    path = tmp_path / parameters.get("path", ".")
    with pytest.raises(UserError) as caught:
        made(path, **{name: value for name, value in parameters.items() if name != "path"})
    message = str(caught.value)
    assert all(word in message for word in words), message


def test_a_catalogue_in_place_of_its_image_is_said_to_be_one(tmp_path: Path) -> None:
    catalogue = tmp_path / "south.csv"
    catalogue.write_text("10,10,5\n")
    with pytest.raises(UserError, match=r"south\.csv: is a catalogue; name the image that it belongs to"):
        tile(Tiles(path=str(catalogue)))
