"""Lines of a text file that people write: BED, VCF; plain or gzip."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from ldarnet.genome.streams import GZIP_MAGIC


def text_lines(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, without their ends, and their numbers from 1.

    What is gzip is told by its first bytes, whatever the name. Raises ValueError, which calls the file a `kind` file,
    where it is missing, cannot be read, or its gzip data is damaged or ends early.
    """
    try:
        with path.open("rb") as file:
            lines = gzip.GzipFile(fileobj=file) if file.peek(2).startswith(GZIP_MAGIC) else file
            for number, line in enumerate(lines, start=1):
                text = line.decode("utf-8", errors="replace").strip("\ufeff\r\n")
                if text.strip():
                    yield number, text
    except EOFError:
        raise ValueError(f"{path}: expected complete gzip data, got an early end: truncated download?") from None
    except (OSError, zlib.error) as error:
        raise ValueError(f"{path}: expected a readable {kind} file, got: {error}") from error
