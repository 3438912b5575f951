"""The interval of a difference between two losses on the same windows (numpy only)."""

from dataclasses import dataclass

import numpy as np

UNITS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Difference:
    """Difference of mean nats per letter, and the middle 95 % of its bootstrap."""

    mean: float
    low: float
    high: float
    num_units: int
    """How many windows, or groups of them, were drawn from."""


def paired_bootstrap(
    model_loss: np.ndarray,
    table_loss: np.ndarray,
    num_letters: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    num: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Model minus table, from sums per window [n]: below zero the model is better.

    Windows are drawn with replacement `num` times, or whole groups of them (labels [n]). Raises ValueError for fewer
    than two of either.
    """
    if groups is None:
        groups = np.arange(len(num_letters))
    of_window = np.unique(groups, return_inverse=True)[1]
    difference = np.bincount(of_window, weights=model_loss - table_loss)
    letters = np.bincount(of_window, weights=num_letters)
    num_units = len(letters)
    if num_units < 2:
        raise ValueError(f"bootstrap: expected at least two windows or groups, got {num_units}")
    rng = np.random.Generator(np.random.PCG64(seed))
    means = np.empty(num)
    step = max(1, UNITS_AT_ONCE // num_units)
    for first in range(0, num, step):
        drawn = rng.integers(num_units, size=(min(step, num - first), num_units), dtype=np.int32)
        means[first : first + step] = difference[drawn].sum(axis=1) / letters[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Difference(float(difference.sum() / letters.sum()), float(low), float(high), num_units)
