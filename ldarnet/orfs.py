"""Open reading frames: from an ATG to the first stop in its frame, on both strands (numpy only)."""

from typing import NamedTuple

import numpy as np

from ldarnet import vocab

AMINO_ACIDS = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"
"""Of codons in the order AAA, AAC, AAG, AAT, ACA .. TTT (standard code); * = stop."""
_IS_STOP = np.array([letter == "*" for letter in AMINO_ACIDS] + [False])
_ATG = 16 * vocab.A + 4 * vocab.T + vocab.G
UNKNOWN_CODON = 64
MIN_BP = 300


class Orf(NamedTuple):
    """A reading frame, stop codon included: half-open, on the forward strand's coordinates."""

    chrom: str
    start: int
    end: int
    strand: str


def find_orfs(chrom: str, ids: np.ndarray, min_bp: int = MIN_BP) -> list[Orf]:
    """The longest frame for every stop codon: from the first ATG behind the stop before it. At least `min_bp` long.

    They come by position. Frames overlap and nest: this is all that could be read, not what a cell does read.
    """
    length = len(ids)
    found = [Orf(chrom, start, end, "+") for start, end in _forward(ids, min_bp)]
    turned = _forward(vocab.reverse_complement(ids), min_bp)
    found += [Orf(chrom, length - end, length - start, "-") for start, end in turned]
    return sorted(found, key=lambda orf: orf[1:])


def _forward(ids: np.ndarray, min_bp: int) -> list[tuple[int, int]]:
    return [place for frame in range(3) for place in _in_frame(ids[frame:], frame, min_bp)]


def _in_frame(ids: np.ndarray, frame: int, min_bp: int) -> list[tuple[int, int]]:
    """Start and end of the frames that begin whole codons after the first of `ids`, which is base `frame`."""
    codons = codons_of(ids)
    starts, stops = np.flatnonzero(codons == _ATG), np.flatnonzero(_IS_STOP[codons])
    # A codon that is not known may be a stop: no frame reaches over it. Of a run of them the last is enough.
    is_end = codons == UNKNOWN_CODON
    is_end[:-1] &= codons[1:] != UNKNOWN_CODON
    is_end[stops] = True
    ends = np.concatenate([[-1], np.flatnonzero(is_end)])
    first = np.searchsorted(starts, ends[np.searchsorted(ends, stops) - 1], side="right")
    stops, first = stops[first < len(starts)], first[first < len(starts)]
    begins = starts[first]
    # Where the next ATG lies behind the stop, the length is below 0.
    long_enough = 3 * (stops - begins + 1) >= max(min_bp, 6)
    return [
        (frame + 3 * start, frame + 3 * stop + 3)
        for start, stop in zip(begins[long_enough].tolist(), stops[long_enough].tolist(), strict=True)
    ]


def codons_of(ids: np.ndarray) -> np.ndarray:
    """Numbers 0..63 of the whole codons of a sequence (uint8); 64 = one with an N."""
    end = len(ids) // 3 * 3
    codons = np.zeros(end // 3, dtype=np.uint8)
    is_known = np.ones(end // 3, dtype=bool)
    for place in range(3):
        letters = ids[place:end:3]
        codons = codons * np.uint8(4) + letters  # at most 84, with N for every letter
        is_known &= letters < vocab.N
    codons[~is_known] = UNKNOWN_CODON
    return codons


def translate(codons: np.ndarray) -> np.ndarray:
    """Letters (bytes) of the amino acids of codons; X where one is not known."""
    return np.frombuffer(f"{AMINO_ACIDS}X".encode(), dtype=np.uint8)[codons]
