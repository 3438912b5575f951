"""Tracks as .npz: one float32 array per contig, NaN where a base has no value."""

import zipfile
from contextlib import suppress
from typing import IO

import numpy as np

from ldarnet.tracks.writer import BLOCK_BP, TrackWriter

_NO_VALUES = np.full(BLOCK_BP, np.nan, dtype="<f4").tobytes()


class NpzWriter(TrackWriter):
    """Streams each contig into its own member of the archive; a contig without values is all NaN."""

    def _begin(self) -> None:
        self._member: IO[bytes] | None = None
        self._zip = zipfile.ZipFile(self._out.file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._num_opened = 0
        self._written_bp = 0

    def _put(self, contig_id: int, start: int, values: np.ndarray) -> None:
        while self._num_opened <= contig_id:
            self._open_next()
        self._pad_to(start)
        assert self._member is not None
        self._member.write(values.astype("<f4").tobytes())
        self._written_bp += values.size

    def _finish(self) -> None:
        while self._num_opened < len(self._contigs):
            self._open_next()
        self._close_member()
        self._zip.close()

    def _abandon(self) -> None:
        for handle in (self._member, self._zip):
            with suppress(OSError, ValueError):  # both try to write their ends into a file that is given up
                if handle is not None:
                    handle.close()

    def _open_next(self) -> None:
        self._close_member()
        name, length_bp = self._contigs[self._num_opened]
        # opened by name a member carries the date 1980-01-01: the same track gives the same bytes
        self._member = self._zip.open(f"{name}.npy", "w", force_zip64=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": (length_bp,)}
        np.lib.format.write_array_header_1_0(self._member, header)
        self._num_opened += 1
        self._written_bp = 0

    def _close_member(self) -> None:
        if self._member is not None:
            self._pad_to(self._contigs[self._num_opened - 1].length_bp)
            self._member.close()
            self._member = None

    def _pad_to(self, position: int) -> None:
        assert self._member is not None
        while self._written_bp < position:
            size = min(BLOCK_BP, position - self._written_bp)
            self._member.write(_NO_VALUES[: 4 * size])
            self._written_bp += size
