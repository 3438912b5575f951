"""Tracks as bigWig, written as a stream.

libBigWig, which pyBigWig writes through, builds the zoom levels in memory when it closes a file (4 bytes per
base of the genome and 12 per base of its longest contig), and a write that fails ends in a crash, an endless
loop or a file without zoom levels and no error. So pyBigWig only reads here: it checks every finished file.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
import pyBigWig

from ldarnet.tracks import bbi, zoom
from ldarnet.tracks.atomic import TrackError
from ldarnet.tracks.writer import BLOCK_BP, TrackWriter

_LONGEST_BP = 2**32 - 1
_BLOCK_BYTES = 32_768
_FIXED_STEP, _VARIABLE_STEP = 3, 2
_FIXED_ITEMS = _BLOCK_BYTES // 4
_VARIABLE_ITEM = np.dtype([("start", "<u4"), ("value", "<f4")])
_VARIABLE_ITEMS = _BLOCK_BYTES // _VARIABLE_ITEM.itemsize
# A fixedStep run costs a block of its own (header and index entry); below this mean run length each value
# with its position is the smaller.
_SHORT_RUN_BP = 16


class BigWigWriter(TrackWriter):
    """Contigs in the order given, fixedStep blocks split at gaps (variableStep where runs are short)."""

    def _begin(self) -> None:
        self._levels: list[zoom.ZoomLevel] = []
        longest = max(self._contigs, key=lambda contig: contig.length_bp)
        if longest.length_bp > _LONGEST_BP:
            found = f"{longest.name} has {longest.length_bp:,}"
            raise TrackError(f"bigWig holds contigs of at most {_LONGEST_BP:,} bp, {found}: choose .bedGraph.gz")
        for reduction_bp in zoom.reductions_bp(longest.length_bp):
            self._levels.append(zoom.ZoomLevel(reduction_bp, self._out.part.parent))
        self._index = bbi.BlockIndex()
        self._min, self._max = np.inf, -np.inf
        self._sum = self._sum_squares = 0.0
        self._last_block: tuple[int, int, np.ndarray] | None = None

        file = self._out.file
        file.write(bytes(bbi.HEADER.size + len(self._levels) * bbi.ZOOM_HEADER.size))
        self._summary_offset = file.tell()
        file.write(bytes(bbi.SUMMARY.size))
        self._tree_offset = file.tell()
        file.write(bbi.contig_tree(self._contigs, self._tree_offset))
        self._data_offset = file.tell()
        file.write(bytes(8))

    def _put(self, contig_id: int, start: int, values: np.ndarray) -> None:
        has_value = np.zeros(values.size + 2, dtype=bool)
        np.isnan(values, out=has_value[1:-1])
        np.logical_not(has_value[1:-1], out=has_value[1:-1])
        run_borders = np.flatnonzero(has_value[1:] != has_value[:-1])
        positions = np.flatnonzero(has_value[1:-1])
        present = values[positions]
        if present.size < _SHORT_RUN_BP * (run_borders.size // 2):
            self._put_variable_step(contig_id, start + positions, present)
        else:
            for first, end in run_borders.reshape(-1, 2).tolist():
                self._put_fixed_step(contig_id, start + first, values[first:end])

        self._last_block = (contig_id, start, values.copy())
        records = zoom.summarize(contig_id, start, values)
        self._min = min(self._min, float(records["min"].min()))
        self._max = max(self._max, float(records["max"].max()))
        self._sum += float(records["sum"].sum(dtype=np.float64))
        self._sum_squares += float(records["sum_squares"].sum(dtype=np.float64))
        for level in self._levels:
            records = level.add(records)

    def _put_fixed_step(self, contig_id: int, start: int, values: np.ndarray) -> None:
        for first in range(0, values.size, _FIXED_ITEMS):
            items = values[first : first + _FIXED_ITEMS]
            span = (start + first, start + first + items.size)
            self._put_section(contig_id, span, _FIXED_STEP, items.size, items.astype("<f4").tobytes())

    def _put_variable_step(self, contig_id: int, positions: np.ndarray, values: np.ndarray) -> None:
        for first in range(0, values.size, _VARIABLE_ITEMS):
            chosen = slice(first, first + _VARIABLE_ITEMS)
            items = np.empty(values[chosen].size, dtype=_VARIABLE_ITEM)
            items["start"], items["value"] = positions[chosen], values[chosen]
            span = (int(items["start"][0]), int(items["start"][-1]) + 1)
            self._put_section(contig_id, span, _VARIABLE_STEP, items.size, items.tobytes())

    def _put_section(self, contig_id: int, span: tuple[int, int], kind: int, num_items: int, items: bytes) -> None:
        step = 1 if kind == _FIXED_STEP else 0
        head = bbi.SECTION_HEADER.pack(contig_id, *span, step, 1, kind, 0, num_items)
        packed = zlib.compress(head + items, 1)
        self._index.add((contig_id, span[0]), (contig_id, span[1]), self._out.file.tell(), len(packed))
        self._out.file.write(packed)

    def _finish(self) -> None:
        records = np.empty(0, dtype=zoom.RECORD)
        for level in self._levels:
            records = np.concatenate((level.add(records), level.finish()))

        file = self._out.file
        index_offset = file.tell()
        file.write(self._index.tree(index_offset))
        zooms = [bbi.ZOOM_HEADER.pack(level.reduction_bp, 0, *level.write(file)) for level in self._levels]
        file.write(bbi.MAGIC)

        offsets = bbi.Offsets(self._tree_offset, self._data_offset, index_offset, self._summary_offset)
        largest_bytes = max(_BLOCK_BYTES + bbi.SECTION_HEADER.size, zoom.RECORDS_PER_BLOCK * zoom.RECORD.itemsize)
        summary = (self.num_values, self._min, self._max, self._sum, self._sum_squares)
        file.seek(0)
        file.write(bbi.header(len(zooms), offsets, largest_bytes) + b"".join(zooms) + bbi.SUMMARY.pack(*summary))
        file.seek(self._data_offset)
        file.write(struct.pack("<Q", len(self._index)))

    def _verify(self, part: Path) -> None:
        """Read contigs, count and the last block back through libBigWig."""
        assert self._last_block is not None
        contig_id, start, values = self._last_block
        contigs = {contig.name: contig.length_bp for contig in self._contigs}
        try:
            with pyBigWig.open(str(part)) as track:
                same = (
                    list(track.chroms().items()) == list(contigs.items())
                    and track.header()["nBasesCovered"] == self.num_values
                    and track.header()["nLevels"] == len(self._levels)
                )
                end = start + values.size
                found = track.values(self._contigs[contig_id].name, start, end, numpy=True)
        except RuntimeError as error:
            raise TrackError(f"could not write {self._out.path}: what was written is unreadable") from error
        if not same or not np.array_equal(found, values, equal_nan=True):
            raise TrackError(f"could not write {self._out.path}: what was written does not read back the same")

    def _abandon(self) -> None:
        for level in self._levels:
            level.close()


assert BLOCK_BP % zoom.FINEST_BP == 0
