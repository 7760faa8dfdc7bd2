"""``bench predict``: what a finished run sees in images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from craterbench.execution.devices import DEVICES
from craterbench.plugin import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["predict_command"]


@click.command("predict")
@click.argument("run")
@click.argument("images", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The npz file to write.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="What to predict on.")
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
def predict_command(run: str, images: Path, output: Path, device: str, results: Path) -> None:
    """Predict craters with the weights of RUN in IMAGES, an npy file or an npz file with the array images.

    RUN is an id, a beginning of one that no other has, or the path of a run's folder. The output has the array
    probabilities, float32 (N, H, W, 1).
    """
    import numpy as np

    from craterbench.api import predict

    probabilities = predict(run, _read(images), device=device, results=results)
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, probabilities=probabilities)
        part.replace(output)
    except OSError as error:
        raise UserError(f"{output} cannot be written ({error.strerror})") from None
    click.echo(output)


def _read(path: Path) -> npt.NDArray[np.generic]:
    import zipfile

    import numpy as np

    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            images: npt.NDArray[np.generic] = found["images"]
            return images
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except KeyError:
        raise UserError(f"{path}: has no array named images; it has {', '.join(found.files)}") from None
    except (EOFError, ValueError, zipfile.BadZipFile):
        raise UserError(f"{path}: is neither an npy nor an npz file of numbers") from None
