"""Plain and bgzip FASTA: bases are found by arithmetic from an index that one checking pass has made."""

import contextlib
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from ldarnet.genome.errors import GenomeError
from ldarnet.genome.index import Index, Stamp, index_path, load_index, save_index
from ldarnet.genome.intervals import Contig
from ldarnet.genome.layout import BLANKS
from ldarnet.genome.records import IDS, Record, read_records
from ldarnet.genome.streams import BgzfText, PlainText, SeekableText
from ldarnet.genome.survey import ContigSurvey

KEPT_FROM_BYTES = 1 << 20
"""Smaller files are read through again sooner than a cache folder is filled with their indexes."""


class UnevenLines(NamedTuple):
    """The record whose bases no index can find."""

    record: str


class IndexedFasta:
    """Bases of a regular file whose records all have a layout. Other programs' .fai files are never read.

    Opening checks every letter of a new or changed file; an index of an earlier pass is trusted only while
    the file's size and times are the same.
    """

    @classmethod
    def open(cls, path: Path, file: BinaryIO, *, is_bgzf: bool, cache_dir: Path) -> Self | UnevenLines:
        """The bases of an open file; it stays the caller's to close if there are uneven lines or errors."""
        stamp = Stamp.of(file.fileno())
        kept = index_path(path, cache_dir)
        index = load_index(kept, stamp)
        text: SeekableText
        if is_bgzf:
            text = BgzfText(file, str(path), index.checkpoints if index else None)
        else:
            text = PlainText(file, str(path))
        if index is None:
            records = []
            for record in read_records(text.blocks(), str(path)):
                if record.layout is None:
                    return UnevenLines(record.name)
                records.append(record)
            checkpoints = text.checkpoints if isinstance(text, BgzfText) else np.empty(0, dtype=np.int64)
            index = Index(tuple(records), checkpoints)
            _check_unchanged(path, file, stamp)
            if stamp.size_bytes >= KEPT_FROM_BYTES:
                # The index is in memory: a folder that cannot be written costs the next run a pass.
                with contextlib.suppress(OSError):
                    save_index(kept, stamp, index)
        return cls(path, file, stamp, text, index.records)

    def __init__(
        self, path: Path, file: BinaryIO, stamp: Stamp, text: SeekableText, records: tuple[Record, ...]
    ) -> None:
        self._path = path
        self._file = file
        self._stamp = stamp
        self._text = text
        self._records = records

    @property
    def contigs(self) -> tuple[Contig, ...]:
        """All contigs, in the order of the file."""
        return tuple(Contig(record.name, record.length_bp) for record in self._records)

    def ids(self, contig: int, start: int, end: int) -> np.ndarray:
        """The ids of bases start..end-1; GenomeError if the file was changed since it was opened."""
        layout = self._records[contig].layout
        assert layout is not None and start < end
        _check_unchanged(self._path, self._file, self._stamp)
        first, last = layout.byte_of(start), layout.byte_of(end - 1)
        ids = self._text.read_at(first, last + 1 - first).translate(IDS, BLANKS)
        if len(ids) != end - start:
            raise _changed(self._path)
        return np.frombuffer(ids, dtype=np.uint8)

    def survey(self, contig: int) -> ContigSurvey:
        """Checksum and gaps, known since the checking pass."""
        return self._records[contig].survey

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _check_unchanged(path: Path, file: BinaryIO, stamp: Stamp) -> None:
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime_ns) != (stamp.size_bytes, stamp.modified_ns):
        raise _changed(path)


def _changed(path: Path) -> GenomeError:
    return GenomeError(f"{path}: expected the file to stay as it was when opened, got a changed file: run again")
