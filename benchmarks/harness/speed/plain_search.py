"""A search as one would write it without the harness: ``python benchmarks/harness/speed/plain_search.py [--trials N]``.

One process, ``study.optimize``, TPE, MedianPruner and a bare PyTorch loop: float32, channels last, fused optimizers,
PyTorch's own dropout, all threads, data in memory, one scoring of the validation part an epoch. What is searched is the
space of ``bench sweep``; images, split, augmentation, network, its initial weights and losses are the harness's own
functions, so that the same setting learns the same. At the end the best setting is confirmed on seeds that the
search has not used, one after the other. Printed is a line of JSON for every trial that ends and for the confirmation,
with seconds since the start. ``search.py`` sets it against ``bench sweep``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
import torch

from craterbench.config.benchmark import BenchmarkConfig, OptimizerConfig
from craterbench.config.resolve import Override, resolve
from craterbench.data.dataset import Subset
from craterbench.data.split import group_split
from craterbench.plugin.components import load
from craterbench.plugin.registry import Registry
from craterbench.search.optimize import trial_seed
from craterbench.search.setup import EPOCHS
from craterbench.search.space.overrides import parse_space_overrides
from craterbench.search.space.space import build_space
from craterbench.training.augment import augmented
from craterbench.training.fit import EarlyStopping
from craterbench_unet import torch as unet

OPTIMIZERS: Mapping[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
EPSILON = {"adam": {"eps": 1e-7}, "adamw": {"eps": 1e-7}, "sgd": {}}

#: The seeds on which ``bench sweep`` confirms; no trial has one of them.
CONFIRMED_ON = (42, 43, 44)

Images = tuple[torch.Tensor, torch.Tensor]


def parts_of(benchmark: BenchmarkConfig) -> tuple[Subset, Subset]:
    """Return the training part, not yet augmented, and the validation part."""
    train_val: Subset = load(benchmark.dataset.target)(benchmark.dataset.parameters).train_val
    crater_pixels = train_val.masks.sum(axis=(1, 2, 3), dtype=np.int64)
    cut = group_split(train_val.groups, crater_pixels, benchmark.split.validation, benchmark.split.seed)
    return train_val.take(cut.rest), train_val.take(cut.part)


def moved(part: Subset) -> Images:
    """Return images and masks as PyTorch wants them, (N, 1, H, W)."""
    images, masks = (torch.from_numpy(array).permute(0, 3, 1, 2) for array in (part.images, part.masks))
    return images, masks.float()


def start_from(model: torch.nn.Module, initial: Mapping[str, Any]) -> None:
    """Give a network its initial weights; Keras has kernels as (h, w, in, out)."""
    for name, array in initial.items():
        layer, kind = name.rsplit(".", 1)
        weight = model.get_submodule(layer).bias if kind == "bias" else model.get_submodule(layer).weight
        value = torch.from_numpy(array)
        weight.data.copy_(value if kind == "bias" else value.permute(3, 2, 0, 1))


def optimizer_of(asked: OptimizerConfig, model: torch.nn.Module) -> torch.optim.Optimizer:
    """Return PyTorch's optimizer of that name, with Keras' epsilon."""
    options = {**EPSILON[asked.name], **vars(asked.parameters)}
    optimizer: torch.optim.Optimizer = OPTIMIZERS[asked.name](
        model.parameters(), lr=asked.learning_rate, fused=True, **options
    )
    return optimizer


def scores_of(model: torch.nn.Module, images: torch.Tensor, masks: torch.Tensor) -> dict[str, float]:
    """Return balanced accuracy and mean binary cross-entropy over all pixels."""
    model.eval()
    with torch.inference_mode():
        probabilities = torch.cat([model(some) for some in images.split(128)])
    if not torch.isfinite(probabilities).all():
        raise FloatingPointError("the network predicts NaN or infinity")
    called, crater = probabilities > 0.5, masks > 0.5
    sensitivity = (called & crater).sum() / crater.sum()
    specificity = (~called & ~crater).sum() / (~crater).sum()
    loss = torch.nn.functional.binary_cross_entropy(probabilities.clamp(1e-7, 1 - 1e-7), masks)
    return {"balanced_accuracy": float(sensitivity + specificity) / 2, "val_loss": float(loss)}


def train(benchmark: BenchmarkConfig, training: Subset, validation: Images, seed: int) -> Iterator[float]:
    """Train, and give the balanced accuracy of the validation part after each epoch, until patience has run out."""
    torch.manual_seed(seed)
    drawing = np.random.default_rng(seed)
    asked, parameters, size = benchmark.training, benchmark.model.parameters, training.images.shape[1:3]
    model = load(benchmark.model.target)(parameters, size, seed)
    start_from(model, load(str(benchmark.model.initial))(parameters, size, seed))
    model = model.to(memory_format=torch.channels_last)
    optimizer = optimizer_of(benchmark.optimizer, model)
    loss, schedule = load(benchmark.loss.target), load(benchmark.schedule.target)
    watch = EarlyStopping(higher=asked.monitor == "balanced_accuracy", patience=asked.patience)
    history: list[dict[str, int]] = []
    for epoch in range(1, asked.epochs + 1):
        if epoch == 1 or benchmark.augmentation.drawn == "every-epoch":
            images, masks = moved(augmented(training, benchmark.augmentation, drawing))
        batches = torch.randperm(len(images)).split(asked.batch_size)
        steps = np.arange(len(batches)) + (epoch - 1) * len(batches)
        total = asked.epochs * len(batches)
        rates = schedule(benchmark.optimizer.learning_rate, steps, total, history, benchmark.schedule.parameters)
        model.train()
        for rows, rate in zip(batches, rates.tolist(), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            shown, truth = (array.permute(0, 2, 3, 1) for array in (model(images[rows]), masks[rows]))
            loss(truth, shown, benchmark.loss.parameters).backward()
            optimizer.step()
        scores = scores_of(model, *validation)
        better = watch.better(scores[asked.monitor]) or not history
        history.append({"epoch": epoch, "best": epoch if better else history[-1]["best"]})
        yield scores["balanced_accuracy"]
        if watch.stop:
            return


def tell(**what: Any) -> None:
    """Print a line of JSON."""
    print(json.dumps(what), flush=True)


def main() -> None:
    """Search, confirm and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--benchmark", default="reference", help="where the search starts")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of a trial, unless --fix training.epochs=N")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    parser.add_argument("--vary", action="append", default=[], help="as in bench sweep")
    parser.add_argument("--fix", action="append", default=[], help="as in bench sweep")
    options = parser.parse_args()
    started = time.perf_counter()
    unet.dropout = torch.nn.functional.dropout  # type: ignore[attr-defined]

    registry = Registry.installed()
    space_overrides = parse_space_overrides(options.vary, options.fix, None)
    searched = [Override("framework", "torch", ""), Override("training.monitor", "balanced_accuracy", "")]
    fixed = [*searched, *space_overrides.fixed]
    reference = resolve(registry, options.benchmark, fixed).benchmark
    space = build_space(registry, reference, space_overrides)
    training, held_out = parts_of(reference)
    validation = moved(held_out)

    def asked(values: Mapping[str, Any], *shorter: Override) -> BenchmarkConfig:
        return resolve(registry, options.benchmark, [*shorter, *fixed, *space.overrides(values)]).benchmark

    def objective(trial: optuna.Trial) -> float:
        benchmark = asked(space.suggest(trial), Override("training.epochs", options.epochs, ""))
        best = 0.0
        for epoch, score in enumerate(train(benchmark, training, validation, trial_seed(options.seed, trial.number))):
            best = max(best, score)
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    def ended(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        seconds = round(time.perf_counter() - started, 3)
        state = trial.state.name.lower()
        epochs = len(trial.intermediate_values)
        tell(event="trial", number=trial.number, state=state, value=trial.value, epochs=epochs, seconds=seconds)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tell(event="start", threads=torch.get_num_threads(), seed=options.seed, trials=options.trials)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=options.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=options.trials, callbacks=[ended], catch=(FloatingPointError,))
    candidate = asked(study.best_params)
    scores = [max(train(candidate, training, validation, seed)) for seed in CONFIRMED_ON]
    tell(
        event="confirmed",
        trial=study.best_trial.number,
        found=study.best_value,
        parameters=study.best_params,
        scores=scores,
        mean=statistics.mean(scores),
        seconds=round(time.perf_counter() - started, 3),
    )


if __name__ == "__main__":
    main()
