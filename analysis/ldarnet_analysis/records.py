"""Sequences cut out of chromosomes, and annotations and sites of the chromosomes brought onto them."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet.genome import Contig
from ldarnet_analysis.aliases import match_chromosomes
from ldarnet_analysis.annotations import Annotation
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.lines import numbered_lines, whole_number
from ldarnet_analysis.sites import check_sites
from ldarnet_analysis.transcripts import TRANSCRIPT_COLUMNS, Transcript, transcript_table

RECORD_COLUMNS = ["contig", "chrom", "start", "end", "strand"]
"""Name of a sequence, and the span (0-based, half-open) and strand of the chromosome that it is."""

_NAMED_SPAN = re.compile(r"(.+):([\d,]+)-([\d,]+)")
_OTHER_STRAND = {"+": "-", "-": "+", ".": "."}


class _Record(NamedTuple):
    contig: str
    chrom: str
    start: int
    end: int
    strand: str

    def place(self, cuts: np.ndarray) -> np.ndarray:
        """Cuts of the chromosome counted on the sequence."""
        return cuts - self.start if self.strand == "+" else self.end - cuts

    def turn(self, strand: str) -> str:
        """A strand of the chromosome as the sequence has it."""
        return strand if self.strand == "+" else _OTHER_STRAND[strand]


def read_records(path: str | Path) -> pd.DataFrame:
    """The table with `RECORD_COLUMNS` in a file of tab-separated text; lines that begin with # are passed over.

    Raises ValueError, with file and line, for other columns, empty cells, starts and ends that are no whole numbers,
    spans without a base, strands other than + and -, and for a file without records.
    """
    rows: list[_Record] = []
    header: list[str] | None = None
    for number, line in numbered_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        where, cells = f"{path}, line {number}", [cell.strip() for cell in line.split("\t")]
        if header is None:
            header = cells
            if header != RECORD_COLUMNS:
                raise ValueError(f"{where}: expected the columns {', '.join(RECORD_COLUMNS)}, got {', '.join(cells)}")
            continue
        if len(cells) != len(RECORD_COLUMNS) or "" in cells:
            raise ValueError(f"{where}: expected {', '.join(RECORD_COLUMNS)}, none of them empty, got {cells}")
        contig, chrom, start, end, strand = cells
        span = whole_number(start, "the start", where), whole_number(end, "the end", where)
        rows.append(_check_record(_Record(contig, chrom, *span, strand), f"{where}: "))
    if not rows:
        raise ValueError(f"{path}: expected a header line and records, got none")
    return pd.DataFrame(rows, columns=RECORD_COLUMNS)


def records_in_names(contigs: Sequence[Contig]) -> pd.DataFrame:
    """A table with `RECORD_COLUMNS` from names such as chr17:1-1000000 (first and last base, counted from 1).

    Raises ValueError if a span is not as long as its sequence. Contigs with other names are whole chromosomes.
    """
    rows = []
    for contig in contigs:
        span = _NAMED_SPAN.fullmatch(contig.name)
        chrom, start, end = contig.name, 0, contig.length_bp
        if span:
            chrom, start, end = span[1], int(span[2].replace(",", "")) - 1, int(span[3].replace(",", ""))
        if end - start != contig.length_bp:
            raise ValueError(f"contig {contig.name}: expected {end - start:,} bases, got {contig.length_bp:,}")
        rows.append(_Record(contig.name, chrom, start, end, "+"))
    return pd.DataFrame(rows, columns=RECORD_COLUMNS)


def lift_to_records(annotation: Annotation, records: pd.DataFrame, dropped: Dropped | None = None) -> Annotation:
    """The transcripts of chromosomes placed on sequences cut out of them (`records` has `RECORD_COLUMNS`).

    A transcript comes once per record that it meets, cut off at the record's edges: tss_known and start_codon_known
    turn False where a 5' end is lost, and introns that cross an edge are lost (lift the sites to keep theirs).
    Transcripts outside all records are counted in `dropped`. Raises ValueError for malformed records and if no
    transcript meets any.
    """
    dropped = dropped if dropped is not None else Dropped()
    table = annotation.require_transcripts()
    rows = [Transcript(*row) for row in table[TRANSCRIPT_COLUMNS].itertuples(index=False, name=None)]
    met = np.zeros(len(table), dtype=bool)
    lifted: list[Transcript] = []
    for record, found in _meeting(table["chrom"], table["start"], table["end"], records):
        met[found] = True
        lifted.extend(_lift_transcript(rows[i], record) for i in found.tolist())
    dropped.add("transcripts outside all records", int((~met).sum()))
    if not lifted:
        raise ValueError(f"no transcript of {annotation.name} lies on the {len(records):,} records; {dropped}")
    return replace(annotation, transcripts=transcript_table(lifted))


def lift_sites(sites: pd.DataFrame, records: pd.DataFrame, dropped: Dropped | None = None) -> pd.DataFrame:
    """The sites of chromosomes placed on sequences cut out of them; `@` and the sequence's name follow each site_id.

    A site on several records comes several times, always under its locus on the chromosome. Where a sequence stands
    for two places (on X and on Y, say), a site that both have comes once. Sites outside all records and those
    repeated are counted in `dropped`; ValueError for malformed records and if no site lies on any.
    """
    dropped = dropped if dropped is not None else Dropped()
    met = np.zeros(len(sites), dtype=bool)
    lifted: list[pd.DataFrame] = []
    # A cut lies on a record if a base beside it does.
    for record, found in _meeting(sites["chrom"], sites["cut"] - 1, sites["cut"] + 1, records):
        met[found] = True
        part = sites.iloc[found]
        names, cuts = part["site_id"] + "@" + record.contig, record.place(part["cut"].to_numpy())
        strand = part["strand"].map(record.turn)
        lifted.append(part.assign(site_id=names, chrom=record.contig, cut=cuts, strand=strand))
    dropped.add("sites outside all records", int((~met).sum()))
    dropped.require_some(sites[met], "sites")
    table = check_sites(pd.concat(lifted))
    repeated = table.duplicated(["chrom", "cut", "strand", "class"])
    return dropped.keep(table, ~repeated, "sites that a record has from another place too")


def _meeting(
    chrom: pd.Series, start: pd.Series, end: pd.Series, records: pd.DataFrame
) -> Iterator[tuple[_Record, np.ndarray]]:
    """Every record with the rows (ascending) whose interval shares a base with it."""
    checked = _checked(records)
    chroms = sorted(records["chrom"].unique())
    match = match_chromosomes(chroms, sorted(chrom.unique()), what="the records", where="the annotation")
    rows_of = {name: rows for name, rows in chrom.groupby(chrom).indices.items()}
    sorted_of = {}
    for name in match.names.values():
        rows = rows_of[name][np.argsort(start.to_numpy()[rows_of[name]], kind="stable")]
        ends = end.to_numpy()[rows]
        sorted_of[name] = (rows, start.to_numpy()[rows], ends, np.maximum.accumulate(ends))
    for record in checked:
        if record.chrom not in match.names:
            continue
        rows, starts, ends, furthest = sorted_of[match.names[record.chrom]]
        low, high = np.searchsorted(furthest, record.start, side="right"), np.searchsorted(starts, record.end)
        candidates = slice(low, max(low, high))
        yield record, np.sort(rows[candidates][ends[candidates] > record.start])


def _checked(records: pd.DataFrame) -> list[_Record]:
    missing = [name for name in RECORD_COLUMNS if name not in records.columns]
    if missing:
        raise ValueError(f"expected records with the columns {', '.join(RECORD_COLUMNS)}; missing: {missing}")
    rows = records[RECORD_COLUMNS].itertuples(index=False)
    return [_check_record(_Record(*row), f"record {number}: ") for number, row in enumerate(rows, start=1)]


def _check_record(record: _Record, where: str) -> _Record:
    for name, value in (("contig", record.contig), ("chrom", record.chrom)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"{where}expected a name as {name}, got {value!r}")
    for name, number in (("start", record.start), ("end", record.end)):
        if not isinstance(number, int | np.integer):
            raise ValueError(f"{where}expected {name} as a whole number, got {number!r}")
    if not 0 <= record.start < record.end or record.strand not in ("+", "-"):
        raise ValueError(f"{where}expected a record with 0 <= start < end and strand + or -, got {record}")
    return record


def _lift_transcript(row: Transcript, record: _Record) -> Transcript:
    span = np.clip([row.start, row.end], record.start, record.end)
    exons = np.clip(row.exons, record.start, record.end)
    exons = record.place(exons[exons[:, 0] < exons[:, 1]])
    cds = record.place(np.clip([row.cds_start, row.cds_end], record.start, record.end))
    cds_start, cds_end = sorted(cds.tolist()) if cds[0] != cds[1] else (math.nan, math.nan)
    five_prime, start_codon = (row.end, row.cds_end) if row.strand == "-" else (row.start, row.cds_start)
    start, end = sorted(record.place(span).tolist())
    return row._replace(
        chrom=record.contig,
        strand=record.turn(row.strand),
        start=start,
        end=end,
        exons=exons if record.strand == "+" else exons[::-1, ::-1],
        cds_start=cds_start,
        cds_end=cds_end,
        tss_known=row.tss_known and not _is_outside(five_prime, record),
        start_codon_known=row.start_codon_known and not _is_outside(start_codon, record),
    )


def _is_outside(cut: float, record: _Record) -> bool:
    return cut < record.start or cut > record.end
