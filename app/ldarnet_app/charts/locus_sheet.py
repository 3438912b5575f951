"""What a figure of stacked rows is gathered on, and the layout made of it at the end."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ldarnet_app.charts.locus_rows import BOTTOM_PX, TOP_PX, Rows, axis_name
from ldarnet_app.charts.locus_text import plain
from ldarnet_app.theme import Theme
from ldarnet_app.view import View

PLOT_WIDTH_PX = 900
"""A guess, for what fits: the figure stretches with the page."""
RIGHT_PX = 18
_LETTER_PX = 6.2


class Sheet:
    """The parts of a figure of a view as they gather, its rows from the top down."""

    def __init__(self, view: View, theme: Theme) -> None:
        self.view, self.theme = view, theme
        self.bp_per_px = view.span_bp / PLOT_WIDTH_PX
        self.traces: list[go.Scatter] = []
        self.shapes: list[dict[str, Any]] = []
        self._rows = Rows()
        self._axes: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is no row yet."""
        return not self._axes

    def add_row(self, height_px: int, axis: dict[str, Any], gap_px: int = 10) -> str:
        """A row below those there are; the name of its y axis."""
        self._axes.append(axis)
        yaxis = axis_name(self._rows.add(height_px, gap_px))
        # plotly draws an axis only if a trace belongs to it
        self.traces.append(go.Scatter(x=[None], y=[None], yaxis=yaxis, showlegend=False, hoverinfo="skip"))
        return yaxis

    def say(self, text: str, yaxis: str, y: float) -> None:
        """A sentence in the middle of a row."""
        where = {"x": 0.5, "xref": "paper", "y": y, "yref": yaxis, "showarrow": False}
        self._notes.append({"text": text, "font": {"size": 11}, **where})

    def layout(self, axis_title: str) -> dict[str, Any]:
        """The layout of the figure."""
        view, theme = self.view, self.theme
        bottom = axis_name(len(self._axes))
        names = [name for axis in self._axes for name in axis.get("ticktext", ())]
        left_px = max(80, round(22 + _LETTER_PX * max(map(len, names), default=0)))
        edges = [view.end, view.start] if view.flipped else [view.start, view.end]
        line = {"gridcolor": theme.faint, "zeroline": False, "linecolor": theme.ink, "fixedrange": True}
        axes: dict[str, Any] = {
            f"yaxis{'' if row == 1 else row}": {
                **line,
                "domain": self._rows.domain(row),
                "tickfont": {"size": 10},
                **axis,
            }
            for row, axis in enumerate(self._axes, start=1)
        }
        axes["xaxis"] = {
            **line,
            "range": edges,
            "anchor": bottom,
            "tickformat": ",d",
            "nticks": 9,
            "title": {"text": axis_title, "font": {"size": 11}},
            "ticks": "outside",
            "tickcolor": theme.ink,
            "tickfont": {"size": 11},
            "minallowed": view.start,
            "maxallowed": view.end,
            "showspikes": True,
            "spikemode": "across",
            "spikesnap": "cursor",
            "spikethickness": 1,
            "spikedash": "dot",
            "spikecolor": theme.ink,
        }
        self._notes.append(
            {
                "text": f"<b>{plain(view.locus)}</b>{' reverse complement' if view.flipped else ''}",
                "x": 0,
                "xref": "paper",
                "y": 1,
                "yref": "paper",
                "yshift": TOP_PX - 2,
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 12},
            }
        )
        return {
            **axes,
            "height": self._rows.figure_px,
            "margin": {"l": left_px, "r": RIGHT_PX, "t": TOP_PX, "b": BOTTOM_PX, "pad": 0},
            "paper_bgcolor": theme.paper,
            "plot_bgcolor": theme.paper,
            "font": {"color": theme.ink, "family": "Open Sans, Arial, sans-serif"},
            "hoverlabel": {"font": {"size": 12}, "align": "left"},
            "hovermode": "x",
            "hoverdistance": 30,
            "dragmode": "select",
            "selectdirection": "h",
            "newselection": {"line": {"color": theme.ink, "width": 1, "dash": "dot"}},
            "legend": {
                "orientation": "h",
                "x": 1,
                "xanchor": "right",
                "y": 1,
                "yanchor": "bottom",
                "bgcolor": "rgba(0,0,0,0)",
            },
            "shapes": self.shapes,
            "annotations": self._notes,
        }


def lane_axis(places: Sequence[float], names: Sequence[str], height: float = 1) -> dict[str, Any]:
    """A y axis from 0 to `height` that bears names instead of numbers."""
    return {
        "range": [0, height],
        "tickvals": list(places),
        "ticktext": [plain(name) for name in names],
        "ticklabelstandoff": 6,
        "showgrid": False,
        "showline": False,
    }
