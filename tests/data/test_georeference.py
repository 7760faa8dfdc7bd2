"""Where pixels are on a body, against what geometry says of simple projections."""

from __future__ import annotations

import builtins
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from craterbench.data.catalogue import Catalogue
from craterbench.data.georeference import Georeference, read_georeference
from craterbench.data.raster import open_raster
from craterbench.plugin import UserError

rasterio = pytest.importorskip("rasterio")

MARS = 3396.19
SPHERE = "+proj=longlat +R=3396190 +no_defs"
EQUIRECTANGULAR = "+proj=eqc +R=3396190 +lon_0=0 +lat_ts=0 +units=m +no_defs"


def north_up(west: float, north: float, step: float) -> Any:
    return rasterio.Affine(step, 0, west, 0, -step, north)


def written(path: Path, crs: str | None, transform: Any, pixels: Any = None, **more: Any) -> Path:
    image = np.zeros((40, 60), np.uint8) if pixels is None else pixels
    height, width = image.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", "GTiff", width, height, 1, crs=crs, transform=transform, dtype=image.dtype, **more
        ) as file:
            file.write(image, 1)
    return path


def georeference(path: Path) -> Georeference:
    found = read_georeference(path)
    assert found is not None
    return found


def degrees(folder: Path, *, west: float = -130.0, north: float = 10.0, step: float = 0.25) -> Georeference:
    transform = north_up(west, north, step)
    return georeference(written(folder / "degrees.tif", SPHERE, transform))


def test_degrees(tmp_path: Path) -> None:
    found = degrees(tmp_path)
    assert found.body_radius == pytest.approx(MARS)
    np.testing.assert_allclose(found.to_lonlat([0, 2], [0, 6]), ([-130, -129.5], [10, 8.5]), atol=1e-9)
    # One place, whichever way longitudes are counted.
    for longitude in (-129.5, 230.5):
        np.testing.assert_allclose(found.to_pixels(longitude, 8.5), (2, 6), atol=1e-6)


def test_a_pixel_of_degrees_shrinks_towards_the_pole(tmp_path: Path) -> None:
    found = degrees(tmp_path, north=70.0)
    per_degree = MARS * np.pi / 180
    # At 65 degrees north a pixel is as high as everywhere, and as wide as the cosine has it.
    assert found.kilometres_per_pixel(30, 20) == pytest.approx(
        0.25 * per_degree * np.sqrt(np.cos(np.radians(65))), rel=1e-5
    )
    # The area between two parallels (Archimedes).
    band = 2 * np.pi * MARS**2 * (np.sin(np.radians(70)) - np.sin(np.radians(60)))
    assert found.square_kilometres() == pytest.approx(band * 15 / 360, rel=1e-4)


def test_metres(tmp_path: Path) -> None:
    transform = north_up(100_000, 50_000, 100)
    found = georeference(written(tmp_path / "metres.tif", EQUIRECTANGULAR, transform))
    longitude, latitude = found.to_lonlat(10, 20)
    assert float(longitude) == pytest.approx(np.degrees(101 / MARS))
    assert float(latitude) == pytest.approx(np.degrees(48 / MARS))
    assert found.kilometres_per_pixel(10, 20) == pytest.approx(0.1, rel=1e-3)


def test_latitudes_are_planetocentric_on_an_ellipsoid(tmp_path: Path) -> None:
    crs = "+proj=longlat +a=3396190 +b=3376200 +no_defs"
    transform = north_up(0, 45, 0.25)
    found = georeference(written(tmp_path / "ellipsoid.tif", crs, transform))
    wanted = np.degrees(np.arctan((3376200 / 3396190) ** 2))  # of 45 degrees planetographic
    assert float(found.to_lonlat(0, 0)[1]) == pytest.approx(wanted)
    np.testing.assert_allclose(found.to_pixels(0, wanted), (0, 0), atol=1e-6)
    # The distance of a point at this angle from the centre of an ellipse.
    angle = np.radians(wanted)
    distance = 1 / np.hypot(np.cos(angle) / 3396.19, np.sin(angle) / 3376.2)
    assert np.linalg.norm(found.on_body(0, 0)) == pytest.approx(distance)


@pytest.mark.parametrize("crs", [SPHERE, EQUIRECTANGULAR, "+proj=stere +lat_0=90 +R=3396190 +units=m"])
def test_there_and_back(tmp_path: Path, crs: str) -> None:
    step = 0.01 if "longlat" in crs else 500
    transform = rasterio.Affine(step, step / 5, 3 * step, step / 7, -step, 40 * step)  # turned and sheared
    found = georeference(written(tmp_path / "a.tif", crs, transform))
    circles = np.array([[5.5, 7, 4], [40, 30, 9.5]])
    there = found.to_body(Catalogue(*circles.T))
    assert there.area == pytest.approx(40 * 60 * found.kilometres_per_pixel(30, 20) ** 2, rel=0.01)
    on_body = Catalogue(longitude=there.longitude, latitude=there.latitude, kilometres=there.kilometres)
    back = found.to_image(on_body).circles()
    assert back is not None
    np.testing.assert_allclose(back, circles, rtol=1e-5)


def test_craters_beside_the_image_are_left_out_and_those_that_reach_in_are_not(tmp_path: Path) -> None:
    found = degrees(tmp_path)  # 15 degrees wide and 10 high
    per_degree = MARS * np.pi / 180
    on_body = Catalogue(
        longitude=np.array([-125.0, -131.0, -131.0, 50.0]),
        latitude=np.array([5.0, 5.0, 5.0, -5.0]),
        kilometres=np.array([1, 1.9, 2.1, 1]) * per_degree,
    )
    inside = found.to_image(on_body)
    assert inside.longitude is not None
    np.testing.assert_array_equal(inside.longitude, [-125, -131])
    assert inside.diameter is not None
    assert inside.diameter[0] == pytest.approx(4, rel=0.01)


def test_the_far_side_of_a_body_is_nowhere_in_the_image(tmp_path: Path) -> None:
    crs = "+proj=ortho +lat_0=20 +lon_0=30 +R=3396190 +units=m"
    transform, pixels = rasterio.Affine(2e4, 0, -4e6, 0, -2e4, 4e6), np.zeros((400, 400), np.uint8)
    found = georeference(written(tmp_path / "disc.tif", crs, transform, pixels))
    lon, lat = (values.ravel() for values in np.meshgrid(np.arange(-180.0, 180, 5), np.arange(-85.0, 90, 5)))
    on_body = Catalogue(longitude=lon, latitude=lat, kilometres=np.full(len(lon), 100.0))
    inside = found.to_image(on_body)
    # Snyder (1987), Map Projections, equations 20-3 and 20-4.
    phi, away, tilt = np.radians(lat), np.radians(lon - 30), np.radians(20)
    facing = np.sin(tilt) * np.sin(phi) + np.cos(tilt) * np.cos(phi) * np.cos(away)
    east = MARS * np.cos(phi) * np.sin(away)
    north = MARS * (np.cos(tilt) * np.sin(phi) - np.sin(tilt) * np.cos(phi) * np.cos(away))
    wanted = np.column_stack([(4000 + east) / 20, (4000 - north) / 20])[facing > 0.3]
    assert inside.x is not None
    assert inside.y is not None
    places = np.column_stack([inside.x, inside.y])
    assert (facing > 0).sum() * 0.9 < len(places) <= (facing > -0.01).sum()
    for place in wanted:
        assert np.abs(places - place).max(axis=1).min() < 1e-6


def test_a_projection_goes_on_beyond_its_own_ends(tmp_path: Path) -> None:
    """An image from 0 to 360 degrees, in a projection that goes from -180 to 180."""
    step = np.pi * MARS * 1000 / 100
    transform = rasterio.Affine(step, 0, 0, 0, -step, 20 * step)
    pixels = np.zeros((40, 200), np.uint8)
    found = georeference(written(tmp_path / "a.tif", EQUIRECTANGULAR, transform, pixels))
    for longitude, x in [(9.0, 5.0), (179.1, 99.5), (181.8, 101), (-178.2, 101), (-9.0, 195), (351.0, 195)]:
        assert float(found.to_pixels(longitude, 0)[0]) == pytest.approx(x)
        apart = (float(found.to_lonlat(x, 20)[0]) - longitude + 180) % 360 - 180
        assert apart == pytest.approx(0, abs=1e-9)


def test_images_without_a_georeference_have_none(tmp_path: Path) -> None:
    plain = written(tmp_path / "plain.tif", None, rasterio.Affine.identity())
    assert read_georeference(plain) is None
    assert read_georeference(tmp_path / "picture.png") is None


def test_degrees_of_the_earth_are_refused(tmp_path: Path) -> None:
    transform = north_up(-130, 10, 0.25)
    found = georeference(written(tmp_path / "earth.tif", "EPSG:4326", transform))
    crater = Catalogue(longitude=np.array([-125.0]), latitude=np.array([5.0]), kilometres=np.array([9.0]))
    assert found.of_earth
    with pytest.raises(UserError, match=r"earth\.tif: its georeference is of the Earth .*IAU_2015:49900"):
        found.to_image(crater)


def test_a_crater_wider_than_the_body_is_refused(tmp_path: Path) -> None:
    crater = Catalogue(longitude=np.array([-125.0]), latitude=np.array([5.0]), kilometres=np.array([9000.0]))
    with pytest.raises(UserError, match=r"9000 km does not fit .*diameter_m"):
        degrees(tmp_path).to_image(crater)


def test_without_rasterio_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    referenced = degrees(tmp_path).path
    plain = written(tmp_path / "plain.tif", None, rasterio.Affine.identity())
    imported = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name.split(".")[0] == "rasterio":
            raise ModuleNotFoundError(name)
        return imported(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'craterbench\[geo\]'"):
        read_georeference(referenced)
    assert read_georeference(plain) is None
    with open_raster(plain) as raster:
        assert (raster.height, raster.width) == (40, 60)


# Windows


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("options", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "lzw"}])
def test_windows_of_tiffs(tmp_path: Path, dtype: Any, options: dict[str, Any]) -> None:
    pixels = np.random.default_rng(0).integers(0, 100, (40, 60)).astype(dtype)
    path = written(tmp_path / "a.tif", None, rasterio.Affine.identity(), pixels, nodata=7, **options)
    with open_raster(path) as raster:
        assert (raster.height, raster.width) == (40, 60)
        window = raster.read(10, 5, 20, 12)
        np.testing.assert_array_equal(window, pixels[5:17, 10:30])
        assert window.dtype == dtype
        np.testing.assert_array_equal(raster.missing(window), window == 7)


@pytest.mark.parametrize("greatest", [255, 4095])
def test_windows_of_a_pgm_larger_than_what_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greatest: int
) -> None:
    monkeypatch.setattr("craterbench.data.raster.MAX_PIXELS", 100)
    pixels = np.random.default_rng(0).integers(0, greatest + 1, (40, 60)).astype(">u2" if greatest > 255 else np.uint8)
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n# a comment\n60 40\n%d\n" % greatest + pixels.tobytes())
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(10, 5, 20, 12), pixels[5:17, 10:30])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="cut short"), open_raster(path):
        pass


def test_a_tiff_in_which_0_is_white_is_read_as_other_images_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60)).astype(np.uint8)
    path = written(tmp_path / "a.tif", None, rasterio.Affine.identity(), pixels, photometric="MINISWHITE")
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(10, 5, 20, 12), 255 - pixels[5:17, 10:30])
        assert raster.note is not None


def test_a_damaged_tiff_says_where(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", None, rasterio.Affine.identity(), np.ones((400, 600), np.uint16))
    path.write_bytes(path.read_bytes()[:-300_000])
    with open_raster(path) as raster, pytest.raises(UserError, match=r"a\.tif: is cut short or damaged at x=10 y=380"):
        raster.read(10, 380, 20, 12)


@pytest.mark.parametrize("name", ["none.tif", "none.pgm", "none.png"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=name), open_raster(tmp_path / name):
        pass


def test_a_text_file_called_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("x,y,d\n")
    with pytest.raises(UserError, match=r"a\.tif: .*save"), open_raster(tmp_path / "a.tif"):
        pass


def test_a_description_of_another_file_that_is_called_tiff_does_not_lead_there(tmp_path: Path) -> None:
    written(tmp_path / "other.tif", None, rasterio.Affine.identity(), np.ones((40, 60), np.uint8))
    path = tmp_path / "a.tif"
    path.write_text(
        '<VRTDataset rasterXSize="60" rasterYSize="40"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{tmp_path / "other.tif"}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(UserError, match=r"a\.tif: is no PNG, JPEG, TIFF or PGM"), open_raster(path):
        pass
    with pytest.raises(UserError, match=r"a\.tif: cannot be read as a TIFF"):
        read_georeference(path)
