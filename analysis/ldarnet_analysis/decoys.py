"""Decoys: positions that carry the same letters as sites do, found all over a genome."""

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet_analysis.pools import AllowedCuts
from ldarnet_analysis.positions import Positions, read_blocks

MAX_SPAN_BP = 31
PREFILTER_BP = 11
NO_CODE = -1

Span = tuple[int, int]
"""Bases as offsets from a cut on its own strand, half-open: (0, 2) is GT of a donor, (-2, 0) AG of an acceptor."""


def centred_span(k: int) -> Span:
    """k bases about a cut: half on each side, the odd one behind it."""
    if k < 1:
        raise ValueError(f"expected k of 1 or more, got {k}")
    return -(k // 2), k - k // 2


def literal_codes(genome: Genome, positions: Positions, span: Span) -> np.ndarray:
    """The letters in `span` of each position as one number (int64 [num]); -1 with N or beyond the contig."""
    offsets = np.arange(*span)
    powers = 4 ** np.arange(_width(span))[::-1]
    codes = np.full(len(positions.cut), NO_CODE, dtype=np.int64)
    margin_bp = max(abs(offset) for offset in span)
    for block in read_blocks(genome, margin_bp, np.bincount(positions.contig, minlength=len(genome.contigs))):
        mine = np.flatnonzero(
            (positions.contig == block.contig) & (positions.cut >= block.start) & (positions.cut < block.end)
        )
        cut, is_minus = positions.cut[mine, None] - block.read_start, positions.is_minus[mine, None]
        at = np.where(is_minus, cut - 1 - offsets, cut + offsets)
        inside = ((at >= 0) & (at < len(block.ids))).all(axis=1)
        mine, letters, is_minus = mine[inside], block.ids[at[inside]], is_minus[inside]
        letters = np.where(is_minus, vocab.COMPLEMENT[letters], letters)
        codes[mine] = np.where((letters == vocab.N).any(axis=1), NO_CODE, letters @ powers)
    return codes


def decoys(
    genome: Genome,
    allowed: AllowedCuts,
    codes: np.ndarray,
    span: Span,
    *,
    num_per_code: int | np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[Positions, np.ndarray]:
    """Allowed positions on either strand whose letters in `span` have one of `codes`, and the code of each.

    `codes` are different. Where a code occurs more than `num_per_code` times (one number, or one per code), so
    many are drawn uniformly; None keeps all. In genome order, + before -.
    """
    wanted, order = np.unique(codes, return_index=True)
    if len(wanted) != len(codes) or (wanted == NO_CODE).any():
        raise ValueError("expected different codes of literals without N")
    limits = None if num_per_code is None else np.broadcast_to(num_per_code, len(codes))[order]
    width = _width(span)
    finder = _Finder(wanted, width)
    kept = _Sample(limits, rng)
    for block in read_blocks(genome, max(abs(offset) for offset in span)):
        for is_minus in (False, True):
            ids = vocab.reverse_complement(block.ids) if is_minus else block.ids
            start, which = finder.find(_rolling_codes(ids, width))
            anchor = start - span[0]
            cut = block.read_start + (len(ids) - anchor if is_minus else anchor)
            here = Positions(np.full(len(cut), block.contig), cut, np.full(len(cut), is_minus))
            mine = (cut >= block.start) & (cut < block.end)
            mine[mine] = allowed.contains(here.take(mine))
            kept.add(here.take(mine), which[mine])
    positions, which = kept.result()
    return positions, wanted[which]


class _Finder:
    """Finds which of some sorted codes occur where; a table on the last letters spares most look-ups."""

    def __init__(self, codes: np.ndarray, width: int) -> None:
        self._codes = codes
        self._num_low = 4 ** min(width, PREFILTER_BP)
        self._may_match = np.zeros(self._num_low, dtype=bool)
        self._may_match[codes % self._num_low] = True

    def find(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices at which a wanted code stands, and which one it is."""
        at = np.flatnonzero(self._may_match[codes & (self._num_low - 1)] & (codes != NO_CODE))
        which = np.searchsorted(self._codes, codes[at])
        found = which < len(self._codes)
        found[found] = self._codes[which[found]] == codes[at[found]]
        return at[found], which[found]


class _Sample:
    """A uniform sample of at most `limits[group]` positions per group, taken as they come.

    Every position draws a lot and the lowest of its group stay: thinning early, which bounds memory, changes nothing.
    """

    MIN_WAITING = 1 << 20

    def __init__(self, limits: np.ndarray | None, rng: np.random.Generator) -> None:
        self._limits = limits
        self._rng = rng
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._num_waiting = 0
        if limits is not None:
            self._highest_lot = np.ones(len(limits))
            self._max_waiting = max(self.MIN_WAITING, 3 * int(limits.sum()))

    def add(self, positions: Positions, group: np.ndarray) -> None:
        part = (*positions, group, self._rng.random(len(group)))
        if self._limits is not None:
            may_stay = part[-1] < self._highest_lot[group]
            part = tuple(column[may_stay] for column in part)
        self._parts.append(part)
        self._num_waiting += len(part[-1])
        if self._limits is not None and self._num_waiting > self._max_waiting:
            self._thin(self._limits)

    def result(self) -> tuple[Positions, np.ndarray]:
        """The sample and the group of each, by contig, cut and strand."""
        if self._limits is not None:
            self._thin(self._limits)
        contig, cut, is_minus, group, _ = self._joined()
        order = np.lexsort((is_minus, cut, contig))
        return Positions(contig, cut, is_minus).take(order), group[order]

    def _joined(self) -> tuple[np.ndarray, ...]:
        return tuple(np.concatenate(column) for column in zip(*self._parts, strict=True))

    def _thin(self, limits: np.ndarray) -> None:
        part = self._joined()
        group, lot = part[-2:]
        rows = np.lexsort((lot, group))
        ends = np.searchsorted(group[rows], np.arange(len(limits)), side="right")
        firsts = np.concatenate([[0], ends[:-1]])
        is_full = ends - firsts >= limits
        self._highest_lot[is_full] = lot[rows[(firsts + limits - 1)[is_full]]]
        rows = np.sort(rows[np.arange(len(rows)) - firsts[group[rows]] < limits[group[rows]]])
        self._parts = [tuple(column[rows] for column in part)]
        self._num_waiting = len(rows)


def _width(span: Span) -> int:
    width = span[1] - span[0]
    if not 1 <= width <= MAX_SPAN_BP:
        raise ValueError(f"expected a span of 1 to {MAX_SPAN_BP} bases, got {span}")
    return width


def _rolling_codes(ids: np.ndarray, width: int) -> np.ndarray:
    """The `width` letters from each base on as one number (int64 [length - width + 1]), -1 where N is among them."""
    if len(ids) < width:
        return np.empty(0, dtype=np.int64)
    is_n = ids == vocab.N
    codes = _join_letters(np.where(is_n, 0, ids).astype(np.int64), width)
    if is_n.any():
        num_n = np.concatenate([[0], np.cumsum(is_n)])
        codes[num_n[width:] > num_n[:-width]] = NO_CODE
    return codes


def _join_letters(digits: np.ndarray, width: int) -> np.ndarray:
    if width == 1:
        return digits
    left = width // 2
    halves = _join_letters(digits, left)
    rest = halves if width == 2 * left else _join_letters(digits, width - left)
    num = len(digits) - width + 1
    return halves[:num] * 4 ** (width - left) + rest[left : left + num]
