"""Unpacking tar and zip archives from outside: plain files and folders only, none of them outside its place."""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from ldarnet.data.cache import check_space
from ldarnet.data.errors import DataError

BLOCK_BYTES = 1 << 20
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)


class _Member(NamedTuple):
    name: str
    num_bytes: int
    content: IO[bytes] | None
    """None: a folder."""


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack an archive (told by content) into a new folder, which appears only once it is whole.

    Raises DataError, with nothing left of it, for a member that is no plain file or leads out of the folder, for a
    damaged archive, and where the disk has no room.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with _damage_named(archive):
            for member in _members(archive):
                _place(member, part, archive)
        files = sorted(path for path in part.rglob("*") if path.is_file())
        if not files:
            raise DataError(f"{archive.name}: expected files in the archive, found none")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return [folder / path.relative_to(part) for path in files]


def _members(archive: Path) -> Iterator[_Member]:
    return _zip_members(archive) if zipfile.is_zipfile(archive) else _tar_members(archive)


@contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
    """What the readers of archives raise for damaged ones, as DataError."""
    try:
        yield
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"{archive.name}: expected a whole tar or zip archive: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{archive.name}: the archive is damaged: {error}") from None  # of the gzip reader


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{archive.name}: {info.filename!r} is no plain file, so nothing is unpacked")
            if info.is_dir():
                yield _Member(info.filename, 0, None)
            else:
                with file.open(info) as content:
                    yield _Member(info.filename, info.file_size, content)


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        for info in file:
            if not (info.isreg() or info.isdir()):
                raise DataError(f"{archive.name}: {info.name!r} is a link or device, so nothing is unpacked")
            content: Any = None if info.isdir() else file.extractfile(info)
            yield _Member(info.name, info.size, content)


def _safe_name(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise DataError(
            f"{archive.name}: {name!r} leads out of the folder it is unpacked to, so nothing is unpacked: "
            "do not use this archive"
        )
    return path


def _place(member: _Member, folder: Path, archive: Path) -> None:
    target = folder / _safe_name(member.name, archive)
    if member.content is None:
        target.mkdir(parents=True, exist_ok=True)
        return
    if target.exists():
        raise DataError(f"{archive.name}: holds {member.name!r} twice")
    target.parent.mkdir(parents=True, exist_ok=True)
    check_space(folder, member.num_bytes, f"{archive.name}, {member.name}")
    with target.open("xb") as file:  # both readers stop at the size that the room was asked for
        shutil.copyfileobj(member.content, file, BLOCK_BYTES)
