"""A study: its trials, and the process that owns it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import filelock
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from craterbench.metrics.metric import Metric, Metrics
from craterbench.plugin import StudyContext, UserError
from craterbench.results.files import write_atomically
from craterbench.search.journal import open_for_writing, open_journal, repair
from craterbench.search.summary import Trial
from craterbench.search.sweep_config import STUDY_FILE, SweepConfig

__all__ = ["Study", "StudyView", "studies"]

#: What importances are computed from: the share of the trials that is taken for the best, and as many trials with a
#: parameter as make five of them, the fewest that Optuna's documentation advises.
_BEST_SHARE, _FEWEST_TRIALS = 0.25, 20

#: Trials that come to their end before any is pruned, and the first epoch after which one may be.
_STARTUP_TRIALS, _FIRST_EPOCH = 5, 2

_STATES = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

#: Why a trial failed that a dead process left running; nobody knows when it ended.
_STOPPED = "the search stopped in the middle of it"

_JOURNAL, _LOCK, _OWNER = "journal.log", ".lock", "owner.json"


class StudyView:
    """What is known of a study, for anybody to read, also while another process searches.

    Attributes:
        objectives: the metrics that it aims at, the first first.
    """

    def __init__(self, folder: Path, metrics: Metrics | None = None) -> None:
        """Read a study.

        Args:
            metrics: those that it may aim at; by default the built-in ones.

        Raises:
            UserError: there is none, or it cannot be read, or the metric that it aims at is unknown.
        """
        self.folder = folder
        self.config = SweepConfig.read(folder)
        self.objectives = _objectives(self.config, metrics)
        file = folder / _JOURNAL
        try:
            if not file.exists():  # Optuna would make it
                raise ValueError
            self._optuna = optuna.load_study(study_name=self.config.name, storage=open_journal(file))
        except Exception:  # what is damaged may be so in any way
            cure = f"bench sweep --resume {self.config.resumed_as} mends it"
            raise UserError(f"{file} is missing, damaged or empty; {cure}") from None

    @property
    def single(self) -> bool:
        """Whether there is one objective, so that trials can be pruned."""
        return len(self.config.objectives) == 1

    @property
    def owned(self) -> bool:
        """Whether a command is searching now."""
        if not (self.folder / _OWNER).exists():
            return False  # and the lock is left alone: whoever wants it now shall have it
        try:
            with filelock.FileLock(self.folder / _LOCK, timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # of a folder that is only to be read it is not known
            return False

    @property
    def counted(self) -> int:
        """How many trials are complete or pruned."""
        return sum(trial.state in ("complete", "pruned") for trial in self.trials())

    def trials(self) -> list[Trial]:
        """Return all trials, by their number."""
        return [_trial(trial) for trial in self._optuna.get_trials(deepcopy=False)]

    def best(self) -> list[int]:
        """Return the numbers of the best trials: one, or the Pareto front, best first in the first objective."""
        if not any(trial.state == TrialState.COMPLETE for trial in self._optuna.get_trials(deepcopy=False)):
            return []
        if self.single:
            return [self._optuna.best_trial.number]
        sign = -1.0 if self.objectives[0].greater_is_better else 1.0
        front = sorted(self._optuna.best_trials, key=lambda trial: (sign * trial.values[0], trial.number))
        return [trial.number for trial in front]

    def importances(self) -> dict[str, float]:
        """Return how much each parameter matters for reaching the best in the first objective; nothing if untold.

        PED-ANOVA (Watanabe, Bansal and Hutter 2023, arXiv:2304.10255), over the trials that are complete: how far the
        values that the best quarter has differ from those that all have. Left out is what too few of them have. The
        shares add up to 1.
        """
        # it brings scikit-learn's forests with it, for which no search should wait before it starts
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        complete = [trial for trial in self._optuna.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
        having = Counter(name for trial in complete for name in trial.params)
        sign = -1.0 if self.objectives[0].greater_is_better else 1.0  # of a target of ours Optuna takes less for better
        target = None if self.single else (lambda trial: sign * float(trial.values[0]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is new in Optuna, and of parameters that are rarely in play
            evaluator = PedAnovaImportanceEvaluator(target_quantile=_BEST_SHARE)
            try:
                every = get_param_importances(self._optuna, evaluator=evaluator, target=target)
            except (ValueError, RuntimeError):
                return {}
        shares = {name: share for name, share in every.items() if having[name] >= _FEWEST_TRIALS}
        total = sum(shares.values())
        return {name: share / total for name, share in shares.items()} if total > 0 else {}


class Study(StudyView):
    """A study that this process owns. Use it as a context manager, which gives it back.

    A new study in which nothing had been tried when an error ended it leaves nothing behind.

    Attributes:
        notes: what was mended when it was opened.
    """

    def __init__(self, folder: Path, config: SweepConfig, metrics: Metrics | None = None) -> None:
        """Take a study in hand, and make it if there is none yet.

        Trials that a dead process left running have failed, and are tried once more; but not those that were so
        already: what takes the machine down with it, say its memory, would never let the search go on.

        Raises:
            UserError: another process owns it, there is another study of that name, or its folder cannot be written.
        """
        self.folder = folder
        self.config = config
        self.objectives = _objectives(config, metrics)
        self.notes: list[str] = []
        self._lock = filelock.FileLock(folder / _LOCK)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._take()
            self._open()
        except OSError as error:
            self._release()
            raise UserError(f"{folder} cannot be written ({error.strerror}); give another --results DIR") from None
        except BaseException:
            self._release()
            raise

    def _open(self) -> None:
        folder, config = self.folder, self.config
        self._new = not (folder / STUDY_FILE).exists()
        if not self._new and SweepConfig.read(folder).created != config.created:
            raise UserError(f"there is a study {config.name!r} by now; give another --name")
        if self._new:  # what has no config is what is left of a study that was not begun, maybe with other objectives
            (folder / _JOURNAL).unlink(missing_ok=True)
        if (mended := repair(folder / _JOURNAL)) is not None:
            self.notes.append(mended)
        self._storage = open_for_writing(folder / _JOURNAL)
        self._optuna = optuna.create_study(
            storage=self._storage,
            study_name=config.name,
            directions=[_direction(objective) for objective in self.objectives],
            load_if_exists=True,
        )
        known = self._optuna.get_trials(deepcopy=False)
        self._optuna.sampler = _sampler(config, len(known))
        self._optuna.pruner = _pruner(config)
        self._retried = {number for trial in known if (number := trial.user_attrs.get("retry_of")) is not None}
        self._counted = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in known)
        if config.trials < self._counted:
            raise UserError(f"study {config.name!r} has {self._counted} trials already; give --trials as many or more")
        config.write(folder)
        for trial in known:
            if trial.state == TrialState.RUNNING:
                again = "retry_of" not in trial.user_attrs
                self.fail(trial.number, _STOPPED, again=again)

    def __enter__(self) -> Study:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *error: object) -> None:
        if kind is not None and self._new and not self.trials():
            self._discard()  # or its name would be taken, by nothing
        self._release()

    def _take(self) -> None:
        owner = self.folder / _OWNER
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            who = ""
            with contextlib.suppress(OSError, ValueError, KeyError):
                held_by = json.loads(owner.read_text(encoding="utf-8"))
                who = f": process {held_by['process']} on {held_by['host']}, since {held_by['since']}"
            raise UserError(f"study {self.config.name!r} is being searched by another command{who}") from None
        since = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        held_by = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
        write_atomically(owner, json.dumps(held_by) + "\n")

    def _discard(self) -> None:
        """Remove what was made, with the lock while it is still held."""
        with contextlib.suppress(OSError):  # there is more in a folder
            for name in (STUDY_FILE, _JOURNAL, _OWNER, _LOCK):
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()
            self.folder.parent.rmdir()

    def _release(self) -> None:
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                (self.folder / _OWNER).unlink(missing_ok=True)
            self._lock.release()

    @cached_property
    def context(self) -> StudyContext:
        """What hooks get of it."""
        return StudyContext(name=self.config.name, folder=self.folder, config=asdict(self.config))

    @property
    def counted(self) -> int:
        """How many trials are complete or pruned."""
        return self._counted

    def ask(self) -> optuna.Trial:
        """Return a trial to run: one that is to be tried once more, or a new one."""
        return self._optuna.ask()

    def begin(self, trial: optuna.Trial, record: str) -> None:
        """Keep the id of the record that a trial will leave, however it ends."""
        trial.set_user_attr("record", record)

    def retry_of(self, trial: optuna.Trial) -> int | None:
        """Return the number of the trial that this one repeats, if it does."""
        number: int | None = trial.user_attrs.get("retry_of")
        return number

    def report(self, trial: optuna.Trial, value: float, epoch: int) -> bool:
        """Keep what a trial has reached after an epoch, and say whether it should be pruned."""
        if not self.single or not math.isfinite(value):
            return False
        trial.report(value, epoch)
        return bool(trial.should_prune())  # the median comes from NumPy

    def complete(self, trial: optuna.Trial, values: Sequence[float], **attributes: Any) -> None:
        """Keep the values of a trial that came to its end."""
        self._keep(trial, attributes)
        self._optuna.tell(trial, list(values))
        self._counted += 1

    def prune(self, trial: optuna.Trial, **attributes: Any) -> None:
        """Keep that a trial was pruned; its value is the last that it reported."""
        self._keep(trial, attributes)
        self._optuna.tell(trial, state=TrialState.PRUNED)
        self._counted += 1

    def fail(self, trial: optuna.Trial | int, reason: str, *, again: bool, **attributes: Any) -> None:
        """Keep that a trial failed, and why.

        Args:
            again: whether to try its parameters once more, in a trial of its own. What a process that died in between
                had enqueued already is not enqueued twice.
        """
        number = trial if isinstance(trial, int) else trial.number
        frozen = self._optuna.get_trials(deepcopy=False)[number]
        parameters = frozen.system_attrs.get("fixed_params", {}) | frozen.params
        if again and parameters and number not in self._retried:
            self._optuna.enqueue_trial(parameters, user_attrs={"retry_of": number})
            self._retried.add(number)
        study = self._storage.get_study_id_from_name(self.config.name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        for key, value in {"reason": reason, **attributes}.items():
            self._storage.set_trial_user_attr(trial_id, key, value)
        self._optuna.tell(number, state=TrialState.FAIL)

    def _keep(self, trial: optuna.Trial, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            trial.set_user_attr(key, value)


def studies(root: Path) -> Iterator[Path]:
    """Yield the folders of the studies below a folder of results, by name."""
    yield from sorted(file.parent for file in (root / "studies").glob(f"*/{STUDY_FILE}"))


def _trial(trial: FrozenTrial) -> Trial:
    attributes, reason = trial.user_attrs, trial.user_attrs.get("reason")
    curve = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    values = list(trial.values or [])
    if trial.state == TrialState.PRUNED and not values:
        values = curve[-1:]
    return Trial(
        number=trial.number,
        state=_STATES[trial.state],
        parameters=trial.params or trial.system_attrs.get("fixed_params", {}),
        values=values,
        curve=curve,
        epochs=attributes.get("epochs", len(curve)),
        seconds=None if trial.duration is None or reason == _STOPPED else trial.duration.total_seconds(),
        record=attributes.get("record"),
        reason=reason,
        retry_of=attributes.get("retry_of"),
    )


def _objectives(config: SweepConfig, metrics: Metrics | None) -> list[Metric]:
    known = metrics or Metrics()
    return [known.get(name) for name in config.objectives]


def _direction(objective: Metric) -> StudyDirection:
    return StudyDirection.MAXIMIZE if objective.greater_is_better else StudyDirection.MINIMIZE


def _sampler(config: SweepConfig, begun: int) -> BaseSampler:
    """Return a sampler that a study which goes on does not draw from its beginning again."""
    seed = (config.seed + begun) % 2**32
    return TPESampler(seed=seed) if config.sampler == "tpe" else RandomSampler(seed=seed)


def _pruner(config: SweepConfig) -> BasePruner:
    if len(config.objectives) > 1 or config.pruner == "none":
        return NopPruner()
    if config.pruner == "median":
        return MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=_FIRST_EPOCH)
    return HyperbandPruner(min_resource=min(_FIRST_EPOCH, config.epochs), max_resource=config.epochs)
