"""The heatmap of a profile matrix, whose lines can be clicked."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go

from ldarnet_analysis.heatmap_figure import MAX_LINES, mean_lines
from ldarnet_analysis.style import SIGNALS
from ldarnet_app.charts.aggregate_style import OFFSET_LABEL, dress, plain
from ldarnet_app.theme import Theme

_SCALES = {"raw": "Viridis", "cut-rate": "Viridis", "residual": "PuOr_r"}


def line_bounds(num_rows: int, max_lines: int = MAX_LINES) -> np.ndarray:
    """The first row of every line that is drawn, and after the last line the number of rows: int64 [lines + 1]."""
    if num_rows <= max_lines:
        return np.arange(num_rows + 1)
    first = np.linspace(0, num_rows, max_lines, endpoint=False).astype(np.int64)
    return np.append(first, num_rows)


def heatmap_chart(
    matrix: np.ndarray, offsets: np.ndarray, names: Sequence[str], theme: Theme, *, signal: str, title: str
) -> go.Figure:
    """Rows [n, offsets] in the order given, the first on top; `names` are what a row is called when hovered.

    More than `MAX_LINES` are drawn as the means of neighbours. Probabilities go from 0 to 1, residuals as far below 0
    as above it; a missing value is grey. Line i lies at y = i, and its point in the trace `lines` is what a click
    anywhere on it selects. Raises ValueError without rows.
    """
    if matrix.shape != (len(names), len(offsets)) or not matrix.size:
        expected = f"[{len(names)} names, {len(offsets)} offsets]"
        raise ValueError(f"expected a matrix {expected} of some rows, got {list(matrix.shape)}")
    bounds = line_bounds(len(matrix))
    lines = mean_lines(matrix, MAX_LINES).astype(np.float32)
    low, high = (-_reach(lines), _reach(lines)) if signal == "residual" else (0.0, 1.0)
    number = np.arange(len(lines))
    figure = go.Figure()
    figure.add_heatmap(
        z=lines,
        x=np.asarray(offsets),
        y=number,
        zmin=low,
        zmax=high,
        colorscale=_SCALES[signal],
        hoverinfo="skip",
        colorbar={"title": {"text": SIGNALS[signal].axis.replace("\n", " "), "side": "right"}, "thickness": 14}
        | {"outlinewidth": 0, "len": 1, "ticks": "outside", "tickcolor": theme.ink, "tickfont": {"color": theme.ink}},
    )
    # Plotly selects points, not cells. All stand at one offset: the nearest to a click is that of the line clicked.
    figure.add_scatter(
        x=np.full(len(lines), offsets[len(offsets) // 2]),
        y=number,
        mode="markers",
        marker={"opacity": 0, "size": 2},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        name="lines",
        text=[plain(_called(names, first, last)) for first, last in pairwise(bounds)],
        hovertemplate="%{text}<br>click to list<extra></extra>",
        showlegend=False,
    )
    dress(figure, theme, height_px=560, title=title)
    figure.update_layout(
        hovermode="closest", hoverdistance=-1, margin={"l": 40, "r": 12, "t": 44, "b": 52}, plot_bgcolor=theme.faint
    )
    figure.update_xaxes(
        title={"text": OFFSET_LABEL, "standoff": 8}, range=[offsets[0] - 0.5, offsets[-1] + 0.5], showgrid=False
    )
    rows = f"{len(matrix):,} rows" + (f", {len(lines)} lines of neighbours" if len(lines) < len(matrix) else "")
    figure.update_yaxes(
        title={"text": rows, "standoff": 6}, range=[len(lines) - 0.5, -0.5], showgrid=False, showticklabels=False
    )
    figure.update_yaxes(ticks="")
    return figure


def _called(names: Sequence[str], first: int, last: int) -> str:
    return names[first] if last - first == 1 else f"{last - first} rows, {names[first]} to {names[last - 1]}"


def _reach(lines: np.ndarray) -> float:
    """How far the colours go on both sides of 0: all but the 1 % most extreme values."""
    present = np.abs(lines[~np.isnan(lines)])
    return float(np.quantile(present, 0.99)) or 1.0 if present.size else 1.0
