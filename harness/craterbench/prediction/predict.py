"""From finished runs and image files to masks, probabilities, overlays and catalogues."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from craterbench.data.catalogue import Catalogue, write_catalogue
from craterbench.data.georeference import read_georeference
from craterbench.execution.ensemble import Ensemble
from craterbench.plugin import UserError
from craterbench.prediction.craters import CraterFinder
from craterbench.prediction.images import GreyImage, find_images, open_images
from craterbench.prediction.outputs import image_output, save_stack
from craterbench.prediction.shown import Shown
from craterbench.prediction.windows import predict_bands, predict_windows

__all__ = ["Predicted", "Predictor", "check_threshold"]


@dataclass(frozen=True)
class Predicted:
    """What was done for a file.

    Attributes:
        image: the file.
        images: how many images it holds.
        height: of an image, in pixels.
        width: of an image, in pixels.
        craters: how many were found.
        share: of the pixels that are crater.
        seconds: that it took.
        scale: how its grey values became 0 to 1.
        note: what is to be said of it, or ``None``.
    """

    image: Path
    images: int
    height: int
    width: int
    craters: int
    share: float
    seconds: float
    scale: str
    note: str | None


def check_threshold(threshold: float | None) -> None:
    """Raise a UserError unless a threshold is between 0 and 1."""
    if threshold is not None and not 0 < threshold < 1:
        raise UserError(f"--threshold {threshold:g}: is a probability; give one between 0 and 1, such as 0.5")


class Predictor:
    """Predicts craters in image files and writes what is found into a folder."""

    def __init__(self, ensemble: Ensemble, shown: Shown, threshold: float) -> None:
        """Use runs that have been entered.

        Args:
            shown: how images are shown to them.
            threshold: a pixel is crater where its probability is above this.

        Raises:
            UserError: the threshold is not between 0 and 1.
        """
        check_threshold(threshold)
        self._ensemble, self._shown, self._threshold = ensemble, shown, threshold

    def predict(
        self,
        paths: Sequence[Path],
        out: Path,
        *,
        about: dict[str, Any],
        start: Callable[[Path, int], None] = lambda file, windows: None,
        advance: Callable[[int], None] = lambda windows: None,
    ) -> list[Predicted]:
        """Write of each file ``NAME-mask``, ``NAME-probabilities``, ``NAME-overlay`` and ``NAME-catalogue.csv``.

        With a georeference there are ``NAME-catalogue.scc`` and ``.diam`` too. ``prediction.json`` says how they came
        to be. All files are opened before anything is written, and the results of one are there when they are whole.

        Args:
            paths: image files, and folders of such.
            about: what ``prediction.json`` is to say of the runs.
            start: called with each file and the number of its windows, before it is predicted.
            advance: called with the number of windows that have been predicted since.

        Raises:
            UserError: an image cannot be read, or the folder cannot be written.
        """
        files = find_images(paths)
        if any(file.resolve().parent == out.resolve() for file in files):
            raise UserError(
                f"--out {out}: is where images are, and would hold results beside them; give another folder"
            )
        numbers = [self._check(file) for file in files]
        done = []
        with _written(out) as folder:
            for file, number in zip(files, numbers, strict=True):
                start(file, number)
                done.append(self._predict(file, folder, advance))
                for result in sorted(folder.iterdir()):
                    result.replace(out / result.name)
            content = {
                **about,
                "threshold": self._threshold,
                "window": self._shown.windows.side,
                "images": [{**asdict(each), "image": str(each.image)} for each in done],
            }
            (folder / "prediction.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            (folder / "prediction.json").replace(out / "prediction.json")
        return done

    def _check(self, file: Path) -> int:
        """Open a file and return the number of its windows."""
        with open_images(file, self._shown.scale) as images:
            number = len(images) * self._shown.windows.number(images[0].shape)
        read_georeference(file)  # which is needed at the end
        return number

    def _predict(self, file: Path, folder: Path, advance: Callable[[int], None]) -> Predicted:
        clock = time.perf_counter()
        stem, note = folder / file.stem, None
        with open_images(file, self._shown.scale) as images:
            height, width = images[0].shape
            if len(images) > 1 or file.suffix.lower() == ".npz":
                catalogues, crater = self._predict_stack(file, images, stem, advance)
                _write_numbered(stem.with_name(f"{stem.name}-catalogue.csv"), catalogues)
            else:
                catalogue, crater = self._predict_image(file, images[0], stem, advance)
                note = _write_catalogue(file, stem, catalogue)
                catalogues = [catalogue]
            return Predicted(
                image=file,
                images=len(images),
                height=height,
                width=width,
                craters=sum(map(len, catalogues)),
                share=crater / (len(images) * height * width),
                seconds=round(time.perf_counter() - clock, 3),
                scale=str(images[0].scale),
                note=note,
            )

    def _predict_image(
        self, file: Path, image: GreyImage, stem: Path, advance: Callable[[int], None]
    ) -> tuple[Catalogue, int]:
        """Write the results of an image but its catalogue, and return that, and the number of crater pixels."""
        finder, row, crater = CraterFinder(), 0, 0
        bands = predict_bands(image.shape, image.rows, self._ensemble.predict, self._shown.windows, advance=advance)
        with image_output(file, image.shape, stem) as output:
            for probabilities in bands:
                output.write(image.rows(row, row + len(probabilities)), probabilities, self._threshold)
                called = probabilities > self._threshold
                finder.add(called, probabilities)
                row, crater = row + len(probabilities), crater + int(called.sum())
        return finder.craters(), crater

    def _predict_stack(
        self, file: Path, images: Sequence[GreyImage], stem: Path, advance: Callable[[int], None]
    ) -> tuple[list[Catalogue], int]:
        """Write the results of the images of an array but their catalogues; return what ``_predict_image`` does."""
        height, width = images[0].shape
        windows, predict = self._shown.windows, self._ensemble.predict
        grey = np.stack([image.rows(0, height) for image in images])
        if max(height, width) <= windows.side:  # each is a window, and many go at once
            probabilities = predict_windows(grey, predict, windows, advance=advance)
        else:
            found = (predict_bands((height, width), each.rows, predict, windows, advance=advance) for each in images)
            probabilities = np.stack([np.concatenate(list(bands)) for bands in found])
        catalogues = []
        for each in probabilities:
            finder = CraterFinder()
            finder.add(each > self._threshold, each)
            catalogues.append(finder.craters())
        save_stack(file, grey, probabilities, self._threshold, stem)
        return catalogues, int((probabilities > self._threshold).sum())


def _write_catalogue(file: Path, stem: Path, catalogue: Catalogue) -> str | None:
    """Write the craters of an image, on its body where it has a georeference; return what is to be said of that."""
    place, note, suffixes = read_georeference(file), None, [".csv"]
    if place is not None and place.of_earth:
        note = "its georeference is of the Earth, so that the catalogue is in pixels alone"
    elif place is not None:
        catalogue, suffixes = place.to_body(catalogue), [".csv", ".scc", ".diam"]
    for suffix in suffixes:
        write_catalogue(stem.with_name(f"{stem.name}-catalogue{suffix}"), catalogue)
    return note


def _write_numbered(path: Path, catalogues: Sequence[Catalogue]) -> None:
    """Write the craters of several images, counted from 0."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "x", "y", "diameter_px", "score"])
        for number, found in enumerate(catalogues):
            columns = (found.x, found.y, found.diameter, found.score)
            writer.writerows(
                [number, *row] for row in np.stack([each for each in columns if each is not None], 1).tolist()
            )


@contextlib.contextmanager
def _written(out: Path) -> Iterator[Path]:
    """Give a folder in the one for results, from which what is whole is moved there; leave nothing else behind."""
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".predicting-", dir=out))
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); give another folder") from None
    try:
        yield folder
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror or error}); give another folder") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for each in made:
            with contextlib.suppress(OSError):  # it has results in it
                each.rmdir()
