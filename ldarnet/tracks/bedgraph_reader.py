"""Parsing of bedGraph, plain or gzipped."""

import gzip
import math
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet.tracks.atomic import TrackError

_LARGEST = float(np.finfo(np.float32).max)
_GZIP_MAGIC = b"\x1f\x8b"


class Runs(NamedTuple):
    """The lines of one contig: starts and ends (int64 [num_lines], sorted), values (float32)."""

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray


def read_bedgraph(path: Path) -> dict[str, Runs]:
    """Lines per contig, contigs in the order of the file.

    Blank, `#`, `track` and `browser` lines are skipped. Raises TrackError naming the line for anything that
    is not four columns, sorted within its contig and free of overlaps, or for a file without a data line.
    """
    columns: dict[str, tuple[array[int], array[int], array[float]]] = {}
    reached = 0
    chrom = ""
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#") or fields[0] in ("track", "browser"):
            continue
        start, end, value = _parse(fields, f"{path} line {number}")
        if fields[0] != chrom:
            chrom = fields[0]
            if chrom in columns:
                raise TrackError(f"{path} line {number}: expected the lines of a contig together, got {chrom} again")
            columns[chrom] = array("q"), array("q"), array("f")
            starts, ends, values = columns[chrom]
            reached = 0
        if start < reached:
            found = f"got start {start} after end {reached} on {chrom}"
            raise TrackError(f"{path} line {number}: expected sorted lines that do not overlap, {found}")
        reached = end
        starts.append(start)
        ends.append(end)
        values.append(value)
    if not columns:
        raise TrackError(f"{path}: expected bedGraph lines (contig start end value), got none")
    return {
        name: Runs(np.frombuffer(starts, np.int64), np.frombuffer(ends, np.int64), np.frombuffer(values, np.float32))
        for name, (starts, ends, values) in columns.items()
    }


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        gzipped = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if gzipped else file
        try:
            for line in stream:
                yield line.decode(errors="surrogateescape")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise TrackError(f"{path}: the gzip stream is cut short or damaged") from error


def _parse(fields: list[str], where: str) -> tuple[int, int, float]:
    try:
        _, start_text, end_text, value_text = fields
        start, end, value = int(start_text), int(end_text), float(value_text)
    except ValueError:
        got = " ".join(fields)[:60]
        raise TrackError(f"{where}: expected contig, start, end and value, got {got!r}") from None
    if not (0 <= start < end < 2**63) or math.isnan(value) or abs(value) > _LARGEST:
        got = f"got {start}-{end} {value}"
        raise TrackError(f"{where}: expected 0 <= start < end and a finite value, {got}")
    return start, end, value
