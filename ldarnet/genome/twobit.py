"""The .2bit format: four bases a byte, runs of N beside them.

The file is read with numpy, not with py2bit, which gives T for the bases missing from a truncated file, ends
the process on a damaged header, drops repeated names and refuses files of the other byte order.
"""

import os
from typing import BinaryIO, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome.errors import GenomeError
from ldarnet.genome.index import Stamp
from ldarnet.genome.intervals import Contig
from ldarnet.genome.records import is_plain_name
from ldarnet.genome.survey import ContigSurvey, Surveyor

_MAGIC = 0x1A412743
_BLOCK_BP = 1 << 20
_LETTERS = bytes.maketrans(bytes(range(len(vocab.LETTERS))), vocab.LETTERS.encode())
_BASE_OF_CODE = np.array([vocab.T, vocab.C, vocab.A, vocab.G], dtype=np.uint8)
_BASES_OF_BYTE = _BASE_OF_CODE[np.arange(256)[:, None] >> np.array([6, 4, 2, 0]) & 3]


class _Sequence(NamedTuple):
    """One sequence: byte of its first packed base, and its runs of N ([num_runs] each, in order)."""

    name: str
    length_bp: int
    offset: int
    n_starts: np.ndarray
    n_ends: np.ndarray


def is_twobit(head: bytes) -> bool:
    """Whether a file that starts so is .2bit, of either byte order."""
    return head[:4] in (_MAGIC.to_bytes(4, "little"), _MAGIC.to_bytes(4, "big"))


class TwoBit:
    """Bases of an open .2bit file; soft masking is not looked at.

    Raises GenomeError if the file does not hold what its header promises.
    """

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._file = file
        self._label = label
        self._stamp = Stamp.of(file.fileno())
        self._num_bytes = self._stamp.size_bytes
        self._uint32 = np.dtype("<u4" if self._read(0, 4, "its magic number")[0] == _MAGIC & 0xFF else ">u4")
        version, num_sequences = self._numbers(4, 2, "its header").tolist()
        if version != 0:
            raise GenomeError(f"{label}: expected .2bit version 0, got {version}")
        if num_sequences == 0:
            raise GenomeError(f"{label}: expected sequences, got a .2bit file without any")
        offset = 16
        self._sequences: list[_Sequence] = []
        names = set()
        for _ in range(num_sequences):
            name_bytes = self._read(offset, 1, "its index")[0]
            name = self._read(offset + 1, name_bytes, "its index").decode("utf-8", errors="replace")
            if not name:
                raise GenomeError(f"{label}: expected a name for every sequence, got an empty one")
            if not is_plain_name(name):
                raise GenomeError(f"{label}: expected contig names without blanks or control characters, got {name!r}")
            if name in names:
                raise GenomeError(f"{label}: expected every sequence name once, got {name!r} again")
            names.add(name)
            start = int(self._numbers(offset + 1 + name_bytes, 1, "its index")[0])
            self._sequences.append(self._sequence(name, start))
            offset += name_bytes + 5

    @property
    def contigs(self) -> tuple[Contig, ...]:
        """All contigs, in the order of the file's index."""
        return tuple(Contig(sequence.name, sequence.length_bp) for sequence in self._sequences)

    def ids(self, contig: int, start: int, end: int) -> np.ndarray:
        """The ids of bases start..end-1; GenomeError if the file was changed since it was opened."""
        self._check_unchanged()
        sequence = self._sequences[contig]
        first_byte = start // 4
        packed = self._read(sequence.offset + first_byte, -(-end // 4) - first_byte, f"{sequence.name!r}")
        ids = _BASES_OF_BYTE[np.frombuffer(packed, dtype=np.uint8)].reshape(-1)
        ids = ids[start - 4 * first_byte : end - 4 * first_byte]
        first = np.searchsorted(sequence.n_ends, start, side="right")
        last = np.searchsorted(sequence.n_starts, end, side="left")
        for n_start, n_end in zip(sequence.n_starts[first:last], sequence.n_ends[first:last], strict=True):
            ids[max(n_start - start, 0) : n_end - start] = vocab.N
        return ids

    def survey(self, contig: int) -> ContigSurvey:
        """Checksum and gaps, from one pass over the contig."""
        surveyor = Surveyor()
        length_bp = self._sequences[contig].length_bp
        for start in range(0, length_bp, _BLOCK_BP):
            ids = self.ids(contig, start, min(start + _BLOCK_BP, length_bp)).tobytes()
            surveyor.feed(ids.translate(_LETTERS), ids)
        return surveyor.result()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _sequence(self, name: str, offset: int) -> _Sequence:
        what = f"the header of sequence {name!r}"
        length_bp, num_n_runs = self._numbers(offset, 2, what).tolist()
        if length_bp == 0:
            raise GenomeError(f"{self._label}: expected bases in every sequence, got none in {name!r}")
        n_starts, lengths = self._numbers(offset + 8, 2 * num_n_runs, what).reshape(2, -1)
        n_ends = n_starts + lengths
        if num_n_runs and (n_ends[-1] > length_bp or (n_starts[1:] < n_ends[:-1]).any() or not lengths.all()):
            raise GenomeError(
                f"{self._label}: expected ordered runs of N inside sequence {name!r} ({length_bp:,} bases), "
                "got others: the file is damaged"
            )
        offset += 8 + 8 * num_n_runs
        num_masked = int(self._numbers(offset, 1, what)[0])
        offset += 4 + 8 * num_masked + 4
        self._check_inside(offset, -(-length_bp // 4), f"the bases of sequence {name!r}")
        return _Sequence(name, length_bp, offset, n_starts, n_ends)

    def _check_unchanged(self) -> None:
        now = Stamp.of(self._file.fileno())
        if (now.size_bytes, now.modified_ns) != (self._stamp.size_bytes, self._stamp.modified_ns):
            raise GenomeError(
                f"{self._label}: expected the file to stay as it was when opened, got a changed file: run again"
            )

    def _numbers(self, offset: int, num: int, what: str) -> np.ndarray:
        return np.frombuffer(self._read(offset, 4 * num, what), dtype=self._uint32).astype(np.int64)

    def _read(self, offset: int, num_bytes: int, what: str) -> bytes:
        self._check_inside(offset, num_bytes, what)
        data = os.pread(self._file.fileno(), num_bytes, offset)
        if len(data) < num_bytes:
            raise GenomeError(f"{self._label}: the file became shorter while it was read: run again")
        return data

    def _check_inside(self, offset: int, num_bytes: int, what: str) -> None:
        if offset + num_bytes > self._num_bytes:
            raise GenomeError(
                f"{self._label}: expected {what} at bytes {offset:,} to {offset + num_bytes:,}, "
                f"got a file of {self._num_bytes:,} bytes: truncated or damaged"
            )
