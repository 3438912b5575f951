"""What every single-base change does: two maps of position x base, under the values of the sequence itself."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_app.charts.aggregate_style import dress
from ldarnet_app.charts.sequence_parts import TICK_Y, axes_of, curve, cut_ticks, letters
from ldarnet_app.mutations import BASES, OWN_LABEL, TOTAL_LABEL, EffectMap
from ldarnet_app.theme import SERIES, Theme

_ROWS = (0.24, 0.1, 0.33, 0.33)
_GAP = 0.07


def effects_figure(effects: EffectMap, values: np.ndarray, theme: Theme, *, title: str) -> go.Figure:
    """`values` are those of the whole sequence; an open circle marks the reference base of every column."""
    first, last = effects.start, effects.start + len(effects.reference)
    figure = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        row_heights=list(_ROWS),
        vertical_spacing=_GAP,
        subplot_titles=["p(cut) of the sequence", "", TOTAL_LABEL, OWN_LABEL],
    )
    at = np.arange(first, last)
    p = values[first:last]
    hover = [f"cut {i:,}, left of {b}<br>p = {v:.4f}" for i, b, v in zip(at, effects.reference, p, strict=True)]
    figure.add_trace(curve(at, p, hover, colour=SERIES[0], name="p", axes=axes_of(1)))
    cuts = at[np.nan_to_num(p) > CUT_THRESHOLD]
    figure.add_trace(cut_ticks(cuts, y=TICK_Y, colour=theme.ink, name="hard cuts", axes=axes_of(1)))
    for shape in letters(effects.reference, at, p, theme, 2):
        figure.add_shape(shape)
    strong = (SERIES[5], SERIES[0]) if theme.name == "light" else (SERIES[0], SERIES[5])
    rising = [[0, theme.paper], [0.5, strong[0]], [1, strong[1]]]
    both_ways = [[0, SERIES[0]], [0.5, theme.paper], [1, SERIES[1]]]
    most_own = _most(effects.own)
    for row, label, change, colours, low, high in (
        (3, "total", effects.total, rising, 0.0, _most(effects.total)),
        (4, "Δp", effects.own, both_ways, -most_own, most_own),
    ):
        figure.add_trace(_map(effects, change, label, colours, (low, high), theme, row))
        figure.add_trace(_reference(effects, theme, row))
        figure.update_yaxes(categoryorder="array", categoryarray=list(reversed(BASES)), row=row, col=1)
    dress(figure, theme, height_px=680, title=title)
    figure.update_layout(showlegend=False, margin={"l": 60, "r": 20, "t": 75, "b": 50})
    figure.update_annotations(font={"size": 13, "color": theme.ink}, x=0, xanchor="left")
    figure.update_xaxes(range=[first, last], tickformat=",d")
    figure.update_xaxes(visible=False, row=2, col=1)
    figure.update_xaxes(title="base of the sequence, counted from 0", row=4, col=1)
    figure.update_yaxes(visible=False, range=[0, 1.05], row=2, col=1)
    figure.update_yaxes(range=[0, 1.15], tickvals=[0, 0.5, 1], row=1, col=1)
    return figure


def _most(change: np.ndarray) -> float:
    known = np.abs(change[~np.isnan(change)])
    return max(float(known.max()), 1e-3) if known.size else 1e-3


def _map(
    effects: EffectMap,
    change: np.ndarray,
    label: str,
    colours: list[list[object]],
    reach: tuple[float, float],
    theme: Theme,
    row: int,
) -> go.Heatmap:
    at = effects.start + np.arange(len(effects.reference))
    text = [
        [
            f"{base}{i:,}{to}<br>{label} = {change[i - effects.start, j]:.4f}"
            if base != to
            else f"{i:,}: {base} as it is"
            for i, base in zip(at.tolist(), effects.reference, strict=True)
        ]
        for j, to in enumerate(BASES)
    ]
    top = 1 - sum(_ROWS[: row - 1]) * (1 - 3 * _GAP) - (row - 1) * _GAP
    return go.Heatmap(
        x=at + 0.5,
        y=list(BASES),
        z=np.round(change.T.astype(np.float64), 5),
        colorscale=colours,
        zmin=reach[0],
        zmax=reach[1],
        hovertext=text,
        hoverinfo="text",
        hoverongaps=False,
        colorbar={
            "len": _ROWS[row - 1] * (1 - 3 * _GAP),
            "y": top,
            "yanchor": "top",
            "thickness": 12,
            "outlinewidth": 0,
            "tickfont": {"color": theme.ink},
            "nticks": 5,
        },
        **axes_of(row),
    )


def _reference(effects: EffectMap, theme: Theme, row: int) -> go.Scatter:
    known = [(i, base) for i, base in enumerate(effects.reference) if base in BASES]
    size = 6 if len(effects.reference) <= 100 else 4
    return go.Scatter(
        x=[effects.start + i + 0.5 for i, _ in known],
        y=[base for _, base in known],
        mode="markers",
        marker={"symbol": "circle-open", "size": size, "color": theme.ink},
        hoverinfo="skip",
        name="reference",
        **axes_of(row),
    )
