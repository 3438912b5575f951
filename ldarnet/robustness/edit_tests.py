"""What one changed base in the middle of a window does to the cuts around it."""

from typing import NamedTuple

import numpy as np

from ldarnet.robustness import agreement
from ldarnet.robustness.loci import LocusBatch
from ldarnet.robustness.reader import Reader, Reading
from ldarnet.robustness.tally import Tally

_SNV, _INSERTION = 3, 4


class Edited(NamedTuple):
    """Windows after a change, and which cuts before and after it are the same."""

    ids: np.ndarray
    """uint8 [num_windows, length]: as long as before."""
    before: np.ndarray
    after: np.ndarray
    """Cuts (int [num_cuts]) that stand between the same two bases before and after, or beside a replaced one."""
    distance: np.ndarray
    """Bases between the cut and the change; 0 = it stands beside it."""
    is_left: np.ndarray
    """Whether the cut is left of the change."""


def edits(reader: Reader, batch: LocusBatch, base: Reading, tally: Tally) -> None:
    """A substitution, a deletion and an insertion of one base, each in a window of its own."""
    for name, edited in (("snv", substituted(batch)), ("deletion", deleted(batch)), ("insertion", inserted(batch))):
        read = reader.read(edited.ids)
        p, a = (each[:, edited.before - 1] for each in base)
        q, b = (each[:, edited.after - 1] for each in read)
        tally.add(f"{name}.number", None, batch.rows, agreement.num_changed(a, b))
        for side, here in (("left", edited.is_left), ("right", ~edited.is_left)):
            distance = np.where(here, edited.distance, -1)
            cuts = agreement.changed_by_distance(a, b, distance)
            tally.add_curve(f"{name}.changed_{side}", agreement.DISTANCES, batch.rows, cuts)
            probabilities = agreement.moved_by_distance(p, q, distance)
            tally.add_curve(f"{name}.moved_{side}", agreement.DISTANCES, batch.rows, probabilities)


def substituted(batch: LocusBatch) -> Edited:
    """The middle base replaced by one of the three others."""
    middle, ids = batch.window_bp // 2, batch.window.copy()
    steps = np.array([dice.integers(1, 4) for dice in batch.dice(_SNV)])
    ids[:, middle] = (ids[:, middle] + steps) % 4
    left, right = np.arange(1, middle + 1), np.arange(middle + 1, batch.window_bp)
    return _edited(ids, left, middle - left, right, right, right - middle - 1)


def deleted(batch: LocusBatch) -> Edited:
    """The middle base taken out; one follows at the end. The cut in its place is neither of the two it had."""
    middle, length = batch.window_bp // 2, batch.window_bp
    ids = np.delete(batch.ids[:, : length + 1], middle, axis=1)
    left, right = np.arange(1, middle), np.arange(middle + 2, length)
    return _edited(ids, left, middle - left, right, right - 1, right - middle - 1)


def inserted(batch: LocusBatch) -> Edited:
    """A random base put in at the middle cut; the last is pushed out."""
    middle, length = batch.window_bp // 2, batch.window_bp
    new = np.array([dice.integers(4) for dice in batch.dice(_INSERTION)], dtype=np.uint8)
    ids = np.insert(batch.window[:, :-1], middle, new, axis=1)
    left, right = np.arange(1, middle), np.arange(middle + 1, length - 1)
    return _edited(ids, left, middle - left, right, right + 1, right - middle)


def _edited(
    ids: np.ndarray, left: np.ndarray, left_distance: np.ndarray, right: np.ndarray, right_after: np.ndarray,
    right_distance: np.ndarray,
) -> Edited:  # fmt: skip
    return Edited(
        ids,
        np.concatenate([left, right]),
        np.concatenate([left, right_after]),
        np.concatenate([left_distance, right_distance]),
        np.arange(len(left) + len(right)) < len(left),
    )
