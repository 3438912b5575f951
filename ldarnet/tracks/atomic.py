"""Output files that get their name only once they are whole."""

import errno
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

STDOUT = Path("-")


class TrackError(ValueError):
    """A track cannot be written or read; the message says which file and why."""


def check_place(path: Path) -> None:
    """Raise TrackError where a file of this name could not be made, before any work is done.

    Covers a missing or unwritable folder, and a name already taken by a folder or device. "-" is stdout.
    """
    if path == STDOUT:
        return
    folder = path.parent
    if not folder.exists():
        raise TrackError(f"cannot write {path}: folder {folder} does not exist")
    if not folder.is_dir():
        raise TrackError(f"cannot write {path}: {folder} is not a folder")
    if path.is_dir():
        raise TrackError(f"cannot write {path}: it is a folder; expected the name of a file")
    if path.exists() and not path.is_file():
        raise TrackError(f"cannot write {path}: it is not a regular file (for standard output use -)")
    if not os.access(path.resolve().parent, os.W_OK | os.X_OK):
        raise TrackError(f"cannot write {path}: no permission to write in folder {path.resolve().parent}")


def check_inputs_stay(written: Iterable[Path], inputs: Iterable[tuple[str, str | Path | None]]) -> None:
    """Raise TrackError where a file that will be written is one that is read, whatever its names (links too).

    `inputs` are options and what they were given: a file, the name of something that is no file, or None.
    """
    targets = [path for path in written if path != STDOUT]
    for option, source in inputs:
        if source and any(_is_same_file(Path(source), path) for path in targets):
            raise TrackError(f"{source} is {option} and would be overwritten: choose another --out")


def _is_same_file(source: Path, out: Path) -> bool:
    try:
        return source.samefile(out)
    except (OSError, ValueError):  # one of them is not there, or the source is no file at all
        return False


class PartialFile:
    """A binary file written beside its target as `.NAME.PID.part`, and renamed by `publish`.

    A target that is a symbolic link stays one: the file it points at is replaced. For `-` the part lies in
    the temporary folder and `publish` copies it to standard output.
    """

    def __init__(self, path: Path) -> None:
        check_place(path)
        self.path = path
        self._target = None if path == STDOUT else path.resolve()
        folder = Path(tempfile.gettempdir()) if self._target is None else self._target.parent
        name = "stdout" if self._target is None else self._target.name
        self.part = folder / f".{name}.{os.getpid()}.part"
        try:
            self.file: BinaryIO = self.part.open("wb")
        except OSError as error:
            raise TrackError(f"cannot write {path}: {error.strerror}") from error

    @property
    def num_bytes(self) -> int:
        """Bytes that reached the disk so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def close(self) -> None:
        """Bring every byte to the disk, which is where a full one may first be noticed."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def publish(self) -> None:
        """Give the closed file its name, or copy it to standard output.

        Raises BrokenPipeError if standard output was closed by its reader.
        """
        assert self.file.closed, "publish() before close()"
        if self._target is not None:
            self.part.replace(self._target)
        else:
            self._copy_to_stdout()

    def discard(self) -> None:
        """Remove the part; harmless after `publish` and when called twice."""
        with suppress(OSError):  # closing tries once more to write what did not fit
            self.file.close()
        self.part.unlink(missing_ok=True)

    def _copy_to_stdout(self) -> None:
        sys.stdout.flush()
        try:
            with self.part.open("rb") as part:
                while block := part.read(1 << 20):
                    rest = memoryview(block)
                    while rest:  # unbuffered Python (-u) writes what fits into the pipe, and says how much
                        rest = rest[sys.stdout.buffer.write(rest) :]
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            # what Python still holds for the closed pipe would raise a second time at exit
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            message = "standard output was closed by its reader before the whole track was written"
            raise BrokenPipeError(errno.EPIPE, message) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """An open binary file that gets its name when the block ends, and leaves nothing behind where the block raises.

    Raises TrackError as `check_place` does, and OSError where the disk is full.
    """
    part = PartialFile(path)
    try:
        yield part.file
        part.close()
        part.publish()
    finally:
        part.discard()


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all. Raises as `whole_file` does."""
    with whole_file(path) as file:
        file.write(text.encode())
