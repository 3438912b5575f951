"""Where in its file a base of a FASTA record lies."""

from typing import NamedTuple

import numpy as np

BLANKS = b" \t\r\n"
"""The bytes that may stand between bases: line ends, and blanks at the end of a line."""


class Layout(NamedTuple):
    """A record whose lines all have the same length: byte of its first base, bases and bytes per line."""

    offset: int
    line_bp: int
    line_bytes: int

    def byte_of(self, base: int) -> int:
        """Offset in the (decompressed) file of a 0-based base of the record."""
        return self.offset + base // self.line_bp * self.line_bytes + base % self.line_bp


class LayoutProbe:
    """Finds the `Layout` of a record that arrives in pieces.

    Line length is taken from the first line. The layout holds if every blank before the last base lies where
    that line length expects one, and the last base where its number of bases puts it: then no place that
    should hold a blank can hold a base. Blank lines at the end of a record disturb nothing.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._line_bp: int | None = None
        self._line_bytes: int | None = None
        self._last = 0  # byte of the last base, counted from the first
        self._regular = True
        self._regular_if_over = True  # no misplaced blank since the last base

    def feed(self, piece: bytes, offset: int) -> None:
        """Take the next piece of the record, which lies at byte `offset` and holds bases and blanks only."""
        num_bytes_to_last = len(piece.rstrip(BLANKS))
        if self._offset is None:
            if not num_bytes_to_last:
                return
            self._offset = offset + len(piece) - len(piece.lstrip(BLANKS))
        if not self._regular:
            return
        start = offset - self._offset
        if num_bytes_to_last:
            self._regular = self._regular_if_over
            self._last = start + num_bytes_to_last - 1
        is_base = np.frombuffer(piece, dtype=np.uint8) > ord(" ")
        blanks = np.flatnonzero(~is_base) + start
        blanks = blanks[np.searchsorted(blanks, 0) :]
        if self._line_bp is None and blanks.size:
            self._line_bp = int(blanks[0])
        if self._line_bp is None:
            return
        if self._line_bytes is None:
            rest = is_base[max(self._line_bp - start, 0) :]
            if not rest.any():
                return
            self._line_bytes = start + len(piece) - len(rest) + int(rest.argmax())
        misplaced = blanks[blanks % self._line_bytes < self._line_bp]
        if misplaced.size:
            self._regular &= bool(misplaced[0] > self._last)
            self._regular_if_over = False

    def result(self, length_bp: int) -> Layout | None:
        """The layout of a record of `length_bp` bases, or None where its lines differ in length."""
        assert self._offset is not None, "a record without bases has no layout"
        if self._line_bp is None or self._line_bytes is None:
            return Layout(self._offset, length_bp, length_bp + 1)
        layout = Layout(0, self._line_bp, self._line_bytes)
        if not self._regular or layout.byte_of(length_bp - 1) != self._last:
            return None
        return layout._replace(offset=self._offset)
