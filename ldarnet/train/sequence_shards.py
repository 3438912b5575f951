"""A shard of a corpus on disk: bases in two bits each, where the N are, and what every contig is; read in place.

Layout, little-endian, sections from 64-byte borders: header; bases (four a byte, the first in the lowest bits, every
contig from a byte of its own, N as A); contigs (CONTIG); runs of N (int64 start, end on the contig); names (UTF-8).
"""

import hashlib
import json
import mmap
import struct
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ldarnet import vocab

INDEX_NAME = "shards.json"
FORMAT = "ldarnet shards"
INDEX_VERSION = 1

MAGIC = b"LDNSHARD"
VERSION = 1
BORDER = 64
CONTIG = np.dtype(
    [
        *(("start_byte", "<i8"), ("length_bp", "<i8"), ("num_unknown", "<i8"), ("first_run", "<i8")),
        *(("num_runs", "<i8"), ("name_at", "<i8"), ("name_bytes", "<i4"), ("source", "<i4"), ("md5", "V16")),
    ]
)
_HEADER = struct.Struct("<8sIIqqqq32sI")
"""Magic, version, checksum of the tables, bytes of bases, contigs, runs, bytes of names, SHA-256 of the bases."""
_CRC = struct.Struct("<I")
HEADER_BYTES = 128

_UNPACK = ((np.arange(256, dtype=np.uint8)[:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3).astype(np.uint8)
_READ_BYTES = 1 << 24


class ShardError(ValueError):
    """A shard, or a folder of them, that cannot be read; the message says which file, what was found and expected."""


class Header(NamedTuple):
    """What stands at the start of a shard."""

    num_packed: int
    num_contigs: int
    num_runs: int
    num_name_bytes: int
    bases_sha256: bytes
    tables_crc: int

    def pack(self) -> bytes:
        """The bytes of it, with its own checksum."""
        head = _HEADER.pack(
            *(MAGIC, VERSION, self.tables_crc, self.num_packed, self.num_contigs),
            *(self.num_runs, self.num_name_bytes, self.bases_sha256, HEADER_BYTES),
        )
        return (head + _CRC.pack(zlib.crc32(head))).ljust(HEADER_BYTES, b"\0")

    @property
    def sections(self) -> tuple[int, int, int, int, int]:
        """Where bases, contigs, runs and names begin, and where the file ends."""
        starts = [HEADER_BYTES]
        for num_bytes in (self.num_packed, self.num_contigs * CONTIG.itemsize, self.num_runs * 16):
            starts.append(border_after(starts[-1] + num_bytes))
        return starts[0], starts[1], starts[2], starts[3], starts[3] + self.num_name_bytes


def border_after(place: int) -> int:
    """The first border at or behind a place in a file."""
    return -(-place // BORDER) * BORDER


def pack_bases(ids: np.ndarray) -> np.ndarray:
    """Ids (uint8 [n], N as A) in two bits each (uint8 [ceil(n / 4)])."""
    padded = np.zeros(-(-len(ids) // 4) * 4, dtype=np.uint8)
    padded[: len(ids)] = ids
    padded[padded >= vocab.N] = vocab.A
    four = padded.reshape(-1, 4)
    return four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6


class SequenceShard:
    """A shard, mapped into memory: nothing is read but what is asked for.

    Raises ShardError for a file that is no shard, of another version, cut short, or whose tables are damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.header = _read_header(file, path)
                starts = self.header.sections
                _check_tables(file, path, self.header)
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ShardError(f"cannot read the shard {path}: {error.strerror or error}") from None
        if hasattr(mmap, "MADV_RANDOM"):
            mapped.madvise(mmap.MADV_RANDOM)  # windows lie anywhere: reading ahead would fetch what is not used
        file_bytes = np.frombuffer(mapped, dtype=np.uint8)
        self._bases = file_bytes[starts[0] : starts[0] + self.header.num_packed]
        end = starts[1] + self.header.num_contigs * CONTIG.itemsize
        self.contigs = file_bytes[starts[1] : end].view(CONTIG)
        """One row each, CONTIG."""
        self._runs = file_bytes[starts[2] : starts[2] + self.header.num_runs * 16].view("<i8").reshape(-1, 2)
        self._names = file_bytes[starts[3] : starts[4]]

    def name(self, row: int) -> str:
        """The name of a contig."""
        contig = self.contigs[row]
        start = int(contig["name_at"])
        return self._names[start : start + int(contig["name_bytes"])].tobytes().decode()

    def ids(self, row: int, start: int, end: int) -> np.ndarray:
        """Bases start..end-1 of a contig, uint8 [end - start]; the caller's own copy."""
        contig = self.contigs[row]
        assert 0 <= start <= end <= contig["length_bp"], "a window lies on its contig"
        first = int(contig["start_byte"]) + start // 4
        packed = self._bases[first : int(contig["start_byte"]) - (-end // 4)]
        ids: np.ndarray = _UNPACK[packed].reshape(-1)[start % 4 : start % 4 + end - start]
        num_runs = int(contig["num_runs"])
        if num_runs:
            runs = self._runs[int(contig["first_run"]) :][:num_runs]
            for run_start, run_end in runs[np.searchsorted(runs[:, 1], start, side="right") :]:
                if run_start >= end:
                    break
                ids[max(0, run_start - start) : run_end - start] = vocab.N
        return ids

    @cached_property
    def num_bases(self) -> int:
        """Bases of all contigs, N included."""
        return int(self.contigs["length_bp"].sum())

    def verify(self) -> None:
        """Read every base. Raises ShardError where they are not those that were written."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:  # in its order, which the mapping is not made for
            file.seek(HEADER_BYTES)
            left = self.header.num_packed
            while left and (block := file.read(min(left, _READ_BYTES))):
                digest.update(block)
                left -= len(block)
        if digest.digest() != self.header.bases_sha256:
            raise ShardError(
                f"{self.path}: the bases are damaged: expected SHA-256 {self.header.bases_sha256.hex()}, got "
                f"{digest.hexdigest()}; make the shards again"
            )


def tables_crc(*tables: bytes) -> int:
    """The checksum of contigs, runs and names together."""
    crc = 0
    for table in tables:
        crc = zlib.crc32(table, crc)
    return crc


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file. Raises ShardError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ShardError(f"{path}: expected JSON: {error}") from None
    except OSError as error:
        raise ShardError(f"cannot read {path}: {error.strerror}") from None
    if not isinstance(found, dict):
        raise ShardError(f"{path}: expected a JSON object, got {type(found).__name__}")
    return found


def _read_header(file: BinaryIO, path: Path) -> Header:
    head = file.read(HEADER_BYTES)
    if not head:
        raise ShardError(f"{path}: expected a shard, got an empty file: make the shards again")
    if not head.startswith(MAGIC):
        raise ShardError(f"{path}: expected a shard, as ldarnet data shard writes it, got {head[:8]!r} at its start")
    if len(head) < HEADER_BYTES:
        raise ShardError(f"{path}: expected a header of {HEADER_BYTES} bytes, got {len(head)}: the file is cut short")
    _, version, crc, num_packed, num_contigs, num_runs, num_names, sha256, size = _HEADER.unpack_from(head)
    if version != VERSION:
        raise ShardError(f"{path}: expected version {VERSION} of the format, got {version}: update ldarnet")
    (found,) = _CRC.unpack_from(head, _HEADER.size)
    if found != zlib.crc32(head[: _HEADER.size]) or size != HEADER_BYTES:
        raise ShardError(f"{path}: the header is damaged (its checksum differs): make the shards again")
    header = Header(num_packed, num_contigs, num_runs, num_names, sha256, crc)
    expected, got = header.sections[-1], path.stat().st_size
    if got != expected:
        what = "cut short" if got < expected else "longer than it was written"
        raise ShardError(f"{path}: expected {expected:,} bytes, got {got:,}: the file is {what}")
    return header


def _check_tables(file: BinaryIO, path: Path, header: Header) -> None:
    crc = 0
    sizes = (header.num_contigs * CONTIG.itemsize, header.num_runs * 16, header.num_name_bytes)
    for start, size in zip(header.sections[1:4], sizes, strict=True):
        file.seek(start)
        while size:
            block = file.read(min(size, _READ_BYTES))
            crc, size = zlib.crc32(block, crc), size - len(block)
    if crc != header.tables_crc:
        raise ShardError(f"{path}: the tables of contigs are damaged (their checksum differs): make the shards again")
