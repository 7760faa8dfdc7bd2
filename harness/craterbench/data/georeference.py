"""Where on a body the pixels of a GeoTIFF are: longitude, latitude and kilometres, by rasterio.

Latitudes are planetocentric and longitudes count eastwards, as in the catalogues of the field. On an ellipsoid PROJ has
planetographic latitudes, the angle of the surface's normal; they are turned into the angle at the body's centre.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.catalogue import Catalogue
from craterbench.plugin import UserError

__all__ = ["Georeference", "read_georeference"]

Floats = npt.NDArray[np.float64]

#: The semi-axes of the Earth's ellipsoids and spheres are within these, in kilometres; no other body's are.
_EARTH = (6300.0, 6400.0)

#: The semi-major axis in metres and the inverse flattening, 0 for a sphere, in the text of a reference system.
_SPHEROID = re.compile(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([\d.eE+]+),\s*([\d.eE+]+)')

#: What PROJ calls the projections in which a meridian is a line, and the next one as far as the one before.
_CYLINDRICAL = ("cea", "eqc", "merc", "mill")

_AREA_SAMPLES = 64  # along each side of an image

_TAG_GEOKEYS = 34735  # GeoKeyDirectoryTag (OGC 19-008r4, 7.1)


@dataclass(frozen=True)
class Georeference:
    """What leads from pixels to a body and back; a pixel's upper left corner has whole coordinates.

    Attributes:
        path: of the image, for messages.
        height: of the image, in pixels.
        width: of the image, in pixels.
        body_radius: kilometres; of an ellipsoid its semi-major axis.
        polar_radius: kilometres; of an ellipsoid its semi-minor axis.
    """

    path: Path
    height: int
    width: int
    body_radius: float
    polar_radius: float
    _crs: Any
    _degrees: Any
    _transform: Any
    _planetographic: bool
    _period: float | None = None  # once around the body, in units of the reference system, where it goes on there

    @property
    def of_earth(self) -> bool:
        """Whether it says that the body is the Earth, as does EPSG:4326 on an image of whatever body."""
        return _EARTH[0] < self.body_radius < _EARTH[1]

    def to_lonlat(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return longitudes in [-180, 180) and planetocentric latitudes, in degrees, of places in pixels.

        A place that is off the body has NaN.
        """
        across, down = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        a, b, c, d, e, f = self._transform[:6]
        longitude, latitude = self._warp(a * across + b * down + c, d * across + e * down + f, to_body=True)
        if self._planetographic:
            flat = (self.polar_radius / self.body_radius) ** 2
            latitude = np.degrees(np.arctan(flat * np.tan(np.radians(latitude))))
        return (longitude + 180) % 360 - 180, latitude

    def to_pixels(self, longitude: npt.ArrayLike, latitude: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return x and y in pixels of places on the body, NaN where the projection has none."""
        lon, lat = np.asarray(longitude, dtype=np.float64), np.asarray(latitude, dtype=np.float64)
        if self._planetographic:
            flat = (self.body_radius / self.polar_radius) ** 2
            lat = np.degrees(np.arctan(flat * np.tan(np.radians(lat))))
        across, down = self._warp(lon, lat, to_body=False)
        if self._period is not None:  # 230 and -130 are one place, but not one place in the image
            a, b, c = self._transform[:3]
            middle = a * self.width / 2 + b * self.height / 2 + c
            across = across - self._period * np.round((across - middle) / self._period)
        a, b, c, d, e, f = (~self._transform)[:6]
        return a * across + b * down + c, d * across + e * down + f

    def kilometres_per_pixel(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
        """Return the side of a square on the body with the area of the pixel at a place.

        A projection may stretch a pixel more one way than another; a circle's area stays right.
        """
        across, down = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        right = self.on_body(across + 0.5, down) - self.on_body(across - 0.5, down)
        below = self.on_body(across, down + 0.5) - self.on_body(across, down - 0.5)
        sides: Floats = np.sqrt(np.linalg.norm(np.cross(right, below), axis=-1))
        return sides

    def on_body(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
        """Return places in pixels as kilometres from the body's centre, (..., 3)."""
        lon, lat = map(np.radians, self.to_lonlat(x, y))
        normal = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
        axes = np.array([self.body_radius, self.body_radius, self.polar_radius])
        surface: Floats = normal / np.linalg.norm(normal / axes, axis=-1, keepdims=True)
        return surface

    def square_kilometres(self) -> float:
        """Return the area of the image on the body."""
        sides = [(np.arange(_AREA_SAMPLES) + 0.5) * side / _AREA_SAMPLES for side in (self.width, self.height)]
        across, down = np.meshgrid(*sides)
        area = self.kilometres_per_pixel(across, down) ** 2
        return float(area[np.isfinite(area)].sum() / area.size * self.width * self.height)

    def to_body(self, catalogue: Catalogue) -> Catalogue:
        """Return a catalogue in pixels of the image with its places on the body, and the area of the image."""
        circles = catalogue.circles()
        if circles is None:
            return catalogue
        x, y, diameter = circles.T
        longitude, latitude = self.to_lonlat(x, y)
        return replace(
            catalogue,
            longitude=longitude,
            latitude=latitude,
            kilometres=diameter * self.kilometres_per_pixel(x, y),
            area=self.square_kilometres(),
            body_radius=self.body_radius,
        )

    def to_image(self, catalogue: Catalogue) -> Catalogue:
        """Return those craters of a catalogue on the body that reach into the image, in pixels of it.

        Raises:
            UserError: the georeference is of another body.
        """
        on_body = catalogue.on_body()
        if on_body is None:
            return catalogue
        if self.of_earth:
            raise UserError(
                f"{self.path}: its georeference is of the Earth (radius {self.body_radius:g} km), so that kilometres "
                "would be others; give it the reference system of its body (gdal_edit.py -a_srs IAU_2015:49900 for "
                "Mars), or the catalogue in pixels"
            )
        if on_body[:, 2].max(initial=0) > 2 * self.body_radius:
            raise UserError(
                f"{self.path}: a crater of {on_body[:, 2].max():g} km does not fit on a body with a radius of "
                f"{self.body_radius:g} km; call the column diameter_m if it is in metres"
            )
        near = self._near(on_body)
        catalogue, on_body = catalogue.take(near), on_body[near]
        x, y = self.to_pixels(on_body[:, 0], on_body[:, 1])
        near_x, near_y = (
            np.clip(np.nan_to_num(values), 0, side) for values, side in ((x, self.width), (y, self.height))
        )
        # Where the nearest point of the image is tells how large a crater looks there.
        diameter = on_body[:, 2] / self.kilometres_per_pixel(near_x, near_y)
        inside = np.hypot(x - near_x, y - near_y) < diameter / 2
        return replace(catalogue, x=x, y=y, diameter=diameter).take(inside)

    def _near(self, on_body: Floats) -> npt.NDArray[np.bool_]:
        """Return which craters, (M, 3), are no farther from the middle of the image than its corners are.

        Many projections have no place for the far side of a body.
        """
        across, down = np.meshgrid(np.linspace(0, self.width, 5), np.linspace(0, self.height, 5))
        points = self.on_body(across, down)
        points /= np.linalg.norm(points, axis=-1, keepdims=True)
        reach = np.arccos(np.clip(points @ points[2, 2], -1, 1)).max()
        if not np.isfinite(reach):
            return np.ones(len(on_body), np.bool_)
        lon, lat = np.radians(on_body[:, :2].T)
        places = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
        distance = np.arccos(np.clip(places @ points[2, 2], -1, 1))
        near: npt.NDArray[np.bool_] = distance <= 1.1 * reach + on_body[:, 2] / self.polar_radius
        return near

    def _warp(self, across: Floats, down: Floats, *, to_body: bool) -> tuple[Floats, Floats]:
        from rasterio.warp import transform

        source, target = (self._crs, self._degrees) if to_body else (self._degrees, self._crs)

        def warped(places: Floats) -> Floats:
            """Return places, (2, M); GDAL fails for all of them if most are off the projection."""
            try:
                there = np.array(transform(source, target, *places), np.float64).reshape(2, -1)
                return np.where(np.isfinite(there), there, np.nan)
            except Exception:  # GDAL's errors have no public name
                if places.shape[1] == 1:
                    return np.full((2, 1), np.nan)
                middle = places.shape[1] // 2
                return np.concatenate([warped(places[:, :middle]), warped(places[:, middle:])], axis=1)

        first, second = warped(np.stack([across.ravel(), down.ravel()]))
        return first.reshape(across.shape), second.reshape(across.shape)


def read_georeference(path: Path) -> Georeference | None:
    """Read where a GeoTIFF is; ``None`` of any other image, and of one without degrees or metres on a body.

    Raises:
        UserError: it is a GeoTIFF and rasterio is not installed, or it cannot be read.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        import rasterio
    except ModuleNotFoundError:
        if not _has_geokeys(path):
            return None
        raise UserError(f"{path}: is a GeoTIFF, which rasterio reads; pip install 'craterbench[geo]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(path, driver="GTiff") as image:
                crs, transform, height, width = image.crs, image.transform, image.height, image.width
        except rasterio.errors.RasterioIOError as error:
            raise UserError(f"{path}: cannot be read as a TIFF: {error}") from None
    if crs is None or transform.is_identity:
        return None
    described = crs.to_wkt()
    spheroid = _SPHEROID.search(described)
    if spheroid is None or not (crs.is_geographic or crs.is_projected):
        return None
    radius, inverse_flattening = float(spheroid[1]) / 1000, float(spheroid[2])
    polar_radius = radius * (1 - 1 / inverse_flattening) if inverse_flattening else radius
    planetographic = polar_radius != radius and "ocentric" not in described
    # The body's own degrees: no shift between datums, whatever their names are.
    degrees = rasterio.crs.CRS.from_proj4(f"+proj=longlat +a={radius * 1000!r} +b={polar_radius * 1000!r} +no_defs")
    found = Georeference(path, height, width, radius, polar_radius, crs, degrees, transform, planetographic)
    return replace(found, _period=360.0 if crs.is_geographic else _period(crs, degrees))


def _period(crs: Any, degrees: Any) -> float | None:
    """Return once around the body in a cylindrical projection, which an image may follow beyond its own ends."""
    projection = crs.to_dict()
    if projection.get("proj") not in _CYLINDRICAL:
        return None
    from rasterio.warp import transform

    middle = float(projection.get("lon_0", 0))
    (west, east), _ = transform(degrees, crs, [middle - 90, middle + 90], [0, 0])
    return 2 * float(east - west)


def _has_geokeys(path: Path) -> bool:
    import tifffile

    try:
        with tifffile.TiffFile(path) as image:
            return _TAG_GEOKEYS in image.pages[0].tags
    except (tifffile.TiffFileError, OSError, IndexError) as error:
        raise UserError(f"{path}: cannot be read as a TIFF: {error}") from None
