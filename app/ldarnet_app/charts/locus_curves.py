"""One track of a locus as a filled curve, with what a reader sees when pointing at it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from ldarnet import vocab
from ldarnet_app.charts.locus_text import plain
from ldarnet_app.charts.ribbon import Chunks, chunks_of
from ldarnet_app.sources.tracks import TrackWindow, shown_range
from ldarnet_app.view import ValueRange, View

MARKERS_UP_TO_BP = 120
THIN_FROM_BP = 600


class Strip(NamedTuple):
    """Hard cuts (positions) of a window and the chunks between them."""

    cuts: np.ndarray
    chunks: Chunks


def strip_of(window: TrackWindow, contig_bp: int) -> Strip | None:
    """Cuts and chunks of a window, None where it is binned or no probability."""
    if window.bin_bp > 1 or not window.is_probability or not len(window.starts):
        return None
    chunks = chunks_of(window.has_cut, ~np.isnan(window.top), int(window.starts[0]), contig_bp)
    return Strip(window.starts[window.has_cut], chunks)


def panel_range(windows: Sequence[TrackWindow], ranges: Sequence[ValueRange]) -> tuple[float, float]:
    """The values a panel shows: what a reader has set for its tracks, each else its own."""
    set_for = {each.label: (each.low, each.high) for each in ranges}
    bounds = [set_for.get(window.track.label) or shown_range([window]) for window in windows]
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def curve_traces(
    window: TrackWindow,
    ids: np.ndarray | None,
    strip: Strip | None,
    view: View,
    colour: str,
    yaxis: str,
    *,
    in_legend: bool,
) -> list[go.Scatter]:
    """The curve (x: cuts, or middles of bins), and above the means of bins their maxima."""
    is_thin = window.bin_bp == 1 and view.span_bp > THIN_FROM_BP
    style: dict[str, Any] = {
        "yaxis": yaxis,
        "name": plain(window.track.label),
        "line": {"color": colour, "width": 0.9 if is_thin else 1.3},
        "showlegend": in_legend,
    }
    fill = _fill(window, colour, yaxis)
    if window.bin_bp > 1:
        return [fill, *_bins(window, style)]
    lone = _is_lone(window.mean)
    if view.span_bp <= MARKERS_UP_TO_BP or lone.any():
        size = 4 if view.span_bp <= MARKERS_UP_TO_BP else np.where(lone, 4, 0)
        style |= {"mode": "lines+markers", "marker": {"size": size, "color": colour}}
        style["unselected"] = {"marker": {"opacity": 1}}
    else:
        style["mode"] = "lines"
    name = "p" if window.is_probability else "value"
    hover = f"<b>%{{x:,d}}</b> %{{customdata[0]}}<br>{name} %{{y:.4f}}"
    if strip is not None:
        hover += "<br>%{customdata[1]}"
    return [
        fill,
        go.Scatter(
            x=window.starts,
            y=window.mean,
            customdata=_told(window, ids, strip, flipped=view.flipped),
            hovertemplate=_with_name(hover, window),
            **style,
        ),
    ]


def _bins(window: TrackWindow, style: dict[str, Any]) -> list[go.Scatter]:
    middles = _places(window)
    name = "p" if window.is_probability else "value"
    hover = (
        "<b>%{customdata[0]:,d}-%{customdata[1]:,d}</b>"
        f"<br>mean {name} %{{y:.4f}}<br>maximum %{{customdata[2]:.4f}}"
    )
    told = np.column_stack([window.starts, window.ends, window.top])
    line = {"color": _pale(style["line"]["color"], 0.7), "width": 0.7}
    return [
        go.Scatter(
            x=middles, y=window.mean, customdata=told, hovertemplate=_with_name(hover, window), mode="lines", **style
        ),
        go.Scatter(
            x=middles, y=window.top, mode="lines", line=line, hoverinfo="skip", showlegend=False, yaxis=style["yaxis"]
        ),
    ]


def _told(window: TrackWindow, ids: np.ndarray | None, strip: Strip | None, *, flipped: bool) -> np.ndarray:
    """Per base: its letter, and the chunk that starts at or holds it (str [num_bases, 2])."""
    told = np.full((len(window.starts), 2), "", dtype=object)
    if ids is not None:
        letters = np.array(list(vocab.LETTERS), dtype=object)
        told[:, 0] = letters[vocab.COMPLEMENT[ids] if flipped else ids]
    if strip is not None and len(strip.chunks.starts):
        lengths = strip.chunks.lengths_at(window.starts)
        whole = np.zeros(len(lengths), dtype=bool)
        k = np.clip(np.searchsorted(strip.chunks.starts, window.starts, side="right") - 1, 0, None)
        whole[:] = strip.chunks.is_whole[k]
        told[:, 1] = [
            f"{'cut, ' if cut else ''}chunk of {'' if is_whole else 'at least '}{length} bp" if length else "no chunk"
            for length, is_whole, cut in zip(lengths.tolist(), whole.tolist(), window.has_cut.tolist(), strict=True)
        ]
    return told


def _with_name(hover: str, window: TrackWindow) -> str:
    return f"{hover}<extra>{plain(window.track.label)}</extra>"


def _fill(window: TrackWindow, colour: str, yaxis: str) -> go.Scatter:
    """The area between the curve and 0. It steps down to 0 at gaps, which plotly's own fill would bridge."""
    x, y = _places(window), window.mean
    has_value = ~np.isnan(y)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], has_value, [False]))))
    begins, ends = edges[::2], edges[1::2] - 1
    order = np.argsort(np.concatenate((begins - 0.25, np.flatnonzero(has_value), ends + 0.25)), kind="stable")
    return go.Scatter(
        x=np.concatenate((x[begins], x[has_value], x[ends]))[order],
        y=np.concatenate((np.zeros(len(begins)), y[has_value], np.zeros(len(ends))))[order],
        mode="lines",
        line={"width": 0},
        fill="tozeroy",
        fillcolor=_pale(colour, 0.22),
        hoverinfo="skip",
        showlegend=False,
        yaxis=yaxis,
    )


def _places(window: TrackWindow) -> np.ndarray:
    """Where values are drawn: at the cut, or in the middle of a bin."""
    return window.starts if window.bin_bp == 1 else (window.starts + window.ends) / 2


def _is_lone(values: np.ndarray) -> np.ndarray:
    """Values between two gaps, of which no line is drawn (a later stage has only such)."""
    has_value = np.concatenate(([False], ~np.isnan(values), [False]))
    lone: np.ndarray = has_value[1:-1] & ~has_value[:-2] & ~has_value[2:]
    return lone


def _pale(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
