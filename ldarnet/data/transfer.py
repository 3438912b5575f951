"""One file from its address to the disk: resumed where it was cut, tried again, named only when it is whole."""

import errno
import http.client
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from ldarnet.data.addresses import PassingError, RangeRefused, open_address, passing_or_lasting
from ldarnet.data.cache import check_space, readable
from ldarnet.data.errors import DataError

MAX_TRIES = 5
"""Tries one after the other that bring nothing."""
BLOCK_BYTES = 1 << 18
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Note:
    """Kept beside a part: without a validator that the server can compare, a part is worth nothing."""

    url: str
    validator: str
    num_bytes: int | None


def download(
    url: str,
    target: Path,
    *,
    num_bytes: int | None = None,
    say: Say,
    show_progress: bool = False,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Fetch a file; what arrives is kept in `TARGET.part`, from which the next call goes on.

    A part is continued only if the server says that the file is still the same (If-Range). Raises DataError, with
    nothing under the name of the target.
    """
    transfer = _Transfer(url, target, num_bytes, show_progress)
    failures, most = 0, 0
    while True:
        try:
            transfer.attempt()
            break
        except PassingError as error:
            failures = 1 if transfer.num_arrived > most else failures + 1
            most = max(most, transfer.num_arrived)
            if failures == MAX_TRIES:
                kept = f"; {readable(most)} are kept, the same command goes on from there" if most else ""
                raise DataError(
                    f"{url}: {error}, {MAX_TRIES} times in a row: try again later, or a mirror{kept}"
                ) from None
            seconds = error.wait_s if error.wait_s is not None else 2.0 ** (failures - 1)
            say(f"{url}: {error}; trying again in {seconds:.0f} s")
            wait(seconds)
    transfer.finish()


class _Transfer:
    def __init__(self, url: str, target: Path, num_bytes: int | None, show_progress: bool) -> None:
        self.url, self.target, self.num_bytes, self.show_progress = url, target, num_bytes, show_progress
        self.part = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    @property
    def num_arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def attempt(self) -> None:
        """Bring the part to its full length, or raise."""
        note = self._read_note()
        start = self.num_arrived if note else 0
        if note and start and note.num_bytes == start:
            return  # stopped between the last byte and the name
        headers = {"Range": f"bytes={start}-", "If-Range": note.validator} if note and start else {}
        try:
            response = open_address(self.url, headers)
        except RangeRefused:
            self._drop()
            raise PassingError("the server has another file than the part that was kept, which is dropped") from None
        with response:
            start, total = self._answered(response, start)
            if self.num_bytes is not None and total not in (None, self.num_bytes):
                raise DataError(
                    f"{self.url}: the server has {total:,} bytes, expected {self.num_bytes:,}: the file was changed; "
                    "update ldarnet, or fetch it by hand"
                )
            check_space(self.part.parent, max((total or start) - start, 0), self.url)
            if not start:  # before its note is replaced: a part never stands beside the note of another file
                self.part.unlink(missing_ok=True)
            self._write_note(response, total)
            self._copy(response, start, total)
        if total is not None and self.num_arrived != total:
            raise PassingError(f"the connection ended after {self.num_arrived:,} of {total:,} bytes")

    def finish(self) -> None:
        """Give the whole part its name."""
        self.part.replace(self.target)
        self.note.unlink(missing_ok=True)

    def _answered(self, response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
        """Where the bytes of an answer begin, and how many the whole file has."""
        if response.status != 206:  # the file was changed, or this server knows no ranges: from the beginning
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdigit() else None
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != start:
            self._drop()
            found = response.headers.get("Content-Range")
            raise PassingError(f"the server sends other bytes ({found}) than those from {start:,} on")
        return start, None if match[2] == "*" else int(match[2])

    def _copy(self, response: http.client.HTTPResponse, start: int, total: int | None) -> None:
        hidden = None if self.show_progress else True  # None: hidden unless stderr is a terminal
        bar = tqdm(
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            desc=self.target.name,
            file=sys.stderr,
            disable=hidden,
        )
        with bar, self.part.open("ab" if start else "wb") as file:
            while True:
                try:
                    block = response.read1(BLOCK_BYTES)  # what is there: a silent server must not cost it
                except (OSError, http.client.HTTPException) as error:
                    raise passing_or_lasting(self.url, error) from None
                if not block:
                    return
                self._write(file, block)
                bar.update(len(block))

    def _write(self, file: BinaryIO, block: bytes) -> None:
        try:
            file.write(block)
            file.flush()
        except OSError as error:
            if error.errno in _FULL:
                raise DataError(
                    f"{self.url}: the disk is full after {readable(self.num_arrived)} in {self.part.parent}: make "
                    "room, and the same command goes on from there"
                ) from None
            raise

    def _read_note(self) -> _Note | None:
        try:
            note = _Note(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return note if note.url == self.url and note.validator else None

    def _write_note(self, response: http.client.HTTPResponse, total: int | None) -> None:
        tag = response.headers.get("ETag", "")
        validator = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
        text = json.dumps(asdict(_Note(self.url, validator, total)))
        beside = self.note.with_suffix(".tmp")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.note)

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
