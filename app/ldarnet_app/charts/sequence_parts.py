"""What the charts of a sequence are made of: curve, ticks of hard cuts, ribbon of chunks, letters.

Along x, base i reaches from i to i + 1, so that cut i is the line at i.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ldarnet import vocab
from ldarnet_app.charts.aggregate_style import faded
from ldarnet_app.charts.letters import letter_shapes
from ldarnet_app.theme import Theme

MAX_LENGTHS = 200
"""Lengths of chunks are written up to this many bases."""
TICK_Y = 1.06
LETTERS_Y = (-0.75, 1.05)
"""Range of a row with letters in 0..1 and a ribbon below them."""
RIBBON_Y, RIBBON_HEIGHT = -0.4, 0.5

Axes = dict[str, str]


def axes_of(row: int) -> Axes:
    """The names of the axes of a row of a figure made with `make_subplots(rows=..., cols=1)`."""
    number = "" if row == 1 else str(row)
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def curve(
    x: np.ndarray, p: np.ndarray, hover: Sequence[str], *, colour: str, name: str, axes: Axes, filled: bool = True
) -> go.Scatter:
    """p at the cuts; a gap where there is no value."""
    return go.Scatter(
        x=x,
        y=np.round(p.astype(np.float64), 4),
        mode="lines",
        line={"color": colour, "width": 1.5},
        fill="tozeroy" if filled else None,
        fillcolor=faded(colour, 0.25) if filled else None,
        hovertext=list(hover),
        hoverinfo="text",
        name=name,
        connectgaps=False,
        **axes,
    )


def cut_ticks(x: np.ndarray, *, y: float, colour: str, name: str, axes: Axes) -> go.Scatter:
    """A short line above the curve at every hard cut."""
    return go.Scatter(
        x=x,
        y=np.full(len(x), y),
        mode="markers",
        marker={"symbol": "line-ns", "size": 8, "line": {"width": 1.5, "color": colour}},
        hoverinfo="skip",
        name=name,
        showlegend=False,
        **axes,
    )


def ribbon(blocks: pd.DataFrame, theme: Theme, *, num_shown: int, axes: Axes) -> go.Bar:
    """Chunks as blocks of alternating colour; `blocks` has start, end (on x), bp (its length) and text (for hover)."""
    is_labelled = num_shown <= MAX_LENGTHS
    colours = [theme.block[number % 2] for number in blocks.index]
    return go.Bar(
        orientation="h",
        base=blocks["start"],
        x=blocks["end"] - blocks["start"],
        y=np.full(len(blocks), RIBBON_Y),
        width=RIBBON_HEIGHT,
        marker={"color": colours, "line": {"width": 0}},
        text=blocks["bp"].astype(str) if is_labelled else None,
        textposition="inside",
        textangle=0,
        insidetextanchor="middle",
        constraintext="inside",
        textfont={"color": theme.ink, "size": 11},
        hovertext=blocks["text"],
        hoverinfo="text",
        name="chunks",
        showlegend=False,
        **axes,
    )


def letters(bases: Sequence[str], x: np.ndarray, p: np.ndarray, theme: Theme, row: int) -> list[dict[str, Any]]:
    """Shapes of the letters of bases, each at its x, as high as p says; several shapes where x has gaps."""
    shapes: list[dict[str, Any]] = []
    if not len(x):
        return shapes
    for run in np.split(np.arange(len(x)), np.flatnonzero(np.diff(x) > 1) + 1):
        ids = vocab.encode("".join(bases[i] for i in run))
        shapes += letter_shapes(ids, int(x[run[0]]), p[run], theme, axes_of(row)["yaxis"], flipped=False)
    return shapes
