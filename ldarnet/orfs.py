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
    found = []
    for frame in range(3):
        codons = codons_of(ids[frame:])
        starts = np.flatnonzero(codons == _ATG)
        # A codon that is not known may be a stop: no frame reaches over it.
        ends = np.flatnonzero(_IS_STOP[codons] | (codons == UNKNOWN_CODON))
        before = np.concatenate([[-1], ends])[:-1]
        first = np.searchsorted(starts, before, side="right")
        for end, number in zip(ends, first, strict=True):
            if number < len(starts) and starts[number] < end and _IS_STOP[codons[end]]:
                start, stop = frame + 3 * int(starts[number]), frame + 3 * int(end) + 3
                if stop - start >= min_bp:
                    found.append((start, stop))
    return found


def codons_of(ids: np.ndarray) -> np.ndarray:
    """Numbers 0..63 of the whole codons of a sequence; 64 = one with an N."""
    triplets = ids[: len(ids) // 3 * 3].reshape(-1, 3).astype(np.int64)
    codons = triplets @ np.array([16, 4, 1])
    return np.where((triplets < vocab.N).all(axis=1), codons, UNKNOWN_CODON)


def translate(codons: np.ndarray) -> np.ndarray:
    """Letters (bytes) of the amino acids of codons; X where one is not known."""
    return np.frombuffer(f"{AMINO_ACIDS}X".encode(), dtype=np.uint8)[codons]
