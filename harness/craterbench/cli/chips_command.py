"""``bench data chips``: cut a tile into an npz file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from craterbench.plugin import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from craterbench.data.dataset import Subset

__all__ = ["chips_command"]


@click.command("chips")
@click.argument("tile", type=click.Path(path_type=Path))
@click.argument("catalogue", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The npz file to write.")
@click.option("--size", type=click.IntRange(8, 1024), default=48, show_default=True, help="Side of a chip, in pixels.")
@click.option(
    "--chips", type=click.IntRange(4, 100_000), default=700, show_default=True, help="How many, the test included."
)
@click.option(
    "--smallest",
    type=click.FloatRange(1, 10_000),
    default=10.0,
    show_default=True,
    help="Least diameter of a crater that chips are cut around, in pixels.",
)
@click.option(
    "--test",
    metavar="TILE",
    default="regions",
    show_default=True,
    help="The tile that tests; 'regions' is a fifth of each, 'none' nothing.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the chips.")
def chips_command(
    tile: Path, catalogue: Path | None, out: Path, size: int, chips: int, smallest: float, test: str, seed: int
) -> None:
    """Cut chips around the craters of TILE, an image of any size or a folder of them, into an npz file.

    CATALOGUE has the craters of one image; by default it is the file of the same name that ends in .csv, .scc or .diam.
    The npz file has the arrays images, masks, groups, names and circles, and those of the test with test_ before them.
    """
    import numpy as np

    from craterbench.data.tiles import Tile, cut_tiles, find_tiles
    from craterbench.results.files import write_atomically

    if out.suffix.lower() != ".npz":
        raise UserError(f"{out}: chips are written as an npz file; name it so: --out {out.stem}.npz")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}; make it first")
    if catalogue is not None and tile.is_dir():
        raise UserError(f"{tile}: is a folder, where each image has its own catalogue beside it; leave out {catalogue}")
    tiles = find_tiles(tile) if catalogue is None else [Tile(tile, catalogue)]
    dataset = cut_tiles(tiles, size=size, number=chips, smallest=smallest, test=test, seed=seed)
    arrays = _arrays(dataset.train_val)
    if dataset.test is not None:
        arrays |= {f"test_{name}": array for name, array in _arrays(dataset.test).items()}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    try:
        write_atomically(out, content.getvalue())
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); give another --out") from None
    for line in (*dataset.notes, *(f"warning: {warning}" for warning in dataset.warnings)):
        click.echo(line)
    click.echo(f"{out}: train on it with  bench run reference --dataset npz --data {out}")


def _arrays(part: Subset) -> dict[str, npt.NDArray[np.generic]]:
    """Return a part as a file has it; of a circle the row of its image, x, y and diameter, (K, 4)."""
    import numpy as np

    rows: list[Any] = [
        np.column_stack([np.full(len(circles), row), circles]) for row, circles in enumerate(part.circles or ())
    ]
    return {
        "images": np.rint(part.images[..., 0] * 255).astype(np.uint8),
        "masks": part.masks[..., 0],
        "groups": part.groups,
        "names": np.array(part.names),
        "circles": np.concatenate([np.zeros((0, 4)), *rows]),
    }
