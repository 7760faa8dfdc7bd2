"""Catalogues of craters: CSV, and the .scc and .diam of craterstats.

A CSV has a line for each crater, and names its columns in any order; without names there are three: x, y and diameter,
in pixels. What is written is read by the programs of the field: CSV with longitudes by craterpy
(https://craterpy.readthedocs.io), .scc and .diam by craterstats (https://github.com/ggmichael/craterstats).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from craterbench.data.catalogue_text import TextTable, read_csv, read_structure
from craterbench.plugin import UserError

__all__ = ["CATALOGUE_SUFFIXES", "Catalogue", "read_catalogue", "write_catalogue"]

Floats = npt.NDArray[np.float64]

#: The endings of the catalogue that lies beside an image.
CATALOGUE_SUFFIXES = (".csv", ".scc", ".diam")

#: What a CSV calls its columns, without capitals and whatever else is no letter or digit. Those in capitals below are
#: of Robbins and Hynek (2012, doi:10.1029/2011JE003966) and of Robbins (2019, doi:10.1029/2018JE005592).
_NAMES = {
    "x": "x xpx xpix xpixel xpixels column col xcenter xcentre centerx centrex sample",
    "y": "y ypx ypix ypixel ypixels row line ycenter ycentre centery centrey",
    "diameter": "diameterpx diampx dpx diameterpix diameterpixel diameterpixels diameterinpixels",
    "radius": "radiuspx radpx rpx radiuspix radiuspixel radiuspixels radiusinpixels",
    "longitude": "longitude lon long lng londeg longitudedeg longitudedegrees lone longitudee loneast longitudeeast "
    + "longitudecircleimage loncircimg",  # LONGITUDE_CIRCLE_IMAGE, LON_CIRC_IMG
    "latitude": "latitude lat latdeg latitudedeg latitudedegrees latn latitudenorth latitudecircleimage latcircimg",
    "kilometres": "kilometres kilometers km diameterkm diamkm dkm diameterinkm diamcircleimage diamcircimg",
    "kilometres of radius": "radiuskm radkm rkm radiusinkm",
    "metres": "diameterm diamm dm diameterinm",
    "metres of radius": "radiusm radm rm radiusinm",
    "a diameter": "diameter diam d",  # in pixels beside x and y, else in kilometres
    "a radius": "radius rad r",
    "score": "score probability confidence",
}
_MEANING = {name: meaning for meaning, names in _NAMES.items() for name in names.split()}

_WANTED = "x, y and diameter in pixels, or longitude, latitude and diameter_km"


@dataclass(frozen=True)
class Catalogue:
    """The craters of an image or of a region, M of them.

    A catalogue has its craters in pixels, on the body, or both. A pixel is 1 wide, and the upper left corner of the
    image is at (0, 0): the centre of its first pixel is at (0.5, 0.5).

    Attributes:
        x: (M,), from the left border to the centre, in pixels.
        y: (M,), from the upper border to the centre, in pixels.
        diameter: (M,), in pixels.
        score: (M,), how sure whoever found them is, in [0, 1].
        longitude: (M,), of the centre, in degrees east.
        latitude: (M,), of the centre, planetocentric, in degrees north.
        kilometres: (M,), the diameter.
        area: square kilometres that were searched, which a size-frequency distribution is divided by.
        body_radius: kilometres.
    """

    x: Floats | None = None
    y: Floats | None = None
    diameter: Floats | None = None
    score: Floats | None = None
    longitude: Floats | None = None
    latitude: Floats | None = None
    kilometres: Floats | None = None
    area: float | None = None
    body_radius: float | None = None

    def __len__(self) -> int:
        found = self.x if self.x is not None else self.longitude
        return 0 if found is None else len(found)

    def circles(self) -> Floats | None:
        """Return x, y and diameter in pixels, (M, 3), or ``None`` where the craters are known on the body alone."""
        if self.x is None or self.y is None or self.diameter is None:
            return None
        return np.stack([self.x, self.y, self.diameter], axis=1)

    def on_body(self) -> Floats | None:
        """Return longitude, latitude and kilometres, (M, 3), or ``None`` where the craters are in pixels alone."""
        if self.longitude is None or self.latitude is None or self.kilometres is None:
            return None
        return np.stack([self.longitude, self.latitude, self.kilometres], axis=1)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Catalogue:
        """Return some of the craters."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {name: each[rows] for name, each in columns.items() if isinstance(each, np.ndarray)}
        return replace(self, **taken)


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue, by the ending of the file: ``.scc`` and ``.diam`` of craterstats, anything else as CSV.

    The cells of a CSV are separated by commas, semicolons or tabs; decimal commas are read where no comma separates.
    Columns that mean something else are left aside. A diameter without a unit is in pixels beside x and y, and in
    kilometres beside longitude and latitude; a column of radii is doubled.

    Raises:
        UserError: naming the file, the line, what is wrong with it and what is wanted.
    """
    if path.suffix.lower() in (".scc", ".diam"):
        return _from_structure(path)
    table = read_csv(path, unnamed=("x", "y", "diameter_px"), wanted=_WANTED)
    columns = _columns(path, table.names)
    values = {meaning: table.numbers(name) for meaning, name in columns.items()}
    if "x" in values:
        diameter = _first(values, ("diameter", 1), ("radius", 2), ("a diameter", 1), ("a radius", 2))
    else:
        diameter = None
    kilometres = None
    if "longitude" in values:
        kilometres = _first(
            values, ("kilometres", 1), ("metres", 0.001), ("kilometres of radius", 2), ("metres of radius", 0.002)
        )
        if kilometres is None and "x" not in values:
            kilometres = _first(values, ("a diameter", 1), ("a radius", 2))
    in_pixels = diameter is not None
    on_body = kilometres is not None
    if not in_pixels and not on_body:
        held = ", ".join(repr(name) for name in table.names)
        raise UserError(f"{path}: has no diameter beside its positions; its columns: {held}; give {_WANTED}")
    catalogue = Catalogue(
        x=values["x"] if in_pixels else None,
        y=values["y"] if in_pixels else None,
        diameter=diameter,
        score=values.get("score"),
        longitude=values["longitude"] if on_body else None,
        latitude=values["latitude"] if on_body else None,
        kilometres=kilometres,
    )
    _check(path, table, catalogue)
    return catalogue


def write_catalogue(path: Path, catalogue: Catalogue) -> None:
    """Write a catalogue, by the ending of the file: ``.csv``, or ``.scc`` and ``.diam`` as craterstats reads them.

    craterpy takes the first column whose name has a diameter in it, so that in kilometres comes before that in pixels;
    read the file with ``CraterDatabase(path, body, units="km")``.

    Raises:
        UserError: the ending is another, or craterstats' files are to be written of craters without a place on a body.
    """
    if path.suffix.lower() == ".csv":
        columns = {
            "longitude": catalogue.longitude,
            "latitude": catalogue.latitude,
            "diameter_km": catalogue.kilometres,
            "x": catalogue.x,
            "y": catalogue.y,
            "diameter_px": catalogue.diameter,
            "score": catalogue.score,
        }
        held = {name: values for name, values in columns.items() if values is not None}
        lines = [",".join(held), *(",".join(map(_text, row)) for row in zip(*held.values(), strict=True))]
    elif path.suffix.lower() in (".scc", ".diam"):
        lines = _structure(path, catalogue)
    else:
        raise UserError(f"{path}: a catalogue is written as .csv, .scc or .diam; name the file so")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _columns(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return the name of the column of each meaning."""
    columns: dict[str, str] = {}
    for name in names:
        meaning = _MEANING.get("".join(letter for letter in name.lower() if letter.isalnum()))
        if meaning in columns:
            raise UserError(f"{path}: the columns {columns[meaning]!r} and {name!r} mean the same; leave out one")
        if meaning is not None:
            columns[meaning] = name
    for one, other in (("x", "y"), ("longitude", "latitude")):
        for present, absent in ((one, other), (other, one)):
            if present in columns and absent not in columns:
                raise UserError(f"{path}: has a column {columns[present]!r} but none for {absent}; give {_WANTED}")
    if "x" not in columns and "longitude" not in columns:
        held = ", ".join(repr(name) for name in names)
        raise UserError(f"{path}: no column says where a crater is; its columns: {held}; give {_WANTED}")
    return columns


def _first(values: dict[str, Floats], *meanings: tuple[str, float]) -> Floats | None:
    """Return the first column that is there, times its factor."""
    return next((values[meaning] * factor for meaning, factor in meanings if meaning in values), None)


def _check(path: Path, table: TextTable, catalogue: Catalogue) -> None:
    """Refuse diameters and places that no crater has.

    Raises:
        UserError: naming the first line that has one.
    """

    def refuse(wrong: npt.NDArray[np.bool_], values: Floats, what: str, cure: str) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            others = f", and {wrong.sum() - 1} more" if wrong.sum() > 1 else ""
            raise UserError(f"{path}: line {table.lines[row]}: {what} {values[row]:g}{others}; {cure}")

    for size, unit in ((catalogue.diameter, "pixels"), (catalogue.kilometres, "kilometres")):
        if size is not None:
            refuse(size <= 0, size, f"a diameter in {unit} of", "give a diameter above 0, or leave out the line")
    pixels = "positions in pixels stand in columns x, y and diameter"
    if catalogue.latitude is not None:
        refuse(abs(catalogue.latitude) > 90, catalogue.latitude, "a latitude outside of -90 to 90:", pixels)
    if catalogue.longitude is not None:
        wrong = (catalogue.longitude < -180) | (catalogue.longitude > 360)
        refuse(wrong, catalogue.longitude, "a longitude outside of -180 to 360:", pixels)
    if catalogue.score is not None:
        wrong = (catalogue.score < 0) | (catalogue.score > 1)
        refuse(wrong, catalogue.score, "a score outside of 0 to 1:", "give a share, or leave out the column")


def _from_structure(path: Path) -> Catalogue:
    """Read a file of craterstats: its own reader takes the diameters and the area, and this the places as well."""
    area, size = ("Total_area", "diam") if path.suffix.lower() == ".scc" else ("area", "diameter")
    values, table = read_structure(path, table="crater")
    missing = [name for name in (size, "lon", "lat") if name not in table.names]
    if missing:
        cure = "a catalogue with places has crater = {" + f"{size}, lon, lat"
        raise UserError(f"{path}: its craters have no {' and no '.join(missing)}; {cure}")
    catalogue = Catalogue(
        longitude=table.numbers("lon"),
        latitude=table.numbers("lat"),
        kilometres=table.numbers(size),
        area=values.get(area),
        body_radius=values.get("a_axis_radius"),
    )
    _check(path, table, catalogue)
    return catalogue


def _structure(path: Path, catalogue: Catalogue) -> list[str]:
    """Return the lines of a file of craterstats."""
    on_body = catalogue.on_body()
    if on_body is None or catalogue.area is None:
        lacks = "longitude, latitude and kilometres" if on_body is None else "the area that was searched"
        cure = "take images with a georeference (GeoTIFF), or write .csv"
        raise UserError(
            f"{path}: craterstats needs longitude, latitude, kilometres and area, and {lacks} is not known; {cure}"
        )
    # craterstats' pattern for an area knows digits and a point, but no exponent.
    area = np.format_float_positional(catalogue.area, trim="0")
    craters = ["\t".join((_text(size), _text(lon), _text(lat))) for lon, lat, size in on_body]
    if path.suffix.lower() == ".diam":
        return ["# area, km^2", f"area = {area}", "#", "crater = {diameter,lon,lat", *craters, "}"]
    axes = []
    if catalogue.body_radius is not None:
        axes = [f"{axis}_axis_radius = {_text(catalogue.body_radius)} <km>" for axis in "abc"]
    head = ["# Spatial crater count", "#", "# Ellipsoid axes:", *axes, "#", f"Total_area = {area} <km^2>", "#"]
    return [*head, "# crater_diameters:", "crater = {diam,lon,lat", *craters, "}"]


def _text(value: float) -> str:
    """Return the shortest text that reads as the same number."""
    return np.format_float_positional(value, trim="-")
