"""What is told about every contig: its checksum and where it has no base."""

import hashlib
from typing import NamedTuple

import numpy as np

from ldarnet import vocab

_N_BYTE = bytes([vocab.N])


class ContigSurvey(NamedTuple):
    """Checksum and gaps of one contig.

    `md5` is the M5 of the SAM specification (upper-cased letters as in the file). `num_n_bp` counts letters
    N, `num_iupac_bp` the other ambiguity codes; `n_runs` (int64 [num_runs, 2]) holds the maximal half-open
    runs in which the encoded base is N, so both counts together are the total length of the runs.
    """

    md5: str
    num_n_bp: int
    num_iupac_bp: int
    n_runs: np.ndarray


class Surveyor:
    """Makes a `ContigSurvey` of a contig that arrives in pieces; memory grows with its N runs only."""

    def __init__(self) -> None:
        self.length_bp = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._num_n_bp = 0
        self._num_iupac_bp = 0
        self._runs: list[np.ndarray] = []

    def feed(self, letters: bytes, ids: bytes) -> None:
        """Take the next piece: its letters in upper case, and the same bases as ids."""
        self._md5.update(letters)
        num_without_base = ids.count(_N_BYTE)
        if num_without_base:
            num_n_bp = letters.count(b"N")
            self._num_n_bp += num_n_bp
            self._num_iupac_bp += num_without_base - num_n_bp
            self._add_runs(np.frombuffer(ids, dtype=np.uint8) == vocab.N)
        self.length_bp += len(ids)

    def _add_runs(self, is_n: np.ndarray) -> None:
        edges = np.flatnonzero(np.diff(is_n, prepend=False, append=False))
        runs = edges.reshape(-1, 2) + self.length_bp
        if self._runs and self._runs[-1][-1, 1] == runs[0, 0]:
            runs[0, 0] = self._runs[-1][-1, 0]
            self._runs[-1] = self._runs[-1][:-1]
            if not len(self._runs[-1]):
                self._runs.pop()
        self._runs.append(runs)

    def result(self) -> ContigSurvey:
        """The survey of all pieces fed so far."""
        runs = np.concatenate(self._runs) if self._runs else np.empty((0, 2), dtype=np.int64)
        return ContigSurvey(self._md5.hexdigest(), self._num_n_bp, self._num_iupac_bp, runs)
