"""From sums per window to a table: estimates, nulls, and intervals by resampling windows."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from ldarnet_analysis.bootstrap import bootstrap_means
from ldarnet_analysis.locus_sums import MIN_LOCI, LocusSums, effective_number, ratio

COLUMNS = ["model", "test", "x", "value", "lo", "hi", "null", "null_lo", "null_hi", "n_windows", "status", "reason"]
NUM_RESAMPLES = 2000
LEVEL = 0.95
_BLOCK_ROWS = 64


class WindowSums(Protocol):
    """One measure: numerators and denominators per window, observed and under the null; a reason if it was not run."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def test(self) -> str: ...  # noqa: D102
    @property
    def x(self) -> float: ...  # noqa: D102
    @property
    def sums(self) -> np.ndarray: ...  # noqa: D102
    @property
    def nums(self) -> np.ndarray: ...  # noqa: D102
    @property
    def null_sums(self) -> np.ndarray: ...  # noqa: D102
    @property
    def null_nums(self) -> np.ndarray: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


def robustness_table(measured: Sequence[WindowSums], seed: int) -> pd.DataFrame:
    """One row a measure, columns COLUMNS; the same resamples of windows serve all rows.

    `status` is "ok", "not run", "too few windows" (no interval under 20 of them) or "no spread" (all windows say the
    same, so that resampling them gives no interval); `reason` says why.
    """
    rows: list[dict[str, object]] = []
    for start in range(0, len(measured), _BLOCK_ROWS):
        block = measured[start : start + _BLOCK_ROWS]
        run = [each for each in block if not each.reason]
        found = iter(_estimates(run, seed))
        rows += [_not_run(each) if each.reason else next(found) for each in block]
    return pd.DataFrame(rows, columns=COLUMNS)


def _not_run(each: WindowSums) -> dict[str, object]:
    return {"model": each.model, "test": each.test, "x": each.x, "n_windows": 0, "status": "not run",
            "reason": each.reason}  # fmt: skip


def _estimates(measured: Sequence[WindowSums], seed: int) -> list[dict[str, object]]:
    if not measured:
        return []
    observed = _Intervals([each.sums for each in measured], [each.nums for each in measured], seed)
    null = _Intervals([each.null_sums for each in measured], [each.null_nums for each in measured], seed)
    rows = []
    for i, each in enumerate(measured):
        status, reason = observed.verdict(i)
        lo, hi = observed.bounds(i) if status == "ok" else (np.nan, np.nan)
        null_lo, null_hi = null.bounds(i) if null.verdict(i)[0] == "ok" else (np.nan, np.nan)
        values = (each.model, each.test, each.x, observed.means[i], lo, hi, null.means[i], null_lo, null_hi)
        rows.append(dict(zip(COLUMNS, (*values, int(observed.num_windows[i]), status, reason), strict=True)))
    return rows


class _Intervals:
    """Percentile intervals of quotients of sums, their tails widened to those of Student's t, as in `bootstrap`."""

    def __init__(self, sums: list[np.ndarray], nums: list[np.ndarray], seed: int) -> None:
        kept = LocusSums(np.stack(sums, axis=1), np.stack(nums, axis=1))
        self._sums, self._nums = kept.sums, kept.nums
        self.means = ratio(kept.sums.sum(axis=0), kept.nums.sum(axis=0))
        self.num_windows = kept.num_loci
        self._resamples = bootstrap_means(kept, NUM_RESAMPLES, seed)

    def verdict(self, i: int) -> tuple[str, str]:
        """Status and reason of a column."""
        num = int(self.num_windows[i])
        if num < MIN_LOCI:
            return "too few windows", f"{num} windows have a value, {MIN_LOCI} are needed for an interval"
        residuals = self._sums[:, i] - self.means[i] * self._nums[:, i]
        if np.abs(residuals).max() <= 1e-12 * max(1.0, np.abs(self._sums[:, i]).max()):
            return "no spread", "all windows give the same value"
        return "ok", ""

    def bounds(self, i: int) -> tuple[float, float]:
        """Interval of a column whose verdict is ok."""
        effective = max(effective_number(self._nums[:, i]), 1.5)
        tail = norm.cdf(student.ppf((1 - LEVEL) / 2, effective - 1) * np.sqrt(effective / (effective - 1)))
        lo, hi = np.nanquantile(self._resamples[:, i], [tail, 1 - tail])
        return float(lo), float(hi)
