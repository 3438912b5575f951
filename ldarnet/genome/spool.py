"""Genomes that can be read only once from start to end: a temporary copy of their ids gives random access."""

import os
import tempfile
from collections.abc import Iterable

import numpy as np

from ldarnet.genome.errors import GenomeError
from ldarnet.genome.intervals import Contig
from ldarnet.genome.records import Record, read_records
from ldarnet.genome.survey import ContigSurvey


class SpooledFasta:
    """Bases copied as ids, one byte each, to a temporary file without a name: it goes with the process."""

    def __init__(self, blocks: Iterable[bytes], label: str) -> None:
        # Read with pread rather than mapped: mapped pages would count as memory of the process.
        # Unbuffered, so that closing has nothing left to write to a disk that is full.
        self._file = tempfile.TemporaryFile(prefix="ldarnet-", buffering=0)  # noqa: SIM115 - as long as this
        try:
            self._records: tuple[Record, ...] = tuple(read_records(blocks, label, self._write))
        except BaseException:
            self.close()
            raise
        self._starts = np.cumsum([0, *(record.length_bp for record in self._records)]).tolist()

    @property
    def contigs(self) -> tuple[Contig, ...]:
        """All contigs, in the order of the text."""
        return tuple(Contig(record.name, record.length_bp) for record in self._records)

    def ids(self, contig: int, start: int, end: int) -> np.ndarray:
        """The ids of bases start..end-1."""
        ids = os.pread(self._file.fileno(), end - start, self._starts[contig] + start)
        assert len(ids) == end - start, "the temporary copy is shorter than what was written to it"
        return np.frombuffer(ids, dtype=np.uint8)

    def survey(self, contig: int) -> ContigSurvey:
        """Checksum and gaps, made while copying."""
        return self._records[contig].survey

    def close(self) -> None:
        """Remove the temporary copy."""
        self._file.close()

    def _write(self, ids: bytes) -> None:
        try:
            while ids:
                ids = ids[self._file.write(ids) :]
        except OSError as error:
            raise GenomeError(
                f"{tempfile.gettempdir()}: expected room for a temporary copy of the genome (1 byte per "
                f"base), got: {error.strerror}; set TMPDIR to a folder with more room, or use a plain or "
                "bgzip FASTA, which needs no copy"
            ) from error
