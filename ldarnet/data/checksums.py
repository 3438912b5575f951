"""Checksums of files, and the lists of them that publishers keep beside their files."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np

from ldarnet.data.errors import DataError

BLOCK_BYTES = 1 << 20
_LINE = {
    "md5sum": re.compile(r"([0-9a-f]{32})\s+\*?(\S.*)", re.IGNORECASE),
    "sha256sum": re.compile(r"([0-9a-f]{64})\s+\*?(\S.*)", re.IGNORECASE),
    "sum": re.compile(r"(\d{1,5}\s+\d+)\s+(\S.*)"),
}
_ALGORITHM = {"md5sum": "md5", "sha256sum": "sha256", "sum": "sum"}


@dataclass(frozen=True)
class Checksum:
    """A checksum and whose word it is: `algorithm` is md5, sha256, git-sha1 or sum (16 bits and blocks of 1 kB)."""

    algorithm: str
    value: str
    source: str


def checksum_in_list(text: str, path: str, list_format: str, source: str) -> Checksum:
    """The checksum that a publisher's list has for a file, by its path below the list, or by its name.

    Raises DataError where the list does not have it, or has it twice.
    """
    rows = [match.groups() for line in text.splitlines() if (match := _LINE[list_format].fullmatch(line.strip()))]
    if not rows:
        raise DataError(f"{source}: expected lines as {list_format} writes them, found none")
    named = [(value, name.removeprefix("./")) for value, name in rows]
    wanted = PurePosixPath(path).name
    found = {value for value, name in named if name == wanted}
    found = found or {value for value, name in named if PurePosixPath(name).name == wanted}
    if len(found) != 1:
        raise DataError(f"{source}: expected one line for {wanted}, found {len(found)} among {len(rows)} files")
    value = " ".join(str(int(each)) for each in found.pop().split()) if list_format == "sum" else found.pop().lower()
    return Checksum(_ALGORITHM[list_format], value, source)


def checksum_of(path: Path, algorithm: str) -> str:
    """The checksum of a file, written as `Checksum.value` is."""
    if algorithm == "sum":
        return _bsd_sum(path)
    if algorithm == "git-sha1":  # what git calls a file: its bytes behind a header
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        digest = hashlib.new(algorithm, usedforsecurity=algorithm == "sha256")
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def check(path: Path, expected: Checksum, url: str) -> str:
    """A sentence that says what was held against what. Raises DataError for another checksum; the file is removed."""
    found = checksum_of(path, expected.algorithm)
    if found != expected.value:
        path.unlink()
        raise DataError(
            f"{url}: {expected.algorithm} is {found}, expected {expected.value} ({expected.source}): damaged on the "
            "way, or changed at the publisher's. The file is removed; fetch it again, or update ldarnet"
        )
    return f"{expected.algorithm} {found} as in {expected.source}"


@cache
def _adder() -> Callable[[int, np.ndarray], int]:
    """The sum so far and a block (uint8) to the sum with it."""
    from numba import njit

    @njit
    def add(total: int, block: np.ndarray) -> int:
        for byte in block:
            total = ((total >> 1) + ((total & 1) << 15) + byte) & 0xFFFF
        return total

    return add


def _bsd_sum(path: Path) -> str:
    """As `sum` prints it: bytes added up in 16 bits that turn right by one before each, and the number of kB."""
    add, total = _adder(), 0
    with path.open("rb") as file:
        while data := file.read(BLOCK_BYTES):
            total = add(total, np.frombuffer(data, dtype=np.uint8))
    return f"{total} {-(-path.stat().st_size // 1024)}"
