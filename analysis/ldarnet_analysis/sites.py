"""The table of sites, which every step of an analysis takes or gives: one row per anchor, its cut and its locus."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

SITE_COLUMNS = ["site_id", "chrom", "cut", "strand", "class", "locus", "gene", "score"]
"""What every table of sites begins with; further columns (exon_rank, canonical, kmer, ...) follow."""

_TEXT_COLUMNS = ["site_id", "chrom", "strand", "class", "locus", "gene"]
_NEVER_EMPTY = ["site_id", "chrom", "strand", "class", "locus"]
_ORDER = ["chrom", "cut", "strand", "class", "site_id"]


def make_sites(
    *,
    chrom: ArrayLike,
    cut: ArrayLike,
    strand: ArrayLike,
    site_class: ArrayLike,
    locus: ArrayLike | None = None,
    gene: ArrayLike = "",
    score: ArrayLike = np.nan,
    site_id: ArrayLike | None = None,
    extra: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """A checked table of sites from columns; each may be one value for all rows, except `cut`.

    Sites are named `class:chrom:cut:strand` unless `site_id` is given, and are each their own locus unless
    `locus` is. `extra` holds further columns. Sorted by contig, cut, strand and class.
    Raises ValueError as `check_sites` does.
    """
    table = pd.DataFrame({"cut": _whole_numbers(pd.Series(np.asarray(cut)))})
    given = {"chrom": chrom, "strand": strand, "class": site_class, "gene": gene, "score": score, **(extra or {})}
    for name, values in given.items():
        # A column of another table carries its index, which must not decide which row a value lands in.
        table[name] = values.to_numpy() if isinstance(values, pd.Series) else values
    if site_id is None:
        parts = (table[name].tolist() for name in ("class", "chrom", "cut", "strand"))
        site_id = [":".join(map(str, values)) for values in zip(*parts, strict=True)]
    table["site_id"] = np.asarray(site_id, dtype=object)
    table["locus"] = table["site_id"] if locus is None else np.asarray(locus)
    return check_sites(table)


def check_sites(sites: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns in order and of their types, rows sorted by contig, cut, strand and class.

    Raises ValueError for missing columns, empty names, text with tabs or line breaks, cuts that are no whole
    numbers of 0 or more, strands other than + and -, and a site_id given twice. A table without rows passes.
    """
    missing = [name for name in SITE_COLUMNS if name not in sites.columns]
    if missing:
        raise ValueError(f"expected a table of sites with columns {', '.join(SITE_COLUMNS)}; missing: {missing}")
    extra = [name for name in sites.columns if name not in SITE_COLUMNS]
    table = sites[SITE_COLUMNS + extra].copy()
    for name in _TEXT_COLUMNS:
        if len(table) and table[name].isna().any():
            raise ValueError(f"expected text in the sites' column {name!r}, got a missing value")
        table[name] = table[name].astype(str)
    table["cut"] = _whole_numbers(table["cut"])
    table["score"] = table["score"].astype(np.float64)
    _refuse(table, table["cut"] < 0, "expected cuts of 0 or more")
    _refuse(table, ~table["strand"].isin(["+", "-"]), "expected strand + or -")
    for name in _NEVER_EMPTY:
        _refuse(table, table[name] == "", f"expected a name in column {name!r}")
    for name in _TEXT_COLUMNS:
        _refuse(table, table[name].str.contains("[\t\n\r]", regex=True), f"expected no tab or line break in {name!r}")
    _refuse(table, table["site_id"].duplicated(), "expected every site_id once")
    return table.sort_values(_ORDER, ignore_index=True)


def write_sites(sites: pd.DataFrame, path: str | Path) -> None:
    """Write the table as tab-separated text with a header line (gzip if the name ends in .gz)."""
    check_sites(sites).to_csv(path, sep="\t", index=False, na_rep="nan", quoting=csv.QUOTE_NONE, lineterminator="\n")


def read_sites(path: str | Path) -> pd.DataFrame:
    """The table that `write_sites` wrote; columns beyond `SITE_COLUMNS` become integers, floats, bools or text.

    Raises ValueError, naming the file, for what `check_sites` refuses and for a file without sites.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE, encoding="utf-8")
        for name in table.columns:
            table[name] = table[name] if name in _TEXT_COLUMNS else _typed(table[name])
        table = check_sites(table)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: expected a table of sites as tab-separated text, got: {error}") from error
    if table.empty:
        raise ValueError(f"{path}: expected sites, got a header line alone")
    return table


def _whole_numbers(cuts: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cuts, errors="coerce") if len(cuts) else cuts.astype(np.int64)
    wrong = cuts[numbers.isna() | (numbers % 1 != 0) | (numbers.abs() >= 2.0**62)]
    if len(wrong):
        raise ValueError(f"expected cuts as whole numbers, got {wrong.iloc[0]!r} in row {wrong.index[0]}")
    return numbers.astype(np.int64)


def _refuse(table: pd.DataFrame, wrong: pd.Series, expected: str) -> None:
    if wrong.any():
        first = table.loc[wrong, SITE_COLUMNS].iloc[0].to_dict()
        raise ValueError(f"{expected}; got {int(wrong.sum()):,} such of {len(table):,} sites, the first: {first}")


def _typed(column: pd.Series) -> pd.Series:
    if column.isin(["True", "False"]).all() and len(column):
        return column == "True"
    if (column == "").any():
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    return column if (numbers.isna() & (column != "nan")).any() else numbers
