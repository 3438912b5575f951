"""Repeats, which a FASTA marks by lower case: found in its text, and carried as one bit of every stored base."""

from contextlib import closing
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.genome.layout import BLANKS
from ldarnet.genome.records import split_text
from ldarnet.genome.streams import open_file, read_head, stream_blocks
from ldarnet.genome.twobit import is_twobit

REPEAT = np.uint8(0x80)
"""The bit of a stored id that says its letter was lower case."""
_LOWER_CASE = 0x20


def letters(ids: np.ndarray) -> np.ndarray:
    """Ids without the repeat bit."""
    return ids & ~REPEAT


def is_repeat(ids: np.ndarray) -> np.ndarray:
    """Where the repeat bit is set."""
    return ids >= REPEAT


def num_repeats(ids: np.ndarray) -> int:
    """How many known bases have the repeat bit."""
    return int(np.count_nonzero(is_repeat(ids) & (letters(ids) < vocab.N)))


def reverse_complement(ids: np.ndarray) -> np.ndarray:
    """Ids of the opposite strand, every base with its repeat bit."""
    return vocab.reverse_complement(letters(ids)) | ids[..., ::-1] & REPEAT


def mark_repeats(ids: np.ndarray, start: int, runs: np.ndarray) -> None:
    """Set the bit in place for bases start.. of a contig; `runs` (int64 [num, 2]) are its lower-case stretches."""
    first, last = np.searchsorted(runs[:, 1], start, "right"), np.searchsorted(runs[:, 0], start + len(ids), "left")
    for run_start, run_end in runs[first:last]:
        ids[max(run_start - start, 0) : run_end - start] |= REPEAT


def lower_case_runs(fasta: str | Path) -> dict[str, np.ndarray]:
    """Contig -> its stretches of lower case, int64 [num, 2] (start, end), in order; from one pass over a good FASTA.

    Raises ValueError for .2bit, whose masks are not read.
    """
    path = Path(fasta)
    found: dict[str, list[np.ndarray]] = {}
    name, length_bp, last_is_lower = "", 0, False
    with closing(open_file(path)) as file:
        head = read_head(file)
        if is_twobit(head):
            raise ValueError(f"{path}: expected FASTA, whose lower case marks repeats, got .2bit: convert it to FASTA")
        for piece in split_text(stream_blocks(file, head, str(path)), str(path)):
            if piece.is_header:
                _close(found, name, length_bp, last_is_lower)
                name = piece.text[1:].split(maxsplit=1)[0].decode("utf-8", errors="replace")
                found[name], length_bp, last_is_lower = [], 0, False
            elif name:
                text = np.frombuffer(piece.text.translate(None, BLANKS), dtype=np.uint8)
                is_lower = (text & _LOWER_CASE) > 0
                changes = np.flatnonzero(np.diff(is_lower, prepend=last_is_lower))
                found[name].append(changes + length_bp)
                length_bp += len(text)
                last_is_lower = bool(is_lower[-1]) if len(text) else last_is_lower
    _close(found, name, length_bp, last_is_lower)
    return {name: np.concatenate(edges).reshape(-1, 2) for name, edges in found.items()}


def _close(found: dict[str, list[np.ndarray]], name: str, length_bp: int, is_open: bool) -> None:
    """A stretch that reaches the end of its contig ends there."""
    if name:
        found[name].append(np.array([length_bp] * is_open, dtype=np.int64))
