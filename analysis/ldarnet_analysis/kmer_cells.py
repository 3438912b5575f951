"""Cells of a k-mer look-up: which k-mer stands around each cut, at the greatest depth that its bases allow.

A k-mer around cut c is the k/2 bases before c and the k/2 behind it. All k-mers of all depths are numbered on one line:
cell 0 is depth 0 (nothing is known), then come those of the smallest k, and so on, each depth in the order of its
letters. Dropping the outermost letters of a k-mer gives the k-mer of a smaller depth around the same cut.
"""

from dataclasses import dataclass

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig, Genome

DEFAULT_KS = (2, 4, 6, 8, 10)
MAX_K = 12


@dataclass(frozen=True)
class KmerLevels:
    """The depths of a look-up: even numbers, increasing, at most `MAX_K`; ValueError for others."""

    ks: tuple[int, ...] = DEFAULT_KS

    def __post_init__(self) -> None:
        is_even = all(k % 2 == 0 and 2 <= k <= MAX_K for k in self.ks)
        if not self.ks or not is_even or list(self.ks) != sorted(set(self.ks)):
            raise ValueError(f"expected even k from 2 to {MAX_K}, each greater than the one before, got {self.ks}")

    @property
    def depths(self) -> tuple[int, ...]:
        """0 and the ks: depth of each level."""
        return (0, *self.ks)

    @property
    def num_cells(self) -> int:
        """Cells of all levels."""
        return sum(4**k for k in self.depths)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The cells of each level."""
        ends = np.cumsum([4**k for k in self.depths]).tolist()
        return tuple(slice(start, end) for start, end in zip([0, *ends], ends, strict=False))

    def level_of(self, k: int | None) -> int:
        """The level of a k, the deepest for None; ValueError for one that is not among the ks."""
        if k is None:
            return len(self.ks)
        if k not in self.ks:
            raise ValueError(f"expected k out of {', '.join(map(str, self.ks))}, got {k}")
        return self.ks.index(k) + 1

    def cells(self, ids: np.ndarray, k: int | None = None) -> np.ndarray:
        """The deepest cell, up to k, of the cut left of each base: int32 [num_bases].

        A k-mer that holds N, or reaches beyond the bases given, does not fit, and the next smaller one is taken.
        """
        level = self.level_of(k)
        k, slices = self.depths[level], self.slices
        half = k // 2
        around = np.full(ids.size + 2 * half, vocab.N, dtype=np.uint8)
        around[half : half + ids.size] = ids
        codes = _join_letters((around & 3).astype(np.int32), k)[: ids.size]
        num_n = np.concatenate([[0], np.cumsum(around >= vocab.N, dtype=np.int32)])
        short = np.flatnonzero(num_n[k:][: ids.size] != num_n[: ids.size])
        short_codes = codes[short]
        cells = codes + np.int32(slices[level].start)
        cells[short] = 0
        for depth, span in zip(self.ks[: level - 1], slices[1:level], strict=True):
            inner = half - depth // 2
            fits = num_n[short + inner] == num_n[short + inner + depth]
            cells[short[fits]] = span.start + ((short_codes[fits] >> 2 * inner) & (4**depth - 1))
        return cells

    def cells_at(self, genome: Genome, contig: Contig, start: int, end: int, k: int | None = None) -> np.ndarray:
        """As `cells`, for the cuts start..end-1 of a contig, with the bases around them."""
        half = self.depths[self.level_of(k)] // 2
        low, high = max(start - half, 0), min(end + half, contig.length_bp)
        return self.cells(genome.ids(contig.name, low, high), k)[start - low : end - low]


def _join_letters(digits: np.ndarray, width: int) -> np.ndarray:
    """The `width` digits from each place on as one number of base 4."""
    if width == 1:
        return digits
    half = width // 2
    joined = _join_letters(digits, half)
    joined = joined[:-half] * 4**half + joined[half:]
    return joined if width == 2 * half else joined[:-1] * 4 + digits[width - 1 :]
