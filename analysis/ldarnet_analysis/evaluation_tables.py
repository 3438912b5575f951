"""Tables of an evaluation: every model on every task with its spreads and interval, and differences of models."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ldarnet_analysis.evaluation_draws import Drawn, Key, draw_task, metric_of
from ldarnet_analysis.evaluation_files import Evaluation

RESULT_COLUMNS = (
    "task",
    "model",
    "metric",
    "value",
    "lo",
    "hi",
    "fold_sd",
    "seed_sd",
    "value_without_leaks",
    "n_leaks",
    "n_folds",
    "n_seeds",
    "n_test",
    "largest_class",
    "scheme",
    "published_as",
    "parameters",
    "seconds_per_fold",
)
DIFFERENCE_COLUMNS = ("task", "model", "other", "metric", "difference", "lo", "hi", "fold_sd", "n_better", "n_folds")


def evaluation_tables(found: Evaluation, *, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results (one row per task and model) and differences (per task and two models, on the folds both have).

    `value` is the mean over folds and seeds. `fold_sd` is over folds of the mean over seeds; `seed_sd` over seeds
    within a fold, folds pooled; NaN for one. `lo` to `hi`: 95 %, test sequences drawn again, training not repeated.
    `value_without_leaks`: of test sequences that resemble none that may be trained on; `n_leaks` do.
    """
    results: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    for task, records in found.records.items():
        drawn = draw_task(records, seed=seed)
        models = [model for model in found.models if any(key[0] == model for key in drawn)]
        for model in models:
            mine = [record for record in records if record["model"] == model]
            results.append(_result(task, model, mine, drawn, found.tasks.get(task, {})))
        differences += [
            row for pair in combinations(models, 2) if (row := _difference(task, *pair, records[0]["metric"], drawn))
        ]
    return (
        pd.DataFrame(results, columns=list(RESULT_COLUMNS)),
        pd.DataFrame(differences, columns=list(DIFFERENCE_COLUMNS)),
    )


def leakage_table(found: Evaluation) -> pd.DataFrame:
    """Sequences of one split that lie in another too, a row per task and pair of splits."""
    rows = []
    for task, facts in found.tasks.items():
        seen = facts.get("pretraining", {})
        for each in facts.get("leakage", {}).get("between", []):
            rows.append(
                {
                    "task": task,
                    "between": each["between"],
                    "n_sequences": each["num_sequences"],
                    "same": each["same"],
                    "reverse_complement": each["reverse complement"],
                    "near_duplicate": each["near-duplicate"],
                    "other_class": each["other_class"],
                    "tested": seen.get("num_sequences", np.nan),
                    "seen_in_pretraining": seen.get("num_seen", np.nan),
                }
            )
    return pd.DataFrame(rows)


def _result(
    task: str, model: str, records: Sequence[dict[str, Any]], drawn: Mapping[Key, Drawn], facts: Mapping[str, Any]
) -> dict[str, Any]:
    keys = sorted(key for key in drawn if key[0] == model)
    values = _by_fold({key[1:]: drawn[key].value for key in keys})
    lo, hi = _interval(np.mean([drawn[key].draws for key in keys], axis=0))
    leaks = set(facts.get("leakage", {}).get("tested", ()))
    tested = {
        number: label for record in records for number, label in zip(record["index"], record["labels"], strict=True)
    }
    counts = np.bincount(list(tested.values()))
    return {
        "task": task,
        "model": model,
        "metric": records[0]["metric"],
        "value": float(np.mean([drawn[key].value for key in keys])),
        "lo": lo,
        "hi": hi,
        "fold_sd": _sd([float(np.mean(each)) for each in values.values()]),
        "seed_sd": _pooled_sd(list(values.values())),
        "value_without_leaks": _without(leaks, records),
        "n_leaks": len(leaks & tested.keys()),
        "n_folds": len(values),
        "n_seeds": max(len(each) for each in values.values()),
        "n_test": len(tested),
        "largest_class": float(counts.max() / counts.sum()),
        "scheme": records[0]["scheme"],
        "published_as": facts.get("published_as") or "",
        "parameters": int(records[0].get("num_parameters", 0)),
        "seconds_per_fold": float(np.mean([record.get("seconds", np.nan) for record in records])),
    }


def _difference(task: str, model: str, other: str, metric: str, drawn: Mapping[Key, Drawn]) -> dict[str, Any] | None:
    """The first minus the second, on the folds and seeds that both have; None where there are none."""
    both = sorted(key[1:] for key in drawn if key[0] == model and (other, *key[1:]) in drawn)
    if not both:
        return None
    by_fold = _by_fold({key: drawn[model, *key].value - drawn[other, *key].value for key in both})
    folds = [float(np.mean(each)) for each in by_fold.values()]
    draws = np.mean([drawn[model, *key].draws - drawn[other, *key].draws for key in both], axis=0)
    lo, hi = _interval(draws)
    return {
        "task": task,
        "model": model,
        "other": other,
        "metric": metric,
        "difference": float(np.mean([each for fold in by_fold.values() for each in fold])),
        "lo": lo,
        "hi": hi,
        "fold_sd": _sd(folds),
        "n_better": sum(each > 0 for each in folds),
        "n_folds": len(folds),
    }


def _without(leaks: set[int], records: Sequence[dict[str, Any]]) -> float:
    """The mean over folds and seeds, of test sequences that resemble none that may be trained on; NaN for none left."""
    values = []
    for record in records:
        is_left = np.array([number not in leaks for number in record["index"]])
        if is_left.any():
            size = record["num_classes"]
            table = np.zeros((size, size))
            np.add.at(table, (np.array(record["labels"])[is_left], np.array(record["predicted"])[is_left]), 1)
            values.append(float(metric_of(table, record["metric"])))
    return float(np.mean(values)) if values else float("nan")


def _by_fold(values: Mapping[tuple[int, int], float]) -> dict[int, list[float]]:
    folds: dict[int, list[float]] = {}
    for (fold, _), value in values.items():
        folds.setdefault(fold, []).append(value)
    return folds


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _pooled_sd(folds: Sequence[Sequence[float]]) -> float:
    several = [np.var(each, ddof=1) for each in folds if len(each) > 1]
    return float(np.sqrt(np.mean(several))) if several else float("nan")


def _interval(draws: np.ndarray) -> tuple[float, float]:
    lo, hi = np.quantile(draws, (0.025, 0.975))
    return float(lo), float(hi)
