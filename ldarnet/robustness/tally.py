"""What is measured, kept as sums per window: all that an interval over windows needs."""

from typing import NamedTuple

import numpy as np


class Sums(NamedTuple):
    """Numerators and denominators of a share or mean, observed and under the null.

    float64 [num_windows], or [num_windows, num_x] for a curve. The measure is the quotient of the sums over windows;
    a denominator of 0 says that the window has nothing to say.
    """

    sums: np.ndarray
    nums: np.ndarray
    null_sums: np.ndarray
    null_nums: np.ndarray


class Measured(NamedTuple):
    """One measure of one model (or pair): float64 [num_windows] each. Not run, with a `reason`: they are empty."""

    model: str
    test: str
    x: float
    """Shift, distance, masked share, quantile, padding or tolerance, as the test has it; NaN where it has none."""
    sums: np.ndarray
    nums: np.ndarray
    null_sums: np.ndarray
    null_nums: np.ndarray
    reason: str = ""


class Tally:
    """Collects the measures of a model, batch by batch."""

    def __init__(self, model: str, num_windows: int) -> None:
        self._model, self._num_windows = model, num_windows
        self._found: dict[tuple[str, float | None], np.ndarray] = {}
        self._not_run: dict[str, str] = {}

    def add(self, test: str, x: float | None, rows: slice, sums: Sums) -> None:
        """Put down the sums [rows] of a measure; x None where there is none."""
        kept = self._found.setdefault((test, x), np.zeros((len(Sums._fields), self._num_windows)))
        kept[:, rows] = np.stack(sums)

    def add_curve(self, test: str, xs: np.ndarray, rows: slice, sums: Sums) -> None:
        """Put down the sums [rows, xs] of a curve."""
        for i, x in enumerate(xs):
            self.add(test, float(x), rows, Sums(*(each[:, i] for each in sums)))

    def not_run(self, test: str, reason: str) -> None:
        """Put down why a test has no result."""
        self._not_run[test] = reason

    def measured(self) -> list[Measured]:
        """All measures, in the order in which they came; points of curves that no window speaks of are left out."""
        rows = [
            Measured(self._model, test, float("nan") if x is None else x, *kept)
            for (test, x), kept in self._found.items()
            if x is None or kept[1].any()
        ]
        none = np.empty(0)
        return rows + [
            Measured(self._model, test, float("nan"), none, none, none, none, reason)
            for test, reason in self._not_run.items()
        ]
