"""Values and files of the sequence page, as `ldarnet-boundaries` would write them."""

import pandas as pd

DECIMALS = 4
"""The command's rounding, so that values shown are values stored."""


def as_tsv(table: pd.DataFrame) -> bytes:
    """The table as tab-separated text."""
    return table.to_csv(sep="\t", index=False, na_rep="nan", float_format="%.6g").encode()


def as_fasta(name: str, sequence: str) -> bytes:
    """One FASTA record."""
    return f">{name}\n{sequence}\n".encode()
