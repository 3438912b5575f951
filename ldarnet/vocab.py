"""Bases and ids: the only module that knows which number stands for which letter.

The numbers are those of the published model (ICML-LDARNet@f247d59): A0 C1 G2 T3 N4 [MASK]5 [PAD]6.
"""

import numpy as np

A, C, G, T, N, MASK, PAD = range(7)
VOCAB_SIZE = 7
LETTERS = "ACGTN"

NUM_BYTES, TEXT_START, TEXT_END = 256, 254, 255
"""The byte vocabulary: a byte is its own id, and two stand before and behind a text (goombalab/hnet@3673fe1)."""

INVALID = 255
"""What `CLASSIFY` gives for a byte that is no nucleotide code: protein letters, digits, gaps, punctuation."""

_IUPAC = b"RYSWKMBDHVX"  # X is how RepeatMasker -x writes a masked base


def _table(*, unknown: int) -> np.ndarray:
    table = np.full(256, unknown, dtype=np.uint8)
    for letters, base in ((b"A", A), (b"C", C), (b"G", G), (b"TU", T), (b"N" + _IUPAC, N)):
        for upper in letters:
            table[upper] = table[upper + 32] = base
    return table


CLASSIFY = _table(unknown=INVALID)
"""256-entry look-up: byte -> id, either case, U as T, IUPAC codes as N, anything else `INVALID`."""

IS_IUPAC = np.zeros(256, dtype=bool)
"""256-entry look-up: True for the ambiguity codes that `CLASSIFY` turns into N (N itself excluded)."""
IS_IUPAC[list(_IUPAC + _IUPAC.lower())] = True

COMPLEMENT = np.array([T, G, C, A, N, MASK, PAD], dtype=np.uint8)
"""id -> id of the complementary base; N, [MASK] and [PAD] are their own complement."""


def encode(sequence: str | bytes | np.ndarray) -> np.ndarray:
    """Ids (uint8 [length]) of a sequence; lower case, U and IUPAC codes are accepted.

    Raises ValueError naming the first letter that is no nucleotide code, and its 0-based position.
    """
    if isinstance(sequence, str):
        sequence = sequence.encode("latin-1", errors="replace")
    letters = np.frombuffer(sequence, dtype=np.uint8) if isinstance(sequence, bytes) else sequence
    ids: np.ndarray = CLASSIFY[letters]
    bad = np.flatnonzero(ids == INVALID)
    if bad.size:
        letter = chr(int(letters[bad[0]]))
        raise ValueError(f"expected nucleotide letters (ACGTUN or IUPAC), got {letter!r} at position {bad[0]}")
    return ids


def decode(ids: np.ndarray) -> str:
    """Letters of ids 0..4; [MASK] and [PAD] have no letter and raise ValueError."""
    if ids.size and int(ids.max()) > N:
        raise ValueError(f"expected ids 0..{N}, got {int(ids.max())}, which stands for no base")
    return np.frombuffer(LETTERS.encode(), dtype=np.uint8)[ids].tobytes().decode()


def reverse_complement(ids: np.ndarray) -> np.ndarray:
    """Ids of the opposite strand, read 5' to 3' (last axis reversed)."""
    return COMPLEMENT[ids[..., ::-1]]
