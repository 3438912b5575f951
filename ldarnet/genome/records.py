"""The FASTA parser: one pass over blocks of bytes that checks every letter and keeps none of them."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, NoReturn

import numpy as np

from ldarnet import vocab
from ldarnet.genome.errors import GenomeError
from ldarnet.genome.layout import BLANKS, Layout, LayoutProbe
from ldarnet.genome.survey import ContigSurvey, Surveyor

MAX_HEADER_BYTES = 1 << 20
IDS = vocab.CLASSIFY.tobytes()
"""`bytes.translate` table: letter -> id."""

_UPPER = bytes(range(256)).upper()
_INVALID = bytes([vocab.INVALID])
_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"[\r\n]")
_PROTEIN = b"EFILPQJOZ*"
_FOREIGN = {
    b"@": "'@': this looks like FASTQ, convert it to FASTA",
    b"BZh": "bzip2 data: unpack it with bunzip2",
    b"\xfd7zXZ": "xz data: unpack it with unxz",
    b"(\xb5/\xfd": "zstd data: unpack it with unzstd",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"\x1f\x8b": "gzip data inside gzip data: unpack it once",
    b"BAM\x01": "a BAM file",
    b"CRAM": "a CRAM file",
    b"\x1a\x41\x27\x43": "a .2bit file through a pipe: give the file's path",
    b"\x43\x27\x41\x1a": "a .2bit file through a pipe: give the file's path",
}


class Record(NamedTuple):
    """One FASTA record; `layout` is None where its bases cannot be found by arithmetic."""

    name: str
    length_bp: int
    layout: Layout | None
    survey: ContigSurvey


class Piece(NamedTuple):
    """A whole header line, or part of a sequence, with the place of its first byte."""

    is_header: bool
    text: bytes
    offset: int
    line: int


def read_records(
    blocks: Iterable[bytes], label: str, sink: Callable[[bytes], object] | None = None
) -> Iterator[Record]:
    """The records of a FASTA text that arrives in blocks; `sink` is given all ids in order.

    Any line ends, blank lines, blanks at the end of lines and a byte-order mark are accepted. Names end at
    the first white space. Raises GenomeError (file `label`, line, record, expected and got) for anything
    that is no nucleotide FASTA: other letters, no, empty or repeated names, records without sequence.
    """
    line_of: dict[str, int] = {}
    builder: _Builder | None = None
    for piece in split_text(blocks, label):
        if piece.is_header:
            if builder:
                yield builder.result()
            builder = _Builder(label, _name(piece, label), piece.line, sink)
            first_line = line_of.setdefault(builder.name, piece.line)
            if first_line != piece.line:
                raise GenomeError(
                    f"{label}, line {piece.line}: expected every record name once, got {builder.name!r} "
                    f"again (first on line {first_line})"
                )
        elif builder:
            builder.feed(piece)
        elif piece.text.strip(BLANKS):
            _refuse_start(piece, label)
    if not builder:
        raise GenomeError(f"{label}: expected FASTA records, got an empty file")
    yield builder.result()


class _Builder:
    """Gathers one record."""

    def __init__(self, label: str, name: str, line: int, sink: Callable[[bytes], object] | None) -> None:
        self.name = name
        self._label = label
        self._line = line
        self._sink = sink
        self._surveyor = Surveyor()
        self._probe = LayoutProbe()

    def feed(self, piece: Piece) -> None:
        letters = piece.text.translate(_UPPER, BLANKS)
        ids = letters.translate(IDS)
        if _INVALID in ids:
            _refuse_letter(piece, self.name, self._label)
        self._surveyor.feed(letters, ids)
        if self._sink:
            self._sink(ids)
        else:
            self._probe.feed(piece.text, piece.offset)

    def result(self) -> Record:
        length_bp = self._surveyor.length_bp
        if not length_bp:
            raise GenomeError(
                f"{self._label}, line {self._line}: expected a sequence under every header, "
                f"got none for record {self.name!r}"
            )
        layout = None if self._sink else self._probe.result(length_bp)
        return Record(self.name, length_bp, layout, self._surveyor.result())


def split_text(blocks: Iterable[bytes], label: str) -> Iterator[Piece]:
    """Headers and stretches of sequence; a header starts at a '>' that follows a line end."""
    offset, line = 0, 1
    header: bytes | None = None
    last = b"\n"  # the byte before the next one
    for block in blocks:
        at = len(_BOM) if offset == 0 and block.startswith(_BOM) else 0
        while at < len(block):
            if header is None and block.startswith(b">", at) and last in b"\r\n":
                header = b""
            if header is not None:
                found = _LINE_END.search(block, at)
                end = found.start() if found else len(block)
                header += block[at:end]
                if len(header) > MAX_HEADER_BYTES:
                    raise GenomeError(
                        f"{label}, line {line}: expected a header of at most {MAX_HEADER_BYTES:,} bytes, "
                        "got a longer line"
                    )
                if found:
                    yield Piece(True, header, offset + at, line)
                    header = None
            else:
                # A '>' in the middle of a line stays in the piece, where it is refused as a letter.
                end = block.find(b">", at + 1)
                if end < 0 or block[end - 1] not in b"\r\n":
                    end = len(block)
                text = block[at:end]
                yield Piece(False, text, offset + at, line - (last == b"\r" and text[:1] == b"\n"))
                line += _num_line_ends(text, last)
            if end > at:
                last = block[end - 1 : end]
            at = end
        offset += len(block)
    if header is not None:
        yield Piece(True, header, offset, line)


def _num_line_ends(text: bytes, last: bytes) -> int:
    num = text.count(b"\n")
    if b"\r" in text:
        num += text.count(b"\r") - text.count(b"\r\n")
    return num - (last == b"\r" and text[:1] == b"\n")


def _name(piece: Piece, label: str) -> str:
    words = piece.text[1:].split(maxsplit=1)
    if not words:
        raise GenomeError(f"{label}, line {piece.line}: expected a record name after '>', got none")
    name = words[0].decode("utf-8", errors="replace")
    if not is_plain_name(name):
        raise GenomeError(
            f"{label}, line {piece.line}: expected contig names without blanks or control characters, got {name!r}"
        )
    return name


def is_plain_name(name: str) -> bool:
    """Whether a contig may be called so: what tables and tracks could not hold is refused where a genome is read."""
    return name.isprintable() and not any(letter.isspace() for letter in name)


def _refuse_start(piece: Piece, label: str) -> NoReturn:
    start = len(piece.text) - len(piece.text.lstrip(BLANKS))
    line = piece.line + _num_line_ends(piece.text[:start], b"")
    text = piece.text[start : start + 256]
    got = repr(_LINE_END.split(text[:20])[0].decode("ascii", errors="replace"))
    if text.startswith(b">"):
        got = "blanks before it: remove them"
    if min(text) < ord("\t"):
        got = "binary data"
    for magic, what in _FOREIGN.items():
        if text.startswith(magic):
            got = what
    raise GenomeError(f"{label}, line {line}: expected a FASTA header starting with '>', got {got}")


def _refuse_letter(piece: Piece, name: str, label: str) -> NoReturn:
    ids = np.frombuffer(piece.text.translate(IDS), dtype=np.uint8)
    blank = np.isin(np.frombuffer(piece.text, dtype=np.uint8), np.frombuffer(BLANKS, dtype=np.uint8))
    at = int(np.flatnonzero((ids == vocab.INVALID) & ~blank)[0])
    letter = piece.text[at : at + 1]
    hint = ""
    if letter.upper() in _PROTEIN:
        hint = ": is this a protein?"
    elif letter in b"-.":
        hint = ": is this an alignment? Remove the gaps"
    elif letter == b">":
        hint = " inside a line: is the line end before this header missing?"
    elif letter in b"@+":
        hint = ": is this FASTQ?"
    got = repr(letter.decode()) if 32 < letter[0] < 127 else f"the byte 0x{letter.hex()}"
    raise GenomeError(
        f"{label}, line {piece.line + _num_line_ends(piece.text[:at], b'')}, record {name!r}: "
        f"expected nucleotide letters (ACGTUN or IUPAC codes), got {got}{hint}"
    )
