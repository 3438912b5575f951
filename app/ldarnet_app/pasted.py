"""A sequence as people paste it, turned into letters A, C, G, T and N; what was changed is counted."""

import re
from typing import NamedTuple

import numpy as np

from ldarnet import vocab

MAX_BP = 50_000
MAX_UPLOAD_MB = 1
_GAPS = "-.~"
_AMINO_ACIDS = set("EFIJLOPQZ*")
"""Letters of proteins that are no nucleotide code."""


class Pasted(NamedTuple):
    """`sequence` holds A, C, G, T, N; `notes` are sentences about what was changed, with counts."""

    name: str
    sequence: str
    notes: tuple[str, ...] = ()


def decode_upload(data: bytes) -> str:
    """The text of an uploaded file. Raises ValueError for one that is too large or holds no text."""
    if len(data) > MAX_UPLOAD_MB << 20:
        raise ValueError(f"expected a file of at most {MAX_UPLOAD_MB} MB, got {len(data) / 2**20:.1f} MB")
    if data.startswith(b"\x1f\x8b"):
        raise ValueError("the file is compressed with gzip; unpack it first")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("expected a text file with a sequence, got binary data") from None
    if "\0" in text:
        raise ValueError("expected a text file with a sequence, got binary data")
    return text


def parse_sequence(text: str) -> Pasted:
    """The sequence of plain text, one FASTA record, or one GenBank record, 2 to MAX_BP bases long.

    Numbers and spaces are removed, lower case and U are accepted, IUPAC codes become N. Raises ValueError for
    several records, for letters that no nucleotide has, and where no base would get a value.
    """
    name, body = _one_record(text.removeprefix("\ufeff").splitlines())
    numbers = sum(len(re.findall(r"[0-9]+", line)) for line in body)
    spaces = sum(letter.isspace() for line in body for letter in line.strip())
    letters = "".join(re.sub(r"[0-9\s]+", "", line) for line in body)
    if not letters:
        raise ValueError("no sequence: expected letters A, C, G, T, got none")
    if len(letters) > MAX_BP:
        raise ValueError(
            f"expected at most {MAX_BP:,} bases, got {len(letters):,}; run ldarnet-boundaries on a file instead"
        )
    raw = np.frombuffer(letters.encode("ascii", errors="replace"), dtype=np.uint8)
    ids = vocab.CLASSIFY[raw]
    _check_letters(letters, np.flatnonzero(ids == vocab.INVALID))
    num_iupac = int(vocab.IS_IUPAC[raw].sum())
    _check_known(ids, num_iupac)
    counts = (
        (numbers, "number", "removed"),
        (spaces, "space", "removed"),
        (sum(map(str.islower, letters)), "lower-case letter", "read as capitals"),
        (letters.count("U") + letters.count("u"), "U", "read as T"),
        (num_iupac, "IUPAC code", "read as N, which has no value"),
        (int((ids == vocab.N).sum()) - num_iupac, "N", "kept; N has no value"),
    )
    notes = tuple(_counted(num, noun, what) for num, noun, what in counts if num)
    return Pasted(name, vocab.decode(ids), notes)


def _counted(num: int, noun: str, what: str) -> str:
    plural = "" if num == 1 or noun in "UN" else "s"
    return f"{num:,} {noun}{plural} {what}"


def _one_record(lines: list[str]) -> tuple[str, list[str]]:
    """Name and lines of sequence."""
    headers = [i for i, line in enumerate(lines) if line.startswith(">")]
    if len(headers) > 1:
        raise ValueError(f"expected one sequence, got {len(headers)} FASTA records; paste one of them")
    if headers:
        if any(line.strip() for line in lines[: headers[0]]):
            raise ValueError(f"expected the FASTA header first, got it in line {headers[0] + 1} below other text")
        words = lines[headers[0]][1:].split()
        return _printable(words[0]) if words else "sequence", lines[headers[0] + 1 :]
    if any(line.startswith("LOCUS ") for line in lines):
        return _genbank_record(lines)
    origins = [i for i, line in enumerate(lines) if line.startswith("ORIGIN")]
    first = origins[0] + 1 if origins else 0
    return "sequence", [line for line in lines[first:] if line.strip() != "//"]


def _genbank_record(lines: list[str]) -> tuple[str, list[str]]:
    loci = [line.split() for line in lines if line.startswith("LOCUS ")]
    if len(loci) > 1:
        raise ValueError(f"expected one sequence, got {len(loci)} GenBank records; paste one of them")
    origin = next((i for i, line in enumerate(lines) if line.startswith("ORIGIN")), None)
    if origin is None:
        raise ValueError("this GenBank record has no ORIGIN section, so no sequence")
    end = next((i for i in range(origin, len(lines)) if lines[i].strip() == "//"), len(lines))
    return _printable(loci[0][1]) if len(loci[0]) > 1 else "sequence", lines[origin + 1 : end]


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[:60]


def _check_letters(letters: str, bad: np.ndarray) -> None:
    if not len(bad):
        return
    first, where = letters[bad[0]], f"letter {int(bad[0]):,} (counted from 0)"
    if any(letters[i].upper() in _AMINO_ACIDS for i in bad):
        raise ValueError(f"this looks like a protein ({first!r} is {where}); expected DNA or RNA")
    if first in _GAPS:
        raise ValueError(f"{first!r} is {where}: gaps are no bases; paste the sequence without them")
    raise ValueError(f"{first!r} is {where}; expected A, C, G, T, U, N or an IUPAC code")


def _check_known(ids: np.ndarray, num_iupac: int) -> None:
    if 2 * num_iupac > len(ids):
        raise ValueError(
            f"{num_iupac:,} of {len(ids):,} letters are IUPAC codes: this looks like a protein; expected DNA or RNA"
        )
    if not (ids[1:] != vocab.N).any():
        raise ValueError(
            f"expected bases that can have a value, got {len(ids):,} letters with none: base 0 and N have no value"
        )
