"""Coordinates: contigs, intervals and cuts, 0-based and half-open throughout."""

from typing import NamedTuple, overload

import numpy as np


class Contig(NamedTuple):
    """One sequence of a genome and its length in bases."""

    name: str
    length_bp: int


class Interval(NamedTuple):
    """The bases start..end-1 of a contig; as cuts, start and end are its two edges."""

    chrom: str
    start: int
    end: int


@overload
def reverse_cut(cut: int, length_bp: int) -> int: ...
@overload
def reverse_cut(cut: np.ndarray, length_bp: int) -> np.ndarray: ...
def reverse_cut(cut: int | np.ndarray, length_bp: int) -> int | np.ndarray:
    """The same cut counted on the reverse complement of a sequence of `length_bp` bases.

    Cut c lies left of base c, so it maps to length_bp - c; a base i maps to length_bp - 1 - i, and taking
    the one for the other is off by one.
    """
    return length_bp - cut
