"""The regions a user asks for: a BED file or `chrom:start-end`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ldarnet.genome.intervals import Contig, Interval
from ldarnet.genome.names import list_names
from ldarnet.genome.text_lines import text_lines

_RANGE = re.compile(r"(-?\d[\d,]{0,20})-(-?\d[\d,]{0,20})", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_BED_NAME = re.compile(r"\.(bed|txt|tsv)(\.gz)?$|[/\\]", re.IGNORECASE)


class Regions(NamedTuple):
    """Disjoint intervals in contig order, and how many of those asked for were merged into others."""

    intervals: tuple[Interval, ...]
    num_merged: int


class _Request(NamedTuple):
    """One region as asked for, and the place to name if it is wrong."""

    interval: Interval
    where: str


def parse_regions(spec: str, contigs: Sequence[Contig]) -> Regions:
    """The regions of a BED file (plain or gzip), a contig's name, or `chrom:start-end` (0-based, half-open).

    Regions that overlap or touch are merged. Raises ValueError with file and line for regions that are
    malformed, empty or outside their contig, for unknown contigs (with both lists of names), and for a BED
    file that is missing, unreadable or holds no region.
    """
    length_of = dict(contigs)
    path = Path(spec)
    if _is_file(path):
        requests = list(_read_bed(path))
        if not requests:
            raise ValueError(f"{spec}: expected regions in BED format, got a file without any")
    else:
        requests = [_parse_text(spec, length_of)]
    _check_names(requests, list(length_of))
    for request in requests:
        _check_inside(request, length_of[request.interval.chrom])
    intervals = merge_intervals((request.interval for request in requests), list(length_of))
    return Regions(intervals, len(requests) - len(intervals))


def merge_intervals(intervals: Iterable[Interval], chroms: Sequence[str]) -> tuple[Interval, ...]:
    """Intervals sorted in the order of `chroms` and by start, those that overlap or touch made one."""
    place = {chrom: i for i, chrom in enumerate(chroms)}
    merged: list[Interval] = []
    for interval in sorted(intervals, key=lambda each: (place[each.chrom], each.start)):
        if merged and merged[-1].chrom == interval.chrom and interval.start <= merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return tuple(merged)


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a name too long, or with a NUL, names no file
        return False


def _parse_text(spec: str, length_of: dict[str, int]) -> _Request:
    where = f"region {spec!r}"
    if spec in length_of:
        return _Request(Interval(spec, 0, length_of[spec]), where)
    chrom, colon, text = spec.rpartition(":")
    span = _RANGE.fullmatch(text)
    if colon and chrom and span:
        start, end = (int(number.replace(",", "")) for number in span.groups())
        return _Request(Interval(chrom, start, end), where)
    if _BED_NAME.search(spec):
        got = "got a folder" if Path(spec).is_dir() else "there is no such file"
        raise ValueError(f"{spec}: expected a BED file, {got}")
    if chrom in length_of:
        raise ValueError(f"{where}: expected chrom:start-end with whole numbers, got {text!r} after the colon")
    return _Request(Interval(spec, 0, 0), where)


def _read_bed(path: Path) -> Iterator[_Request]:
    for number, text in text_lines(path, "BED"):
        words = text.split("\t") if "\t" in text else text.split()
        if not text.startswith("#") and words[0].split()[:1] not in (["track"], ["browser"]):
            yield _parse_bed_line(words, f"{path}, line {number}")


def _parse_bed_line(words: list[str], where: str) -> _Request:
    if len(words) < 3:
        raise ValueError(f"{where}: expected the BED columns chrom, start, end, got {len(words)} of them")
    chrom, *span = (word.strip() for word in words[:3])
    for text in span:
        if not _INTEGER.fullmatch(text):
            raise ValueError(f"{where}: expected start and end as whole numbers, got {text!r}")
    return _Request(Interval(chrom, int(span[0]), int(span[1])), where)


def _check_names(requests: Sequence[_Request], known: Sequence[str]) -> None:
    names = set(known)
    unknown = [chrom for chrom in dict.fromkeys(each.interval.chrom for each in requests) if chrom not in names]
    if not unknown:
        return
    hint = ""
    if any(f"chr{chrom}" in names for chrom in unknown):
        hint = "; the FASTA's names start with 'chr': add it"
    elif any(chrom.startswith("chr") and chrom[3:] in names for chrom in unknown):
        hint = "; the FASTA's names do not start with 'chr': leave it out"
    raise ValueError(
        f"regions on contigs that the FASTA does not have: {list_names(unknown)}; "
        f"contigs in the FASTA: {list_names(known)}{hint}"
    )


def _check_inside(request: _Request, length_bp: int) -> None:
    chrom, start, end = request.interval
    where = request.where
    if start < 0 or end < 0:
        raise ValueError(f"{where}: expected 0 or more, got the negative number {min(start, end)}")
    if start >= end:
        raise ValueError(f"{where}: expected start < end, got {start} and {end}")
    if end > length_bp:
        raise ValueError(f"{where}: expected an end inside {chrom} ({length_bp:,} bases), got {end:,}")
