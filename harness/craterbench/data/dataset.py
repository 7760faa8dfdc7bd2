"""A data set: images, masks and groups, in parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["IGNORED", "Dataset", "Subset", "TrainVal"]

#: In a mask: a pixel of which nobody knows whether it is crater; it is left out of objective and statistics.
IGNORED = 255


@dataclass(frozen=True)
class Subset:
    """Images with their masks: a part of a data set, or what is to be cut into parts.

    Attributes:
        images: float32 (N, H, W, 1) in [0, 1].
        masks: uint8 (N, H, W, 1), 1 where there is a crater.
        groups: int64 (N,); images that share pixels or a scene share a group.
        names: what to call each image in a message, such as its file, or ``None`` where they have only their numbers.
        circles: the craters of each image where a catalogue has them: float64 (M, 3), x and y of the centre and the
            diameter, in pixels of the image. ``None`` where there are masks alone.
    """

    images: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8]
    groups: npt.NDArray[np.int64]
    names: tuple[str, ...] | None = None
    circles: tuple[npt.NDArray[np.float64], ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: npt.NDArray[np.intp]) -> Subset:
        """Return some of the images, in the order of the row numbers."""
        return Subset(
            self.images[rows],
            self.masks[rows],
            self.groups[rows],
            None if self.names is None else tuple(self.names[row] for row in rows),
            None if self.circles is None else tuple(self.circles[row] for row in rows),
        )

    def crater_pixels(self) -> npt.NDArray[np.int64]:
        """Return the number of crater pixels in each image, (N,)."""
        counted: npt.NDArray[np.int64] = (self.masks == 1).sum(axis=(1, 2, 3), dtype=np.int64)
        return counted

    def digest(self) -> str:
        """Return the sha256 of shape, images, masks and circles: what a score depends on."""
        content = hashlib.sha256(repr(self.images.shape).encode())
        content.update(np.ascontiguousarray(self.images).data)
        content.update(np.ascontiguousarray(self.masks).data)
        for circles in self.circles or ():
            content.update(repr(circles.shape).encode())
            content.update(np.ascontiguousarray(circles).data)
        return content.hexdigest()


@dataclass(frozen=True)
class TrainVal:
    """A data set without its test part: all that a trial of a search may see.

    Attributes:
        part: what is split into the training and the validation part.
        notes: those of the data set.
        warnings: those of the data set.
        digest: of the complete data set, with its test part, so that a trial is on the same data as any other run.
        validation: bool (N,), those of the data set.
        has_test: whether there is a test part.
        cut: how the test part was cut from the data set, where it was.
    """

    part: Subset
    notes: tuple[str, ...]
    digest: str
    warnings: tuple[str, ...] = ()
    validation: npt.NDArray[np.bool_] | None = None
    has_test: bool = False
    cut: str = ""

    @property
    def id(self) -> str:
        """Equal for two that are the same images: of one data set several test parts can be cut."""
        return f"{self.digest}, {self.cut}" if self.cut else self.digest


@dataclass(frozen=True)
class Dataset:
    """What a data set plugin returns.

    Attributes:
        train_val: what is split into the training and the validation part.
        test: the test part, or ``None`` where there is none.
        notes: what a record should say of the data, such as that a file is the published one.
        warnings: what makes scores on them doubtful, such as masks that seem to be inverted.
        validation: bool (N,), which of the images of ``train_val`` validate, where the data say so themselves; the
            others train. ``None`` leaves it to ``split.validation`` of the benchmark.
    """

    train_val: Subset
    test: Subset | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    validation: npt.NDArray[np.bool_] | None = None

    def digest(self) -> str:
        """Return the sha256 of everything in it, with what decides the split: groups, and which images validate."""
        content = hashlib.sha256()
        for piece in (self.train_val, self.test):
            if piece is not None:
                content.update(piece.digest().encode())
                content.update(np.ascontiguousarray(piece.groups).data)
        if self.validation is not None:
            content.update(b"validation" + self.validation.tobytes())
        return content.hexdigest()

    def without_test(self) -> TrainVal:
        """Return all of it but the test part."""
        has_test = self.test is not None
        return TrainVal(self.train_val, self.notes, self.digest(), self.warnings, self.validation, has_test)
