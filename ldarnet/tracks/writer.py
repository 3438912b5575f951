"""What all track writers share: order checks, fixed blocks, and a file that appears whole or not at all."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ldarnet.genome.intervals import Contig
from ldarnet.tracks.atomic import PartialFile, TrackError

BLOCK_BP = 65_536
"""Values reach a format in blocks of this many bases, counted from base 0 of the contig. However a stream
was cut into calls, the blocks and with them the bytes of the file are the same."""


class TrackWriter(ABC):
    """Writes one float32 per base; a context manager that discards the file unless `commit` was called.

    A base not written, or written as NaN, has no value. A failed write raises TrackError and leaves nothing
    under the target's name.
    """

    num_values: int
    """Values written so far, NaN not counted."""

    def __init__(self, path: Path, contigs: Sequence[Contig]) -> None:
        self.num_values = 0
        self._contigs = _checked(contigs)
        self._ids = {contig.name: contig_id for contig_id, contig in enumerate(self._contigs)}
        self._block = np.full(BLOCK_BP, np.nan, dtype=np.float32)
        self._contig_id = 0
        self._block_start = 0
        self._position = 0
        self._finished = self._done = False
        self._out = PartialFile(path)
        with self._discard_on_failure():
            self._begin()

    def write(self, chrom: str, start: int, values: np.ndarray) -> None:
        """Write values (float32 [num_bases], NaN = none) for the bases start, start + 1, ... of a contig.

        Calls come in the order of the contigs, positions increasing; gaps are allowed. Raises ValueError for
        an unknown contig, bases outside it, a step back, another dtype or an infinite value.
        """
        assert not (self._finished or self._done), "write() after finish(), commit() or discard()"
        contig_id = self._check_call(chrom, start, values)
        with self._discard_on_failure():
            if contig_id != self._contig_id:
                self._move_to(contig_id, 0)
            self.num_values += int(values.size - np.count_nonzero(np.isnan(values)))
            while values.size:
                block_start = start - start % BLOCK_BP
                if block_start != self._block_start:
                    self._move_to(contig_id, block_start)
                offset = start - block_start
                piece = values[: BLOCK_BP - offset]
                # adding 0 turns -0 into 0: two spellings of one value would depend on the cut into calls
                np.add(piece, np.float32(0), out=self._block[offset : offset + piece.size])
                start += piece.size
                values = values[piece.size :]
            self._position = start

    def finish(self) -> None:
        """Write what is left and check the file, which keeps no name yet. Raises TrackError where no base has a value.

        After this `commit` only renames: of several files, all are finished before any of them replaces an older one.
        """
        assert not (self._finished or self._done), "finish() after finish(), commit() or discard()"
        with self._discard_on_failure():
            if self.num_values == 0:
                raise TrackError(f"no base has a value: {self._out.path} was not written")
            self._put_block()
            self._finish()
            self._out.close()
            self._verify(self._out.part)
        self._finished = True

    def commit(self) -> None:
        """Finish the file, if that is not done, and give it its name. Raises as `finish` does."""
        assert not self._done, "commit() after commit() or discard()"
        if not self._finished:
            self.finish()
        with self._discard_on_failure():
            self._out.publish()
        self._done = True
        self._out.discard()

    def discard(self) -> None:
        """Drop what was written; the target, if there was one, stays as it was."""
        if not self._done:
            self._done = True
            self._abandon()
            self._out.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _begin(self) -> None:  # noqa: B027 (a hook, as are _verify and _abandon: not every format needs it)
        """Write what comes before the first value."""

    @abstractmethod
    def _put(self, contig_id: int, start: int, values: np.ndarray) -> None:
        """Write a block: it starts at a multiple of BLOCK_BP, holds a value, is short only at the end."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what comes after the last value."""

    def _verify(self, part: Path) -> None:  # noqa: B027
        """Read the finished file back where the format has an independent reader."""

    def _abandon(self) -> None:  # noqa: B027
        """Release what the format holds besides the file itself."""

    def _move_to(self, contig_id: int, block_start: int) -> None:
        self._put_block()
        self._contig_id, self._block_start = contig_id, block_start

    def _put_block(self) -> None:
        size = min(BLOCK_BP, self._contigs[self._contig_id].length_bp - self._block_start)
        values = self._block[:size]
        if not np.isnan(values).all():
            self._put(self._contig_id, self._block_start, values)
            self._block.fill(np.nan)

    def _check_call(self, chrom: str, start: int, values: np.ndarray) -> int:
        contig_id = find_contig(self._contigs, self._ids, chrom)
        if values.dtype != np.float32 or values.ndim != 1:
            raise ValueError(f"expected float32 values of one dimension, got {values.dtype} {values.shape}")
        if contig_id < self._contig_id:
            reached = self._contigs[self._contig_id].name
            raise ValueError(f"expected contigs in their order, got {chrom!r} after {reached!r}")
        length_bp = self._contigs[contig_id].length_bp
        first = self._position if contig_id == self._contig_id else 0
        if not first <= start <= start + values.size <= length_bp:
            got = f"got {start}-{start + values.size}"
            raise ValueError(f"expected bases of {chrom} within {first}-{length_bp}, {got}")
        if np.isinf(values).any():
            raise ValueError(f"expected finite values or NaN on {chrom}, got an infinite one")
        return contig_id

    @contextmanager
    def _discard_on_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            written = f"{self._out.num_bytes:,} bytes written so far"
            self.discard()
            if isinstance(error, BrokenPipeError):
                raise
            raise TrackError(
                f"could not write {self._out.path}: {reason}, {written}; nothing was left under that name"
            ) from error
        except BaseException:
            self.discard()
            raise


def find_contig(contigs: Sequence[Contig], ids: dict[str, int], chrom: str) -> int:
    """Place of a contig in the list; ValueError with the names there are (the first ten) if it is not."""
    if chrom in ids:
        return ids[chrom]
    names = ", ".join(contig.name for contig in contigs[:10]) + (", ..." if len(contigs) > 10 else "")
    raise ValueError(f"no contig {chrom!r} among the {len(contigs):,} of this track: {names}")


def _checked(contigs: Sequence[Contig]) -> tuple[Contig, ...]:
    seen: set[str] = set()
    for name, length_bp in contigs:
        if not name or not name.isprintable() or any(letter.isspace() for letter in name):
            raise TrackError(f"expected contig names without blanks or control characters, got {name!r}")
        if name in seen:
            raise TrackError(f"expected every contig once, got {name!r} twice")
        if length_bp < 1:
            raise TrackError(f"expected contigs of at least 1 bp, got {name} of {length_bp} bp")
        seen.add(name)
    if not seen:
        raise TrackError("expected at least one contig, got none")
    return tuple(contigs)
