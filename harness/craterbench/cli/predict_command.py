"""``bench predict``: what finished runs see in images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from craterbench.execution.devices import DEVICES
from craterbench.plugin import UserError

if TYPE_CHECKING:
    from craterbench.execution.finished import FinishedRun
    from craterbench.results.store import Store

__all__ = ["predict_command"]


@click.command("predict")
@click.argument("runs_and_images", nargs=-1, required=True, metavar="RUN... IMAGES...")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for what is found.")
@click.option("--threshold", type=float, help="Crater is what is above this; by default the runs' tuned threshold.")
@click.option("--tta", metavar="NAMES", default="", help="Test-time augmentation: flips, turns or flips,turns.")
@click.option("--framework", metavar="NAME", help="Predict in this framework, by the weights.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="What to predict on.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of runs."
)
def predict_command(
    runs_and_images: tuple[str, ...],
    out: Path,
    threshold: float | None,
    tta: str,
    framework: str | None,
    device: str,
    quiet: bool,
    results: Path,
) -> None:
    """Predict craters in IMAGES with the weights of a RUN, or with the mean of several.

    A RUN is an id, a beginning of one that no other has, or the path of a run's folder. IMAGES are image files, NumPy
    files, mosaics, and folders of such. Masks, probabilities, overlays and catalogues are written into a folder.
    """
    from craterbench.execution.ensemble import parse_tta
    from craterbench.plugin.registry import Registry
    from craterbench.report.prediction_progress import predict_live

    if out.suffix in (".npz", ".npy"):
        raise UserError(
            f"--out {out}: is a folder now; the probabilities of NAME.npz are in NAME-probabilities.npz there"
        )
    runs, images = _told_apart(runs_and_images, results)
    done = predict_live(
        Registry.installed(),
        runs,
        images,
        out,
        framework=framework,
        tta=parse_tta(tta),
        threshold=threshold,
        device=device,
        quiet=quiet,
    )
    for each in done:
        craters = f"{each.craters} crater{'' if each.craters == 1 else 's'}"
        click.echo(f"{each.image}: {craters}, {each.share:.1%} of the pixels, {each.seconds:.1f} s")
        if each.note:
            click.echo(f"{each.image}: {each.note}", err=True)
    click.echo(out)


def _told_apart(names: tuple[str, ...], results: Path) -> tuple[list[FinishedRun], list[Path]]:
    """Return the runs, and the paths of images: what exists and is no run's folder.

    Raises:
        UserError: a name is neither, or may be both, or there is none of one of them.
    """
    from craterbench.data.image_files import IMAGE_SUFFIXES
    from craterbench.execution.finished import FinishedRun
    from craterbench.prediction.images import ARRAY_SUFFIXES
    from craterbench.results.store import Store

    store = Store(results)
    runs: list[FinishedRun] = []
    images: list[Path] = []
    for name in names:
        path = Path(name)
        if not path.exists():
            if path.suffix.lower() in IMAGE_SUFFIXES | ARRAY_SUFFIXES:
                raise UserError(f"{name}: there is no such file; give images that are there")
            try:
                runs.append(FinishedRun(store, name))
            except UserError as error:
                raise UserError(
                    f"{name}: is neither images nor a run: there is no such file or folder, and {error}"
                ) from None
        elif (path / "record.json").is_file():
            runs.append(FinishedRun(store, name))
        elif path.name == name and _is_run(store, name):
            raise UserError(
                f"{name}: is both a path and the id of a run; write ./{name} for the path, or more of the id"
            )
        else:
            images.append(path)
    if not runs:
        raise UserError("no run is named; give the id of one before the images: bench predict RUN IMAGES --out DIR")
    if not images:
        raise UserError("no images are named; give them after the runs: bench predict RUN IMAGES --out DIR")
    return runs, images


def _is_run(store: Store, name: str) -> bool:
    try:
        store.find(name)
    except UserError:
        return False
    return True
