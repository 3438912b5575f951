"""Segmenters: anything that cuts sequence, read like a track.

A segmenter answers for any stretch of a contig with one value per base, about the cut left of it; a value above 0.5 is
a cut. The value of a base depends on the contig alone, never on where a stretch was begun. Three kinds:

- graded: values rank the cuts, so that it can be made to cut at any rate; some (`has_cuts`) have cuts of their own.
- hard: cuts and no cuts, at the rate that it has.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig, Genome

CUT, NO_CUT = np.float32(1), np.float32(0)


class Segmenter(Protocol):
    """What is compared: a `profiles.Values` with a name that says whether its values are more than cuts."""

    name: str
    is_graded: bool
    """Values above others are cuts more likely."""
    has_cuts: bool
    """Values above 0.5 are cuts."""
    is_sparse: bool
    """A base without a value is no cut (later stages of a model); else it is one that nothing is known of."""

    @property
    def contigs(self) -> Sequence[Contig]:
        """Names and lengths."""

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """float32 [end - start], NaN = none; value i is about the cut left of base start + i."""


class SequenceSegmenter(ABC):
    """A segmenter that needs the sequence alone. Base 0 of a contig and N have no value."""

    is_graded = False
    has_cuts = True
    is_sparse = False

    def __init__(self, name: str, genome: Genome) -> None:
        self.name = name
        self._genome = genome

    @property
    def contigs(self) -> tuple[Contig, ...]:
        """Those of the genome."""
        return self._genome.contigs

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See `Segmenter`."""
        values = self._values(chrom, start, end)
        values[self._genome.ids(chrom, start, end) >= vocab.N] = np.nan
        if start == 0:
            values[:1] = np.nan
        return values

    @abstractmethod
    def _values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """float32 [end - start]; what it holds at N and at base 0 does not matter."""

    def _known_runs(self, chrom: str, start: int, end: int) -> list[tuple[int, int]]:
        """The runs of bases without N that meet start..end, whole: they may reach out of it."""
        length_bp = dict(self._genome.contigs)[chrom]
        gaps = self._genome.survey(chrom).n_runs
        edges = np.concatenate([[0], np.ravel(gaps), [length_bp]]).reshape(-1, 2)
        met = edges[(edges[:, 0] < np.minimum(edges[:, 1], end)) & (edges[:, 1] > start)]
        return [(int(low), int(high)) for low, high in met]
