"""Test sequences drawn again: what a metric would have been, for every model on the same draws.

Drawing n sequences with replacement is drawing how often each kind of outcome (label, and prediction of every run)
occurs, which is much less work: the counts are multinomial.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

NUM_DRAWS = 2000
COUNTS_AT_ONCE = 1 << 23

Key = tuple[str, int, int]
"""Model, fold, seed."""


class Drawn(NamedTuple):
    """The metric of one run on its test sequences, and on draws of them."""

    value: float
    draws: np.ndarray
    """float [draws]"""


def metric_of(tables: np.ndarray, metric: str) -> np.ndarray:
    """A metric of tables of counts [..., true class, predicted class]: mcc, accuracy or macro_f1, float [...].

    The MCC is that of any number of classes (Gorodkin 2004, R_K), 0 where either side is constant. F1 is averaged over
    classes that occur among labels or predictions.
    """
    tables = np.asarray(tables, dtype=np.float64)
    true, predicted = tables.sum(-1), tables.sum(-2)
    right, total = np.trace(tables, axis1=-2, axis2=-1), tables.sum((-2, -1))
    if metric == "accuracy":
        return np.asarray(right / total)
    if metric == "mcc":
        spread = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
        covariance = right * total - (true * predicted).sum(-1)
        return np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=spread > 0)
    if metric == "macro_f1":
        either = true + predicted
        hits = np.diagonal(tables, axis1=-2, axis2=-1)
        f1 = np.divide(2 * hits, either, out=np.zeros_like(either), where=either > 0)
        return np.asarray(f1.sum(-1) / (either > 0).sum(-1))
    raise ValueError(f"expected the metric mcc, accuracy or macro_f1, got {metric!r}")


def draw_task(records: Sequence[dict[str, Any]], *, num_draws: int = NUM_DRAWS, seed: int = 0) -> dict[Key, Drawn]:
    """Every run of a task, drawn: runs with the same test sequences (all models, all seeds) on the same draws."""
    by_test: dict[tuple[int, ...], list[dict[str, Any]]] = {}
    for record in records:
        by_test.setdefault(tuple(record["index"]), []).append(record)
    found: dict[Key, Drawn] = {}
    for number, index in enumerate(sorted(by_test)):
        rng = np.random.default_rng((seed, number))
        found |= _draw_test(by_test[index], rng, num_draws)
    return found


def _draw_test(records: list[dict[str, Any]], rng: np.random.Generator, num_draws: int) -> dict[Key, Drawn]:
    labels = np.array(records[0]["labels"])
    num_classes, metric = int(records[0]["num_classes"]), str(records[0]["metric"])
    for record in records:
        if not np.array_equal(record["labels"], labels):
            raise ValueError(f"{record['task']}: results of {record['model']} have other labels for the same sequences")
    outcomes = np.stack([labels, *(np.array(record["predicted"]) for record in records)], axis=1)
    kinds, counts = np.unique(outcomes, axis=0, return_counts=True)
    # [kinds, cells] per run: the cell of its table that each kind of outcome counts in
    cells = [np.eye(num_classes**2)[kinds[:, 0] * num_classes + kinds[:, i + 1]] for i in range(len(records))]
    shape = (-1, num_classes, num_classes)
    draws: list[list[np.ndarray]] = [[] for _ in records]
    step = max(1, COUNTS_AT_ONCE // len(kinds))
    for first in range(0, num_draws, step):
        drawn = rng.multinomial(len(labels), counts / len(labels), size=min(step, num_draws - first)).astype(float)
        for of_run, cell in zip(draws, cells, strict=True):
            of_run.append(metric_of((drawn @ cell).reshape(shape), metric))
    values = [float(metric_of((counts @ cell).reshape(shape[1:]), metric)) for cell in cells]
    return {
        (str(record["model"]), int(record["fold"]), int(record["seed"])): Drawn(value, np.concatenate(of_run))
        for record, value, of_run in zip(records, values, draws, strict=True)
    }
