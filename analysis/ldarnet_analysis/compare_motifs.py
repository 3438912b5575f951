"""Tokens per occurrence of a motif, against cuts of the same chunk length, and against the same cuts shifted.

An occurrence of w bases has w - 1 places for cuts inside, and one at either edge. Three nulls: the formula
1 + E[w - 1] / mean chunk (over all regions); the segmenter's own cuts shifted along each block by a random number of
bases, which keeps its density there and how its chunks vary; and letters, each place inside being cut as often as all
places between the same two letters, at the density of its block. The ratio compares cuts inside occurrences with what
the density of their blocks makes expected (below 1, motifs are cut less than other bases), the ratio of letters with
what their dinucleotides do.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet.genome import Genome, Interval
from ldarnet_analysis.compare_axis import Axis
from ldarnet_analysis.compare_fragmentation import expected_tokens
from ldarnet_analysis.compare_intervals import MIN_BLOCKS, BlockDraws
from ldarnet_analysis.compare_letters import LetterNull
from ldarnet_analysis.motif_scan import motif_hits
from ldarnet_analysis.motifs import CountMatrix, Motif, motif_from_counts

ALL_MOTIFS = "all motifs"
MOTIF_COLUMNS = [
    *("segmenter", "cuts", "motif", "num_occurrences", "num_blocks", "mean_width", "mean_chunk", "tokens", "tokens_lo"),
    *("tokens_hi", "expected", "shifted", "shifted_lo", "shifted_hi", "ratio", "ratio_lo", "ratio_hi"),
    *("letters", "letters_ratio", "letters_ratio_lo", "letters_ratio_hi"),
    *("uncut", "uncut_shifted", "own_token", "own_token_shifted", "status", "reason"),
]
_NAN = float("nan")


class Occurrences(NamedTuple):
    """Where motifs lie on the axis: index of the cut at the left edge, width in bases, number of the motif, [num] each.

    `names` are the motifs; `dropped` says how many of each were left out, `problems` why a motif has none.
    """

    left: np.ndarray
    width: np.ndarray
    motif: np.ndarray
    names: tuple[str, ...]
    dropped: Mapping[str, int]
    problems: Mapping[str, str]


class _Counts(NamedTuple):
    inside: np.ndarray
    is_own_token: np.ndarray


def motif_named(matrix: CountMatrix, p_value: float) -> tuple[str, Motif]:
    """Scores of a matrix at a p-value, and how tables call it; ValueError for a p-value that it cannot reach."""
    name = matrix.motif_id if matrix.name in ("", matrix.motif_id) else f"{matrix.motif_id} {matrix.name}"
    return name, motif_from_counts(matrix, p_value)


def find_occurrences(
    axis: Axis, genome: Genome, regions: Sequence[Interval], matrices: Sequence[CountMatrix], p_value: float
) -> Occurrences:
    """All hits of the matrices in the regions, on both strands, whose edges lie on one stretch and in one block.

    Of overlapping hits of one matrix the best counts. A matrix that cannot reach the p-value is in `problems`.
    """
    place = {contig.name: i for i, contig in enumerate(genome.contigs)}
    names, dropped, problems = [], {}, {}
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for matrix in matrices:
        try:
            name, motif = motif_named(matrix, p_value)
        except ValueError as error:
            names.append(matrix.motif_id)
            problems[matrix.motif_id] = str(error)
            continue
        hits = motif_hits(genome, regions, motif)
        contig = hits["chrom"].map(place).to_numpy(dtype=np.int64)
        start = hits["start"].to_numpy()
        left = axis.index_of(axis.line.numbers(contig, start))
        right = axis.index_of(axis.line.numbers(contig, start + motif.width))
        # indices as far apart as the bases are: nothing between the edges is left out
        whole = (left >= 0) & (right - left == motif.width)
        whole &= axis.block_of(left) == axis.block_of(right)
        kept = left[whole]
        dropped[name] = len(hits) - kept.size
        if not kept.size:
            problems[name] = f"none of {len(hits):,} occurrences lies on compared cuts"
        parts.append((kept, np.full(kept.size, motif.width), np.full(kept.size, len(names))))
        names.append(name)
    if parts:
        left, width, number = (np.concatenate(column) for column in zip(*parts, strict=True))
    else:
        left, width, number = (np.empty(0, dtype=np.int64) for _ in range(3))
    return Occurrences(left, width, number, tuple(names), dropped, problems)


def motif_rows(
    axis: Axis,
    cuts: np.ndarray,
    found: Occurrences,
    draws: BlockDraws,
    dinucleotides: np.ndarray,
    *,
    seed: int,
    num_shifts: int = 100,
) -> Iterator[dict[str, object]]:
    """One row for each motif and one for all together, MOTIF_COLUMNS without the first two.

    `dinucleotides` (int32 [size]) are those that the places part, as `compare_letters.kmers_around` numbers them.
    """
    for name, problem in found.problems.items():
        yield {"motif": name, "num_occurrences": 0, "status": "no occurrences", "reason": problem}
    groups = [(name, found.motif == number) for number, name in enumerate(found.names) if name not in found.problems]
    if len(groups) > 1:
        groups.append((ALL_MOTIFS, np.ones(found.left.size, dtype=bool)))
    if not groups:
        return
    block = axis.block_of(found.left)
    counter = _Counter(axis, cuts, found, block)
    observed = counter.counts(np.zeros(len(axis.blocks), dtype=np.int64))
    shifted = counter.shifted_means(axis.block_sizes, [rows for _, rows in groups], seed, num_shifts)
    num_in_block = axis.block_sums(cuts)
    chance = (found.width - 1) * (num_in_block / axis.block_sizes)[block]
    by_letters = counter.inside(LetterNull(axis, cuts, dinucleotides, 2).everywhere())
    mean_chunk = axis.size / max(int(np.count_nonzero(cuts)), 1)
    for (name, rows), null in zip(groups, shifted, strict=True):
        inside = observed.inside[rows]
        weights = [np.ones(inside.size), inside, chance[rows], by_letters[rows]]
        sums = np.column_stack([np.bincount(block[rows], each, minlength=len(axis.blocks)) for each in weights])
        num_blocks = int(np.count_nonzero(sums[:, 0]))
        tokens_lo, tokens_hi = draws.interval(sums, lambda each: 1 + each[..., 1] / each[..., 0])
        ratio_lo, ratio_hi = draws.interval(sums, lambda each: each[..., 1] / each[..., 2])
        letters_lo, letters_hi = draws.interval(sums, lambda each: each[..., 1] / each[..., 3])
        is_few = num_blocks < MIN_BLOCKS
        yield {
            "motif": name,
            "num_occurrences": inside.size,
            "num_blocks": num_blocks,
            "mean_width": found.width[rows].mean(),
            "mean_chunk": mean_chunk,
            "tokens": 1 + inside.mean(),
            "tokens_lo": tokens_lo,
            "tokens_hi": tokens_hi,
            "expected": expected_tokens(found.width[rows], mean_chunk),
            "shifted": 1 + null[:, 0].mean(),
            "shifted_lo": 1 + np.quantile(null[:, 0], 0.025),
            "shifted_hi": 1 + np.quantile(null[:, 0], 0.975),
            "ratio": inside.sum() / chance[rows].sum() if chance[rows].any() else _NAN,
            "ratio_lo": ratio_lo,
            "ratio_hi": ratio_hi,
            "letters": 1 + by_letters[rows].mean(),
            "letters_ratio": inside.sum() / by_letters[rows].sum() if by_letters[rows].any() else _NAN,
            "letters_ratio_lo": letters_lo,
            "letters_ratio_hi": letters_hi,
            "uncut": (inside == 0).mean(),
            "uncut_shifted": null[:, 1].mean(),
            "own_token": observed.is_own_token[rows].mean(),
            "own_token_shifted": null[:, 2].mean(),
            "status": "too few blocks" if is_few else "ok",
            "reason": f"{num_blocks} blocks with occurrences, at least {MIN_BLOCKS} needed" if is_few else "",
        }


def motif_table(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows as a table with MOTIF_COLUMNS."""
    return pd.DataFrame(rows, columns=MOTIF_COLUMNS)


class _Counter:
    """Counts cuts in occurrences, with the cuts of each block moved along it by any number of bases."""

    def __init__(self, axis: Axis, cuts: np.ndarray, found: Occurrences, block: np.ndarray) -> None:
        self._cuts, self._left, self._width, self._block = cuts, found.left, found.width, block
        self._first, self._size = axis.blocks[block], axis.block_sizes[block]
        self._before = np.concatenate([[0], np.cumsum(cuts, dtype=np.int32)])

    def counts(self, shift: np.ndarray) -> _Counts:
        """With each block's cuts moved to the right round the block by its shift [blocks], 0 for the cuts as they are.

        Moving cuts to the right is moving occurrences to the left.
        """
        first, size, before = self._first, self._size, self._before
        left = (self._left - first - shift[self._block]) % size
        right = left + self._width
        # what reaches over the end of the block goes on at its start
        over = np.maximum(right - size, 0)
        inside = (
            before[first + np.minimum(right, size)] - before[first + left + 1] + before[first + over] - before[first]
        )
        is_token = self._cuts[first + left] & self._cuts[first + right % size] & (inside == 0)
        return _Counts(inside, is_token)

    def inside(self, values: np.ndarray) -> np.ndarray:
        """The sum of values [size] over the places inside each occurrence: float64 [num]."""
        before = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray(before[self._left + self._width] - before[self._left + 1])

    def shifted_means(
        self, block_sizes: np.ndarray, groups: Sequence[np.ndarray], seed: int, num_shifts: int
    ) -> list[np.ndarray]:
        """For each group [num_shifts, 3]: mean cuts inside, share of occurrences uncut, share that are a token."""
        rng = np.random.default_rng(seed)
        means = np.empty((len(groups), num_shifts, 3))
        rows_of = [np.flatnonzero(rows) for rows in groups]
        for i in range(num_shifts):
            inside, is_own_token = self.counts(rng.integers(1, np.maximum(block_sizes, 2)))
            columns = np.stack([inside, inside == 0, is_own_token])
            for number, rows in enumerate(rows_of):
                means[number, i] = columns[:, rows].mean(axis=1)
        return list(means)
