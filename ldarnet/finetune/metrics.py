"""How good predictions are, over all of them at once: the mean of such figures over batches is another number."""

import math

import numpy as np

from ldarnet.finetune.settings import Task


def metrics(labels: np.ndarray, scores: np.ndarray, task: Task) -> dict[str, float]:
    """Figures of scores [n, classes] (probabilities; values of a regression) against labels as in `Examples`.

    classification: mcc, accuracy, macro_f1 of the class with the largest score; auroc and auprc of the second class
    where there are two, else the mean over classes, each against the rest. multilabel: the mean over labels of each,
    a label being predicted from 0.5 on. regression: pearson, spearman, and mse. NaN where a figure is not defined: one
    class only, a constant. Raises ValueError for shapes that do not fit, or scores that are no numbers.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != len(labels) or not len(labels):
        raise ValueError(f"expected scores [n, classes] of {len(labels)} labels, got {scores.shape}")
    if num_bad := int((~np.isfinite(scores)).any(1).sum()):
        raise ValueError(f"expected scores that are numbers, got {num_bad} rows with others")
    if task == "regression":
        return _regression(labels.astype(np.float64), scores[:, 0])
    if task == "multilabel":
        if labels.shape != scores.shape:
            raise ValueError(f"expected labels and scores of one shape, got {labels.shape} and {scores.shape}")
        each = [_classes(y.astype(np.int64), np.stack([1 - s, s], 1)) for y, s in zip(labels.T, scores.T, strict=True)]
        return {name: mean_of_defined([figures[name] for figures in each]) for name in each[0]}
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(f"expected classes 0..{scores.shape[1] - 1}, got {labels.min()}..{labels.max()}")
    return _classes(labels, scores)


def _classes(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    num_classes = scores.shape[1]
    # Of equal scores the last wins, so that a label of a multi-label task counts from 0.5 on.
    predicted = num_classes - 1 - scores[:, ::-1].argmax(1)
    table = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    positives = range(1, 2) if num_classes == 2 else range(num_classes)
    return {
        "mcc": matthews(table),
        "accuracy": float(table.trace() / table.sum()),
        "macro_f1": macro_f1(table),
        "auroc": mean_of_defined([auroc(labels == each, scores[:, each]) for each in positives]),
        "auprc": mean_of_defined([average_precision(labels == each, scores[:, each]) for each in positives]),
    }


def matthews(table: np.ndarray) -> float:
    """Matthews correlation of a table [true class, predicted class] of counts, for any number of classes; 0 where
    either is constant (Gorodkin 2004, R_K).
    """
    true, predicted = table.sum(1).astype(np.float64), table.sum(0).astype(np.float64)
    total = float(table.sum())
    covariance = float(table.trace()) * total - float(true @ predicted)
    spread = (total**2 - float(true @ true)) * (total**2 - float(predicted @ predicted))
    return covariance / math.sqrt(spread) if spread > 0 else 0.0


def macro_f1(table: np.ndarray) -> float:
    """Mean F1 of the classes that occur, among labels or predictions, in a table [true class, predicted class]."""
    either = table.sum(1) + table.sum(0)
    return float(np.mean(2 * np.diag(table)[either > 0] / either[either > 0]))


def auroc(is_positive: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties counting half; NaN where there are none of either."""
    num_positive = int(is_positive.sum())
    num_negative = len(is_positive) - num_positive
    if not num_positive or not num_negative:
        return math.nan
    above = ranks(scores)[is_positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def average_precision(is_positive: np.ndarray, scores: np.ndarray) -> float:
    """Mean precision at the positives, best score first, equal scores taken together; NaN where there are none.

    The step-wise area below the curve of precision over recall, without interpolation.
    """
    if not is_positive.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_positive[order])
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    precision, recall = hits[ends] / (ends + 1), hits[ends] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def ranks(values: np.ndarray) -> np.ndarray:
    """1-based ranks, equal values sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def mean_of_defined(values: list[float]) -> float:
    """Mean of those that are not NaN; NaN where all are."""
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _regression(labels: np.ndarray, values: np.ndarray) -> dict[str, float]:
    return {
        "pearson": _pearson(labels, values),
        "spearman": _pearson(ranks(labels), ranks(values)),
        "mse": float(np.mean((labels - values) ** 2)),
    }


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    spread = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / spread if spread > 0 else math.nan
