"""``bench predict``, on files of every kind, with runs that need no framework: what is written, what is refused."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

import craterbench
from craterbench.data.catalogue import read_catalogue
from craterbench.data.georeference import read_georeference
from craterbench.plugin import UserError
from craterbench_datasets import Synthetic
from craterbench_datasets.synthetic import synthetic

rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")

SMALL = {"dataset.name": "synthetic", "dataset.images": 40, "dataset.size": 16}
MARS = rasterio.crs.CRS.from_proj4("+proj=eqc +R=3396190 +units=m +no_defs")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs, which differ in their seeds."""
    results = tmp_path_factory.mktemp("trained")
    overrides = {**SMALL, "training.epochs": 20, "training.batch_size": 8, "optimizer.learning_rate": 1.0}
    return craterbench.run("logistic", seeds=2, overrides=overrides, results=results, quiet=True)


@pytest.fixture(scope="module")
def mosaic():
    """A synthetic image, uint8 (100, 130), with craters of several sizes."""
    images = synthetic(Synthetic(images=4, size=130, seed=5)).train_val.images
    return (images[0, :100, :, 0] * 255).round().astype(np.uint8)


@pytest.fixture
def predict(bench_in, trained, tmp_path):
    """Call the command on the runs' results; returns what it said, after it has succeeded."""
    bench = bench_in(trained[0].folder.parents[2])

    def call(*arguments, out="out"):
        result = bench("predict", *map(str, arguments), "--out", str(tmp_path / out))
        assert result.exit_code == 0, result.output
        return result

    return call


@pytest.fixture
def refused(bench_in, trained, tmp_path):
    """Call the command, which is to be refused, to write nothing, and to say why in one message without a traceback."""
    bench = bench_in(trained[0].folder.parents[2])

    def call(*arguments, out="out"):
        before = sorted(tmp_path.rglob("*"))
        result = bench("predict", *map(str, arguments), "--out", str(tmp_path / out))
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
        assert sorted(tmp_path.rglob("*")) == before
        return result.stderr

    return call


def png(path):
    return np.asarray(Image.open(path))


def test_a_picture_gets_pictures_and_a_catalogue(trained, predict, mosaic, tmp_path):
    Image.fromarray(mosaic).save(tmp_path / "tile.png")
    result = predict(trained[0].id, tmp_path / "tile.png", "--threshold", "0.11")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"prediction.json"} | {
        f"tile-{what}" for what in ("mask.png", "probabilities.png", "overlay.png", "catalogue.csv")
    }
    # a model of single pixels and their surroundings says the same in a window as of the whole, but at borders
    whole = trained[0].predict(mosaic[np.newaxis])[0, ..., 0]
    probabilities = png(tmp_path / "out" / "tile-probabilities.png")
    assert (probabilities.dtype, probabilities.shape) == (np.uint16, mosaic.shape)
    assert np.abs(probabilities / 65535 - whole)[4:-4, 4:-4].mean() < 0.02
    mask = png(tmp_path / "out" / "tile-mask.png")
    np.testing.assert_array_equal(np.unique(mask), (0, 255))
    np.testing.assert_array_equal(mask == 255, probabilities > 0.11 * 65535)
    overlay = png(tmp_path / "out" / "tile-overlay.png").astype(int)
    np.testing.assert_array_equal(overlay[mask == 0], np.repeat(mosaic[mask == 0][:, np.newaxis], 3, axis=1))
    assert (overlay[mask == 255][:, 0] > overlay[mask == 255][:, 2]).all()
    catalogue = read_catalogue(tmp_path / "out" / "tile-catalogue.csv")
    assert len(catalogue) > 0
    assert f"{len(catalogue)} crater" in result.stdout
    assert (catalogue.score > 0.11).all()
    assert json.loads((tmp_path / "out" / "prediction.json").read_text()) | {"images": []} == {
        "runs": [trained[0].id], "benchmarks": ["logistic"], "frameworks": ["sklearn"], "tta": [], "threshold": 0.11,
        "window": 16, "images": [],
    }  # fmt: skip


def test_a_geotiff_gets_geotiffs_in_its_place_and_catalogues_on_its_body(trained, predict, mosaic, tmp_path):
    place = rasterio.Affine(100, 0, -2_000_000, 0, -100, 500_000)
    source = tmp_path / "tile.tif"
    with rasterio.open(
        source, "w", driver="GTiff", height=100, width=130, count=1, dtype="uint8", crs=MARS, transform=place, nodata=0
    ) as file:
        holed = np.maximum(mosaic, 1)
        holed[:40, :30] = 0
        file.write(holed, 1)
    predict(trained[0].id, source, "--threshold", "0.11")
    for what, dtype, count in (("mask", "uint8", 1), ("probabilities", "float32", 1), ("overlay", "uint8", 3)):
        with rasterio.open(tmp_path / "out" / f"tile-{what}.tif") as file:
            assert (file.transform, file.shape, file.count) == (place, (100, 130), count)
            assert file.dtypes[0] == dtype
            assert file.crs == MARS
            if what != "overlay":
                assert not file.read(1)[:40, :30].any()  # nothing was observed there
    catalogue = read_catalogue(tmp_path / "out" / "tile-catalogue.csv")
    longitude, latitude = read_georeference(source).to_lonlat(catalogue.x, catalogue.y)
    np.testing.assert_allclose(catalogue.longitude, longitude)
    np.testing.assert_allclose(catalogue.latitude, latitude)
    np.testing.assert_allclose(catalogue.kilometres, catalogue.diameter * 0.1, rtol=0.1)
    for suffix in (".scc", ".diam"):
        again = read_catalogue(tmp_path / "out" / f"tile-catalogue{suffix}")
        np.testing.assert_allclose(again.kilometres, catalogue.kilometres)


def test_arrays_get_arrays(trained, predict, tmp_path):
    images = synthetic(Synthetic(images=5, size=16)).train_val.images
    np.savez(tmp_path / "several.npz", images=images, masks=np.zeros(1))
    np.save(tmp_path / "bytes.npy", (images[..., 0] * 255).round().astype(np.uint8))
    np.save(tmp_path / "one.npy", np.tile(images[0, ..., 0], (3, 2)))
    predict(trained[0].id, *sorted(tmp_path.glob("*.np?")), "--threshold", "0.01")
    out, whole = tmp_path / "out", trained[0].predict(images)
    with np.load(out / "several-probabilities.npz") as file:
        np.testing.assert_array_equal(file["probabilities"], whole)
    with np.load(out / "several-mask.npz") as file:
        np.testing.assert_array_equal(file["masks"], np.where(whole > 0.01, 255, 0))
    with np.load(out / "several-overlay.npz") as file:
        assert (file["overlays"].shape, file["overlays"].dtype) == ((5, 16, 16, 3), np.uint8)
    np.testing.assert_allclose(np.load(out / "bytes-probabilities.npy"), whole, atol=0.01)
    assert np.load(out / "one-mask.npy").shape == (48, 32)
    with (out / "several-catalogue.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["image"]) for row in rows} <= set(range(5))
    assert rows


def test_windows_are_as_large_as_images_of_which_little_is_known(tmp_path, mosaic):
    data = synthetic(Synthetic(images=20, size=16)).train_val
    masks = data.masks.copy()
    masks[:, :, 5:][masks[:, :, 5:] == 0] = 255
    np.savez(tmp_path / "data.npz", images=data.images, masks=masks)
    overrides = {"dataset.name": "npz", "dataset.path": str(tmp_path / "data.npz"), "dataset.ignore": 255}
    (run,) = craterbench.run("logistic", overrides=overrides, results=tmp_path / "results", quiet=True)
    np.save(tmp_path / "in.npy", mosaic)
    craterbench.predict_files(run, tmp_path / "in.npy", tmp_path / "out", quiet=True)
    assert json.loads((tmp_path / "out" / "prediction.json").read_text())["window"] == 16


def test_a_folder_is_its_images_of_every_kind_and_size(trained, predict, mosaic, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(mosaic[:20, :17]).save(folder / "a.png")
    Image.fromarray(mosaic[:9, :7]).save(folder / "b.pgm")
    tifffile.imwrite(folder / "c.tif", mosaic.astype(np.uint16) * 257)
    (folder / "notes.txt").write_text("seen")
    result = predict(trained[0].id, folder, "--threshold", "0.11")
    assert png(tmp_path / "out" / "b-mask.png").shape == (9, 7)
    tifffile.imread(tmp_path / "out" / "c-probabilities.tif")
    content = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert [each["scale"].split(":")[0] for each in content["images"]] == ["scale byte", "scale byte", "scale uint16"]
    assert f"{folder / 'c.tif'}: 130 windows" in result.stderr
    quiet = predict(trained[0].id, folder, "--quiet", out="again")
    assert quiet.stderr == ""


def test_several_runs_are_the_mean_of_their_probabilities_and_of_their_thresholds(trained, predict, tmp_path):
    images = synthetic(Synthetic(images=6, size=16, seed=3)).train_val.images
    np.save(tmp_path / "in.npy", images)
    predict(*[run.folder for run in trained], tmp_path / "in.npy")
    each = [run.predict(images) for run in trained]
    assert np.abs(each[0] - each[1]).max() > 1e-3
    found = np.load(tmp_path / "out" / "in-probabilities.npy")
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(craterbench.predict(trained, images), found, atol=1e-6)
    for run in trained:
        predict(run.folder, tmp_path / "in.npy", out=run.id)
    thresholds = [
        json.loads((tmp_path / out / "prediction.json").read_text())["threshold"]
        for out in ("out", *[run.id for run in trained])
    ]
    assert thresholds[0] == pytest.approx(np.mean(thresholds[1:]))
    assert 0.5 not in thresholds


def test_test_time_augmentation_is_the_mean_over_the_symmetries(trained):
    images = synthetic(Synthetic(images=3, size=16, seed=3)).train_val.images[:, :16, :12]
    flips = [np.flip(trained[0].predict(np.flip(images, axes)), axes) for axes in ((), (1,), (2,), (1, 2))]
    found = craterbench.predict(trained[0], images, tta=("flips",))
    np.testing.assert_allclose(found, np.mean(flips, axis=0), atol=1e-6)
    turns = [np.rot90(trained[0].predict(np.rot90(images, k, (1, 2))), -k, (1, 2)) for k in range(4)]
    np.testing.assert_allclose(
        craterbench.predict(trained[0], images, tta=("turns",)), np.mean(turns, axis=0), atol=1e-6
    )
    everything = craterbench.predict(trained[0], images, tta=("turns", "flips"))
    mirrored = craterbench.predict(trained[0], images[:, ::-1], tta=("turns", "flips"))[:, ::-1]
    np.testing.assert_allclose(everything, mirrored, atol=1e-6)


def test_from_python_there_is_a_row_for_each_file(trained, mosaic, tmp_path):
    Image.fromarray(mosaic).save(tmp_path / "tile.png")
    rows = craterbench.predict_files(trained[0], tmp_path / "tile.png", tmp_path / "out", threshold=0.11, quiet=True)
    row = rows.loc[tmp_path / "tile.png"]
    assert (row["height"], row["width"], row["images"]) == (100, 130, 1)
    assert row["share"] == pytest.approx((png(tmp_path / "out" / "tile-mask.png") == 255).mean())


IMAGES = {
    "a text file": ("note.png", b"no image at all", ["note.png", "is no PNG", "save it as"]),
    "a truncated PNG": ("cut.png", None, ["cut.png", "cut short or damaged", "copy"]),
    "an empty file": ("empty.tif", b"", ["empty.tif", "0 bytes", "copy it again"]),
    "an unknown ending": ("image.doc", b"x", ["image.doc", "no image by its name", ".png"]),
    "a damaged npz": ("junk.npz", b"PK", ["junk.npz", "neither an npy nor an npz", "save it again"]),
    "a text array": ("text.npy", np.array(["a"]), ["text.npy", "<U1", "give numbers"]),
    "an array of colours": ("rgb.npy", np.zeros((2, 4, 4, 3)), ["rgb.npy", "(2, 4, 4, 3)", "give grey"]),
    "an empty array": ("none.npy", np.zeros((0, 4, 4)), ["none.npy", "(0, 4, 4)", "give grey"]),
    "infinity": ("far.npy", np.full((4, 4), np.inf), ["far.npy", "infinity", "replace it"]),
    "NaN alone": ("nan.npy", np.full((4, 4), np.nan), ["nan.npy", "nothing was observed", "give an image"]),
    "negative values": ("low.npy", np.full((4, 4), -3.0), ["low.npy", "-3", "give grey values"]),
    "a scale that is in doubt": ("odd.npy", np.full((4, 4), 1.5), ["odd.npy", "1.5", "clip or"]),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_that_cannot_be_read_is_refused(name, trained, refused, mosaic, tmp_path):
    file, content, words = IMAGES[name]
    path = tmp_path / file
    if content is None:
        Image.fromarray(mosaic).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    Image.fromarray(mosaic).save(tmp_path / "fine.png")  # nothing is written of it either
    said = refused(trained[0].id, tmp_path / "fine.png", path)
    for word in words:
        assert word in said


def test_an_npz_without_images_is_refused(trained, refused, tmp_path):
    np.savez(tmp_path / "masks.npz", masks=np.zeros((1, 4, 4)))
    assert "has no array images; it has masks" in refused(trained[0].id, tmp_path / "masks.npz")


def test_folders_and_names_that_cannot_be_are_refused(trained, refused, mosaic, tmp_path):
    run = trained[0].id
    for folder in ("none", "one", "two"):
        (tmp_path / folder).mkdir()
    Image.fromarray(mosaic).save(tmp_path / "one" / "a.png")
    Image.fromarray(mosaic).save(tmp_path / "two" / "A.pgm")
    (tmp_path / "file").write_text("")
    assert "has no images in it; they end in" in refused(run, tmp_path / "none")
    (tmp_path / "above").mkdir()
    Image.fromarray(mosaic).save(tmp_path / "above" / "a.png")
    (tmp_path / "above").rename(tmp_path / "none" / "scene")
    assert "folders in it are not searched: name those that hold images" in refused(run, tmp_path / "none")
    said = refused(run, tmp_path / "one", tmp_path / "two")
    assert "a.png" in said
    assert "A.pgm would have results of the same name; rename one" in said
    assert "give another folder" in refused(run, tmp_path / "one", out="one")
    assert "cannot be written" in refused(run, tmp_path / "one", out="file/out")
    assert "is a folder now" in refused(run, tmp_path / "one", out="out.npz")


def test_runs_and_images_are_told_apart(trained, refused, predict, mosaic, tmp_path, monkeypatch):
    run, tile = trained[0].id, tmp_path / "tile.png"
    Image.fromarray(mosaic).save(tile)
    assert "no images are named; give them after the runs" in refused(run)
    assert "no run is named; give the id of one before the images" in refused(tile)
    said = refused(run, "tiel.png")
    assert "tiel.png: there is no such file" in said
    assert run not in said.replace("tiel.png", "")  # the runs that there are do not help
    assert "tiel: is neither images nor a run" in refused(run, "tiel")
    assert "runs begin with '2'" in refused("2", tile)
    monkeypatch.chdir(tmp_path)
    (tmp_path / run).mkdir()
    Image.fromarray(mosaic).save(tmp_path / run / "a.png")
    assert f"{run}: is both a path and the id of a run; write ./{run}" in refused(run, tile)
    predict(run[:-1], f"./{run}")
    assert (tmp_path / "out" / "a-mask.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--threshold", "1.5"], ["--threshold 1.5", "between 0 and 1"], id="threshold over 1"),
        pytest.param(["--threshold", "0"], ["--threshold 0", "between 0 and 1"], id="threshold of 0"),
        pytest.param(["--threshold", "nan"], ["--threshold nan", "between 0 and 1"], id="threshold no number"),
        pytest.param(["--tta", "flip"], ["--tta flip", "did you mean 'flips'"], id="unknown augmentation"),
        pytest.param(["--framework", "torhc"], ["torhc", "torch"], id="unknown framework"),
        pytest.param(["--framework", "torch"], ["logistic", "torch"], id="a model without a twin"),
    ],
)
def test_options_out_of_range_are_refused(arguments, words, trained, refused, mosaic, tmp_path):
    Image.fromarray(mosaic).save(tmp_path / "tile.png")
    said = refused(trained[0].id, tmp_path / "tile.png", *arguments)
    for word in words:
        assert word in said


def test_a_framework_that_is_not_installed_is_named_with_what_installs_it(
    trained, refused, mosaic, tmp_path, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *of: None)
    Image.fromarray(mosaic).save(tmp_path / "tile.png")
    copy = tmp_path / "results" / trained[0].id
    shutil.copytree(trained[0].folder, copy)
    record = json.loads((copy / "record.json").read_text())
    record["config"] |= {
        "framework": "torch",
        "model": {"name": "unet"},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
    }
    (copy / "record.json").write_text(json.dumps(record))
    assert "pip install 'craterbench[torch]'" in refused(copy, tmp_path / "tile.png")


def test_a_run_without_weights_is_refused(trained, refused, mosaic, tmp_path):
    Image.fromarray(mosaic).save(tmp_path / "tile.png")
    copy = tmp_path / trained[0].id
    shutil.copytree(trained[0].folder, copy)
    (copy / "weights.safetensors").unlink()
    said = refused(copy, tmp_path / "tile.png")
    assert f"{copy / 'weights.safetensors'}: there is no such file, and the run is done" in said
    (copy / "weights.safetensors").write_bytes(b"cut")
    said = refused(copy, tmp_path / "tile.png")
    assert "is cut short or no safetensors file" in said
    with pytest.raises(UserError, match="cut short"):
        craterbench.Run(copy).predict(mosaic[np.newaxis])
