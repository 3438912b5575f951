"""How the charts of an analysis look on paper of either colour: one colour, line and marker for each rung."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

import plotly.graph_objects as go

from ldarnet_analysis.style import LOOKS, SITES
from ldarnet_app.theme import Theme

OFFSET_LABEL = "Offset from the site's cut (bp)"
FONT_PX = 13
SMALL_PX = 12

_DASHES: Mapping[str, str] = MappingProxyType(
    {
        SITES: "solid",
        "random": "2px,2px",
        "gc": "8px,3px",
        "matched": "10px,2px,2px,2px",
        "same-dinucleotide": "6px,2px",
        "same-kmer": "12px,3px",
        "context-swap": "10px,2px,2px,2px,2px,2px",
        "planted": "4px,3px",
        "ablated": "14px,3px,4px,3px",
        "shuffled": "3px,5px",
    }
)
_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "o": "circle",
        "s": "square",
        "D": "diamond",
        "^": "triangle-up",
        "v": "triangle-down",
        "<": "triangle-left",
        ">": "triangle-right",
        "P": "cross",
        "X": "x",
    }
)
# Where the colour of print is too close to the paper of a screen.
_ON_LIGHT: Mapping[str, str] = MappingProxyType({"ablated": "#b5a500", "random": "#9a9a9a"})
_ON_DARK: Mapping[str, str] = MappingProxyType({"shuffled": "#a6a6a6", "random": "#7d8590", "matched": "#3b9ae1"})


def colour_of(rung: str, theme: Theme) -> str:
    """The colour of a rung: that of print where it can be told from the paper."""
    if rung == SITES:
        return theme.ink
    other = _ON_DARK if theme.name == "dark" else _ON_LIGHT
    return other.get(rung, LOOKS[rung].colour)


def faded(colour: str, share: float) -> str:
    """A colour `#rrggbb` that lets through all but a share of what lies under it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def dash_of(rung: str) -> str:
    """The line of a rung, which tells it apart where colours do not."""
    return _DASHES[rung]


def symbol_of(rung: str) -> str:
    """The marker of a rung."""
    return _SYMBOLS[LOOKS[rung].marker]


def plain(text: str) -> str:
    """Text as a label: plotly would read tags in it."""
    return escape(text, quote=False)


def minus(text: str) -> str:
    """A number as text with a true minus."""
    return text.replace("-", "−")


def dress(figure: go.Figure, theme: Theme, *, height_px: int, title: str) -> None:
    """Give a chart its paper, ink, height and title; axes show their lines and only the faintest grid."""
    figure.update_layout(
        template="none",
        height=height_px,
        title={"text": plain(title), "font": {"size": 15}}
        | {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}},
        paper_bgcolor=theme.paper,
        plot_bgcolor=theme.paper,
        font={"family": "DejaVu Sans, Arial, sans-serif", "size": FONT_PX, "color": theme.ink},
        hoverlabel={"bgcolor": theme.paper, "bordercolor": theme.faint, "font": {"color": theme.ink}},
    )
    axis = {"linecolor": theme.ink, "tickcolor": theme.ink, "gridcolor": theme.faint, "zeroline": False}
    figure.update_xaxes(**axis, showline=True, ticks="outside", ticklen=4)
    figure.update_yaxes(**axis, showline=True, ticks="outside", ticklen=4)
