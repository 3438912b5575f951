"""Mean profiles of sites and controls with their intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ldarnet_analysis.style import LOOKS, SIGNALS, SITES
from ldarnet_app.charts.aggregate_style import OFFSET_LABEL, colour_of, dash_of, dress, faded
from ldarnet_app.theme import Theme

CLOSE_BP = 20
"""How far to both sides of the cut the close view on the right reaches."""

_BAND_SHARE = 0.2
_NAMES_IN_LEGEND_ROW = 2
_HEIGHT_PX, _LEGEND_PX = 380, 22


def profile_chart(
    profiles: pd.DataFrame,
    theme: Theme,
    *,
    signal: str,
    rungs: Sequence[str],
    title: str,
    window: tuple[int, int] | None = None,
) -> go.Figure:
    """The profile of the sites of one class on one signal, with those of the control rungs, each with its band.

    All offsets on the left, those near the cut on the right.

    Where lo and hi are missing (under 20 loci) there is a line and no band, and the legend says so. Rungs without a
    profile are left out. `window` (first, last offset) is that of the primary value, and shaded.
    """
    figure = make_subplots(1, 2, shared_yaxes=True, column_widths=[0.58, 0.42], horizontal_spacing=0.05)
    shown = profiles[profiles["signal"] == signal]
    drawn = [rung for rung in (SITES, *rungs) if (shown["rung"] == rung).any()]
    for rung in drawn:
        rows = shown[shown["rung"] == rung].sort_values("offset")
        _draw(figure, rows, rung, theme, column=1)
        _draw(figure, rows[rows["offset"].abs() <= CLOSE_BP], rung, theme, column=2)
    legend_rows = -(-len(drawn) // _NAMES_IN_LEGEND_ROW)
    dress(figure, theme, height_px=_HEIGHT_PX + _LEGEND_PX * legend_rows, title=title)
    figure.update_layout(
        hovermode="x unified",
        margin={"l": 70, "r": 12, "t": 44 + _LEGEND_PX * legend_rows, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "font": {"size": 11}}
        | {"entrywidth": 0.96 / _NAMES_IN_LEGEND_ROW, "entrywidthmode": "fraction"},
    )
    figure.update_xaxes(title={"text": OFFSET_LABEL, "standoff": 8}, showgrid=False, hoverformat="+d")
    if len(shown):
        first, last = shown["offset"].min() - 0.5, shown["offset"].max() + 0.5
        figure.update_xaxes(range=[first, last], col=1)
        figure.update_xaxes(range=[max(first, -CLOSE_BP - 0.5), min(last, CLOSE_BP + 0.5)], col=2)
    figure.update_yaxes(title={"text": SIGNALS[signal].axis.replace("\n", " ")}, col=1)
    figure.update_layout(shapes=[shape for column in (1, 2) for shape in _marks(theme, signal, window, column)])
    return figure


def _marks(theme: Theme, signal: str, window: tuple[int, int] | None, column: int) -> list[dict[str, object]]:
    """The cut, the zero of residuals and the test window."""
    across = {"type": "line", "xref": "x" if column == 1 else "x2", "yref": "y domain", "y0": 0, "y1": 1}
    marks = [across | {"x0": 0, "x1": 0, "line": {"color": theme.ink, "width": 1, "dash": "dot"}, "opacity": 0.6}]
    if signal == "residual":
        along = {"type": "line", "xref": f"{across['xref']} domain", "x0": 0, "x1": 1, "yref": "y", "y0": 0, "y1": 0}
        marks.append(along | {"line": {"color": theme.ink, "width": 1}, "opacity": 0.5})
    if window is not None:
        ends = {"x0": window[0] - 0.5, "x1": window[1] + 0.5, "line": {"width": 0}}
        marks.append(across | ends | {"type": "rect", "fillcolor": theme.faint, "layer": "below"})
    return marks


def _draw(figure: go.Figure, rows: pd.DataFrame, rung: str, theme: Theme, *, column: int) -> None:
    """A line and its bands; those of the first column stand in the legend for both."""
    colour = colour_of(rung, theme)
    for first, last in _covered(rows):
        part = rows.iloc[first:last]
        figure.add_scatter(
            x=np.concatenate([part["offset"], part["offset"][::-1]]),
            y=np.concatenate([part["hi"], part["lo"][::-1]]),
            fill="toself",
            fillcolor=faded(colour, _BAND_SHARE),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            legendgroup=rung,
            row=1,
            col=column,
        )
    interval = " (%{customdata[0]:.4f} to %{customdata[1]:.4f})" if len(_covered(rows)) else ""
    figure.add_scatter(
        x=rows["offset"].to_numpy(),
        y=rows["mean"].to_numpy(),
        customdata=rows[["lo", "hi"]].to_numpy(),
        mode="lines",
        name=_legend(rung, rows),
        legendgroup=rung,
        showlegend=column == 1,
        line={"color": colour, "dash": dash_of(rung), "width": 2.2 if rung == SITES else 1.6},
        hovertemplate=f"{LOOKS[rung].label} %{{y:.4f}}{interval}<extra></extra>",
        row=1,
        col=column,
    )


def _covered(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Stretches of rows that have an interval: each is a band of its own."""
    has_interval = (rows["lo"].notna() & rows["hi"].notna()).to_numpy(dtype=np.int8)
    edges = np.diff(has_interval, prepend=0, append=0)
    return list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True))


def _legend(rung: str, rows: pd.DataFrame) -> str:
    num_rows, num_loci = (rows[column].max() for column in ("n_sites", "n_loci"))
    unit = "sites" if rung == SITES else "controls"
    counted = f"{LOOKS[rung].label} ({num_rows:,.0f} {unit}, {num_loci:,.0f} loci"
    return f"{counted}{'' if len(_covered(rows)) else ': no interval'})"
