"""Into how many tokens a motif falls, and what any segmentation makes of it by chunk length alone.

A stretch of w bases has w - 1 cuts inside. If cuts fall where they fall without regard to it, each of them is a cut
with probability 1 / mean chunk, whatever the distribution of chunk lengths: E[tokens] = 1 + E[w - 1] / mean chunk.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

PUBLISHED_TOKENS: Mapping[str, float] = MappingProxyType({"DNAChunker": 1.22, "BPE (GROVER)": 2.47, "6-mers": 2.32})
"""Mean tokens per motif occurrence as published with DNAChunker (arXiv 2601.03019 v4): human, 29 JASPAR motifs with CpG
islands, TATA boxes and splice donors, 10,000 windows of 8,192 bp."""
PUBLISHED_GRID = ("6-mers", 6.0)
"""The one of them whose chunk length is known without measuring."""


class ImpliedChunk(NamedTuple):
    """Mean chunk (bp) with which cuts made without regard to motifs give the published number of tokens."""

    tokenizer: str
    tokens: float
    mean_chunk_bp: float


def expected_tokens(widths_bp: ArrayLike, mean_chunk_bp: float) -> float:
    """Mean tokens per occurrence for occurrences of these widths, cut without regard to them.

    Raises ValueError for no occurrence, widths below 1, and chunks shorter than a base.
    """
    widths = np.asarray(widths_bp, dtype=np.float64)
    if not widths.size or not (widths >= 1).all() or not mean_chunk_bp >= 1:
        raise ValueError(f"expected widths and a mean chunk of at least 1 bp, got {widths} and {mean_chunk_bp}")
    return float(1 + (widths - 1).mean() / mean_chunk_bp)


def inner_cuts(tokens: float, mean_chunk_bp: float) -> float:
    """The E[w - 1] behind a mean number of tokens at a known mean chunk."""
    return (tokens - 1) * mean_chunk_bp


def implied_chunks(
    tokens: Mapping[str, float] = PUBLISHED_TOKENS, grid: tuple[str, float] = PUBLISHED_GRID
) -> list[ImpliedChunk]:
    """What the published numbers say of chunk length, if cuts took no notice of motifs.

    The grid, whose cuts take none, gives E[w - 1]; with it every other number becomes a mean chunk.
    """
    inner = inner_cuts(tokens[grid[0]], grid[1])
    return [ImpliedChunk(name, number, inner / (number - 1)) for name, number in tokens.items()]
