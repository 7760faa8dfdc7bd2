"""The card beside an exported network: what it is, how it is used, and what it scored."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from craterbench.execution.export import TOLERANCE, Export
from craterbench.metrics.evaluator import THRESHOLD
from craterbench.metrics.histogram import EDGES
from craterbench.metrics.intervals import Estimate, confidence_interval
from craterbench.metrics.metric import BALANCED_ACCURACY, TUNED, Metric, Metrics
from craterbench.metrics.statistics import Statistics
from craterbench.report.estimate_text import estimate_text
from craterbench.results.record import Record
from craterbench.results.statistics_file import read_statistics

__all__ = ["model_card"]

_METRICS = (BALANCED_ACCURACY, TUNED, Metrics().get("auroc"))


def model_card(record: Record, folder: Path, export: Export, name: str, *, stretched: bool) -> str:
    """Return a card in Markdown: YAML between two lines of dashes for programs, and text for people.

    Args:
        record: of the run.
        folder: of its files, where the statistics behind the intervals are.
        name: of the exported file.
        stretched: whether each image of its data was stretched to the full range of grey values.
    """
    scores = {part: {metric: _score(record, folder, part, metric) for metric in _METRICS} for part in record.parts}
    edge = record.best_edge(TUNED)
    threshold = THRESHOLD if edge is None else float(EDGES[edge])
    sections = [
        _front_matter(_facts(record, export, name, threshold, scores)),
        f"# {record.benchmark}, seed {record.seed}\n",
        f"{_about(record)}\n",
        f"## Use\n\n{_use(export, name, threshold, chosen=edge is not None, stretched=stretched)}",
        f"## Scores\n\n{_table(record, scores)}",
        f"## Data\n\n{_data(record)}",
        f"## Check\n\n{_check(record, export)}",
        f"## Config\n\n```toml\n{_toml(record.config)}```\n",
        f"## Versions\n\n{_versions(record, export)}",
    ]
    return "\n".join(sections)


def _score(record: Record, folder: Path, part: str, metric: Metric) -> Estimate | None:
    """Return a metric of a part with the interval that its images leave; without one where their statistics are lost.

    ``None`` where it is not defined, the record lacks it, or validation would be scored at what it chose itself.
    """
    value, edge = record.score(part, metric), record.best_edge(metric)
    if value is None:
        return None
    try:
        statistics = Statistics.beside(record.parts[part]["statistics"], read_statistics(folder, part))
    except ValueError:
        return Estimate(value)
    if edge is not None:
        return confidence_interval([statistics.at_threshold(edge)], metric.at_threshold)
    return confidence_interval([statistics], metric)


def _facts(
    record: Record,
    export: Export,
    name: str,
    threshold: float,
    scores: Mapping[str, Mapping[Metric, Estimate | None]],
) -> dict[str, Any]:
    return {
        "file": name,
        "format": export.spec.name,
        "run": record.id,
        "benchmark": record.benchmark,
        "seed": record.seed,
        "fold": record.fold,
        "framework": record.framework,
        "dataset": record.dataset["name"],
        "provenance": record.dataset["provenance"],
        "licence": record.dataset["licence"],
        "threshold": threshold,
        "parts": {part: scored["num_images"] for part, scored in record.parts.items()},
        "scores": {
            part: {
                metric.name: None if found is None else {"value": found.mean, "low": found.low, "high": found.high}
                for metric, found in of_part.items()
            }
            for part, of_part in scores.items()
        },
        "largest_difference": export.largest_difference,
        "packages": export.packages,
    }


def _front_matter(facts: Mapping[str, Any]) -> str:
    """Return YAML whose values are JSON, which YAML holds."""
    lines = [f"{key}: {json.dumps(_finite(value), ensure_ascii=False)}" for key, value in facts.items()]
    return "\n".join(["---", *lines, "---", ""])


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return {key: _finite(item) for key, item in value.items()} if isinstance(value, dict) else value


def _about(record: Record) -> str:
    summary = record.config.get("summary", "")
    first = f"{summary[:1].upper()}{summary[1:]}. " if summary else ""
    changed = f" with {', '.join(f'`{change}`' for change in record.overrides)}" if record.overrides else ""
    fold = "" if record.fold is None else f", fold {record.fold}"
    return (
        f"{first}Trained by `bench run {record.benchmark}`{changed}, seed {record.seed}{fold}; run `{record.id}`, "
        f"weights of epoch {record.best_epoch} of {record.epochs}."
    )


def _use(export: Export, name: str, threshold: float, *, chosen: bool, stretched: bool) -> str:
    usage = export.spec.usage.replace("FILE", name).splitlines()
    lines = [
        *(line for line in usage if line.startswith("import ")),
        "import numpy as np",
        "",
        'images = np.load("images.npy")  # float32 (N, H, W, 1), grey values in [0, 1]',
        *(line for line in usage if not line.startswith("import ")),
        f"craters = probabilities > {threshold:.6g}",
    ]
    why = (
        "The threshold is the one at which balanced accuracy is best on the validation part."
        if chosen
        else "No threshold was chosen on the validation part."
    )
    scale = [
        "In training each image reached from 0 to 1: bring the lowest grey value of an image to 0, the highest to 1."
    ]
    sides = f"; H and W have to be multiples of {export.multiple}" if export.multiple > 1 else ""
    return "\n".join(
        [
            "Images are float32 (N, H, W, 1) with grey values in [0, 1]; the probability of a crater at every pixel is",
            f"float32 of the same shape. N, H and W may be others than in training{sides}.",
            *(scale if stretched else []),
            why,
            "",
            "```python",
            *lines,
            "```",
            "",
        ]
    )


def _table(record: Record, scores: Mapping[str, Mapping[Metric, Estimate | None]]) -> str:
    rows = [["part", "images", "balanced accuracy at 0.5", "at the threshold", "AUROC"], ["---"] * 5]
    for part, of_part in scores.items():
        rows.append([part, str(record.parts[part]["num_images"]), *map(estimate_text, of_part.values())])
    lines = [
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        "In brackets are 95 % intervals of this one network on other images. The validation part chose the epoch and",
        "the threshold, and flatters; a test part chose nothing.",
        "",
    ]
    return "\n".join(lines)


def _data(record: Record) -> str:
    data = record.dataset
    lines = [f"`{data['name']}`: {data['provenance']}", f"Licence: {data['licence']}", *data.get("notes", [])]
    warnings = [f"Warning: {warning}" for warning in record.warnings]
    return "".join(f"- {line}\n" for line in (*lines, *warnings))


def _check(record: Record, export: Export) -> str:
    sizes = " and ".join(f"{number} of {height}x{width}" for number, height, width in export.sizes)
    what = "images of the data" if export.real else "random images, for the data were not at hand"
    lines = [
        f"The file was run on {what} ({sizes}).",
        f"Its probabilities differ from those of the run in {record.framework} by at most",
        f"{export.largest_difference:.2g} (more than {TOLERANCE:g} would be an error).",
    ]
    if export.in_own_precision is not None:
        lines.append(
            f"The run itself predicts, and was scored, in {record.precision}; the file computes in float32, "
            f"which differs by at most {export.in_own_precision:.2g}."
        )
    return "\n".join([*lines, ""])


def _versions(record: Record, export: Export) -> str:
    environment = record.environment
    packages = {"craterbench": environment.get("craterbench"), "Python": environment.get("python")}
    packages |= environment.get("packages", {})
    return f"Trained with {_listed(packages)}. Exported with {_listed(export.packages)}.\n"


def _listed(packages: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version is not None)


def _toml(config: Mapping[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(config)
