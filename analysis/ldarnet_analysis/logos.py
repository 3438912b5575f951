"""Sequence logos on the axis of a profile.

A cut at offset c lies left of base c, so base b covers the axis from b to b + 1 and its letters stand at b + 0.5: the
line at 0 goes between the letters on both sides of the cut.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from logomaker import Glyph
from matplotlib.axes import Axes

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet_analysis.flanks import bases_around
from ldarnet_analysis.positions import positions_of
from ldarnet_analysis.style import BASE_COLOURS, FONT, small_size

BASES = "ACGT"
LOGO_COLUMNS = ["class", "offset", *BASES]
UNIFORM = (0.25, 0.25, 0.25, 0.25)
_TOPS_BITS = (0.1, 0.2, 0.5, 1.0, 2.0)
_SMALLEST_SHARE = 0.01


def count_bases(ids: np.ndarray, offsets: np.ndarray) -> pd.DataFrame:
    """How many sequences have A, C, G, T at each offset: columns offset, A, C, G, T; N is counted nowhere.

    `ids` is uint8 [sequences, bases]; column i is the base at offsets[i], base 0 being the one right of the cut.
    """
    ids, offsets = np.asarray(ids), np.asarray(offsets)
    if ids.ndim != 2 or offsets.shape != ids.shape[1:]:
        raise ValueError(f"expected ids [sequences, {offsets.size} offsets], got {list(ids.shape)}")
    counts = {letter: np.count_nonzero(ids == vocab.LETTERS.index(letter), axis=0) for letter in BASES}
    return pd.DataFrame({"offset": offsets.astype(np.int64), **counts})


def count_site_bases(genome: Genome, sites: pd.DataFrame, offsets: np.ndarray) -> pd.DataFrame:
    """As `count_bases`, of the sequence around sites in the direction of their strand; beyond a contig there is N."""
    low, high = min(int(np.min(offsets)), 0), max(int(np.max(offsets)) + 1, 0)
    positions_of(sites, genome.contigs)
    ids = bases_around(genome, sites, -low, high)
    return count_bases(ids[:, np.asarray(offsets) - low], offsets)


def information_bits(counts: pd.DataFrame, background: Sequence[float] = UNIFORM) -> np.ndarray:
    """Height of each letter (float64 [offsets, 4]): its share times the position's relative entropy, in bits.

    Relative to the background's shares of A, C, G, T. 0 where no sequence has a base. No correction for few sequences.
    """
    expected = np.asarray(background, dtype=np.float64)
    if expected.shape != (4,) or not (expected > 0).all() or abs(expected.sum() - 1) > 1e-6:
        raise ValueError(f"expected a background of 4 shares above 0 that sum to 1, got {background}")
    numbers = counts[list(BASES)].to_numpy(dtype=np.float64)
    totals = numbers.sum(axis=1, keepdims=True)
    share = np.divide(numbers, totals, out=np.zeros_like(numbers), where=totals > 0)
    bits = share * np.log2(np.where(share > 0, share, 1) / np.where(share > 0, expected, 1))
    heights: np.ndarray = share * bits.sum(axis=1, keepdims=True)
    return heights


def draw_logo(
    sequences: np.ndarray | pd.DataFrame,
    ax: Axes,
    offsets: np.ndarray | None = None,
    *,
    span: tuple[int, int] | None = None,
    background: Sequence[float] = UNIFORM,
) -> None:
    """Draw the logo of aligned sequences: ids [sequences, bases] with their offsets, or counts of `count_bases`.

    `span` draws the bases between two cuts alone. The background is written into the plot.
    """
    if isinstance(sequences, pd.DataFrame):
        counts = sequences.sort_values("offset")
    elif offsets is None:
        raise ValueError("expected the offsets of the sequences' bases, got none")
    else:
        counts = count_bases(sequences, offsets)
    first, last = span or (int(counts["offset"].min()), int(counts["offset"].max()) + 1)
    counts = counts[(counts["offset"] >= first) & (counts["offset"] < last)]
    heights = information_bits(counts, background)
    top = next((top for top in _TOPS_BITS if heights.sum(axis=1).max(initial=0) <= top), _TOPS_BITS[-1] * 2)
    for offset, height in zip(counts["offset"].to_numpy(), heights, strict=True):
        floor = 0.0
        for base in np.argsort(height, kind="stable"):
            # letters too low to be seen would only make the file large
            if height[base] >= _SMALLEST_SHARE * top:
                letter, ceiling = BASES[base], floor + float(height[base])
                colour = BASE_COLOURS[letter]
                Glyph(float(offset) + 0.5, letter, floor, ceiling, ax, width=0.95, font_name=FONT, color=colour)
            floor += float(height[base])
    ax.set(xlim=(first, last), ylim=(0, top), ylabel="Information\n(bits)")
    ax.set_yticks([0, top], labels=["0", f"{top:g}"])
    even = tuple(background) == UNIFORM
    against = "uniform background" if even else "background A {:.2f} C {:.2f} G {:.2f} T {:.2f}".format(*background)
    ax.annotate(
        against, (1, 1), xycoords="axes fraction", ha="right", va="bottom", fontsize=small_size(), annotation_clip=False
    )
