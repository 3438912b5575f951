"""Lines of GTF and GFF3 files: nine columns, positions from 1 with both ends included."""

from collections.abc import Iterator
from pathlib import Path

from ldarnet_analysis.lines import numbered_lines, whole_number
from ldarnet_analysis.transcripts import Row

STRANDS = {"+": "+", "-": "-", ".": ".", "?": "."}


def gff_rows(path: str | Path) -> Iterator[tuple[Row, str]]:
    """Every line as a row, and its ninth column as text; comments are passed over, sequences at the end too.

    Raises ValueError with file and line for too few columns, positions that are no whole numbers of 1 or more in
    ascending order, and other strands than + - . ?.
    """
    for number, line in numbered_lines(path):
        if line.startswith(("##FASTA", ">")):
            return
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        columns = line.split("\t")
        if len(columns) < 9:
            raise ValueError(f"{where}: expected 9 columns separated by tabs, got {len(columns)}")
        chrom, _, kind, first, last, _, strand, _, attributes = columns[:9]
        if not chrom:
            raise ValueError(f"{where}: expected the name of a contig in column 1, got nothing")
        start, end = whole_number(first, "the start", where) - 1, whole_number(last, "the end", where)
        if not 0 <= start < end:
            raise ValueError(f"{where}: expected 1 <= start <= end, got {first} and {last}")
        if strand not in STRANDS:
            raise ValueError(f"{where}: expected strand + - . or ?, got {strand!r}")
        yield Row(chrom, kind, start, end, STRANDS[strand], where), attributes
