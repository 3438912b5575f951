"""What every single-base change in a stretch does to the cuts around it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet.genome import Contig, Window, plan_windows

BASES = "ACGT"
MAX_RANGE_BP = 200
REACH_BP = 32
"""Cuts at most this far from the changed base are counted."""

TOTAL_LABEL = f"sum of |Δp| over the cuts within {REACH_BP} bases"
OWN_LABEL = "Δp of the cut left of the base"

Report = Callable[[int, int], None]
"""Called with what is done and what there is to do."""
Predict = Callable[[Sequence[str], Report], list[np.ndarray]]
"""Windows of letters -> float32 values of each, read on its own."""


class EffectMap(NamedTuple):
    """Effects of changes at bases start..start+n-1, columns A, C, G, T (float32 [n, 4]).

    `total`: |p(changed) - p(reference)| summed over the cuts start+i-REACH_BP to start+i+1+REACH_BP, which lie evenly
    about base start+i. `own`: p(changed) - p(reference) at the cut left of the base. Both are 0 for the reference base
    and NaN where the reference is N; `own` is NaN at base 0, which has no value.
    """

    start: int
    reference: str
    total: np.ndarray
    own: np.ndarray

    def table(self) -> pd.DataFrame:
        """One row per change: position, reference, changed_to, total, own."""
        rows = [
            (self.start + i, base, to, self.total[i, j], self.own[i, j])
            for i, base in enumerate(self.reference)
            for j, to in enumerate(BASES)
            if base in BASES and to != base
        ]
        return pd.DataFrame(rows, columns=["position", "reference", "changed_to", "total", "own"])


class _Change(NamedTuple):
    """One change as one window sees it; `first` and `last` are its cuts that the window has the values of."""

    position: int
    base: str
    window: Window
    first: int
    last: int


def effect_map(
    sequence: str,
    start: int,
    end: int,
    *,
    values: np.ndarray,
    window_bp: int,
    halo_bp: int,
    predict: Predict,
    report: Report,
) -> EffectMap:
    """Effects of the three changes of every base in start..end-1, `values` being those of the sequence itself.

    Only the windows that hold a change are read again; the values of all others stay as they are.
    Raises ValueError for a stretch outside the sequence, longer than MAX_RANGE_BP, or all N.
    """
    if not 0 <= start < end <= len(sequence):
        raise ValueError(f"expected 0 <= start < end <= {len(sequence):,}, got {start:,} and {end:,}")
    if end - start > MAX_RANGE_BP:
        raise ValueError(f"expected at most {MAX_RANGE_BP} bases to change, got {end - start:,}")
    reference = sequence[start:end]
    if not set(reference) & set(BASES):
        raise ValueError(f"bases {start:,}-{end:,} are all N: there is nothing to change")
    changes = _changes(sequence, start, end, list(plan_windows(Contig("sequence", len(sequence)), window_bp, halo_bp)))
    computed = predict([_changed(sequence, change) for change in changes], report)
    total = np.zeros((len(reference), 4), dtype=np.float32)
    own = np.zeros((len(reference), 4), dtype=np.float32)
    for change, found in zip(changes, computed, strict=True):
        row, column = change.position - start, BASES.index(change.base)
        origin = change.window.start
        difference = found[change.first - origin : change.last - origin] - values[change.first : change.last]
        total[row, column] += np.nansum(np.abs(difference))
        if change.first <= change.position < change.last:
            own[row, column] = difference[change.position - change.first]
    unknown = np.array([base not in BASES for base in reference])
    total[unknown] = own[unknown] = np.nan
    if start == 0:
        own[0] = np.nan
    return EffectMap(start, reference, total, own)


def _changes(sequence: str, start: int, end: int, windows: Sequence[Window]) -> list[_Change]:
    changes = []
    for position in range(start, end):
        low, high = position - REACH_BP, position + 2 + REACH_BP
        seen = [
            (window, max(low, window.core_start), min(high, window.core_end))
            for window in windows
            if window.start <= position < window.end and window.core_start < high and low < window.core_end
        ]
        for base in BASES:
            if sequence[position] in BASES and base != sequence[position]:
                changes += [_Change(position, base, *place) for place in seen]
    return changes


def _changed(sequence: str, change: _Change) -> str:
    _, window_start, window_end, *_ = change.window
    position = change.position
    return sequence[window_start:position] + change.base + sequence[position + 1 : window_end]
