"""A folder of images and masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from craterbench.data.dataset import Dataset
from craterbench.data.image_files import IMAGE_SUFFIXES, read_mask
from craterbench.plugin import UserError
from craterbench_datasets.image_folder import Item, Listing, assemble, few, listing, notes_on, read_images, same_size

if TYPE_CHECKING:
    from craterbench_datasets import Folder

__all__ = ["folder"]


def folder(parameters: Folder) -> Dataset:
    """Read images and masks: folders ``images`` and ``masks`` with the same stems, or pairs ``x.png``, ``x_mask.png``.

    Sub-folders are groups, or parts where they are called so; ``split.csv`` may give either instead.

    Raises:
        UserError: naming the folder or the file, what is wrong with it and what cures it.
    """
    path = Path(parameters.path)
    if not parameters.mask_suffix:
        raise UserError(f"{path}: dataset.mask_suffix is empty; give what the name of a mask has more, such as _mask")
    files = listing(path, partners="masks", suffixes=IMAGE_SUFFIXES, end=parameters.mask_suffix)
    _check_pairs(path, files, parameters.mask_suffix)
    images, notes = read_images(files.images, source=str(path))
    masks = [read_mask(files.partners[item.key]) for item in files.images]
    for item, image, mask in zip(files.images, images, masks, strict=True):
        if mask.pixels.shape != image.shape:
            sizes = ["x".join(map(str, shape)) for shape in (mask.pixels.shape, image.shape)]
            raise UserError(
                f"{files.partners[item.key]}: the mask is {sizes[0]}, its image {sizes[1]}; give them one size"
            )
    stacked = same_size([mask.pixels for mask in masks], _names(files.images), source=str(path))
    return assemble(
        path, files.images, images, stacked, parameters, source=path, notes=(*notes, *notes_on(masks, "masks"))
    )


def _check_pairs(path: Path, files: Listing, end: str) -> None:
    """Check that every image has a mask and every mask an image."""
    lonely = [item.name for item in files.images if item.key not in files.partners]
    if not files.partners:
        raise UserError(
            f"{path}: has {len(lonely)} image(s), first {lonely[0]}, and no mask; give images/ and masks/ with the "
            f"same names, or pairs such as a.png and a{end}.png"
        )
    if lonely:
        raise UserError(
            f"{path}: {len(lonely)} image(s) have no mask: {few(lonely)}; give each a mask, all 0 where it shows no "
            "crater"
        )
    keys = {item.key for item in files.images}
    spare = [mask.relative_to(path).as_posix() for key, mask in files.partners.items() if key not in keys]
    if spare:
        raise UserError(f"{path}: {len(spare)} mask(s) have no image: {few(spare)}; give the images, or remove them")


def _names(items: Sequence[Item]) -> list[str]:
    return [item.name for item in items]
