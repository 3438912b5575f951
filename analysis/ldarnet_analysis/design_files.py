"""A design on disk: the FASTA that the track command runs on, and the table that says what each record is."""

from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet.tracks.atomic import write_text
from ldarnet_analysis.designs import DESIGN_COLUMNS, Design

LINE_BP = 80


def write_design(design: Design, fasta_path: str | Path, table_path: str | Path) -> None:
    """Write the records as FASTA and the table as tab-separated text; each file gets its name once it is whole.

    Raises ValueError for a design without records and for files that cannot be written.
    """
    if not design.records:
        raise ValueError(f"a design without records cannot be written: {'; '.join(design.notes) or 'no sites'}")
    lines = []
    for name, ids in design.records:
        letters = vocab.decode(ids)
        lines += [f">{name}", *(letters[i : i + LINE_BP] for i in range(0, len(letters), LINE_BP))]
    write_text(Path(fasta_path), "\n".join(lines) + "\n")
    write_text(Path(table_path), design.table.to_csv(sep="\t", index=False, lineterminator="\n"))


def read_design(fasta_path: str | Path, table_path: str | Path) -> Design:
    """The records and the table that `write_design` wrote; unmatched sites and notes are not kept in files.

    Raises ValueError for missing columns, cuts outside their record, strands other than +, and records that stand in
    one of the files only.
    """
    table = pd.read_csv(table_path, sep="\t", dtype=str, keep_default_na=False)
    if list(table.columns) != DESIGN_COLUMNS:
        raise ValueError(f"{table_path}: expected the columns {', '.join(DESIGN_COLUMNS)}, got {', '.join(table)}")
    with open_genome(fasta_path) as genome:
        records = [(name, genome.ids(name, 0, length_bp)) for name, length_bp in genome.contigs]
    _check(table, dict(records), fasta_path, table_path)
    return Design(records, table.astype({"cut": np.int64}), pd.DataFrame(columns=["site_id", "reason"]), ())


def _check(table: pd.DataFrame, records: dict[str, np.ndarray], fasta_path: str | Path, table_path: str | Path) -> None:
    one_sided = sorted(set(table["record"]) ^ set(records))
    if one_sided:
        raise ValueError(
            f"expected {fasta_path} and {table_path} to hold the same records, got {len(one_sided):,} in one of them "
            f"only, the first {one_sided[0]!r}"
        )
    for line, (name, cut, strand) in enumerate(zip(table["record"], table["cut"], table["strand"], strict=True), 2):
        length_bp = len(records[name])
        if not (cut.isascii() and cut.isdigit() and 0 < int(cut) < length_bp):
            raise ValueError(
                f"{table_path}, line {line}: expected a cut in the {length_bp} bases of {name}, got {cut!r}"
            )
        if strand != "+":
            raise ValueError(f"{table_path}, line {line}: expected strand '+', records being sense, got {strand!r}")
