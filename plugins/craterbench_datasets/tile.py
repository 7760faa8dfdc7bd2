"""Chips cut from tiles with catalogues of craters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from craterbench.data.dataset import Dataset
from craterbench.data.tiles import cut_tiles, find_tiles

if TYPE_CHECKING:
    from craterbench_datasets import Tiles

__all__ = ["tile"]


def tile(parameters: Tiles) -> Dataset:
    """Cut chips around the craters of one or several tiles.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    return cut_tiles(
        find_tiles(Path(parameters.path)),
        size=parameters.size,
        number=parameters.chips,
        smallest=parameters.smallest,
        test=parameters.test,
        seed=parameters.seed,
    )
