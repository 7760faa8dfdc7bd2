"""What a search should aim at: ``objectives.py train POOL [OPTIONS]``, then ``objectives.py replay POOL``.

``train`` draws random settings of the space that ``bench sweep`` searches, trains each to its last epoch with two
seeds, and keeps in the folder POOL of each epoch the histograms of the validation and of the test part: from these
follow all objectives and all scores, at every threshold. A setting that is there is not trained again, so that it may
be broken off and go on. The pool that the documentation has figures of:

    objectives.py train POOL --trials 60 --fix model.filters=8 --fix augmentation.copies=0

``replay`` searches in the pool, again and again in other random orders, one for each seed of the sampler. A search aims
at one metric of the validation part: it prunes by it, keeps the epoch that is best in it, as ``bench sweep`` does, and
picks the best trial by it. What it picked is scored as it is confirmed: on the test part, trained with the seed that
the search has not seen, in the epoch that the same metric chooses. Printed are

- the rank correlation over the pool between what the search sees of a setting and what it is confirmed with,
- the epochs that a search of so many trials trains, and what it finds: balanced accuracy at the threshold that the
  validation part chose and at 0.5, and AUROC,
- what it has found by then, where all searches train equally many epochs: who prunes tries more settings,
- the same as differences to a search for balanced accuracy at 0.5 with the median pruner, paired by order.

This says what an objective and a pruner do to a search that draws at random and one trial after the other. It cannot
say what TPE would have drawn, which learns from the objective too. All orders share one pool, one split and one test
part, so their spread tells how much the order matters, and not how other data would answer.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from scipy.stats import spearmanr

from craterbench.config.benchmark import BenchmarkConfig
from craterbench.data.dataset import Dataset, Subset
from craterbench.execution.devices import environment, fitting_workers
from craterbench.metrics.evaluator import Evaluator
from craterbench.metrics.histogram import EDGES, confusion_at
from craterbench.metrics.metric import BALANCED_ACCURACY, TUNED, Metrics
from craterbench.plugin import UserError
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.results.files import write_atomically
from craterbench.search.optimize import trial_seed
from craterbench.search.setup import EPOCHS, create_sweep
from craterbench.training.augment import make_training_data
from craterbench.training.fit import fit
from craterbench.training.session import open_session

Floats = npt.NDArray[np.float64]

AUROC, AVERAGE_PRECISION = (Metrics().get(name) for name in ("auroc", "average_precision"))
MIDDLE = len(EDGES) // 2


def at_half(histograms: npt.NDArray[Any]) -> Floats:
    """Return the balanced accuracy at 0.5 of histograms (..., 2 * bins)."""
    return BALANCED_ACCURACY(confusion_at(histograms, MIDDLE))


#: What a search may aim at, as functions of histograms; the first is today's.
OBJECTIVES: Mapping[str, Callable[[npt.NDArray[Any]], Floats]] = {
    "balanced_accuracy": at_half,
    "balanced_accuracy_tuned": TUNED,
    "auroc": AUROC,
    "average_precision": AVERAGE_PRECISION,
}

#: As ``bench sweep`` has them, by the most epochs of a trial; the first is today's.
PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "median": lambda epochs: MedianPruner(5, 2),
    "hyperband": lambda epochs: HyperbandPruner(min_resource=min(2, epochs), max_resource=epochs),
    "none": lambda epochs: NopPruner(),
}

#: What is told of a setting that was picked, on the test part.
SCORES = ("tuned", "at 0.5", "AUROC")


@dataclass(frozen=True)
class Setting:
    """A setting of the pool, as a search for one objective sees it.

    Attributes:
        curve: the best value of the objective on the validation part, after each epoch.
        scores: ``SCORES`` of what is confirmed.
    """

    curve: Floats
    scores: Floats


def train(pool: Path, asked: argparse.Namespace) -> None:
    """Train what the pool lacks."""
    pool.mkdir(parents=True, exist_ok=True)
    wanted = {"benchmark": asked.benchmark, "fix": asked.fix, "epochs": asked.epochs, "seeds": asked.seeds}
    config = pool / "pool.json"
    if not config.exists():
        write_atomically(config, json.dumps(wanted) + "\n")
    elif (had := json.loads(config.read_text(encoding="utf-8"))) != wanted:
        raise SystemExit(f"{pool} is a pool of {had}, not of {wanted}; give another folder")
    prepared = create_sweep(
        Registry.installed(),
        name="pool",
        benchmark=asked.benchmark,
        fix=asked.fix,
        epochs=asked.epochs,
        trials=asked.trials,
        device="cpu",
    )
    drawn = optuna.create_study(sampler=RandomSampler(seed=0))
    os.environ |= environment(threads=1, device="cpu", framework={})  # of the children, before they import anything
    with ProcessPoolExecutor(fitting_workers("cpu"), get_context("spawn")) as workers:
        for number in range(asked.trials):
            parameters = prepared.space.suggest(drawn.ask())
            file = pool / f"setting-{number}.json"
            if file.exists():
                continue
            try:
                benchmark = prepared.trial(number, prepared.space.overrides(parameters)).benchmark
            except UserError as error:  # as in a search, whose trial has failed
                keep(file, {"parameters": parameters, "error": str(error)})
            else:
                seeds = [trial_seed(seed, number) for seed in range(asked.seeds)]
                workers.submit(train_setting, file, parameters, benchmark, seeds).add_done_callback(raised)


def raised(done: Future[None]) -> None:
    """Show what went wrong in a child; the other settings are trained."""
    if error := done.exception():
        print(f"{type(error).__name__}: {error}", flush=True)


def keep(file: Path, content: Mapping[str, Any]) -> None:
    """Write the file of a setting."""
    write_atomically(file, json.dumps(content) + "\n")
    print(f"{file.name}: {content.get('error', 'trained')}", flush=True)


def train_setting(file: Path, parameters: Mapping[str, Any], benchmark: BenchmarkConfig, seeds: Sequence[int]) -> None:
    """Train a setting and keep it."""
    dataset: Dataset = load(benchmark.dataset.target)(benchmark.dataset.parameters)
    try:
        keep(file, {"parameters": parameters, "runs": [trained(benchmark, dataset, seed) for seed in seeds]})
    except (UserError, FloatingPointError) as error:
        keep(file, {"parameters": parameters, "error": str(error)})


def trained(benchmark: BenchmarkConfig, dataset: Dataset, seed: int) -> dict[str, list[list[int]]]:
    """Train a network and return the histograms of the validation and of the test part after each epoch."""
    order, drawing = (np.random.default_rng([seed, stream]) for stream in range(2))
    data = make_training_data(dataset.train_val, benchmark, drawing, None)
    assert dataset.test is not None, "the data have no test part"
    parts = {"validation": data.validation, "test": dataset.test}
    evaluators = {name: evaluator_of(part) for name, part in parts.items()}
    session = open_session(benchmark, image_shape=dataset.test.images.shape[1:3], seed=seed, device="cpu")
    histograms: dict[str, list[list[int]]] = {name: [] for name in parts}

    def count(row: object) -> None:
        for name, part in parts.items():
            counted = evaluators[name].count(session.predict(part.images))
            histograms[name].append(counted.pooled("histogram").tolist())

    fit(session, data, benchmark=benchmark, order=order, drawing=drawing, on_epoch=count)
    return histograms


def evaluator_of(part: Subset) -> Evaluator:
    """Return an evaluator of a part that counts histograms."""
    return Evaluator(part.images, part.masks, part.groups, [AUROC])


def settings_for(objective: str, runs: Sequence[Sequence[Mapping[str, npt.NDArray[Any]]]]) -> list[Setting]:
    """Return the settings of a pool as a search for an objective sees them; ``runs`` has those of each setting."""
    aim = OBJECTIVES[objective]
    found = []
    for seen, *others in runs:
        curve = np.maximum.accumulate(aim(seen["validation"]))
        found.append(Setting(curve, np.mean([scores_of(run, aim) for run in others or [seen]], axis=0)))
    return found


def scores_of(run: Mapping[str, npt.NDArray[Any]], aim: Callable[[npt.NDArray[Any]], Floats]) -> Floats:
    """Return what a run scores on the test part, in the epoch that the objective chooses."""
    epoch = int(np.argmax(aim(run["validation"])))
    edge = TUNED.best_edge({"histogram": run["validation"][epoch]})
    assert edge is not None
    test = run["test"][epoch]
    return np.array([BALANCED_ACCURACY(confusion_at(test, edge)), at_half(test), AUROC(test)])


def replay(settings: Sequence[Setting], pruner: BasePruner, seed: int) -> npt.NDArray[np.int64]:
    """Search through all settings in a random order.

    Returns:
        (settings, 2): after each trial the epochs that were trained so far, and the best setting so far.
    """
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name=f"order {seed}")  # hyperband's brackets
    epochs, best, picked, told = 0, -math.inf, -1, []
    for number in np.random.default_rng(seed).permutation(len(settings)):
        curve = settings[number].curve
        trial = study.ask()
        for epoch, value in enumerate(curve.tolist(), start=1):
            trial.report(value, epoch)
            epochs += 1
            if epoch < len(curve) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
            if curve[-1] > best:
                best, picked = float(curve[-1]), int(number)
        told.append((epochs, picked))
    return np.array(told)


def at_epochs(told: npt.NDArray[np.int64], epochs: float) -> int:
    """Return which setting is the best when so many epochs are trained; -1 where no trial has ended."""
    ended = np.flatnonzero(told[:, 0] <= epochs)
    return int(told[ended[-1], 1]) if len(ended) else -1


def read(pool: Path) -> list[list[dict[str, npt.NDArray[Any]]]]:
    """Return the runs of each setting of a pool that did not fail: histograms (epochs, 2 * bins) by part."""
    found = []
    for file in sorted(pool.glob("setting-*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        if "runs" in content:
            found.append([{part: np.array(of) for part, of in run.items()} for run in content["runs"]])
    return found


def show(pool: Path, orders: int, trials: int | None) -> None:
    """Search in the pool and print what each search finds."""
    runs = read(pool)
    if not runs:
        raise SystemExit(f"{pool} holds no setting; objectives.py train {pool} trains some")
    trials = min(trials or len(runs) // 2 or 1, len(runs))
    epochs = max(len(each[0]["validation"]) for each in runs)
    seeds = f"confirmed with {len(runs[0]) - 1} more" if len(runs[0]) > 1 else "confirmed as they are"
    print(f"{len(runs)} settings, {seeds}; searches of {trials} trials in {orders} orders\n")
    print("rank correlation of the objective with balanced accuracy, tuned, and with AUROC, confirmed")
    pools = {objective: settings_for(objective, runs) for objective in OBJECTIVES}
    for objective, settings in pools.items():
        seen, scores = np.array([each.curve[-1] for each in settings]), np.array([each.scores for each in settings])
        tuned, auroc = (spearmanr(seen, scores[:, column]).statistic for column in (0, 2))
        print(f"  {objective:24} {tuned:7.3f} {auroc:7.3f}; the best of all: {scores[:, 0].max():.4f}")
    budgets = [share * trials * epochs for share in (0.25, 0.5, 1.0)]
    heads = [f"{'epochs':>8}", *(f"{score:>18}" for score in SCORES)]
    heads += [f"{f'{budget:.0f} epochs':>18}" for budget in budgets]
    print(
        f"\nmean ± deviation over orders of what was found; by then: balanced accuracy, tuned\n{'':36}{''.join(heads)}"
    )
    found: dict[tuple[str, str], Floats] = {}
    for objective, settings in pools.items():
        for name, pruner in PRUNERS.items():
            searches = [replay(settings, pruner(epochs), seed) for seed in range(orders)]
            found[objective, name] = np.array([told_of(each, settings, trials, budgets) for each in searches])
            print(f"  {objective:24}{name:10}{row(found[objective, name])}", flush=True)
    today = next(iter(found))
    print(f"\nthe same as differences to {' and '.join(today)}; in how many orders better, worse")
    for key, values in found.items():
        if key != today:
            apart = values - found[today]
            better, worse = ((sign * apart[:, 1] > 0).sum() for sign in (1, -1))
            print(f"  {key[0]:24}{key[1]:10}{row(apart, '+')}   {better}, {worse}", flush=True)


def told_of(
    told: npt.NDArray[np.int64], settings: Sequence[Setting], trials: int, budgets: Sequence[float]
) -> list[float]:
    """Return of a search its epochs and ``SCORES`` after so many trials, and the first score at each budget."""
    picked = int(told[trials - 1, 1])
    nothing = np.full(len(SCORES), np.nan)
    after = settings[picked].scores if picked >= 0 else nothing
    by_then = [at_epochs(told, budget) for budget in budgets]
    return [told[trials - 1, 0], *after, *((settings[each].scores if each >= 0 else nothing)[0] for each in by_then)]


def row(values: Floats, sign: str = "") -> str:
    """Return a line of means and deviations over orders."""
    epochs, *scores = values.T
    told = [score[~np.isnan(score)] for score in scores]  # by then no trial may have ended
    cells = [f"{score.mean():{sign}.4f} ± {score.std():.4f}" if len(score) else "–" for score in told]
    return f"{epochs.mean():{sign}8.1f}" + "".join(f"{cell:>18}" for cell in cells)


def main() -> None:
    """Read the options; train or search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    training = what.add_parser("train", help="train the settings that the pool lacks")
    training.add_argument("pool", type=Path)
    training.add_argument("--trials", type=int, default=60, help="how many settings")
    training.add_argument("--seeds", type=int, default=2, help="of each setting; all but the first confirm it")
    training.add_argument("--epochs", type=int, default=EPOCHS)
    training.add_argument("--benchmark", default="reference")
    training.add_argument("--fix", action="append", default=[], help="as in bench sweep")
    searching = what.add_parser("replay", help="search in the pool")
    searching.add_argument("pool", type=Path)
    searching.add_argument("--orders", type=int, default=20, help="seeds of the sampler")
    searching.add_argument("--trials", type=int, help="of a search; by default half as many as the pool has settings")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if asked.what == "train":
        train(asked.pool, asked)
    else:
        show(asked.pool, asked.orders, asked.trials)


if __name__ == "__main__":
    main()
