"""BED files: transcripts in 12 columns, other intervals in 3 to 9."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet_analysis.lines import numbered_lines, whole_number
from ldarnet_analysis.transcripts import Transcript, merge_touching, transcript_table

FEATURE_COLUMNS = ["chrom", "start", "end", "name", "score", "strand"]


class BedRow(NamedTuple):
    """One line of a BED file; strand is "." and score NaN where it gives none."""

    chrom: str
    start: int
    end: int
    name: str
    score: float
    strand: str
    columns: list[str]
    where: str


def bed_rows(path: str | Path) -> Iterator[BedRow]:
    """Every line of a BED file of 3 or more columns; headers (#, track, browser) are passed over.

    Columns are separated by tabs, or by blanks where a line has no tab. Raises ValueError with file and line for
    malformed lines.
    """
    for number, line in numbered_lines(path):
        columns = line.split("\t") if "\t" in line else line.split()
        if line.strip() and not line.startswith("#") and columns[0].split()[:1] not in (["track"], ["browser"]):
            yield _bed_row([column.strip() for column in columns], f"{path}, line {number}")


def read_bed_features(path: str | Path) -> pd.DataFrame:
    """The intervals of a BED file as a table with `FEATURE_COLUMNS`, in the order of the file, at least one."""
    table = pd.DataFrame([row[:6] for row in bed_rows(path)], columns=FEATURE_COLUMNS)
    if table.empty:
        raise ValueError(f"{path}: expected intervals in BED format, got a file without any")
    return table


def read_bed12(path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of transcripts and notes for the user; columns beyond the twelfth are not read.

    The name is the transcript's; its gene is what stands before the first "|". Thick parts of some length are the
    CDS. Raises ValueError with file and line for blocks that do not ascend or do not fill start..end.
    """
    table = transcript_table(_transcript(row) for row in bed_rows(path))
    strandless = int((table["strand"] == ".").sum())
    return table, [f"{strandless:,} transcripts have no strand: no site is taken from them"] if strandless else []


def _bed_row(columns: list[str], where: str) -> BedRow:
    if len(columns) < 3 or not columns[0]:
        raise ValueError(f"{where}: expected the BED columns chrom, start, end, got {len(columns)} of them")
    start, end = whole_number(columns[1], "the start", where), whole_number(columns[2], "the end", where)
    if not 0 <= start <= end:
        raise ValueError(f"{where}: expected 0 <= start <= end, got {start} and {end}")
    name, score, strand = (columns[3:6] + ["", ".", "."][max(len(columns) - 3, 0) :])[:3]
    if strand not in ("+", "-", "."):
        raise ValueError(f"{where}: expected strand + - or . in column 6, got {strand!r}")
    return BedRow(columns[0], start, end, name, _score(score, where), strand, columns, where)


def _score(text: str, where: str) -> float:
    try:
        return math.nan if text in (".", "") else float(text)
    except ValueError:
        raise ValueError(f"{where}: expected a number in column 5, got {text!r}") from None


def _transcript(row: BedRow) -> Transcript:
    if len(row.columns) < 12:
        raise ValueError(f"{row.where}: expected 12 columns, as on the lines before, got {len(row.columns)}")
    thick_start = whole_number(row.columns[6], "thickStart", row.where)
    thick_end = whole_number(row.columns[7], "thickEnd", row.where)
    num_blocks = whole_number(row.columns[9], "blockCount", row.where)
    sizes = _numbers(row.columns[10], "blockSizes", row.where)
    starts = _numbers(row.columns[11], "blockStarts", row.where)
    if not 1 <= num_blocks == len(sizes) == len(starts):
        raise ValueError(
            f"{row.where}: expected as many blocks as blockCount says, got {num_blocks}, "
            f"{len(sizes)} sizes and {len(starts)} starts"
        )
    exons = row.start + np.column_stack([starts, starts + sizes])
    ascending = (exons[:, 0] < exons[:, 1]).all() and (exons[1:, 0] >= exons[:-1, 1]).all()
    if not ascending or exons[0, 0] != row.start or exons[-1, 1] != row.end:
        raise ValueError(
            f"{row.where}: expected blocks that ascend and fill {row.start}..{row.end}, got {exons.tolist()}"
        )
    coding = thick_start < thick_end
    if coding and not row.start <= thick_start < thick_end <= row.end:
        raise ValueError(
            f"{row.where}: expected the thick part inside {row.start}..{row.end}, got {thick_start}..{thick_end}"
        )
    name = row.name or f"{row.chrom}:{row.start}-{row.end}"
    gene = name.split("|")[0]
    cds = (thick_start, thick_end) if coding else (math.nan, math.nan)
    return Transcript(name, gene, gene, row.chrom, row.strand, row.start, row.end, merge_touching(exons), *cds)


def _numbers(text: str, what: str, where: str) -> np.ndarray:
    try:
        return np.array(text.rstrip(",").split(","), dtype=np.int64)
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: expected {what} as whole numbers separated by commas, got {text!r}") from None
