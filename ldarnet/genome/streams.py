"""Bytes of a genome file: plain, gzip or bgzip, streamed in blocks or read at an offset."""

import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from Bio import bgzf

from ldarnet.genome.errors import GenomeError

BLOCK_BYTES = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"
HEAD_BYTES = 18  # as much of a file as tells its format

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BROKEN_BGZF = (ValueError, RuntimeError, EOFError, zlib.error, struct.error)


def is_bgzf(head: bytes) -> bool:
    """Whether a file that starts so is block gzip: an extra field that holds the subfield BC."""
    return head[:2] == GZIP_MAGIC and len(head) >= 18 and bool(head[3] & 4) and head[12:14] == b"BC"


def open_file(path: Path) -> BinaryIO:
    """The file, unbuffered and open for reading; GenomeError if it is missing, a folder or not readable."""
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise GenomeError(f"{path}: expected a genome file, there is no such file") from None
    except IsADirectoryError:
        raise GenomeError(f"{path}: expected a genome file, got a folder") from None
    except PermissionError:
        raise GenomeError(f"{path}: expected a readable file, got no permission to read it") from None
    except OSError as error:
        raise GenomeError(f"{path}: cannot be opened: {error.strerror}") from error


def read_head(file: BinaryIO) -> bytes:
    """The first `HEAD_BYTES` bytes, fewer only where the file ends, even if a pipe hands them over singly."""
    head = b""
    while len(head) < HEAD_BYTES and (more := file.read(HEAD_BYTES - len(head))):
        head += more
    return head


def stream_blocks(file: BinaryIO, head: bytes, label: str) -> Iterator[bytes]:
    """The text of a file that is read once from its start, unpacked if it is gzip, `head` being read already.

    Raises GenomeError where it cannot be read or the gzip data is damaged or ends early.
    """
    text: io.BufferedIOBase = io.BufferedReader(_Rejoined(head, file), BLOCK_BYTES)
    if head[:2] == GZIP_MAGIC:
        text = gzip.GzipFile(fileobj=text)
    try:
        while block := text.read(BLOCK_BYTES):
            yield block
    except EOFError:
        raise GenomeError(f"{label}: expected complete gzip data, got an early end: truncated download?") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise GenomeError(f"{label}: expected gzip data, got damaged data ({error})") from error
    except OSError as error:
        raise GenomeError(f"{label}: cannot be read: {error.strerror}") from error


class _Rejoined(io.RawIOBase):
    """A file from its start again after its head was read, for pipes that cannot go back."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)] or self._file.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


class SeekableText(Protocol):
    """A text that can be streamed, and after that be read at any offset."""

    def blocks(self) -> Iterator[bytes]:
        """The whole text, in order."""

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """So many bytes from an offset on; fewer only at the end of the text."""


class PlainText:
    """A file as it lies on disk. Reads carry their offset, so that forked processes can share the file."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._file = file
        self._label = label

    def blocks(self) -> Iterator[bytes]:
        """The whole file, in order."""
        offset = 0
        while block := self.read_at(offset, BLOCK_BYTES):
            yield block
            offset += len(block)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """So many bytes from an offset on; fewer only at the end of the file."""
        try:
            return os.pread(self._file.fileno(), num_bytes, offset)
        except OSError as error:
            raise GenomeError(f"{self._label}: cannot be read: {error.strerror}") from error


class BgzfText:
    """The text inside a bgzip file. `checkpoints[k]` is the virtual offset of its byte k * BLOCK_BYTES.

    The checkpoints are made by `blocks()`; a text opened with those of an earlier pass need not be streamed.
    """

    def __init__(self, file: BinaryIO, label: str, checkpoints: np.ndarray | None = None) -> None:
        self.checkpoints = np.empty(0, dtype=np.int64) if checkpoints is None else checkpoints
        self._label = label
        file_bytes = os.fstat(file.fileno()).st_size
        end = os.pread(file.fileno(), len(_BGZF_END), max(file_bytes - len(_BGZF_END), 0))
        if end != _BGZF_END:
            raise GenomeError(
                f"{label}: expected a bgzip end marker at the end of the file, got none: truncated download?"
            )
        raw = io.BufferedReader(_Positioned(file))
        try:
            self._reader = bgzf.BgzfReader(fileobj=raw, mode="rb", max_cache=8)
        except _BROKEN_BGZF as error:
            raise self._damaged(error) from error

    def blocks(self) -> Iterator[bytes]:
        """The whole text, in order, in blocks of exactly BLOCK_BYTES."""
        checkpoints = []
        self._reader.seek(0)
        while True:
            checkpoints.append(self._reader.tell())
            block = self._read(BLOCK_BYTES)
            if not block:
                break
            yield block
        self.checkpoints = np.array(checkpoints, dtype=np.int64)

    def read_at(self, offset: int, num_bytes: int) -> bytes:
        """So many bytes of the text from an offset on; fewer only at its end."""
        step, past_step = divmod(offset, BLOCK_BYTES)
        if step >= len(self.checkpoints):
            return b""
        try:
            self._reader.seek(int(self.checkpoints[step]))
        except _BROKEN_BGZF as error:
            raise self._damaged(error) from error
        return self._read(past_step + num_bytes)[past_step:]

    def _read(self, num_bytes: int) -> bytes:
        try:
            block: bytes = self._reader.read(num_bytes)
        except _BROKEN_BGZF as error:
            raise self._damaged(error) from error
        except OSError as error:
            raise GenomeError(f"{self._label}: cannot be read: {error.strerror}") from error
        return block

    def _damaged(self, error: Exception) -> GenomeError:
        return GenomeError(f"{self._label}: expected bgzip data, got damaged data ({error})")


class _Positioned(io.RawIOBase):
    """A file with a position of its own, so that forked processes do not move each other's."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET, "bgzip blocks are found from the start of the file"
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = os.pread(self._file.fileno(), len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
