"""The images that a table's rows do worst on, for the page: the same ones for every row."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import binary_erosion

from craterbench.metrics.metric import Metrics
from craterbench.report.estimate_text import number_text
from craterbench.report.html import picture
from craterbench.report.table.row_intervals import REFERENCE, RowIntervals
from craterbench.report.table.rows import Row, ScoredRuns, label_fingerprints
from craterbench.results.predictions_file import Predictions, read_predictions
from craterbench.results.store import Store

__all__ = ["NUM_WORST", "worst_images"]

#: How many are shown.
NUM_WORST = 8

#: As in ``samples.png``.
_WHITE, _MISSED, _INVENTED = (255, 255, 255), (87, 181, 232), (230, 158, 0)

_DICE = Metrics().get("dice")


def worst_images(rows: Sequence[Row], store: Store, parts: Iterable[str]) -> str:
    """Return a table for each fingerprint of the parts: the Dice of single images, as the mean over a row's runs.

    They are those on which the reference does worst, or where it is not there the first row.

    Args:
        rows: those that are shown.
        store: of the statistics behind them.
        parts: the parts that are shown.
    """
    evidence, found = RowIntervals(store, rows), []
    for label, example in [each for part in parts for each in label_fingerprints(rows, part)]:
        wanted = example.part, example.fingerprint
        scored = [one for row in rows for one in row.scored if (one.part, one.fingerprint) == wanted]
        values = {one: each for one in scored if (each := _dice(evidence, one)) is not None}
        if values:
            pictures = {one: kept for one in values if (kept := _predictions(store, one)) is not None}
            found.append(_grid(label, values, evidence.runs(next(iter(values)), _DICE)[0].groups, pictures))
    if not found:
        return ""
    return (
        "<h2>Worst images</h2>"
        '<p class="dim">Dice of single images, as the mean over runs, and what the first seed called crater: blue is '
        "missed, orange is invented, white is found. An image is called by its place in the part, as in "
        "<code>statistics.npz</code> and in <code>bench table --per-image</code>.</p>" + "".join(found)
    )


def _dice(evidence: RowIntervals, scored: ScoredRuns) -> npt.NDArray[np.float64] | None:
    """Return the Dice of each image (N,), the mean over a row's runs, or ``None`` where they cannot be had."""
    runs = evidence.runs(scored, _DICE)
    if not runs:
        return None
    mean: npt.NDArray[np.float64] = np.mean([_DICE(run.of_images(_DICE.statistic)) for run in runs], axis=0)
    return mean


def _predictions(store: Store, scored: ScoredRuns) -> Predictions | None:
    """Return what the run of a row's first seed called crater; ``None`` of folds, and where it is not kept."""
    if scored.pooled_over_folds:
        return None
    first = min(scored.runs, key=lambda record: record.seed)
    with contextlib.suppress(ValueError):
        return read_predictions(store.folder(first), scored.part)
    return None


def _drawn(image: int, pictures: Mapping[ScoredRuns, Predictions], scored: ScoredRuns | None) -> str:
    """Return a picture of an image: as it is with the outline of its craters, or what a row called crater in it."""
    pixels = next((found for each in pictures.values() if (found := each.pixels(image)) is not None), None)
    kept = next(iter(pictures.values()), None) if scored is None else pictures.get(scored)
    if kept is None or (scored is None and pixels is None):
        return ""
    crater, called = kept.of_image(image)
    grey = np.zeros(crater.shape, np.uint8) if pixels is None else pixels
    drawn = np.repeat(grey[..., None], 3, axis=-1)
    if scored is None:
        drawn[crater & ~binary_erosion(crater, border_value=1)] = _WHITE
        said = f"image {image}, its craters outlined"
    else:
        drawn //= 2
        drawn[crater & called], drawn[crater & ~called], drawn[~crater & called] = _WHITE, _MISSED, _INVENTED
        said = f"what {scored.row.title} called crater in image {image}"
    content = io.BytesIO()
    Image.fromarray(drawn).save(content, "PNG", optimize=True)
    return picture(content.getvalue(), "image/png", said)


def _grid(
    label: str,
    values: dict[ScoredRuns, npt.NDArray[np.float64]],
    groups: npt.NDArray[Any],
    pictures: Mapping[ScoredRuns, Predictions],
) -> str:
    reference = next((one for one in values if one.row.newest.benchmark == REFERENCE), next(iter(values)))
    worst = np.argsort(values[reference], kind="stable")[:NUM_WORST]
    heads = "".join(
        f'<th class="number">{_drawn(image, pictures, None)}image {image}<br>group {groups[image]}</th>'
        for image in map(int, worst)
    )
    lines = "\n".join(
        f'<tr><th scope="row">{escape(one.row.title)}</th>'
        + "".join(
            f'<td class="number">{_drawn(image, pictures, one)}{number_text(float(each[image]))}</td>'
            for image in map(int, worst)
        )
        + "</tr>"
        for one, each in values.items()
    )
    return (
        f'<p class="dim">{escape(label)}: where {escape(reference.row.title)} does worst</p>'
        f'<div class="scroll"><table class="worst"><thead><tr><th>benchmark</th>{heads}</tr></thead><tbody>\n{lines}\n'
        "</tbody></table></div>"
    )
