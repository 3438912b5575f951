"""An append-only file of finished batches, from which an interrupted run continues."""

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

_MAGIC = b"ldarnet journal 1\n"
_FINGERPRINT_HEADER = struct.Struct("<QI")  # bytes, crc32
_BATCH_HEADER = struct.Struct("<QQII")  # batch index, float32 values, channels, crc32 of all before and after it
_CHECKED = _BATCH_HEADER.size - 4


def journal_path(out: Path, process: str = "") -> Path:
    """Where the journal of a run with this first output lies: hidden, beside it; one for each process of several."""
    return out.parent / f".{out.name}.resume{process}"


class Journal:
    """Finished batches of one run; a context manager. Open it with `Journal.open`.

    A record counts only once it is whole: whatever a killed run left half-written is cut off on opening.
    """

    num_batches: int
    """Complete batches in the file."""
    num_dropped_bytes: int
    """Bytes of an incomplete or damaged end that resuming cut off."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.num_batches = 0
        self.num_dropped_bytes = 0
        self._file = file
        self._first_batch = 0
        self._end = 0

    @classmethod
    def open(cls, path: Path, fingerprint: Mapping[str, Any], *, resume: bool, or_start_over: bool = False) -> Self:
        """Open and lock the journal; without `resume`, or with `or_start_over` one of other settings, it is emptied.

        `fingerprint` is all that decides the values, JSON-able. Raises ValueError where the journal is one of
        other settings (each that differs is named) or the file is no journal, OSError where another process
        holds it or the folder cannot be written.
        """
        journal = cls(path, _open_locked(path))
        try:
            journal._start(_canonical(fingerprint), resume=resume, or_start_over=or_start_over)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def is_resumed(self) -> bool:
        """True where an earlier run left batches to go on from."""
        return self._num_found > 0

    def append(self, index: int, values: np.ndarray) -> None:
        """Add a finished batch (float32 [channels, num_values]); it survives the process from here on.

        Raises OSError where it cannot be written; the journal then ends with the batch before.
        """
        if values.dtype != np.float32 or values.ndim != 2 or not values.shape[0]:
            raise ValueError(f"expected float32 values [channels, n], got {values.dtype} {values.shape}")
        payload = values.astype("<f4").tobytes()
        head = struct.pack("<QQI", index, values.size, values.shape[0])
        crc = zlib.crc32(payload, zlib.crc32(head))
        self._write(head + struct.pack("<I", crc) + payload)
        self.num_batches += 1

    def replay(self) -> Iterator[tuple[int, np.ndarray]]:
        """Batches in the order they were added: index, float32 [channels, num_values]."""
        for index, values, _ in self._batches(self._first_batch):
            yield index, values

    @classmethod
    def follow(
        cls, path: Path, fingerprint: Mapping[str, Any], wait: Callable[[], None]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The batches of a journal that another process writes, as they come, without an end.

        `wait` is called while there is none; it raises to give up. Raises ValueError for a journal of other settings.
        """
        while not path.exists():
            wait()
        with path.open("rb", buffering=0) as file:
            journal = cls(path, file)
            while (found := journal._read_fingerprint()) is None:
                wait()
            if found != _canonical(fingerprint):
                raise ValueError(_difference(path, json.loads(found), dict(fingerprint)))
            position = len(_MAGIC) + _FINGERPRINT_HEADER.size + len(found)
            while True:
                journal._end = os.fstat(file.fileno()).st_size
                for index, values, end in journal._batches(position):
                    yield index, values
                    position = end
                wait()

    def remove(self) -> None:
        """Delete the journal: its run is finished."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Release the lock and keep the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, fingerprint: bytes, *, resume: bool, or_start_over: bool) -> None:
        size = os.fstat(self._file.fileno()).st_size
        head = self._read(0, len(_MAGIC))
        if not _MAGIC.startswith(head):
            raise ValueError(f"{self.path} is not a journal of ldarnet; move it away or choose another output")
        found = self._read_fingerprint() if resume and head == _MAGIC else None
        if or_start_over and found != fingerprint:
            found = None
        if found is None:
            # nothing to go on from: no file yet, or a run killed before it wrote its first batch
            self.num_dropped_bytes = size if resume else 0
            self._file.truncate(0)
            self._end = 0
            header = _FINGERPRINT_HEADER.pack(len(fingerprint), zlib.crc32(fingerprint))
            self._write(_MAGIC + header + fingerprint)
            self._first_batch = self._end
        else:
            if found != fingerprint:
                raise ValueError(_difference(self.path, json.loads(found), json.loads(fingerprint)))
            self._first_batch = self._end = len(_MAGIC) + _FINGERPRINT_HEADER.size + len(found)
            self.num_batches, self._end = self._scan(size)
            self.num_dropped_bytes = size - self._end
            self._file.truncate(self._end)
        self._num_found = self.num_batches

    def _read_fingerprint(self) -> bytes | None:
        head = self._read(len(_MAGIC), _FINGERPRINT_HEADER.size)
        if len(head) < _FINGERPRINT_HEADER.size:
            return None
        num_bytes, crc = _FINGERPRINT_HEADER.unpack(head)
        if num_bytes > os.fstat(self._file.fileno()).st_size:
            return None
        text = self._read(len(_MAGIC) + len(head), num_bytes)
        return text if len(text) == num_bytes and zlib.crc32(text) == crc else None

    def _scan(self, size: int) -> tuple[int, int]:
        self._end = size
        ends = [end for _, _, end in self._batches(self._first_batch)]
        return len(ends), ends[-1] if ends else self._first_batch

    def _batches(self, position: int) -> Iterator[tuple[int, np.ndarray, int]]:
        """Index, values and end offset of each batch from an offset on, up to the first that is not whole."""
        while self._end - position >= _BATCH_HEADER.size:
            head = self._read(position, _BATCH_HEADER.size)
            index, num_values, num_channels, crc = _BATCH_HEADER.unpack(head)
            position += _BATCH_HEADER.size
            if 4 * num_values > self._end - position:
                return
            payload = self._read(position, 4 * num_values)
            if zlib.crc32(payload, zlib.crc32(head[:_CHECKED])) != crc:
                return
            position += len(payload)
            yield index, np.frombuffer(payload, dtype="<f4").reshape(num_channels, -1), position

    def _read(self, offset: int, num_bytes: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(num_bytes)

    def _write(self, record: bytes) -> None:
        try:
            self._file.seek(self._end)
            rest = memoryview(record)
            while rest:  # unbuffered, so that nothing waits in this process; a write may then be partial
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(self._end)
            message = f"could not write the journal {self.path} ({error.strerror}); the batches before are kept"
            raise OSError(error.errno, message) from error
        self._end += len(record)


def _open_locked(path: Path) -> BinaryIO:
    """The file, held by this process alone; the system drops the lock of a process that dies."""
    while True:
        # neither truncated nor appended to: the file may belong to a running process
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            message = f"another process is writing the journal {path}; wait for it or choose another output"
            raise BlockingIOError(error.errno, message) from error
        except BaseException:
            file.close()
            raise
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()  # its holder removed it between our two steps


def _canonical(fingerprint: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(fingerprint), sort_keys=True, allow_nan=False).encode()


def _difference(path: Path, then: dict[str, Any], now: dict[str, Any]) -> str:
    lines = [f"{path} is of a run with other settings; resume with the same ones, or start over without resuming"]
    for key in sorted(then.keys() | now.keys()):
        was, is_now = (json.dumps(run[key]) if key in run else "not given" for run in (then, now))
        if was != is_now:
            lines.append(f"  {key}: {was} then, {is_now} now")
    return "\n".join(lines)
