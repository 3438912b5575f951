"""The cuts of one sequence: probability, hard cuts, chunks and letters."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_app.charts.aggregate_style import dress
from ldarnet_app.charts.sequence_parts import LETTERS_Y, TICK_Y, axes_of, curve, cut_ticks, letters, ribbon
from ldarnet_app.theme import SERIES, Theme


def sequence_figure(
    bases: pd.DataFrame, chunks: pd.DataFrame, first: int, last: int, theme: Theme, *, title: str
) -> go.Figure:
    """Bases first..last-1 of a sequence; the tables are those of `sequence_table`, of all of it."""
    shown = bases.iloc[first:last]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.03)
    at = shown["position"].to_numpy()
    hover = [
        f"cut {position:,}, left of {base}<br>p = {p:.4f}<br>in a chunk of {chunk_bp} bases"
        for position, base, p, chunk_bp in zip(at, shown["base"], shown["p"], shown["chunk_bp"], strict=True)
    ]
    upper, lower = axes_of(1), axes_of(2)
    figure.add_trace(curve(at, shown["p"].to_numpy(), hover, colour=SERIES[0], name="p", axes=upper))
    cuts = at[shown["cut"].to_numpy()]
    figure.add_trace(cut_ticks(cuts, y=TICK_Y, colour=theme.ink, name="hard cuts", axes=upper))
    figure.add_hline(y=CUT_THRESHOLD, line={"color": theme.ink, "width": 1, "dash": "dot"}, opacity=0.5, row=1, col=1)
    figure.add_trace(ribbon(_blocks(chunks, first, last), theme, num_shown=last - first, axes=lower))
    shapes = letters(list(shown["base"]), at, shown["p"].to_numpy(), theme, 2)
    for shape in shapes:
        figure.add_shape(shape)
    dress(figure, theme, height_px=380, title=title)
    figure.update_layout(showlegend=False, margin={"l": 60, "r": 20, "t": 45, "b": 50}, bargap=0)
    figure.update_yaxes(title="p(cut)", range=[0, 1.12], tickvals=[0, 0.5, 1], row=1, col=1)
    figure.update_yaxes(range=LETTERS_Y if shapes else (LETTERS_Y[0], 0), visible=False, row=2, col=1)
    figure.update_xaxes(range=[first, last], separatethousands=True, tickformat=",d")
    figure.update_xaxes(title="base of the sequence, counted from 0", row=2, col=1)
    return figure


def _blocks(chunks: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """The chunks that reach into first..last-1, cut off at its edges but with their whole length."""
    inside = chunks[(chunks["end"] > first) & (chunks["start"] < last)]
    length = inside["end"] - inside["start"]
    return pd.DataFrame(
        {
            "start": np.maximum(inside["start"], first),
            "end": np.minimum(inside["end"], last),
            "bp": length,
            "text": [
                f"chunk {start:,}-{end:,}<br>{bp} bases"
                for start, end, bp in zip(inside["start"], inside["end"], length, strict=True)
            ],
        },
        index=inside.index,
    )
