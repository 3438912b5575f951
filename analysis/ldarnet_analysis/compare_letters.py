"""The letters around each compared cut: what a cut owes to them alone is the null of sites and of motifs."""

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet_analysis.compare_axis import Axis

KMER_SIZES = (8, 6, 4, 2)
PLACES_PER_KMER = 50
"""The longest k-mers are taken of which the regions hold so many places each, on average."""


def kmer_size(num_places: int) -> int:
    """How many letters are held equal: the most of which places suffice."""
    return next((k for k in KMER_SIZES if num_places >= PLACES_PER_KMER * 4**k), KMER_SIZES[-1])


def kmers_around(axis: Axis, genome: Genome, k: int) -> np.ndarray:
    """The number of the k-mer around every cut, half of it on either side: int32 [size], 4^k where it is not whole."""
    kmers = np.empty(axis.size, dtype=np.int32)
    length_of = dict(genome.contigs)
    ends = np.append(axis.stretches[1:], axis.size)
    for first, last in zip(axis.stretches.tolist(), ends.tolist(), strict=True):
        contig, cut = axis.line.split(axis.numbers[[first, last - 1]])
        chrom = genome.contigs[int(contig[0])].name
        low, high = int(cut[0]) - k // 2, int(cut[1]) + k // 2
        inside = max(low, 0), min(high, length_of[chrom])
        ids = np.full(high - low, vocab.N, dtype=np.uint8)
        ids[inside[0] - low : inside[1] - low] = genome.ids(chrom, *inside)
        number = np.zeros(last - first, dtype=np.int32)
        is_whole = np.ones(last - first, dtype=bool)
        for i in range(k):
            letters = ids[i : i + last - first]
            number = number * 4 + letters
            is_whole &= letters < vocab.N
        kmers[first:last] = np.where(is_whole, number, 4**k)
    return kmers


class LetterNull:
    """How often places with the same letters are cuts, put right for the density of each block.

    Without the second step a region that is cut less, whatever its letters, would make sites in it look avoided: the
    expected cuts of a block are scaled so that their sum is that of its cuts.
    """

    def __init__(self, axis: Axis, cuts: np.ndarray, kmers: np.ndarray, k: int) -> None:
        self._axis, self._cuts, self._kmers, self._num_kmers = axis, cuts, kmers, 4**k + 1
        self._totals = self._count(slice(None))
        share = self._share(self._totals)[kmers]
        of_block = axis.block_sums(np.nan_to_num(share))
        self._scale = np.divide(axis.block_sums(cuts), of_block, out=np.zeros(of_block.size), where=of_block > 0)
        self._everywhere = share

    def everywhere(self) -> np.ndarray:
        """Expected share of cuts at every place: float64 [size]."""
        scale = np.repeat(self._scale, self._axis.block_sizes)
        return np.minimum(np.nan_to_num(self._everywhere) * scale, 1)

    def at(self, index: np.ndarray) -> np.ndarray:
        """That of places, as all others with their letters have it; NaN where there are none, or an N is near."""
        share = self._share(self._totals - self._count(np.unique(index)))
        share[-1] = np.nan
        return np.minimum(share[self._kmers[index]] * self._scale[self._axis.block_of(index)], 1)

    def _count(self, places: np.ndarray | slice) -> np.ndarray:
        kmers = self._kmers[places]
        weights = (self._cuts[places], None)
        return np.stack([np.bincount(kmers, each, minlength=self._num_kmers) for each in weights])

    @staticmethod
    def _share(counts: np.ndarray) -> np.ndarray:
        num_cut, num = counts
        return np.divide(num_cut, num, out=np.full(num.size, np.nan), where=num > 0)
