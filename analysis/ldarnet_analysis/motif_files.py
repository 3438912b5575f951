"""Motif files: count matrices as JASPAR writes them (raw and bracketed), and MEME version 4 and 5."""

import math
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ldarnet_analysis.lines import numbered_lines
from ldarnet_analysis.motifs import MAX_WIDTH, CountMatrix

DEFAULT_NSITES = 20.0
"""Sites behind a MEME matrix that does not say how many: MEME's own default."""

SUM_TOLERANCE = 0.01
"""How far a row of MEME probabilities may be from 1, for files that round to two digits."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?", re.ASCII)
_JASPAR_ROW = re.compile(r"(?:([ACGTUacgtu])\s*)?(?:\[([^][]*)\]|([^][]*))")
_MEME_VERSION = re.compile(r"MEME version\s+(\S+)")
_MEME_FIELD = re.compile(r"(\w+)\s*=\s*(\S+)")


class _Line(NamedTuple):
    number: int
    text: str


def read_motifs(path: str | Path) -> tuple[CountMatrix, ...]:
    """The matrices of a JASPAR or MEME file, in file order; the content decides which, gzip is accepted.

    MEME probabilities become counts by `nsites` (20 where it is missing or 0). Raises ValueError with file, record
    and line for anything but complete matrices of finite numbers >= 0: rows of unequal length, rows of probabilities
    that do not sum to 1, columns without counts, ids used twice, and a file without matrices.
    """
    texts = (_Line(number, text.strip()) for number, text in numbered_lines(path))
    lines = (line for line in texts if line.text and not line.text.startswith("#"))
    first = next(lines, None)
    if first is None:
        raise ValueError(f"{path}: expected motifs in JASPAR or MEME format, got an empty file")
    if first.text.startswith(">"):
        records = _read_jaspar(path, chain([first], lines))
    elif _MEME_VERSION.match(first.text):
        records = _read_meme(path, first, lines)
    else:
        raise ValueError(
            f"{path}, line {first.number}: expected '>' (JASPAR) or 'MEME version', got {first.text[:40]!r}"
        )
    matrices: list[CountMatrix] = []
    line_of: dict[str, int] = {}
    for number, matrix in records:
        if matrix.motif_id in line_of:
            raise ValueError(
                f"{path}, record {matrix.motif_id}, line {number}: expected each id once, it is on line "
                f"{line_of[matrix.motif_id]} as well"
            )
        line_of[matrix.motif_id] = number
        matrices.append(matrix)
    if not matrices:
        raise ValueError(f"{path}: expected at least one motif, got none")
    return tuple(matrices)


def _read_jaspar(path: str | Path, lines: Iterator[_Line]) -> Iterator[tuple[int, CountMatrix]]:
    header: _Line | None = None
    rows: list[_Line] = []
    for line in lines:
        if line.text.startswith(">"):
            if header:
                yield header.number, _jaspar_matrix(path, header, rows)
            header, rows = line, []
        else:
            rows.append(line)
    assert header, "the first line of a JASPAR file is a header"
    yield header.number, _jaspar_matrix(path, header, rows)


def _jaspar_matrix(path: str | Path, header: _Line, rows: list[_Line]) -> CountMatrix:
    motif_id, name = _id_and_name(path, header, header.text[1:])
    counts: dict[str, list[float]] = {}
    for line in rows:
        where = f"{path}, record {motif_id}, line {line.number}"
        match = _JASPAR_ROW.fullmatch(line.text)
        if not match or len(counts) == 4:
            raise ValueError(f"{where}: expected 4 rows of counts and then '>', got {line.text[:40]!r}")
        letter, bracketed, raw = match.groups()
        base = letter.upper().replace("U", "T") if letter else "ACGT"[len(counts)]
        if base in counts:
            raise ValueError(f"{where}: expected one row each for A, C, G and T, got {base} again")
        row = _numbers(where, raw if bracketed is None else bracketed)
        if counts and len(row) != (width := len(next(iter(counts.values())))):
            raise ValueError(f"{where}: expected {width} columns as in the row above, got {len(row)}")
        counts[base] = row
    where = f"{path}, record {motif_id}, line {header.number}"
    if len(counts) != 4:
        raise ValueError(f"{where}: expected 4 rows of counts (A, C, G, T), got {len(counts)}")
    columns = list(zip(*(counts[base] for base in "ACGT"), strict=True))
    return _matrix(where, motif_id, name, columns)


def _read_meme(path: str | Path, first: _Line, lines: Iterator[_Line]) -> Iterator[tuple[int, CountMatrix]]:
    version = _MEME_VERSION.match(first.text)
    assert version, "the caller has seen the version"
    if version[1].split(".")[0] not in ("4", "5"):
        raise ValueError(f"{path}, line {first.number}: expected MEME version 4 or 5, got {version[1]}")
    header: _Line | None = None
    for line in lines:
        if line.text.startswith("ALPHABET"):
            _check_alphabet(path, line, lines)
        elif line.text.startswith("MOTIF"):
            if header:
                raise _without_matrix(path, header)
            header = line
        elif line.text.startswith("letter-probability matrix"):
            if not header:
                raise ValueError(f"{path}, line {line.number}: expected a MOTIF line before the matrix")
            yield header.number, _meme_matrix(path, header, line, lines)
            header = None
    if header:
        raise _without_matrix(path, header)


def _without_matrix(path: str | Path, header: _Line) -> ValueError:
    return ValueError(f"{path}, line {header.number}: expected a letter-probability matrix after {header.text[:60]!r}")


def _check_alphabet(path: str | Path, line: _Line, lines: Iterator[_Line]) -> None:
    if "=" in line.text:
        letters = line.text.partition("=")[2].strip().upper()
    else:  # a definition over several lines; core letters stand in complementary pairs: A "Adenine" CC0000 ~ T ...
        letters = ""
        for each in lines:
            if each.text.startswith("END ALPHABET"):
                break
            letters += "".join(part.strip()[:1] for part in each.text.split("~")) if "~" in each.text else ""
        letters = "".join(sorted(letters.upper()))
    if letters not in ("ACGT", "ACGU"):
        raise ValueError(f"{path}, line {line.number}: expected the alphabet ACGT, got {letters[:40]!r}")


def _meme_matrix(path: str | Path, header: _Line, line: _Line, lines: Iterator[_Line]) -> CountMatrix:
    motif_id, name = _id_and_name(path, header, header.text.removeprefix("MOTIF"))
    where = f"{path}, record {motif_id}, line {line.number}"
    fields = dict(_MEME_FIELD.findall(line.text))
    if fields.get("alength", "4") != "4":
        raise ValueError(f"{where}: expected alength= 4, got {fields['alength']}")
    if not re.fullmatch(r"[0-9]{1,4}", fields.get("w", "")):
        raise ValueError(f"{where}: expected the width as w= NUMBER, got {line.text[:80]!r}")
    width = int(fields["w"])
    if not 1 <= width <= MAX_WIDTH:
        raise ValueError(f"{where}: expected a width of 1 to {MAX_WIDTH}, got {width}")
    nsites = _numbers(where, fields.get("nsites", "0"))[0] or DEFAULT_NSITES
    columns: list[tuple[float, ...]] = []
    for _ in range(width):
        row = next(lines, None)
        if row is None:
            raise ValueError(f"{where}: expected {width} rows, got {len(columns)} and the end of the file")
        here = f"{path}, record {motif_id}, line {row.number}"
        if not row.text[0].isdigit() and row.text[0] not in "+-.":
            raise ValueError(f"{here}: expected row {len(columns) + 1} of {width}, got {row.text[:40]!r}")
        shares = _numbers(here, row.text)
        if len(shares) != 4:
            raise ValueError(f"{here}: expected 4 probabilities, got {len(shares)}")
        if abs((total := sum(shares)) - 1) > SUM_TOLERANCE:
            raise ValueError(f"{here}: expected probabilities that sum to 1, got a sum of {total:.4g}")
        columns.append(tuple(share / total * nsites for share in shares))
    return _matrix(where, motif_id, name, columns)


def _matrix(where: str, motif_id: str, name: str, columns: list[tuple[float, ...]]) -> CountMatrix:
    for number, column in enumerate(columns, start=1):
        if not any(column):
            raise ValueError(f"{where}: expected counts above zero in column {number} of {len(columns)}, got none")
    try:
        return CountMatrix(motif_id, name, tuple((a, c, g, t) for a, c, g, t in columns))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _id_and_name(path: str | Path, header: _Line, text: str) -> tuple[str, str]:
    """Id and name of a record; the id again where it has no name."""
    words = text.split(maxsplit=1)
    if not words:
        raise ValueError(f"{path}, line {header.number}: expected a motif id, got {header.text!r}")
    return words[0], words[-1].strip()


def _numbers(where: str, text: str) -> list[float]:
    """Finite numbers >= 0, at least one."""
    words = text.split()
    if not words:
        raise ValueError(f"{where}: expected numbers, got none")
    for word in words:
        if not _NUMBER.fullmatch(word) or not math.isfinite(float(word)):
            raise ValueError(f"{where}: expected finite numbers, got {word[:40]!r}")
        if float(word) < 0:
            raise ValueError(f"{where}: expected numbers of 0 or more, got {word}")
    return [float(word) for word in words]
