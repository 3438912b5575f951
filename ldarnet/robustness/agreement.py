"""How alike two readings of the same cuts are, window by window, beside what unrelated cuts would give.

The null keeps how often each reading cuts in the window and lets the places have nothing to do with each other: the
mean over all circular shifts of one reading against the other, which has a closed form for everything that counts or
averages. Where it has none (correlations, quantiles), one shift is drawn per window.

Arrays are [num_windows, num_cuts]; `use` marks the cuts that are compared, None = all.
"""

import numpy as np

from ldarnet.robustness.tally import Sums

DISTANCES = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048])
"""Classes of distances: each reaches up to the next, the last is open."""

TOLERANCES_BP = (0, 1, 2)
_LEAST_SHIFT = 16
"""Nearer than this, a shifted reading may still resemble the other."""


def equal(a: np.ndarray, b: np.ndarray, use: np.ndarray | None = None) -> Sums:
    """Share of places where both readings cut or neither does."""
    use = _all(a) if use is None else use
    num = use.sum(1).astype(float)
    in_a, in_b = _rate(a, use), _rate(b, use)
    return Sums(((a == b) & use).sum(1).astype(float), num, num * (in_a * in_b + (1 - in_a) * (1 - in_b)), num)


def shared(a: np.ndarray, b: np.ndarray, use: np.ndarray | None = None) -> Sums:
    """Cuts that both readings make, among those that either makes (Jaccard)."""
    use = _all(a) if use is None else use
    both, either = (a & b & use).sum(1).astype(float), ((a | b) & use).sum(1).astype(float)
    num_a, num_b = (a & use).sum(1), (b & use).sum(1)
    null_both = num_a * num_b / np.maximum(use.sum(1), 1)
    return Sums(both, either, null_both, num_a + num_b - null_both)


def changed(a: np.ndarray, b: np.ndarray, use: np.ndarray | None = None) -> Sums:
    """Share of places where one reading cuts and the other does not: one less `equal`."""
    alike = equal(a, b, use)
    return alike._replace(sums=alike.nums - alike.sums, null_sums=alike.null_nums - alike.null_sums)


def num_changed(a: np.ndarray, b: np.ndarray) -> Sums:
    """Places per window where one reading cuts and the other does not."""
    found, once = changed(a, b), np.ones(len(a))
    return found._replace(nums=once, null_nums=once)


def changed_by_distance(a: np.ndarray, b: np.ndarray, distance: np.ndarray, use: np.ndarray | None = None) -> Sums:
    """`changed` by classes of distance (int, same shape; below 0 = left out): sums are [num_windows, DISTANCES]."""
    use = _all(a) if use is None else use
    rate = _rate(b, use)[:, None]
    return _by_distance(a != b, np.where(a, 1 - rate, rate), distance, use)


def moved_by_distance(p: np.ndarray, q: np.ndarray, distance: np.ndarray) -> Sums:
    """Mean |p - q| of probabilities by classes of distance, as `changed_by_distance`."""
    null = np.stack([_mean_difference(mine, other) for mine, other in zip(p, q, strict=True)])
    return _by_distance(np.abs(p - q), null, distance, _all(p))


def within(a: np.ndarray, b: np.ndarray, tolerance: int) -> Sums:
    """Share of the cuts of either reading that have a cut of the other at most `tolerance` bases away."""
    near_a, near_b = _widened(a, tolerance), _widened(b, tolerance)
    num_a, num_b = a.sum(1).astype(float), b.sum(1).astype(float)
    found = (a & near_b).sum(1).astype(float) + (b & near_a).sum(1)
    return Sums(found, num_a + num_b, num_a * near_b.mean(1) + num_b * near_a.mean(1), num_a + num_b)


def cut_by_all(readings: np.ndarray) -> Sums:
    """Cuts that all readings [num_readings, num_windows, num_cuts] make, per cut of the average reading."""
    means = readings.mean(2)
    num = readings.shape[2]
    average = num * means.mean(0)
    return Sums(readings.all(0).sum(1).astype(float), average, num * means.prod(0), average)


def correlation(p: np.ndarray, q: np.ndarray, dice: list[np.random.Generator]) -> Sums:
    """Pearson correlation within each window; the measure is its mean over windows."""
    shifted = _shifted(q, dice)
    found = np.array([_pearson(mine, other) for mine, other in zip(p, q, strict=True)])
    null = np.array([_pearson(mine, other) for mine, other in zip(p, shifted, strict=True)])
    known, null_known = np.isfinite(found), np.isfinite(null)
    return Sums(np.nan_to_num(found), known.astype(float), np.nan_to_num(null), null_known.astype(float))


def quantiles(p: np.ndarray, q: np.ndarray, levels: np.ndarray, dice: list[np.random.Generator]) -> Sums:
    """Quantiles of |p - q| within each window, sums [num_windows, levels]; the measure is their mean over windows."""
    found = np.quantile(np.abs(p - q), levels, axis=1).T
    null = np.quantile(np.abs(p - _shifted(q, dice)), levels, axis=1).T
    return Sums(found, np.ones_like(found), null, np.ones_like(null))


def share_of(is_so: np.ndarray) -> Sums:
    """Share of places where something is so; there is no null."""
    none = np.zeros(len(is_so))
    return Sums(is_so.sum(1).astype(float), np.full(len(is_so), float(is_so.shape[1])), none, none)


def _by_distance(values: np.ndarray, null: np.ndarray, distance: np.ndarray, use: np.ndarray) -> Sums:
    classes = np.searchsorted(DISTANCES, np.broadcast_to(distance, values.shape), side="right") - 1
    rows = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    kept = use & (classes >= 0)
    cells = (rows * len(DISTANCES) + classes)[kept]
    size = len(values) * len(DISTANCES)
    sums, nums, null_sums = (
        np.bincount(cells, weights, minlength=size).reshape(len(values), -1)
        for weights in (values[kept].astype(float), np.ones(len(cells)), null[kept])
    )
    return Sums(sums, nums, null_sums, nums)


def _mean_difference(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """For each of p the mean of its distances to all of q."""
    ordered = np.sort(q.astype(float))
    below = np.searchsorted(ordered, p)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    return (p * (2 * below - len(q)) - 2 * total[below] + total[-1]) / len(q)


def _widened(cuts: np.ndarray, tolerance: int) -> np.ndarray:
    near = cuts.copy()
    for step in range(1, tolerance + 1):
        near[:, step:] |= cuts[:, :-step]
        near[:, :-step] |= cuts[:, step:]
    return near


def _shifted(q: np.ndarray, dice: list[np.random.Generator]) -> np.ndarray:
    least = min(_LEAST_SHIFT, q.shape[1] // 4)
    shifts = [int(each.integers(least, q.shape[1] - least + 1)) for each in dice]
    return np.stack([np.roll(row, shift) for row, shift in zip(q, shifts, strict=True)])


def _pearson(p: np.ndarray, q: np.ndarray) -> float:
    p, q = p.astype(float) - p.mean(dtype=float), q.astype(float) - q.mean(dtype=float)
    scale = np.sqrt((p**2).sum() * (q**2).sum())
    return float((p * q).sum() / scale) if scale > 0 else float("nan")


def _rate(cuts: np.ndarray, use: np.ndarray) -> np.ndarray:
    return (cuts & use).sum(1) / np.maximum(use.sum(1), 1)


def _all(values: np.ndarray) -> np.ndarray:
    return np.ones(values.shape, dtype=bool)
