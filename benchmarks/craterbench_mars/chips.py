"""The built-in data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from craterbench.data.dataset import Dataset
from craterbench.data.values import make_subset
from craterbench.plugin import NoParameters

__all__ = ["FILE", "mars_hrsc"]

FILE = Path(__file__).with_name("mars-hrsc.npz")


def mars_hrsc(parameters: NoParameters) -> Dataset:
    """Read the chips; see mars-hrsc.md for where they come from and build.py for how they are cut."""
    with np.load(FILE, allow_pickle=False) as chips:
        images, packed, groups, test = (chips[name] for name in ("images", "masks", "groups", "test"))
    masks = np.unpackbits(packed, axis=1).reshape(images.shape)
    train_val, held_out = (
        make_subset(images[rows], masks[rows], groups[rows], source="mars-hrsc") for rows in (~test, test)
    )
    return Dataset(train_val, held_out)
