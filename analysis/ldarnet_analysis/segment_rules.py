"""Segmenters without parameters to fit: fixed grid, k-mers, random places."""

import zlib

import numpy as np

from ldarnet.genome import Genome
from ldarnet_analysis.segmenters import CUT, NO_CUT, SequenceSegmenter


class FixedGrid(SequenceSegmenter):
    """A cut every `step_bp` bases, counted from base 0 of the contig."""

    def __init__(self, genome: Genome, step_bp: int) -> None:
        super().__init__(f"fixed:{step_bp}", genome)
        self._step_bp = step_bp

    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        return np.where(np.arange(start, end) % self._step_bp == 0, CUT, NO_CUT)


class KmerTokens(SequenceSegmenter):
    """k-mers side by side from the start of each run of known bases; what is left at its end are single bases.

    This is how tokenizers of non-overlapping k-mers read: N is a token of its own, and so is each base of a rest.
    """

    def __init__(self, genome: Genome, k: int) -> None:
        super().__init__(f"kmer:{k}", genome)
        self._k = k

    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        values = np.zeros(end - start, dtype=np.float32)
        for low, high in self._known_runs(chrom, start, end):
            at = np.arange(max(low, start), min(high, end))
            is_rest = at >= high - (high - low) % self._k
            values[at - start] = ((at - low) % self._k == 0) | is_rest
        return values


class RandomCuts(SequenceSegmenter):
    """Places ranked by chance: at any rate, each is a cut as likely as every other, independently of all others."""

    is_graded = True
    has_cuts = False

    def __init__(self, genome: Genome, seed: int) -> None:
        super().__init__("random", genome)
        self._seed = seed

    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        # a hash of the place: the same value wherever a stretch begins
        origin = (zlib.crc32(chrom.encode()) << 32) ^ (self._seed * 0x9E3779B97F4A7C15 % (1 << 64))
        with np.errstate(over="ignore"):
            mixed = (np.arange(start, end, dtype=np.uint64) + np.uint64(origin)) * np.uint64(0x9E3779B97F4A7C15)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
