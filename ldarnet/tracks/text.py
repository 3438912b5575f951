"""Plain or gzipped lines as the body of a track file."""

import gzip
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from ldarnet.genome.intervals import Contig
from ldarnet.tracks.writer import TrackWriter


class TextWriter(TrackWriter):
    """A track writer whose format is lines of text, gzipped if asked for."""

    def __init__(self, path: Path, contigs: Sequence[Contig], *, gzipped: bool = False) -> None:
        self._gzipped = gzipped
        super().__init__(path, contigs)

    def _begin(self) -> None:
        self._body = self._out.file
        if self._gzipped:
            # neither name nor time in the header: the same track gives the same bytes
            stream = gzip.GzipFile(filename="", mode="wb", fileobj=self._out.file, compresslevel=4, mtime=0)
            self._body = cast(BinaryIO, stream)

    def _put_lines(self, lines: str) -> None:
        self._body.write(lines.encode())

    def _finish(self) -> None:
        if self._gzipped:
            self._body.close()

    def _abandon(self) -> None:
        with suppress(OSError, ValueError):  # gzip tries to write its end into a file that is given up
            self._body.close()
