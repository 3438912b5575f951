"""Reading tracks back: values of any interval, NaN where a base has none."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyBigWig

from ldarnet.genome.intervals import Contig
from ldarnet.tracks import bbi
from ldarnet.tracks.atomic import TrackError
from ldarnet.tracks.bedgraph_reader import read_bedgraph
from ldarnet.tracks.formats import format_of
from ldarnet.tracks.writer import find_contig

_NPY_HEADERS = (np.lib.format.read_array_header_2_0, np.lib.format.read_array_header_1_0)
# RuntimeError: an encrypted member, or a compression this Python does not know
_DAMAGE = (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Track(ABC):
    """A track open for reading; a context manager.

    `contigs` are in the order of the file. A bedGraph holds no lengths: there a contig ends where its last
    line ends, and a contig without a line is unknown.
    """

    def __init__(self, path: Path, contigs: tuple[Contig, ...]) -> None:
        self.path = path
        self.contigs = contigs
        self._ids = {contig.name: contig_id for contig_id, contig in enumerate(contigs)}

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Values of the bases start..end-1 (float32 [end - start], NaN = none).

        Raises ValueError for a contig that is not in the track or bases outside it.
        """
        contig_id = find_contig(self.contigs, self._ids, chrom)
        length_bp = self.contigs[contig_id].length_bp
        if not 0 <= start <= end <= length_bp:
            raise ValueError(f"expected bases of {chrom} within 0-{length_bp}, got {start}-{end} ({self.path})")
        if start == end:
            return np.empty(0, dtype=np.float32)
        return self._read(contig_id, start, end)

    @abstractmethod
    def close(self) -> None:
        """Release the file; `values` must not be called afterwards."""

    @abstractmethod
    def _read(self, contig_id: int, start: int, end: int) -> np.ndarray: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_track(path: str | Path) -> Track:
    """Open a bigWig, .npz or bedGraph(.gz) by its suffix.

    Raises TrackError (a ValueError) for another suffix or broken contents, OSError where there is no file.
    """
    path = Path(path)
    track_format = format_of(path)
    if track_format == "bed":
        raise TrackError(f"{path}: BED holds chunks, not values; expected .bw, .bedGraph[.gz] or .npz")
    with path.open("rb") as file:
        head = file.read(bbi.HEADER.size)
    if track_format == "bigwig":
        return BigWigTrack(path, head)
    if track_format == "npz":
        return NpzTrack(path)
    return BedGraphTrack(path)


class BigWigTrack(Track):
    """A bigWig, by whatever program it was written."""

    def __init__(self, path: Path, head: bytes) -> None:
        if head[:4] != bbi.MAGIC:
            got = head[:4].hex() or "nothing"
            raise TrackError(f"{path}: expected a bigWig, which starts with {bbi.MAGIC.hex()}, got {got}")
        # libBigWig crashes on some files that end inside their headers
        if len(head) < bbi.HEADER.size or bbi.last_offset(head) >= path.stat().st_size:
            raise TrackError(f"{path}: starts as a bigWig, but is cut short or damaged")
        try:
            self._file = pyBigWig.open(str(path))
            chroms = self._file.chroms()
        except RuntimeError as error:
            raise TrackError(f"{path}: starts as a bigWig, but is cut short or damaged") from error
        super().__init__(path, tuple(Contig(name, length_bp) for name, length_bp in chroms.items()))

    def _read(self, contig_id: int, start: int, end: int) -> np.ndarray:
        try:
            values = self._file.values(self.contigs[contig_id].name, start, end, numpy=True)
        except RuntimeError as error:
            raise TrackError(f"{self.path}: the values of {self.contigs[contig_id].name} are damaged") from error
        return np.asarray(values, dtype=np.float32)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class NpzTrack(Track):
    """An .npz of one float array per contig; the contig read last is kept in memory."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise TrackError(f"{path}: expected an .npz, got something that is no zip archive") from error
        try:
            super().__init__(path, tuple(self._contig(path, member) for member in self._zip.infolist()))
            if not self.contigs:
                raise TrackError(f"{path}: expected one array per contig, got none")
        except BaseException:
            self._zip.close()
            raise
        self._kept = -1, np.empty(0, dtype=np.float32)

    def _contig(self, path: Path, info: zipfile.ZipInfo) -> Contig:
        try:
            with self._zip.open(info) as member:
                major, _ = np.lib.format.read_magic(member)
                read_header = _NPY_HEADERS[major == 1]
                shape, _, dtype = read_header(member)
                num_bytes = info.file_size - member.tell()
        except _DAMAGE as error:
            raise TrackError(f"{path}: {info.filename} is no readable numpy array ({error})") from error
        if len(shape) != 1 or dtype.kind != "f":
            got = f"got {dtype} {shape}"
            raise TrackError(f"{path}: expected {info.filename} to be floats of one dimension, {got}")
        expected_bytes = shape[0] * dtype.itemsize
        if num_bytes != expected_bytes:
            holds = f"{info.filename} holds {num_bytes:,} bytes of values"
            raise TrackError(f"{path}: {holds}; expected {expected_bytes:,} for its {shape[0]:,} bases")
        return Contig(info.filename.removesuffix(".npy"), shape[0])

    def _read(self, contig_id: int, start: int, end: int) -> np.ndarray:
        kept_id, values = self._kept  # one tuple: another thread may keep another contig meanwhile
        if contig_id != kept_id:
            info = self._zip.infolist()[contig_id]
            try:
                with self._zip.open(info) as member:
                    values = np.lib.format.read_array(member, allow_pickle=False).astype(np.float32, copy=False)
            except _DAMAGE as error:
                raise TrackError(f"{self.path}: {info.filename} is damaged ({error})") from error
            self._kept = contig_id, values
        return values[start:end].copy()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()


class BedGraphTrack(Track):
    """A bedGraph, held as its lines; gaps between them are bases without a value."""

    def __init__(self, path: Path) -> None:
        self._runs = read_bedgraph(path)
        super().__init__(path, tuple(Contig(name, int(runs.ends[-1])) for name, runs in self._runs.items()))

    def _read(self, contig_id: int, start: int, end: int) -> np.ndarray:
        runs = self._runs[self.contigs[contig_id].name]
        values = np.full(end - start, np.nan, dtype=np.float32)
        first = int(np.searchsorted(runs.ends, start, side="right"))
        last = int(np.searchsorted(runs.starts, end, side="left"))
        starts = np.maximum(runs.starts[first:last], start) - start
        widths = np.minimum(runs.ends[first:last], end) - start - starts
        # position of every covered base: its run's start plus its place in the run
        places = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths, widths)
        values[np.repeat(starts, widths) + places] = np.repeat(runs.values[first:last], widths)
        return values

    def close(self) -> None:
        """Drop the lines."""
        self._runs = {}
