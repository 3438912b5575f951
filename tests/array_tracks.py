"""Tracks in memory over small genomes, for tests of the k-mer look-up."""

import math

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig, Interval

NAN = np.float32("nan")


class ArrayTrack:
    """A track in memory."""

    def __init__(self, arrays):
        self.arrays = {name: np.asarray(values, dtype=np.float32) for name, values in arrays.items()}
        self.contigs = [Contig(name, values.size) for name, values in self.arrays.items()]

    def values(self, chrom, start, end):
        assert 0 <= start < end <= self.arrays[chrom].size
        return self.arrays[chrom][start:end].copy()

    def changed(self, chrom, span, values):
        arrays = {name: array.copy() for name, array in self.arrays.items()}
        arrays[chrom][span] = values
        return ArrayTrack(arrays)


def track_of(genome, value_at, noise=0.0, seed=0):
    """A track with value_at(letters of the contig, cut) at each cut but the first, None for no value."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, length_bp in genome.contigs:
        letters = vocab.decode(genome.ids(name, 0, length_bp))
        found = [value_at(letters, cut) if cut else None for cut in range(length_bp)]
        arrays[name] = np.array([math.nan if each is None else each for each in found]) + noise * rng.normal(
            size=length_bp
        )
    return ArrayTrack(arrays)


def noise_track(genome, seed, share_without_value=0.1):
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, length_bp in genome.contigs:
        values = rng.random(length_bp, dtype=np.float32)
        values[rng.random(length_bp) < share_without_value] = NAN
        values[0] = NAN
        arrays[name] = values
    return ArrayTrack(arrays)


def whole(genome):
    return [Interval(name, 0, length_bp) for name, length_bp in genome.contigs]


def planted_4mer(letters, cut):
    """A number that the four bases around a cut alone decide."""
    around = letters[cut - 2 : cut + 2]
    return None if len(around) < 4 or "N" in around else (hash_of(around) % 1000) / 1000


def hash_of(letters):
    return sum((1 + "ACGT".index(letter)) * 257**i for i, letter in enumerate(letters)) * 7919 % 10007
