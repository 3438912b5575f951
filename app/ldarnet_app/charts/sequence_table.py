"""The values of one sequence as tables: a row per base, a row per chunk."""

import numpy as np
import pandas as pd

from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_app.charts.ribbon import chunks_of


def chunk_table(values: np.ndarray) -> pd.DataFrame:
    """Columns start, end (0-based, half-open), in order, as in the BED of `ldarnet-boundaries`; float32 [length] in."""
    has_value = ~np.isnan(values)
    chunks = chunks_of(np.nan_to_num(values) > CUT_THRESHOLD, has_value, 0, len(values))
    return pd.DataFrame({"start": chunks.starts, "end": chunks.ends})


def base_table(sequence: str, values: np.ndarray) -> pd.DataFrame:
    """One row per base: position, base, p (NaN = no value), cut (hard cut left of it), chunk_bp (0 = in none)."""
    chunks = chunk_table(values)
    chunk_bp = np.zeros(len(sequence), dtype=np.int64)
    for start, end in zip(chunks["start"], chunks["end"], strict=True):
        chunk_bp[start:end] = end - start
    return pd.DataFrame(
        {
            "position": np.arange(len(sequence)),
            "base": list(sequence),
            "p": values,
            "cut": np.nan_to_num(values) > CUT_THRESHOLD,
            "chunk_bp": chunk_bp,
        }
    )
