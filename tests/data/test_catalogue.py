"""Catalogues in the files that people have, and in those that the programs of the field read."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy.integrate

from craterbench.data.catalogue import Catalogue, read_catalogue, write_catalogue
from craterbench.plugin import UserError

CIRCLES = [[298.33, 1178.5, 4.8], [1692.0, 560.81, 40.0]]
ON_BODY = [[133.5, -32.75, 0.511], [-7.25, 41.5, 12.0]]


def written(folder: Path, content: str | bytes, name: str = "catalogue.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("298.33,1178.5,4.8\n1692,560.81,40\n", id="no names"),
        pytest.param("x,y,diameter\n298.33,1178.5,4.8\n1692,560.81,40\n", id="names"),
        pytest.param("Diameter [px], Y , X\n4.8,1178.5,298.33\n40,560.81,1692\n", id="any order, units in names"),
        pytest.param("id;x;y;radius\nA;298,33;1178,5;2,4\nB;1692;560,81;20\n", id="semicolons, decimal commas, radius"),
        pytest.param("298,33\t1178,5\t4,8\n1692\t560,81\t40\n", id="tabs, decimal commas, no names"),
        pytest.param("x,y,d\r298.33,1178.5,4.8\r1692,560.81,40\r", id="CR line ends"),
        pytest.param("x,y,d\r\n298.33,1178.5,4.8\r\n\r\n1692,560.81,40", id="CRLF, a blank line, no end"),
        pytest.param(b"\xef\xbb\xbf298.33,1178.5,4.8\n1692,560.81,40\n", id="byte-order mark, no names"),
        pytest.param("x\ty\td\r\n298.33\t1178.5\t4.8\r\n1692\t560.81\t40\r\n".encode("utf-16"), id="UTF-16"),
        pytest.param('"x","y","diam"\n"298.33","1178.5","4.8"\n1692,560.81,40\n', id="quoted"),
        pytest.param("# by hand\nx,y,diam\n298.33,1178.5,4.8\n1692,560.81,40\n", id="a comment"),
        pytest.param(b"name,x,y,diam\nF\xfcrth,298.33,1178.5,4.8\n,1692,560.81,40\n", id="names in Latin-1"),
        pytest.param(",column,row,d\n0,298.33,1178.5,4.8\n1,1692,560.81,40\n", id="pandas' index"),
    ],
)
def test_circles_are_read_from_whatever_csv(tmp_path: Path, content: str | bytes) -> None:
    found = read_catalogue(written(tmp_path, content))
    np.testing.assert_allclose(found.circles(), CIRCLES)
    assert found.on_body() is None
    assert len(found) == 2


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("Diameter (km),Latitude,Longitude\n0.511,-32.75,133.5\n12,41.5,-7.25\n", id="craterpy's own"),
        pytest.param(
            "CRATER_ID,LAT_CIRC_IMG,LON_CIRC_IMG,LAT_ELLI_IMG,DIAM_CIRC_IMG,DIAM_CIRC_SD_IMG\n"
            "1,-32.75,133.5,0,0.511,0.1\n2,41.5,-7.25,0,12,0.1\n",
            id="Robbins",
        ),
        pytest.param("lon,lat,radius_m\n133.5,-32.75,255.5\n-7.25,41.5,6000\n", id="radii in metres"),
        pytest.param("lon,lat,diameter\n133.5,-32.75,0.511\n-7.25,41.5,12\n", id="kilometres without saying so"),
    ],
)
def test_places_on_a_body_are_read(tmp_path: Path, content: str) -> None:
    found = read_catalogue(written(tmp_path, content))
    np.testing.assert_allclose(found.on_body(), ON_BODY)
    assert found.circles() is None


BOTH = Catalogue(
    *np.array(CIRCLES).T,
    score=np.array([0.25, 1.0]),
    longitude=np.array(ON_BODY)[:, 0],
    latitude=np.array(ON_BODY)[:, 1],
    kilometres=np.array(ON_BODY)[:, 2],
    area=1234567890.5,
    body_radius=3396.19,
)


@pytest.mark.parametrize("name", ["a.csv", "a.scc", "a.diam"])
@pytest.mark.parametrize("rows", [[0, 1], [1], []])
def test_what_is_written_is_read_again(tmp_path: Path, name: str, rows: list[int]) -> None:
    wanted = BOTH.take(np.array(rows, dtype=np.intp))
    write_catalogue(tmp_path / name, wanted)
    found = read_catalogue(tmp_path / name)
    np.testing.assert_array_equal(found.on_body(), wanted.on_body())
    if name == "a.csv":
        np.testing.assert_array_equal(found.circles(), wanted.circles())
        np.testing.assert_array_equal(found.score, wanted.score)
    else:
        assert found.area == 1234567890.5
    if name == "a.scc":
        assert found.body_radius == 3396.19


@pytest.fixture
def craterstats(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """craterstats 3.2.1, which imports a name that SciPy has had no more since 1.14; its readers do not use it."""
    monkeypatch.setattr(scipy.integrate, "simps", scipy.integrate.simpson, raising=False)
    return pytest.importorskip("craterstats")


def test_craterpy_reads_what_is_written(tmp_path: Path) -> None:
    craterpy = pytest.importorskip("craterpy")
    write_catalogue(tmp_path / "a.csv", BOTH)
    found = craterpy.CraterDatabase(str(tmp_path / "a.csv"), "mars", units="km")
    np.testing.assert_allclose(found.lon, BOTH.longitude)
    np.testing.assert_allclose(found.lat, BOTH.latitude)
    np.testing.assert_allclose(found.rad, BOTH.kilometres * 500)


@pytest.mark.parametrize("name", ["a.scc", "a.diam"])
def test_craterstats_reads_what_is_written(tmp_path: Path, craterstats: ModuleType, name: str) -> None:
    write_catalogue(tmp_path / name, BOTH)
    found = craterstats.Cratercount(str(tmp_path / name))
    assert sorted(found.diam) == sorted(BOTH.kilometres)
    assert found.area == BOTH.area


@pytest.mark.parametrize("name", ["Pickering.scc", "sample.scc", "c7_Michael-et-al-2021.scc"])
def test_the_samples_of_craterstats_are_read_as_it_reads_them(craterstats: ModuleType, name: str) -> None:
    sample = Path(str(craterstats.__file__)).parent / "sample" / name
    wanted, found = craterstats.Cratercount(str(sample)), read_catalogue(sample)
    np.testing.assert_allclose(np.sort(found.kilometres), wanted.diam)
    assert found.area == wanted.area


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("a.csv", "", ["is empty", "x, y and diameter"], id="0 bytes"),
        pytest.param("a.csv", b"PK\0\3", ["is no text", ".csv"], id="a spreadsheet's own file"),
        pytest.param("a.csv", "12 13 4\n", ["no comma", "separate"], id="spaces"),
        pytest.param("a.csv", "12,13,4\n1,2 px,3\n", ["line 2", "y is '2 px'", "unit in the column"], id="units"),
        pytest.param("a.csv", "x,y,d\n12,13,4\n1,2,wide\n", ["line 3", "d is 'wide'", "no number"], id="words"),
        pytest.param("a.csv", "12 px,13 px,4 px\n", ["line 1", "'12 px'", "no number"], id="units in the first line"),
        pytest.param("a.csv", "x,y,d\n12,nan,4\n", ["line 2", "no finite number", "leave out"], id="NaN"),
        pytest.param("a.csv", "x,y,d\n12,inf,4\n", ["line 2", "no finite number"], id="infinity"),
        pytest.param("a.csv", "x,y,d\n12,,4\n", ["line 2", "y is empty", "fill it in"], id="an empty cell"),
        pytest.param("a.csv", "x,y,d\n12,13,4\n1,2,0\n", ["line 3", "diameter in pixels of 0"], id="no diameter"),
        pytest.param("a.csv", "lon,lat,km\n12,13,-4\n", ["line 2", "kilometres of -4"], id="a negative diameter"),
        pytest.param("a.csv", "1,5,2,5,3,5\n", ["line 1", "6 cells", "semicolons"], id="decimal commas in commas"),
        pytest.param("a.csv", "x,y,d\n1,5,2,5,3,5\n", ["line 2", "6 cells", "semicolons"], id="the same with names"),
        pytest.param("a.csv", "x;y;d\n1,5;2.5;3\n", ["line 2", "'2.5'", "decimal commas"], id="commas and points"),
        pytest.param("a.csv", "12,13\n", ["line 1", "2 cells", "without names there are 3"], id="two columns"),
        pytest.param("a.csv", "12,13,4,0.5\n", ["line 1", "4 cells", "name"], id="four columns without names"),
        pytest.param("a.csv", "x,y,d\n12,13,4\n1,2\n", ["line 3", "2 cells", "as many"], id="a short line"),
        pytest.param("a.csv", "x,d\n12,13\n", ["'x'", "none for y"], id="no column y"),
        pytest.param("a.csv", "x,y\n12,13\n", ["no diameter", "'x', 'y'"], id="no column diameter"),
        pytest.param("a.csv", "a,b,c\n1,2,3\n", ["no column says where", "'a', 'b', 'c'"], id="unknown columns"),
        pytest.param("a.csv", "x,y,d,X\n1,2,3,4\n", ["'x' and 'X' mean the same", "leave out"], id="columns twice"),
        pytest.param("a.csv", "lon,lat,longitude,km\n1,2,3,4\n", ["'lon' and 'longitude'"], id="synonyms twice"),
        pytest.param(
            "a.csv", "long,lat,km\n12,1178,4\n", ["line 2", "latitude", "1178", "x, y"], id="pixels as latitude"
        ),
        pytest.param("a.csv", "lon,lat,km\n812,11,4\n", ["line 2", "longitude", "812"], id="pixels as longitude"),
        pytest.param("a.csv", "x,y,d,score\n1,2,3,97\n", ["line 2", "score", "97", "share"], id="a score in per cent"),
        pytest.param("none.csv", None, ["no such file", ".scc"], id="no file"),
        pytest.param("a.scc", "x,y,d\n1,2,3\n", ["line 1", "file of craterstats"], id="a CSV called .scc"),
        pytest.param("a.scc", "Total_area = 5\ncrater = {diam\n1\n}\n", ["no lon and no lat"], id="diameters alone"),
        pytest.param("a.scc", "crater = {diam,lon,lat\n1 2 3\n", ["no closing }", "cut short"], id=".scc cut short"),
        pytest.param("a.diam", "crater = {diameter,lon,lat\n1 2\n}\n", ["line 2", "2 cells"], id="a short .diam line"),
        pytest.param("a.diam", "area = 5\n", ["no table", "craterstats"], id=".diam without craters"),
        pytest.param("a.diam", "crater = {diameter,lon,lat\n1,5 2 3\n}\n", ["line 2", "'1,5'"], id=".diam with commas"),
    ],
)
def test_a_bad_catalogue_is_refused(tmp_path: Path, name: str, content: str | bytes | None, words: list[str]) -> None:
    path = tmp_path / name if content is None else written(tmp_path, content, name)
    with pytest.raises(UserError) as caught:
        read_catalogue(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", ["a.scc", "a.diam"])
@pytest.mark.parametrize(
    ("catalogue", "word"),
    [
        (Catalogue(*np.array(CIRCLES).T), "longitude, latitude and kilometres is not known"),
        (Catalogue(longitude=np.ones(1), latitude=np.ones(1), kilometres=np.ones(1)), "the area"),
    ],
)
def test_craterstats_needs_a_georeference(tmp_path: Path, name: str, catalogue: Catalogue, word: str) -> None:
    with pytest.raises(UserError, match=word) as caught:
        write_catalogue(tmp_path / name, catalogue)
    assert "GeoTIFF" in str(caught.value)
    assert not (tmp_path / name).exists()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.csv, \.scc or \.diam"):
        write_catalogue(tmp_path / "a.xlsx", BOTH)
