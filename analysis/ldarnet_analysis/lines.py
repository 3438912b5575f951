"""Lines of text files that a user hands in, plain or gzip, with the numbers that messages give."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line, without its end; LF, CRLF and CR all end one.

    gzip and bgzip are told by content. Raises ValueError naming the file if it is missing, a folder, truncated,
    damaged or binary.
    """
    try:
        with Path(path).open("rb") as file:
            packed = file.peek(2).startswith(b"\x1f\x8b")
            raw = io.BufferedReader(gzip.GzipFile(fileobj=file)) if packed else file
            for number, line in enumerate(io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace"), start=1):
                if "\0" in line:
                    raise ValueError(f"{path}, line {number}: expected text, got a binary file")
                yield number, line.rstrip("\n")
    except EOFError:
        raise ValueError(f"{path}: expected complete gzip data, got an early end: truncated download?") from None
    except (OSError, zlib.error) as error:
        raise ValueError(f"{path}: expected a readable file, got: {error}") from error


def whole_number(text: str, what: str, where: str) -> int:
    """The integer that `text` spells; ValueError beginning with `where` if it spells none."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{where}: expected {what} as a whole number, got {text!r}")
    return int(text)
