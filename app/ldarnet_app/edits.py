"""Edits of a sequence, and where its cuts lie before and after. Positions count from 0."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_app.pasted import MAX_BP

MAX_EDITS = 200
MOTIFS = {
    "TATA box": "TATAAA",
    "CCAAT box": "CCAAT",
    "GC box": "GGGCGG",
    "splice donor": "CAGGTAAGT",
    "splice acceptor": "TTTTTTTTTTCTTCAGG",
}
EXPECTED = "A120G (base 120, an A, becomes G), del120-130 (bases 120 to 129), ins120ACGT (left of base 120), put120ACGT"

_CHANGE = re.compile(r"([ACGTN]+)(\d{1,9})([ACGT]+)", re.ASCII)
_DELETE = re.compile(r"DEL(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_INSERT = re.compile(r"INS(\d{1,9})([ACGTU]+)", re.ASCII)
_PUT = re.compile(r"PUT(\d{1,9})([ACGTU]+)", re.ASCII)


class Edit(NamedTuple):
    """Bases start..end-1 are replaced by `bases`; start = end inserts, no bases delete."""

    start: int
    end: int
    bases: str


class Alignment(NamedTuple):
    """Columns of the sequence before and after: index of the base in each (int64 [columns]), -1 = none."""

    before: np.ndarray
    after: np.ndarray


class CutChange(NamedTuple):
    """A hard cut that only one of the sequences has; a position or p that does not exist is None."""

    change: str
    before: int | None
    after: int | None
    p_before: float | None
    p_after: float | None


def parse_edits(text: str, sequence: str) -> tuple[Edit, ...]:
    """Edits as people write them, one a line or with commas between, in order of their position.

    All positions are those of the sequence before any edit. Raises ValueError for text that is no edit, bases that
    the sequence does not have there, places outside it, edits that overlap or change nothing.
    """
    words = [re.sub(r"\s+", "", word) for word in re.split(r"[,;\n]", text)]
    edits = [_parse_edit(word, sequence) for word in words if word]
    if len(edits) > MAX_EDITS:
        raise ValueError(f"expected at most {MAX_EDITS} edits, got {len(edits)}")
    edits.sort()
    for first, second in pairwise(edits):
        if second.start < first.end or (first.start, first.end) == (second.start, second.end):
            raise ValueError(f"two edits meet at base {second.start}; write them as one")
    length = len(sequence) + sum(len(e.bases) - (e.end - e.start) for e in edits)
    if not 2 <= length <= MAX_BP:
        raise ValueError(f"expected 2 to {MAX_BP:,} bases after the edits, got {length:,}")
    return tuple(edits)


def _parse_edit(word: str, sequence: str) -> Edit:
    upper, length = word.upper(), len(sequence)
    if match := _INSERT.fullmatch(upper):
        edit = Edit(int(match[1]), int(match[1]), match[2].replace("U", "T"))
    elif match := _DELETE.fullmatch(upper):
        start = int(match[1])
        edit = Edit(start, int(match[2]) if match[2] else start + 1, "")
        if edit.start >= edit.end:
            raise ValueError(f"{word}: expected start < end, got {edit.start} and {edit.end}")
    elif match := _PUT.fullmatch(upper):
        edit = Edit(int(match[1]), int(match[1]) + len(match[2]), match[2].replace("U", "T"))
    elif match := _CHANGE.fullmatch(upper.replace("U", "T")):
        edit = Edit(int(match[2]), int(match[2]) + len(match[1]), match[3])
        _check_bases(word, edit, match[1], sequence)
    else:
        raise ValueError(f"{word!r} is no edit; expected {EXPECTED}")
    if edit.end > length:
        raise ValueError(f"{word}: expected bases within 0-{length} (the sequence has {length:,}), got {edit.end}")
    if sequence[edit.start : edit.end] == edit.bases:
        raise ValueError(f"{word} changes nothing: {edit.bases} stands there already")
    return edit


def _check_bases(word: str, edit: Edit, expected: str, sequence: str) -> None:
    found = sequence[edit.start : edit.end]
    if found == expected:
        return
    hint = ""
    if edit.start and sequence[edit.start - 1 : edit.end - 1] == expected:
        hint = f"; positions count from 0, so that {expected} is at {edit.start - 1}"
    raise ValueError(f"{word}: expected {expected} at base {edit.start}, the sequence has {found or 'none'}{hint}")


def apply_edits(sequence: str, edits: Sequence[Edit]) -> str:
    """The sequence after edits in order, none overlapping."""
    pieces, place = [], 0
    for start, end, bases in edits:
        pieces += [sequence[place:start], bases]
        place = end
    return "".join([*pieces, sequence[place:]])


def align(length: int, edits: Sequence[Edit]) -> Alignment:
    """Which base of `length` bases is which after the edits.

    Within a replacement bases are paired from its left; what one side has more of stands in columns of its own.
    """
    before: list[np.ndarray] = []
    after: list[np.ndarray] = []
    place, placed = 0, 0
    for start, end, bases in [*edits, Edit(length, length, "")]:
        kept, old, new = start - place, end - start, len(bases)
        before.append(np.arange(place, start))
        after.append(np.arange(placed, placed + kept))
        placed += kept
        gap = np.full(abs(old - new), -1)
        before.append(np.concatenate([np.arange(start, end), gap[: max(0, new - old)]]))
        after.append(np.concatenate([np.arange(placed, placed + new), gap[: max(0, old - new)]]))
        place, placed = end, placed + new
    return Alignment(np.concatenate(before), np.concatenate(after))


def along(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Values of one sequence in the columns of an alignment (float32 [columns]); NaN where it has no base."""
    return np.where(index >= 0, values[index], np.float32(np.nan)).astype(np.float32)


def changed_cuts(before: np.ndarray, after: np.ndarray, alignment: Alignment) -> list[CutChange]:
    """Hard cuts that one sequence has and the other has not, left to right, by the base on their right."""
    p_before, p_after = along(before, alignment.before), along(after, alignment.after)
    was, is_now = p_before > CUT_THRESHOLD, p_after > CUT_THRESHOLD
    changes = []
    for column in np.flatnonzero(was != is_now).tolist():
        old, new = int(alignment.before[column]), int(alignment.after[column])
        if was[column]:
            change = "lost" if new >= 0 else "lost with the bases deleted"
        else:
            change = "gained" if old >= 0 else "gained in the bases inserted"
        p_old, p_new = _number_or_none(p_before[column]), _number_or_none(p_after[column])
        changes.append(CutChange(change, _or_none(old), _or_none(new), p_old, p_new))
    return changes


def _or_none(base: int) -> int | None:
    return base if base >= 0 else None


def _number_or_none(p: np.float32) -> float | None:
    return None if np.isnan(p) else float(p)
