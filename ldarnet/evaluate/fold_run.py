"""One model on one task: settings are chosen on validation, then every fold and seed is fitted, scored and kept."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ldarnet.evaluate.body import Body
from ldarnet.evaluate.folds import FoldPlan, Parts
from ldarnet.evaluate.locate import TaskData
from ldarnet.evaluate.store import Store, read_json, write_json
from ldarnet.finetune import Examples, FineTuneSettings, States, fit, fit_head, metrics, predict
from ldarnet.train.trainer import Diverged

NOT_IN_RECORD = ("device", "max_seconds", "save_every_seconds")


@dataclass(frozen=True)
class Scored:
    """A fitted fold."""

    valid: dict[str, float]
    scores: np.ndarray
    """float32 [test sequences, classes]"""
    num_epochs: int
    best_epoch: int
    seconds: float
    """Of fitting and scoring, without what was tried before; of a run that was killed and went on, all parts."""


class FoldRun:
    """The folds of one task for one model; what a fixed body gives is computed once for all of them."""

    def __init__(
        self,
        name: str,
        body: Body,
        data: TaskData,
        plan: FoldPlan,
        examples: Examples,
        num_cropped: int,
        tried: list[FineTuneSettings],
        store: Store,
        say: Callable[[str], None],
    ) -> None:
        self._name, self._body, self._data, self._plan, self._examples = name, body, data, plan, examples
        self._num_cropped = num_cropped
        self._tried = [replace(each, select_by=data.task.metric) for each in tried]
        self._store, self._say = store, say

    def run(self, num_seeds: int) -> Iterator[Path]:
        """Fit and write what is not there yet, and give the file of every fold and seed.

        Raises ValueError where results are there of another model or other sequences, and, after all others were run,
        where fits diverged.
        """
        diverged = []
        for fold in range(self._plan.num_folds):
            for seed in range(num_seeds):
                path = self._store.fold_file(self._data.task, self._name, fold, seed)
                where = f"fold {fold + 1} of {self._plan.num_folds}, seed {seed}"
                if not self._is_there(path):
                    shared = self._share_states()
                    chosen, trials = self._choose(self._plan.choosing_fold(fold))
                    settings = replace(chosen, seed=seed)
                    try:
                        scored = self._fit(fold, settings)
                    except Diverged as error:
                        diverged.append(f"{where}: {error}")
                        self._tell(diverged[-1])
                        continue
                    record = self._record(fold, settings, scored, trials) | {"shared_seconds": shared}
                    write_json(path, record)
                    value = record["test"][self._data.task.metric]
                    self._tell(f"{where}: {self._data.task.metric} {value:.3f} ({scored.seconds:.1f} s)")
                # Here, so that what a run left that was killed before this line goes too.
                self._store.drop_work(self._data.task, self._name, fold, seed)
                yield path
        if diverged:
            raise ValueError("; ".join(diverged))

    def _share_states(self) -> float:
        """Compute what all probes share, so that the seconds of a fold are its own; returns the seconds it took."""
        started = time.monotonic()
        if self._tried[0].mode == "probe":
            assert len(self._states) == len(self._data.labels)
        return time.monotonic() - started

    def _is_there(self, path: Path) -> bool:
        """Whether a fold or a trial is done. ValueError where it was done with another model or other sequences."""
        record = read_json(path)
        if record is None:
            return False
        wrong = [name for name, value in self._made_with().items() if record.get(name) != value]
        if wrong:
            what = "another model" if "model_sha256" in wrong else "other sequences or folds"
            raise ValueError(f"{path}: made with {what} of the same name; choose another --out, or another name")
        return True

    def _made_with(self) -> dict[str, str]:
        return {"model_sha256": self._body.sha256, "folds_sha256": self._plan.sha256()}

    def _choose(self, fold: int) -> tuple[FineTuneSettings, list[dict[str, Any]]]:
        """The settings that validate best on a fold, and what was tried; test sequences take no part."""
        if len(self._tried) == 1:
            return self._tried[0], []
        trials = []
        for settings in self._tried:
            path = self._store.trial_file(self._data.task, self._name, fold, _key(settings))
            trial = read_json(path) if self._is_there(path) else None
            if trial is None:
                trial = {"learning_rate": settings.learning_rate, "batch_size": settings.batch_size}
                trial |= self._made_with()
                try:
                    trial["valid"] = self._fit(fold, settings).valid[self._data.task.metric]
                except Diverged:
                    trial["valid"] = None
                write_json(path, trial)
                value = "diverged" if trial["valid"] is None else f"validation {trial['valid']:.3f}"
                self._tell(f"learning rate {settings.learning_rate:g}, batch {settings.batch_size}: {value}")
            trials.append(trial)
            best = _best(trials)
            work = self._work(fold, self._tried[best])
            self._store.drop_work(self._data.task, self._name, fold, settings.seed, keep=work)
        if all(trial["valid"] is None for trial in trials):
            raise ValueError(f"{self._data.task.name}, {self._name}: all {len(trials)} settings diverged")
        return self._tried[_best(trials)], trials

    def _tell(self, what: str) -> None:
        self._say(f"{self._data.task.name}, {self._name}, {what}")

    def _fit(self, fold: int, settings: FineTuneSettings) -> Scored:
        parts = self._plan.parts(fold)
        if settings.mode == "probe":
            return self._probe(parts, settings)
        train, valid, test = (self._examples.take(index) for index in parts)
        assert self._body.model is not None, "check_mode() comes first"
        fitted = fit(self._body.model, train, valid, settings, self._work(fold, settings))
        best = fitted.history[fitted.best_epoch - 1]
        started = time.monotonic()
        scores = predict(fitted, test)
        seconds = sum(epoch["seconds"] for epoch in fitted.history) + time.monotonic() - started
        return Scored(best["valid"], scores, len(fitted.history), fitted.best_epoch, seconds)

    def _probe(self, parts: Parts, settings: FineTuneSettings) -> Scored:
        started = time.monotonic()
        train, valid = (States(self._states[index], self._examples.labels[index]) for index in parts[:2])
        found = fit_head(train, valid, settings)
        scores = found.head.scores_of(self._states[parts.test])
        if settings.reverse_complement_at_test:
            scores = (scores + found.head.scores_of(self._reverse_states[parts.test])) / 2
        valid_figures, seconds = found.history[found.best_epoch - 1]["valid"], time.monotonic() - started
        return Scored(valid_figures, scores, len(found.history), found.best_epoch, seconds)

    @cached_property
    def _states(self) -> np.ndarray:
        return self._body.states(self._examples, self._tried[0])

    @cached_property
    def _reverse_states(self) -> np.ndarray:
        return self._body.states(self._examples.reverse_complement(), self._tried[0])

    def _work(self, fold: int, settings: FineTuneSettings) -> Path:
        return self._store.work_folder(self._data.task, self._name, fold, settings.seed, _key(settings))

    def _record(
        self, fold: int, settings: FineTuneSettings, scored: Scored, trials: list[dict[str, Any]]
    ) -> dict[str, Any]:
        parts, task = self._plan.parts(fold), self._data.task
        labels = self._examples.labels[parts.test]
        return self._made_with() | {
            "task": task.name,
            "metric": task.metric,
            "num_classes": task.num_classes,
            "model": self._name,
            "model_source": Path(self._body.source).name,
            "num_parameters": self._body.num_parameters,
            "fold": fold,
            "num_folds": self._plan.num_folds,
            "scheme": self._plan.scheme,
            "seed": settings.seed,
            "settings": {name: value for name, value in asdict(settings).items() if name not in NOT_IN_RECORD},
            "trials": trials,
            "num_cropped": self._num_cropped,
            "sizes": {name: len(index) for name, index in parts._asdict().items()},
            "num_epochs": scored.num_epochs,
            "best_epoch": scored.best_epoch,
            "seconds": scored.seconds,
            "valid": scored.valid,
            "test": metrics(labels, scored.scores, "classification"),
            "index": parts.test.tolist(),
            "labels": labels.tolist(),
            "predicted": predicted_classes(scored.scores).tolist(),
        }


def predicted_classes(scores: np.ndarray) -> np.ndarray:
    """The class with the largest of scores [n, classes]; of equal ones the last, as `metrics` takes it."""
    classes: np.ndarray = scores.shape[1] - 1 - scores[:, ::-1].argmax(1)
    return classes


def _best(trials: list[dict[str, Any]]) -> int:
    """The first of the best."""
    return max(range(len(trials)), key=lambda i: (-np.inf if trials[i]["valid"] is None else trials[i]["valid"], -i))


def _key(settings: FineTuneSettings) -> str:
    return f"lr{settings.learning_rate:g}.bs{settings.batch_size}"
