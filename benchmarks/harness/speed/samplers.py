"""What samplers and pruners cost and find: ``python benchmarks/harness/speed/samplers.py STUDY_FOLDER [OPTIONS]``.

The folder is that of a search which trained every trial to its end:

    bench sweep --name every --sampler random --pruner none --trials 60 --confirm 0 \
        --fix model.filters=8 --fix augmentation.copies=0

Three things are printed.

- Of each sampler what a trial costs once there are 1,000, in milliseconds of processor time: Optuna in memory, without
  all that a search does besides.
- Of each sampler and each pruner what it finds in 50 trials, two at a time. In the place of training stands a forest
  that was fitted to the learning curves of the study, with noise as between seeds. A trial's score is the forest's,
  without the noise, and what it found is the score of the trial that looked best. Told are mean and quartiles over
  seeds, and the epochs that were trained of those without a pruner.
- Of each pruner what it does to the recorded curves themselves, in random orders: the epochs and the seconds that it
  trains of all, and how often and how far it loses the best trial. Its first five trials are never pruned.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from sklearn.ensemble import RandomForestRegressor

from craterbench.search.space.space import Parameter, Space
from craterbench.search.study import StudyView
from craterbench.search.summary import Trial

#: How many trials a search has, how many are under way at once, and the standard deviation between seeds of one
#: setting: what the README's table has for its 16-filter networks.
TRIALS, WORKERS, NOISE = 50, 2, 0.008

#: How many trials there are when a sampler is timed, and how many more are drawn then.
MANY, TIMED = 1000, 30

#: By default Optuna 5 draws parameters together where all trials have them, and takes trials under way for poor ones.
SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "TPE (today's)": lambda seed: TPESampler(seed=seed),
    "TPE, 12 candidates": lambda seed: TPESampler(seed=seed, n_ei_candidates=12),
    "TPE, 8 candidates": lambda seed: TPESampler(seed=seed, n_ei_candidates=8),
    "TPE, no constant liar": lambda seed: TPESampler(seed=seed, constant_liar=False),
    "TPE, univariate": lambda seed: TPESampler(seed=seed, multivariate=False),
    "TPE, groups": lambda seed: TPESampler(seed=seed, multivariate=True, group=True),
}

PRUNERS: Mapping[str, Callable[[int], BasePruner]] = {
    "none": lambda epochs: NopPruner(),
    "median from epoch 1": lambda epochs: MedianPruner(5, 1),
    "median from epoch 2 (today's)": lambda epochs: MedianPruner(5, 2),
    "median from epoch 3": lambda epochs: MedianPruner(5, 3),
    "best quarter from epoch 1": lambda epochs: PercentilePruner(25.0, 5, 1),
    "best quarter from epoch 2": lambda epochs: PercentilePruner(25.0, 5, 2),
    "best three quarters from epoch 1": lambda epochs: PercentilePruner(75.0, 5, 1),
    "successive halving by 2": lambda epochs: SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "successive halving by 3": lambda epochs: SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "hyperband": lambda epochs: HyperbandPruner(min_resource=min(2, epochs), max_resource=epochs),
}


class StandIn:
    """A forest in the place of training: it tells the learning curve of a setting from those of a study."""

    def __init__(self, space: Space, trials: list[Trial], epochs: int) -> None:
        self.space = space
        self.epochs = epochs
        curves = np.array([held(trial.curve, epochs) for trial in trials])
        forest = RandomForestRegressor(100, min_samples_leaf=2, max_features=0.5, oob_score=True, random_state=0)
        self._forest = forest.fit([self._row(trial.parameters) for trial in trials], curves)
        told = forest.oob_prediction_[:, -1]
        self.explained = 1 - float(np.var(curves[:, -1] - told) / np.var(curves[:, -1]))

    def curve(self, parameters: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Return the best score after each epoch."""
        row = np.array([self._row(parameters)], dtype=np.float32)
        told = [tree.tree_.predict(row) for tree in self._forest.estimators_]  # as the forest, in a tenth of the time
        return np.maximum.accumulate(np.mean(told, axis=0).ravel())

    def _row(self, parameters: Mapping[str, Any]) -> list[float]:
        """Return parameters as numbers; those that are not in play are NaN, which a forest takes."""
        row = []
        for parameter in self.space.parameters:
            value = parameters.get(parameter.name)
            if parameter.kind == "choice":
                row += [math.nan if value is None else float(value == choice) for choice in parameter.choices]
            else:
                row.append(math.nan if value is None else math.log(value) if parameter.log else float(value))
        return row


def held(curve: Any, epochs: int) -> list[float]:
    """Return a curve that ended early at its full length: the best stays the best."""
    return [*curve, *[curve[-1]] * (epochs - len(curve))]


def read(folder: Path) -> tuple[Space, list[Trial], int]:
    """Return the space of a study, its complete trials, and the most epochs of one."""
    study = StudyView(folder)
    parameters = []
    for said in study.config.space["parameters"]:
        fields = {key: said[key] for key in ("name", "key", "kind", "low", "high", "log") if key in said}
        when = (said["when"]["parameter"], tuple(said["when"]["is"])) if "when" in said else None
        parameters.append(Parameter(**fields, choices=tuple(said.get("choices", ())), when=when))
    complete = [trial for trial in study.trials() if trial.state == "complete"]
    return Space(tuple(parameters)), complete, study.config.epochs


def cost(stand_in: StandIn, sampler: BaseSampler) -> float:
    """Return what a trial costs once there are many, half of them pruned, in milliseconds of processor time."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    chance = np.random.default_rng(0)
    for number in range(MANY + TIMED):
        if number == MANY:
            study.sampler = sampler
            begun = time.process_time()
        trial = study.ask()
        stand_in.space.suggest(trial)
        score = chance.uniform(0.5, 0.9)
        if number % 2:
            for epoch in (1, 2, 3):
                trial.report(score, epoch)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, score)
    return (time.process_time() - begun) / TIMED * 1e3


def search(stand_in: StandIn, sampler: BaseSampler, pruner: BasePruner, seed: int) -> tuple[float, int]:
    """Return the true score of the trial that looked best, and how many epochs were trained."""
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    chance = np.random.default_rng(seed)
    under_way: list[tuple[optuna.Trial, npt.NDArray[np.float64], float]] = []
    best, found, asked, trained = -math.inf, math.nan, 0, 0
    epoch_of: dict[int, int] = {}
    while asked < TRIALS or under_way:
        while asked < TRIALS and len(under_way) < WORKERS:
            trial = study.ask()
            under_way.append((trial, stand_in.curve(stand_in.space.suggest(trial)), chance.normal(0, NOISE)))
            asked += 1
        for each in list(under_way):
            trial, curve, noise = each
            epoch = epoch_of[trial.number] = epoch_of.get(trial.number, 0) + 1
            trained += 1
            trial.report(curve[epoch - 1] + noise, epoch)
            if epoch == stand_in.epochs:
                study.tell(trial, curve[-1] + noise)
                if curve[-1] + noise > best:
                    best, found = curve[-1] + noise, float(curve[-1])
                under_way.remove(each)
            elif trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                under_way.remove(each)
    return found, trained


def replay(trials: list[Trial], pruner: BasePruner, seed: int) -> tuple[float, float, float]:
    """Prune recorded trials in a random order; return the shares of epochs and seconds trained, and what is lost."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    epochs = seconds = 0.0
    best = -math.inf
    for number in np.random.default_rng(seed).permutation(len(trials)):
        recorded = trials[number]
        trial = study.ask()
        trained = 0
        for value in recorded.curve:
            trained += 1
            trial.report(value, trained)
            if trained < len(recorded.curve) and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, recorded.values[0])
            best = max(best, recorded.values[0])
        epochs += trained
        seconds += trained / len(recorded.curve) * (recorded.seconds or 0.0)
    return (
        epochs / sum(len(trial.curve) for trial in trials),
        seconds / sum(trial.seconds or 0.0 for trial in trials),
        max(trial.values[0] for trial in trials) - best,
    )


def cost_columns(stand_in: StandIn) -> None:
    """Print what each sampler costs."""
    print(f"\na trial at {MANY} trials, processor")
    for name, sampler in SAMPLERS.items():
        print(f"  {name:33} {cost(stand_in, sampler(0)):6.1f} ms", flush=True)


def finds(stand_in: StandIn, seeds: int) -> None:
    """Print what each sampler and each pruner finds."""
    print(f"\n{TRIALS} trials of the stand-in, {seeds} seeds: mean (quartiles) of what was found")
    whole = TRIALS * stand_in.epochs
    rows = {
        f"{name}; median": (sampler, PRUNERS["median from epoch 2 (today's)"]) for name, sampler in SAMPLERS.items()
    }
    rows |= {f"TPE; {name}": (SAMPLERS["TPE (today's)"], pruner) for name, pruner in PRUNERS.items()}
    for name, (sampler, pruner) in rows.items():
        found = [search(stand_in, sampler(seed), pruner(stand_in.epochs), seed) for seed in range(seeds)]
        scores, trained = np.array(found).T
        low, middle, high = np.nanquantile(scores, [0.25, 0.5, 0.75])
        share = trained.mean() / whole
        print(
            f"  {name:42} {np.nanmean(scores):.4f} ({low:.4f}, {middle:.4f}, {high:.4f}), epochs {share:.2f}",
            flush=True,
        )


def replays(trials: list[Trial], epochs: int, orders: int) -> None:
    """Print what each pruner does to the recorded curves."""
    print(f"\nthe recorded curves in {orders} orders")
    for name, pruner in PRUNERS.items():
        shares = np.array([replay(trials, pruner(epochs), seed) for seed in range(orders)])
        lost = shares[:, 2]
        print(
            f"  {name:33} epochs {shares[:, 0].mean():.2f}, seconds {shares[:, 1].mean():.2f}, best lost in "
            f"{(lost > 0).mean():4.0%}, by {lost.mean():.4f} on average and {lost.max():.4f} at most",
            flush=True,
        )


def main() -> None:
    """Read, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--only", choices=("cost", "find", "replay"), help="one of the three")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--orders", type=int, default=100)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space, trials, epochs = read(asked.study)
    stand_in = StandIn(space, trials, epochs)
    print(f"{len(trials)} recorded trials; the forest explains {stand_in.explained:.2f} of the variance of others")
    if asked.only in (None, "cost"):
        cost_columns(stand_in)
    if asked.only in (None, "find"):
        finds(stand_in, asked.seeds)
    if asked.only in (None, "replay"):
        replays(trials, epochs, asked.orders)


if __name__ == "__main__":
    main()
