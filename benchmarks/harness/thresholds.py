"""How much of a difference is the threshold: ``thresholds.py [RESULTS] [--benchmarks NAME...]``.

Every table scores at a threshold of 0.5. A loss that puts its probabilities elsewhere gains or loses by that alone.
Here the weights of finished runs predict again, in PyTorch, which every twin's weights fit. Printed for each row of
runs are the balanced accuracy of the test part at 0.5 and at the threshold that is best on the run's own validation
part, that threshold, and the area under the ROC curve, which no threshold moves.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from craterbench.config.resolve import Override, resolve
from craterbench.data.dataset import Dataset
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.results.store import Store
from craterbench.results.weights import read_weights
from craterbench.training.augment import make_training_data
from craterbench.training.session import open_session

IN_TORCH = [Override("framework", "torch", ""), Override("training.precision", "float32", "")]


def best_threshold(truth: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float32]) -> float:
    """Return the threshold that a probability must exceed for the highest balanced accuracy."""
    false_positives, true_positives, thresholds = roc_curve(truth, probabilities)
    best = int(np.argmax(true_positives - false_positives))
    lower = thresholds[min(best + 1, len(thresholds) - 1)]
    return float((thresholds[best] + lower) / 2)  # called crater is what lies at thresholds[best] or above


def scores(folder: Path) -> tuple[float, float, float, float]:
    """Return balanced accuracy at 0.5 and at the chosen threshold, that threshold, and the area under the curve."""
    benchmark = resolve(Registry.installed(), str(folder / "benchmark.toml"), IN_TORCH).benchmark
    dataset: Dataset = load(benchmark.dataset.target)(benchmark.dataset.parameters)
    if dataset.test is None:
        raise SystemExit(f"{folder}: its data have no test part")
    validation = make_training_data(dataset.train_val, benchmark, np.random.default_rng(0)).validation
    session = open_session(benchmark, image_shape=dataset.test.images.shape[1:3], seed=0, device="cpu")
    session.load_weights(read_weights(folder / "weights.safetensors"))
    chosen, scored = (
        (part.masks.ravel() == 1, session.predict(part.images).ravel()) for part in (validation, dataset.test)
    )
    threshold = best_threshold(*chosen)
    truth, probabilities = scored
    at_half, at_threshold = (float(balanced_accuracy_score(truth, probabilities > t)) for t in (0.5, threshold))
    return at_half, at_threshold, threshold, float(roc_auc_score(truth, probabilities))


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("--benchmarks", nargs="+", help="of those in the results; all, if left out")
    asked = parser.parse_args()
    store = Store(asked.results)
    rows = defaultdict(list)
    for record in store.records()[0]:
        wanted = not asked.benchmarks or record.benchmark in asked.benchmarks
        if record.status == "done" and "depth" in record.config["model"] and wanted:
            rows[f"{record.benchmark}, {record.framework} {record.precision}"].append(store.folder(record))
    print("| runs | seeds | balanced accuracy at 0.5 | at the validation part's threshold | threshold | AUROC |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, folders in rows.items():
        cells = []
        for column in zip(*map(scores, folders), strict=True):
            spread = f" ± {statistics.stdev(column):.4f}" if len(column) > 1 else ""
            cells.append(f"{statistics.mean(column):.4f}{spread}")
        print(f"| {name} | {len(folders)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
