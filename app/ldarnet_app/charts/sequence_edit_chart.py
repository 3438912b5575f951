"""A sequence before and after edits, its cuts side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ldarnet.tracks import CUT_THRESHOLD
from ldarnet_app.charts.aggregate_style import dress, faded
from ldarnet_app.charts.letters import MAX_BLOCKS
from ldarnet_app.charts.sequence_parts import LETTERS_Y, TICK_Y, axes_of, curve, cut_ticks, letters, ribbon
from ldarnet_app.theme import SERIES, Theme

BEFORE, AFTER = SERIES[0], SERIES[1]
_NUM_LABELS = 10


def edit_table(
    before: pd.DataFrame, after: pd.DataFrame, index_before: np.ndarray, index_after: np.ndarray
) -> pd.DataFrame:
    """One row per column of an alignment; the tables are `base_table` of both sequences, -1 in an index = no base.

    Columns: column; of each side (suffix _before, _after) position, base (- = none), p, cut, chunk_bp; difference.
    """
    sides = [
        _side(table, index).add_suffix(end)
        for table, index, end in ((before, index_before, "_before"), (after, index_after, "_after"))
    ]
    table = pd.concat(sides, axis=1)
    table.insert(0, "column", np.arange(len(table)))
    table["difference"] = table["p_after"] - table["p_before"]
    return table


def _side(table: pd.DataFrame, index: np.ndarray) -> pd.DataFrame:
    side = table.iloc[index].reset_index(drop=True)
    is_gap = index < 0
    side["position"] = side["position"].mask(is_gap, -1)
    side["base"] = side["base"].mask(is_gap, "-")
    side["p"] = side["p"].mask(is_gap)
    side["cut"] &= ~is_gap
    side["chunk_bp"] = side["chunk_bp"].mask(is_gap, 0)
    return side


def edit_figure(table: pd.DataFrame, first: int, last: int, theme: Theme, *, title: str) -> go.Figure:
    """Columns first..last-1 of `edit_table`: both curves, what the second adds to the first, both ribbons."""
    shown = table.iloc[first:last]
    figure = make_subplots(
        rows=4, cols=1, shared_xaxes=True, row_heights=[0.4, 0.24, 0.18, 0.18], vertical_spacing=0.03
    )
    x, hover = shown["column"].to_numpy(), _hover(shown)
    for side, colour, y in (("before", BEFORE, TICK_Y + 0.08), ("after", AFTER, TICK_Y)):
        p = shown[f"p_{side}"].to_numpy()
        figure.add_trace(curve(x, p, hover, colour=colour, name=side, axes=axes_of(1), filled=False))
        cuts = x[shown[f"cut_{side}"].to_numpy()]
        figure.add_trace(cut_ticks(cuts, y=y, colour=colour, name=f"hard cuts {side}", axes=axes_of(1)))
    figure.add_hline(y=CUT_THRESHOLD, line={"color": theme.ink, "width": 1, "dash": "dot"}, opacity=0.5, row=1, col=1)
    figure.add_trace(_difference(shown, hover))
    for row, side in ((3, "before"), (4, "after")):
        _add_ribbon(figure, table, first, last, side, theme, row)
    for start, end in _runs(shown):
        figure.add_vrect(
            x0=start, x1=end, fillcolor=faded(SERIES[4], 0.25), line_width=0, layer="below", row="all", col=1
        )
    dress(figure, theme, height_px=560, title=title)
    figure.update_layout(
        margin={"l": 75, "r": 20, "t": 70, "b": 50},
        bargap=0,
        barmode="overlay",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.01, "yanchor": "bottom"},
    )
    _label_axes(figure, shown, first, last)
    return figure


def _difference(shown: pd.DataFrame, hover: Sequence[str]) -> go.Bar:
    colours = np.where(shown["difference"].to_numpy() > 0, AFTER, BEFORE)
    return go.Bar(
        x=shown["column"],
        y=np.round(shown["difference"].astype(np.float64), 4),
        width=max(0.8, len(shown) / 500),
        marker={"color": colours, "line": {"width": 0}},
        hovertext=list(hover),
        hoverinfo="text",
        name="difference",
        showlegend=False,
        **axes_of(2),
    )


def _hover(shown: pd.DataFrame) -> list[str]:
    names = [f"{name}_{side}" for side in ("before", "after") for name in ("position", "base", "p")]
    rows = zip(*(shown[name] for name in names), strict=True)
    return [f"{_place('before', *row[:3])}<br>{_place('after', *row[3:])}" for row in rows]


def _place(side: str, position: int, base: str, p: float) -> str:
    if base == "-":
        return f"{side}: no base"
    value = "no value" if np.isnan(p) else f"p = {p:.4f}"
    return f"{side}: cut {position:,}, left of {base}, {value}"


def _add_ribbon(
    figure: go.Figure, table: pd.DataFrame, first: int, last: int, side: str, theme: Theme, row: int
) -> None:
    shown = table.iloc[first:last]
    blocks = _blocks(table, side)
    inside = blocks[(blocks["end"] > first) & (blocks["start"] < last)].copy()
    inside["start"], inside["end"] = inside["start"].clip(lower=first), inside["end"].clip(upper=last)
    figure.add_trace(ribbon(inside, theme, num_shown=last - first, axes=axes_of(row)))
    real = shown[shown[f"base_{side}"] != "-"]
    shapes = []
    if last - first <= MAX_BLOCKS:
        bases, p = list(real[f"base_{side}"]), real[f"p_{side}"].to_numpy()
        shapes = letters(bases, real["column"].to_numpy(), p, theme, row)
    for shape in shapes:
        figure.add_shape(shape)
    y_range = LETTERS_Y if shapes else (LETTERS_Y[0], 0)
    figure.update_yaxes(title=side, range=y_range, tickvals=[], showline=False, row=row, col=1)


def _blocks(table: pd.DataFrame, side: str) -> pd.DataFrame:
    """The chunks of a side in columns; its bases alone are counted, not the gaps between them."""
    has_base = table[table[f"chunk_bp_{side}"] > 0]
    columns, sizes = has_base["column"].to_numpy(), has_base[f"chunk_bp_{side}"].to_numpy()
    positions = has_base[f"position_{side}"].to_numpy()
    firsts = []
    place = 0
    while place < len(sizes):
        firsts.append(place)
        place += int(sizes[place])
    begin = np.array(firsts, dtype=np.int64)
    bp = sizes[begin]
    return pd.DataFrame(
        {
            "start": columns[begin],
            "end": columns[begin + bp - 1] + 1,
            "bp": bp,
            "text": [
                f"{side}: chunk {start:,}-{start + size:,}<br>{size} bases"
                for start, size in zip(positions[begin], bp, strict=True)
            ],
        }
    )


def _runs(shown: pd.DataFrame) -> Sequence[tuple[int, int]]:
    """Stretches of columns in which the letters differ."""
    differs = (shown["base_before"] != shown["base_after"]).to_numpy()
    edges = np.flatnonzero(np.diff(differs, prepend=False, append=False)).reshape(-1, 2)
    origin = int(shown["column"].iloc[0])
    return [(origin + int(start), origin + int(end)) for start, end in edges]


def _label_axes(figure: go.Figure, shown: pd.DataFrame, first: int, last: int) -> None:
    """Columns go by the position of their base before the edits."""
    real = shown[shown["position_before"] >= 0]
    step = max(1, (last - first) // _NUM_LABELS)
    step = next(nice * 10**power for power in range(6) for nice in (1, 2, 5) if nice * 10**power >= step)
    labelled = real[real["position_before"] % step == 0]
    figure.update_xaxes(
        range=[first, last],
        tickvals=labelled["column"].tolist(),
        ticktext=[f"{position:,}" for position in labelled["position_before"]],
    )
    figure.update_xaxes(title="base of the sequence before the edits, counted from 0", row=4, col=1)
    figure.update_yaxes(title="p(cut)", range=[0, 1.22], tickvals=[0, 0.5, 1], row=1, col=1)
    most = max(0.05, float(shown["difference"].abs().max()) * 1.1) if shown["difference"].notna().any() else 0.05
    figure.update_yaxes(title="after −<br>before", range=[-most, most], nticks=4, row=2, col=1)
