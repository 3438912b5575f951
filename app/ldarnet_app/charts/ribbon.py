"""Chunks between hard cuts, and how they are drawn: blocks of two colours in turn, with their lengths."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ldarnet_app.theme import Theme

TICKS_FROM = 0.62
"""Heights in the strip: blocks below, ticks of cuts above."""

_DIGIT_PX = 6.5


@dataclass(frozen=True)
class Chunks:
    """Chunk k covers the bases starts[k]..ends[k]-1; `is_whole` is False where it may go on outside the window."""

    starts: np.ndarray
    ends: np.ndarray
    is_whole: np.ndarray

    def lengths_at(self, bases: np.ndarray) -> np.ndarray:
        """Length (bases) of the chunk that holds each base, 0 where none does."""
        if not len(self.starts):
            return np.zeros(len(bases), dtype=np.int64)
        k = np.clip(np.searchsorted(self.starts, bases, side="right") - 1, 0, None)
        is_inside = (bases >= self.starts[k]) & (bases < self.ends[k])
        return np.where(is_inside, self.ends[k] - self.starts[k], 0)


def chunks_of(is_cut: np.ndarray, has_value: np.ndarray, start: int, contig_bp: int) -> Chunks:
    """The chunks of a window of a contig whose first base is `start`.

    As in the BED of `ldarnet boundaries`: a chunk starts at each cut and where values start after a gap, and ends at
    the next one or where values end; base 0 of a contig has no value and belongs to the chunk of base 1.
    """
    covered = has_value.copy()
    if start == 0 and covered.size > 1 and covered[1]:
        covered[0] = True
    before = np.append(False, covered[:-1])
    after = np.append(covered[1:], False)
    starts = np.flatnonzero(covered & (is_cut | ~before))
    run_ends = np.flatnonzero(covered & ~after) + 1
    borders = np.union1d(starts, run_ends)
    ends = borders[np.searchsorted(borders, starts, side="right")] if len(starts) else starts
    from_outside = (starts == 0) & (start > 0) & ~is_cut[starts]
    to_outside = (ends == covered.size) & (start + covered.size < contig_bp)
    return Chunks(starts + start, ends + start, ~(from_outside | to_outside))


def block_shapes(chunks: Chunks, theme: Theme, yref: str) -> list[dict[str, Any]]:
    """All blocks as two shapes, one per colour: a page draws two as fast as one, and thousands slowly."""
    shapes = []
    for parity, colour in enumerate(theme.block):
        pairs = zip(chunks.starts[parity::2].tolist(), chunks.ends[parity::2].tolist(), strict=True)
        path = "".join(f"M{a},0.04V{TICKS_FROM - 0.08:.2f}H{b}V0.04Z" for a, b in pairs)
        if path:
            shapes.append(_path(path, yref, fillcolor=colour, line={"width": 0}))
    return shapes


def tick_shapes(cuts: np.ndarray, colour: str, bp_per_px: float, yref: str) -> list[dict[str, Any]]:
    """A tick at each hard cut, all of them one shape."""
    width = 1.5 if bp_per_px < 0.5 else 0.8
    path = "".join(f"M{cut},{TICKS_FROM}V1" for cut in cuts.tolist())
    return [_path(path, yref, line={"width": width, "color": colour})] if path else []


def length_labels(chunks: Chunks, bp_per_px: float, theme: Theme, yaxis: str) -> list[go.Scatter]:
    """The lengths of the chunks that are wide enough to hold theirs; one cut off by the window has a + after it."""
    lengths = chunks.ends - chunks.starts
    labels = [f"{length}{'' if whole else '+'}" for length, whole in zip(lengths, chunks.is_whole, strict=True)]
    fits = np.array([len(label) * _DIGIT_PX + 4 for label in labels]) < lengths / bp_per_px
    if not fits.any():
        return []
    labels_shown = [label for label, fit in zip(labels, fits, strict=True) if fit]
    return [
        go.Scatter(
            x=((chunks.starts + chunks.ends) / 2)[fits],
            y=np.full(len(labels_shown), (TICKS_FROM - 0.06) / 2),
            text=labels_shown,
            mode="text",
            textfont={"size": 10, "color": theme.ink},
            hoverinfo="skip",
            showlegend=False,
            yaxis=yaxis,
        )
    ]


def _path(path: str, yref: str, **style: object) -> dict[str, Any]:
    return {"type": "path", "path": path, "xref": "x", "yref": yref, "layer": "between", **style}
