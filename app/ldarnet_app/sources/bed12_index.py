"""A fast reader of large BED12 files: columns at once instead of line by line."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

_TEXT = object  # pandas' own text type would keep its memory in a pool
_COLUMNS = {**dict.fromkeys([0, 3, 5, 10, 11], _TEXT), **dict.fromkeys([1, 2, 6, 7, 9], "int64")}


class UnusualBed(ValueError):
    """The file has something that only the reader of single lines knows what to do with, or to say about."""


class Bed12Columns(NamedTuple):
    """Transcripts sorted by chromosome, start and end; exons of transcript k are exons[first_exon[k]:first_exon[k+1]].

    `chrom` counts in `chroms`; cds is int64 [n, 2], empty where start and end are equal.
    """

    chroms: tuple[str, ...]
    chrom: np.ndarray
    start: np.ndarray
    end: np.ndarray
    strand: np.ndarray
    name: list[str]
    gene: list[str]
    first_exon: np.ndarray
    exons: np.ndarray
    cds: np.ndarray


def read_bed12_columns(path: Path) -> Bed12Columns:
    """The transcripts of a BED12 file with tabs and no header lines; UnusualBed for anything else."""
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            header=None,
            usecols=list(_COLUMNS),
            dtype=_COLUMNS,
            keep_default_na=False,
            quoting=3,
            compression="gzip" if _is_gzip(path) else None,
        )
    except (ValueError, EOFError, OSError) as error:
        raise UnusualBed(str(error)) from error
    chrom, chroms = pd.factorize(table[0], sort=True)
    table = table.assign(chrom=chrom).sort_values(["chrom", 1, 2, 5, 3], kind="stable", ignore_index=True)
    start, end, count = (table[each].to_numpy() for each in (1, 2, 9))
    offsets = _numbers(table[11], count)
    exon_start = np.repeat(start, count) + offsets
    exons = np.column_stack([exon_start, exon_start + _numbers(table[10], count)])
    first = np.concatenate(([0], np.cumsum(count)))
    _check(table, exons, first)
    exons, first = _without_touching(exons, first)
    again = table.groupby(3, sort=False).cumcount()
    name = table[3].where(again == 0, table[3] + "#" + (again + 1).astype(str)).tolist()
    return Bed12Columns(
        tuple(map(str, chroms)),
        table["chrom"].to_numpy(),
        start,
        end,
        table[5].to_numpy(dtype="U1"),
        name,
        table[3].str.partition("|")[0].tolist(),
        first,
        exons,
        table[[6, 7]].to_numpy(),
    )


def _numbers(texts: pd.Series, count: np.ndarray) -> np.ndarray:
    """The numbers of all lists, end to end; each is separated by commas and may end with one."""
    lists = texts.tolist()
    if any(text.count(",") + (not text.endswith(",")) != num for text, num in zip(lists, count.tolist(), strict=True)):
        raise UnusualBed("blocks other than blockCount says")
    joined = "".join(text if text.endswith(",") else f"{text}," for text in lists)
    if joined.strip("0123456789,") or ",," in joined or joined.startswith(","):
        raise UnusualBed("blocks that are no whole numbers")
    # parsed at once: a list of millions of short texts would stay in the memory of the server
    return np.fromstring(joined, dtype=np.int64, sep=",")


def _check(table: pd.DataFrame, exons: np.ndarray, first: np.ndarray) -> None:
    """UnusualBed unless blocks ascend and fill start..end, as those of transcripts do."""
    start, end, thick = table[1].to_numpy(), table[2].to_numpy(), table[[6, 7]].to_numpy()
    ascends = exons[1:, 0] >= exons[:-1, 1]
    ascends[first[1:-1] - 1] = True
    fills = (exons[first[:-1], 0] == start) & (exons[first[1:] - 1, 1] == end) & (start >= 0)
    coding_inside = (thick[:, 0] >= thick[:, 1]) | ((thick[:, 0] >= start) & (thick[:, 1] <= end))
    is_named = (table[3] != "") & table[5].isin(["+", "-", "."])
    has_bases = exons[:, 0] < exons[:, 1]
    if not (ascends.all() and fills.all() and coding_inside.all() and is_named.all() and has_bases.all()):
        raise UnusualBed("blocks, names or strands that need a closer look")


def _without_touching(exons: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of one transcript that touch made one."""
    begins = np.append(True, exons[1:, 0] != exons[:-1, 1])
    begins[first[:-1]] = True
    ends = np.append(begins[1:], True)
    merged = np.column_stack([exons[begins, 0], exons[ends, 1]])
    return merged, np.append(0, np.cumsum(begins))[first]


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
