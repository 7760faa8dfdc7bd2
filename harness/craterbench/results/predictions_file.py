"""The file of what a run called crater: a bit a pixel, for the pictures of a page, beside the record."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from craterbench.data.dataset import IGNORED
from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.formulas import dice
from craterbench.results.files import write_atomically

__all__ = ["NUM_KEPT", "Predictions", "read_predictions", "write_predictions"]

#: Of how many images the pixels are kept: of those that the run does worst on, since pages show these.
NUM_KEPT = 12

_PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Predictions:
    """What was called crater in the images of a part.

    Attributes:
        called: uint8 (N, ceil(H * W / 8)), the bits of the pixels above the threshold, by rows.
        masks: the same of the pixels that are crater.
        size: H and W.
        worst: the images with the lowest Dice, the lowest first.
        images: uint8 (len(worst), H, W), these images, from black to white.
    """

    called: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8]
    size: npt.NDArray[np.int64]
    worst: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls, images: npt.NDArray[np.float32], masks: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32]
    ) -> Predictions:
        """Keep what a part's pictures need, of arrays (N, H, W, 1); a pixel that is left out is called nothing."""
        flat = masks.reshape(len(masks), -1)
        crater = flat == 1
        called = (probabilities.reshape(flat.shape) > THRESHOLD) & (flat != IGNORED)
        cells = (crater & called, ~crater & called, crater & ~called, ~crater & ~called)
        overlap = dice(np.stack([cell.sum(axis=1) for cell in cells], axis=-1))
        worst = np.argsort(overlap, kind="stable")[:NUM_KEPT]
        shown = np.rint(255 * np.asarray(images[worst, ..., 0])).astype(np.uint8)
        size = np.array(masks.shape[1:3], dtype=np.int64)
        return cls(np.packbits(called, axis=1), np.packbits(crater, axis=1), size, worst, shown)

    def of_image(self, image: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return where an image is crater, and where it is called so, (H, W) each."""
        height, width = (int(side) for side in self.size)
        crater, called = (
            np.unpackbits(bits[image], count=height * width).reshape(height, width).astype(bool)
            for bits in (self.masks, self.called)
        )
        return crater, called

    def pixels(self, image: int) -> npt.NDArray[np.uint8] | None:
        """Return an image, (H, W), or ``None`` where it is not among the worst."""
        place = np.flatnonzero(self.worst == image)
        return self.images[place[0]] if len(place) else None


def write_predictions(folder: Path, parts: Mapping[str, Predictions]) -> None:
    """Write ``predictions.npz``: the fields of each part, as ``part/field``."""
    content = io.BytesIO()
    arrays = {f"{part}/{name}": array for part, kept in parts.items() for name, array in vars(kept).items()}
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomically(folder / _PREDICTIONS, content.getvalue())


def read_predictions(folder: Path, part: str) -> Predictions:
    """Return what a run in a folder called crater in a part.

    Raises:
        ValueError: it is missing or damaged.
    """
    try:
        with (folder / _PREDICTIONS).open("rb") as content, np.load(content, allow_pickle=False) as file:
            kept = Predictions(**{name: file[f"{part}/{name}"] for name in Predictions.__dataclass_fields__})
    except FileNotFoundError:
        raise ValueError("it is missing") from None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        raise ValueError("it is damaged") from None
    bits = (len(kept.masks), -(-int(np.prod(kept.size)) // 8))
    if kept.size.shape != (2,) or not kept.called.shape == kept.masks.shape == bits:
        raise ValueError("it is damaged")
    if kept.images.shape != (len(kept.worst), *kept.size):
        raise ValueError("it is damaged")
    return kept
