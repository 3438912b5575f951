"""The figure of a locus: tracks, cuts and chunks, letters, genes and sites above one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ldarnet_app.charts.genes import LANE_PX, box_shapes, gene_traces, lanes_of
from ldarnet_app.charts.letters import MAX_BLOCKS, MAX_LETTERS, letter_shapes
from ldarnet_app.charts.locus_curves import curve_traces, panel_range, strip_of
from ldarnet_app.charts.locus_sheet import Sheet, lane_axis
from ldarnet_app.charts.locus_sites import SITE_LANE_PX, site_traces
from ldarnet_app.charts.locus_text import plain
from ldarnet_app.charts.ribbon import block_shapes, length_labels, tick_shapes
from ldarnet_app.sources.genes import Model
from ldarnet_app.sources.tracks import TrackWindow
from ldarnet_app.theme import SERIES, Theme
from ldarnet_app.view import View

PANEL_PX, OVERLAID_PANEL_PX, STRIP_PX, LETTERS_PX, BLOCKS_PX, EMPTY_PX = 110, 190, 36, 46, 16, 40
_LONGEST_LABEL = 22


@dataclass(frozen=True)
class LocusData:
    """What lies in a view. `windows` are of the tracks shown and `colour_of` their places among all of them.

    `ids` are the bases, None where there are too many to draw; `sites` has SITE_COLUMNS, and `site_classes` are all
    there are anywhere, so that each keeps its colour.
    """

    view: View
    contig_bp: int
    windows: Sequence[TrackWindow]
    colour_of: Sequence[int]
    ids: np.ndarray | None
    models: Sequence[Model]
    sites: pd.DataFrame
    site_classes: Sequence[str]
    has_annotation: bool


def locus_chart(data: LocusData, theme: Theme) -> go.Figure:
    """The figure. x counts cuts: x = c is the border left of base c, and base c is drawn from c to c + 1.

    So a reversed axis with complemented letters is the reverse complement: its cuts stay where they are.
    """
    sheet = Sheet(data.view, theme)
    for panel in _panels(data):
        _add_panel(sheet, data, panel)
        for k in panel:
            _add_strip(sheet, data, k, is_named=len(panel) > 1)
    _add_letters(sheet, data)
    _add_sites(sheet, data)
    _add_genes(sheet, data)
    if sheet.is_empty:
        sheet.say("no track is shown", sheet.add_row(EMPTY_PX, lane_axis([], [])), 0.5)
    figure = go.Figure(sheet.traces)
    figure.update_layout(sheet.layout(_axis_title(data)))
    return figure


def _panels(data: LocusData) -> list[list[int]]:
    """The windows that share a panel: those of one kind where they are overlaid, else each its own."""
    numbers = range(len(data.windows))
    if not data.view.overlaid:
        return [[k] for k in numbers]
    kinds = [[k for k in numbers if data.windows[k].is_probability is kind] for kind in (True, False)]
    return [kind for kind in kinds if kind]


def _add_panel(sheet: Sheet, data: LocusData, panel: Sequence[int]) -> None:
    shown = [data.windows[k] for k in panel]
    is_probability = shown[0].is_probability
    low, high = panel_range(shown, data.view.ranges)
    title = _short(_label(shown[0])) if len(panel) == 1 else ("p" if is_probability else "value")
    axis = {"range": [low, high], "title": {"text": plain(title), "font": {"size": 11}}, "nticks": 5}
    yaxis = sheet.add_row(OVERLAID_PANEL_PX if len(panel) > 1 else PANEL_PX, axis)
    sheet.shapes.append(_reference_line(0.5 if is_probability else 0.0, yaxis, sheet.theme))
    for k in panel:
        window = data.windows[k]
        strip = strip_of(window, data.contig_bp)
        sheet.traces += curve_traces(
            window, data.ids, strip, data.view, _colour(data, k), yaxis, in_legend=len(panel) > 1
        )
    if all(np.isnan(each.mean).all() for each in shown):
        sheet.say("no values here: N, the first base of a contig, or not in the track", yaxis, (low + high) / 2)


def _add_strip(sheet: Sheet, data: LocusData, k: int, *, is_named: bool) -> None:
    window = data.windows[k]
    strip = strip_of(window, data.contig_bp)
    if strip is None:
        return
    names = [_short(_label(window)) if is_named else "chunks", "cuts"]
    yaxis = sheet.add_row(STRIP_PX, lane_axis([0.28, 0.82], names), gap_px=4)
    sheet.shapes += block_shapes(strip.chunks, sheet.theme, yaxis)
    sheet.shapes += tick_shapes(strip.cuts, _colour(data, k), sheet.bp_per_px, yaxis)
    sheet.traces += length_labels(strip.chunks, sheet.bp_per_px, sheet.theme, yaxis)


def _add_letters(sheet: Sheet, data: LocusData) -> None:
    if data.ids is None or len(data.ids) > MAX_BLOCKS:
        return
    p = next((each.mean for each in data.windows if each.is_probability), np.zeros(len(data.ids)))
    height_px = LETTERS_PX if len(data.ids) <= MAX_LETTERS else BLOCKS_PX
    yaxis = sheet.add_row(height_px, lane_axis([0.5], ["sequence"]), gap_px=6)
    sheet.shapes += letter_shapes(data.ids, data.view.start, p, sheet.theme, yaxis, flipped=data.view.flipped)


def _add_sites(sheet: Sheet, data: LocusData) -> None:
    classes = sorted(data.sites["class"].unique(), reverse=True)
    if not classes:
        return
    axis = lane_axis([k + 0.5 for k in range(len(classes))], [_short(each) for each in classes], len(classes))
    yaxis = sheet.add_row(SITE_LANE_PX * len(classes), axis)
    known = data.site_classes
    coloured = [(each, SERIES[known.index(each) % len(SERIES)]) for each in classes]
    sheet.traces += site_traces(data.sites, coloured, yaxis, flipped=data.view.flipped)


def _add_genes(sheet: Sheet, data: LocusData) -> None:
    view = data.view
    genes = lanes_of(data.models, view.start, view.end, sheet.bp_per_px, flipped=view.flipped)
    if not genes.lanes:
        if data.has_annotation:
            sheet.say("no gene here", sheet.add_row(LANE_PX, lane_axis([0.5], ["genes"])), 0.5)
        return
    name = f"genes, {genes.num_left_out:,} more" if genes.num_left_out else "genes"
    yaxis = sheet.add_row(LANE_PX * genes.num_lanes, lane_axis([genes.num_lanes / 2], [name], genes.num_lanes))
    sheet.shapes += box_shapes(genes, view.start, view.end, sheet.theme, yaxis)
    sheet.traces += gene_traces(genes, view.start, view.end, sheet.bp_per_px, sheet.theme, yaxis)


def _axis_title(data: LocusData) -> str:
    chrom = plain(data.view.chrom)
    width = max((window.bin_bp for window in data.windows), default=1)
    if width > 1:
        return f"{chrom}, 0-based; bins of {width:,} bases: mean filled, maximum as a line"
    return f"cuts of {chrom}, 0-based: c lies left of base c"


def _colour(data: LocusData, k: int) -> str:
    return SERIES[data.colour_of[k] % len(SERIES)]


def _reference_line(value: float, yaxis: str, theme: Theme) -> dict[str, Any]:
    line = {"color": theme.ink, "width": 0.7, "dash": "dot"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": yaxis, "y0": value, "y1": value, "line": line}


def _label(window: TrackWindow) -> str:
    strand = window.track.strand
    return f"{window.track.label} ({strand})" if strand in ("+", "-") else window.track.label


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
