"""Zoom levels of a bigWig: what a browser draws when a pixel is wider than a base."""

import shutil
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ldarnet.tracks.bbi import BlockIndex

RECORD = np.dtype(
    [
        ("contig_id", "<u4"), ("start", "<u4"), ("end", "<u4"), ("num_values", "<u4"),
        ("min", "<f4"), ("max", "<f4"), ("sum", "<f4"), ("sum_squares", "<f4"),
    ]
)  # fmt: skip
RECORDS_PER_BLOCK = 1024
FINEST_BP = 64
_FACTOR = 4
_MOST_LEVELS = 10
_SPOOL_BYTES = 1 << 20


def reductions_bp(longest_bp: int) -> list[int]:
    """Bin widths of the levels for a longest contig of this length: 64, 256, ..., at least one."""
    widths = [FINEST_BP * _FACTOR**level for level in range(_MOST_LEVELS)]
    return [width for width in widths if width == FINEST_BP or width < longest_bp]


def summarize(contig_id: int, start: int, values: np.ndarray) -> np.ndarray:
    """RECORD per bin of FINEST_BP bases that holds a value; `start` must be a multiple of FINEST_BP.

    A record reaches from the first to behind the last base with a value, so that a reader who divides by its
    width counts no base that is not there.
    """
    assert start % FINEST_BP == 0
    num_bins = -(-values.size // FINEST_BP)
    padded = np.full(num_bins * FINEST_BP, np.nan)
    padded[: values.size] = values
    bins = padded.reshape(num_bins, FINEST_BP)
    has_value = ~np.isnan(bins)
    filled = np.flatnonzero(has_value.any(axis=1))
    bins, has_value = bins[filled], has_value[filled]
    records = np.empty(filled.size, dtype=RECORD)
    bin_starts = start + filled * FINEST_BP
    records["contig_id"] = contig_id
    records["start"] = bin_starts + has_value.argmax(axis=1)
    records["end"] = bin_starts + FINEST_BP - has_value[:, ::-1].argmax(axis=1)
    records["num_values"] = has_value.sum(axis=1)
    records["min"] = np.where(has_value, bins, np.inf).min(axis=1)
    records["max"] = np.where(has_value, bins, -np.inf).max(axis=1)
    zero_filled = np.where(has_value, bins, 0)
    records["sum"] = zero_filled.sum(axis=1)
    records["sum_squares"] = np.square(zero_filled).sum(axis=1)
    return records


def merge(records: np.ndarray, reduction_bp: int) -> np.ndarray:
    """Records (sorted) of one bin of `reduction_bp` bases merged into one."""
    if not records.size:
        return records
    bins = records["start"] // reduction_bp
    is_first = np.ones(records.size, dtype=bool)
    is_first[1:] = (bins[1:] != bins[:-1]) | (records["contig_id"][1:] != records["contig_id"][:-1])
    firsts = np.flatnonzero(is_first)
    merged = records[firsts]
    merged["end"] = np.maximum.reduceat(records["end"], firsts)
    merged["num_values"] = np.add.reduceat(records["num_values"], firsts)
    merged["min"] = np.minimum.reduceat(records["min"], firsts)
    merged["max"] = np.maximum.reduceat(records["max"], firsts)
    for field in ("sum", "sum_squares"):
        merged[field] = np.add.reduceat(records[field], firsts, dtype=np.float64)
    return merged


class ZoomLevel:
    """One level, kept beside the data (in memory, then on disk in `folder`) until it can follow them."""

    def __init__(self, reduction_bp: int, folder: Path) -> None:
        self.reduction_bp = reduction_bp
        self._blocks = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=str(folder))  # noqa: SIM115 (lives with the level)
        self._index = BlockIndex()
        self._open_bin = np.empty(0, dtype=RECORD)
        self._unwritten = np.empty(0, dtype=RECORD)

    def add(self, records: np.ndarray) -> np.ndarray:
        """Take records of the finer level; returns those of this level that no later one can change."""
        merged = merge(np.concatenate((self._open_bin, records)), self.reduction_bp)
        self._open_bin = merged[-1:]
        return self._keep(merged[:-1])

    def finish(self) -> np.ndarray:
        """The last record of this level, once the finer level has given its last."""
        last, self._open_bin = self._open_bin, self._open_bin[:0]
        return self._keep(last)

    def write(self, file: BinaryIO) -> tuple[int, int]:
        """Append level and index to the file; returns their offsets. The level is empty afterwards."""
        self._put_block(self._unwritten)
        offset = file.tell()
        file.write(len(self._index).to_bytes(4, "little"))
        self._blocks.seek(0)
        shutil.copyfileobj(self._blocks, file, _SPOOL_BYTES)
        self.close()
        index_offset = file.tell()
        file.write(self._index.tree(index_offset, blocks_offset=offset + 4))
        return offset, index_offset

    def close(self) -> None:
        """Drop what is kept."""
        self._blocks.close()

    def _keep(self, records: np.ndarray) -> np.ndarray:
        waiting = np.concatenate((self._unwritten, records))
        while waiting.size >= RECORDS_PER_BLOCK:
            self._put_block(waiting[:RECORDS_PER_BLOCK])
            waiting = waiting[RECORDS_PER_BLOCK:]
        self._unwritten = waiting.copy()
        return records

    def _put_block(self, records: np.ndarray) -> None:
        if records.size:
            packed = zlib.compress(records.tobytes(), 1)
            first, last = records[0], records[-1]
            span = (int(first["contig_id"]), int(first["start"])), (int(last["contig_id"]), int(last["end"]))
            self._index.add(*span, self._blocks.tell(), len(packed))
            self._blocks.write(packed)
