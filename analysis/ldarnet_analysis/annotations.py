"""Annotations: which transcripts lie where, from GTF, GFF3 and BED files told apart by their content."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ldarnet_analysis.bed import FEATURE_COLUMNS, read_bed12, read_bed_features
from ldarnet_analysis.gff3 import read_gff3
from ldarnet_analysis.gtf import read_gtf
from ldarnet_analysis.lines import numbered_lines
from ldarnet_analysis.transcripts import transcript_table

_READERS = {"gtf": read_gtf, "gff3": read_gff3, "bed12": read_bed12}
_GFF3_HEADER = re.compile(r"##gff-version\s+3")
_GFF3_ATTRIBUTE = re.compile(r"\s*[^\s=]+=")


@dataclass(frozen=True)
class Annotation:
    """What an annotation file holds, in 0-based half-open coordinates.

    `transcripts` has `TRANSCRIPT_COLUMNS`, sorted by position; `features` holds the intervals of a BED file of fewer
    than 12 columns (chrom, start, end, name, score, strand), which are no transcripts. `format` is gtf, gff3, bed12
    or bed6; `notes` are sentences for the user.
    """

    name: str
    format: str
    transcripts: pd.DataFrame
    features: pd.DataFrame
    notes: tuple[str, ...] = ()

    def require_transcripts(self) -> pd.DataFrame:
        """The transcripts; ValueError for the intervals of a BED file, which are none."""
        if self.format == "bed6":
            raise ValueError(
                f"{self.name}: expected transcripts (GTF, GFF3 or BED12), got intervals without exons (BED6)"
            )
        return self.transcripts


def read_annotation(path: str | Path) -> Annotation:
    """The annotation in a GTF, GFF3 or BED file, gzip or not; the format is told by content, not by name.

    Rows may come in any order. Raises ValueError with file and line for what is malformed, and for a file that
    is in none of these formats or has nothing to read.
    """
    name, found = Path(path).name, annotation_format(path)
    if found == "bed6":
        return Annotation(name, found, transcript_table([]), read_bed_features(path))
    transcripts, notes = _READERS[found](path)
    if transcripts.empty:
        raise ValueError(f"{path}: expected transcripts, got none ({'; '.join(notes)})")
    return Annotation(name, found, transcripts, pd.DataFrame(columns=FEATURE_COLUMNS), tuple(notes))


def annotation_format(path: str | Path) -> str:
    """gtf, gff3, bed12 or bed6 (any BED of 3 to 9 columns), by the header or the first line of data."""
    for number, line in numbered_lines(path):
        if _GFF3_HEADER.match(line):
            return "gff3"
        if line.strip() and not line.startswith(("#", "track", "browser")):
            return _format_of(line, f"{path}, line {number}")
    raise ValueError(f"{path}: expected a GTF, GFF3 or BED file, got a file without data")


def _format_of(line: str, where: str) -> str:
    tabbed = line.split("\t")
    if len(tabbed) >= 9 and _is_number(tabbed[3]) and _is_number(tabbed[4]) and not _is_number(tabbed[1]):
        return "gff3" if _GFF3_ATTRIBUTE.match(tabbed[8]) else "gtf"
    columns = tabbed if len(tabbed) > 1 else line.split()
    if len(columns) >= 3 and _is_number(columns[1]) and _is_number(columns[2]):
        if len(columns) in (10, 11):
            raise ValueError(f"{where}: expected 3 to 9 or 12 BED columns, got {len(columns)}")
        return "bed12" if len(columns) >= 12 else "bed6"
    raise ValueError(f"{where}: expected a line of GTF, GFF3 or BED, got {line[:80]!r}")


def _is_number(text: str) -> bool:
    return text.strip().isdecimal() and text.isascii()
