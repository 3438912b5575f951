"""Repeats as a FASTA file marks them: by lower-case letters."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

_GZIP_MAGIC = b"\x1f\x8b"
_LOWER = re.compile(rb"[a-z]+")


def read_soft_mask(path: str | Path) -> pd.DataFrame:
    """The runs of lower-case letters of a FASTA file (plain, gzip or bgzip): columns chrom, start, end.

    Meant for a file that `open_genome` has read already. Raises ValueError for one without a record.
    """
    with Path(path).open("rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
    if is_gzip:
        with gzip.open(path) as unpacked:
            runs = _lower_case_runs(unpacked)
    else:
        with Path(path).open("rb") as file:
            runs = _lower_case_runs(file)
    if runs is None:
        raise ValueError(f"{path}: expected a FASTA file, got no record")
    return pd.DataFrame(runs, columns=["chrom", "start", "end"])


def _lower_case_runs(lines: Iterable[bytes]) -> list[tuple[str, int, int]] | None:
    runs: list[tuple[str, int, int]] = []
    chrom, length_bp = None, 0
    for line in lines:
        if line.startswith(b">"):
            chrom, length_bp = (line[1:].split() or [b""])[0].decode("utf-8", errors="replace"), 0
            continue
        letters = line.rstrip()
        if chrom is None:
            if letters:
                break
            continue
        for match in _LOWER.finditer(letters):
            start, end = length_bp + match.start(), length_bp + match.end()
            if runs and runs[-1][0] == chrom and runs[-1][2] == start:
                start = runs.pop()[1]
            runs.append((chrom, start, end))
        length_bp += len(letters)
    return runs if chrom is not None else None
