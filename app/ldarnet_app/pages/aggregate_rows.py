"""The heatmap of the aggregate page, and the way from its rows to the locus page."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from ldarnet.tracks import TrackError
from ldarnet_analysis.heatmap_figure import MAX_LINES
from ldarnet_analysis.heatmaps import order_by_mean
from ldarnet_analysis.methods_text import command_text
from ldarnet_analysis.style import LOOKS, SIGNALS, SITES
from ldarnet_app.aggregate_choice import Choice
from ldarnet_app.aggregate_subset import chosen_places
from ldarnet_app.charts.heatmap_chart import heatmap_chart, line_bounds
from ldarnet_app.downloads import offer_downloads
from ldarnet_app.inputs import Inputs
from ldarnet_app.pages.locus import locus_page
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.results import Places, Stamp, contig_lengths, read_analysis
from ldarnet_app.theme import Theme

NEAR_BP = 5
"""Rows are sorted by their mean this near to the cut."""
LOCUS_REACH_BP = 100
_MAX_LINKS = 12
_MAX_LISTED = 5_000


@st.fragment
def draw_rows(inputs: Inputs, folder: Path, stamp: Stamp, choice: Choice, theme: Theme) -> None:
    """Heatmap of the rows chosen, links for the line clicked, and a table of the rows; drawn again by itself."""
    # What a fragment raises does not reach the page.
    try:
        _draw_rows(inputs, folder, stamp, choice, theme)
    except (ValueError, OSError) as error:
        st.error(literal(f"These rows cannot be shown. {error}"))


def _draw_rows(inputs: Inputs, folder: Path, stamp: Stamp, choice: Choice, theme: Theme) -> None:
    places = chosen_places(folder, stamp, choice.site_class, choice.rows, choice.signal, choice.subset)
    if places is None:
        st.info("This analysis stores no profile matrix of these rows, so there is no heatmap of them.")
        return
    if not len(places.matrix):
        st.info("No row is left in the part of the sites that is chosen.")
        return
    near = places.offsets[np.abs(places.offsets) <= NEAR_BP]
    window = (int(near[0]), int(near[-1])) if near.size else (int(places.offsets[0]), int(places.offsets[-1]))
    places = _rows(places, order_by_mean(places.matrix, places.offsets, window))
    first, last = _ranks(len(places.matrix), choice)
    places = _rows(places, np.arange(first - 1, last))
    names = [_name(row) for row in places.table.itertuples()]
    what = "sites" if choice.rows == SITES else LOOKS[choice.rows].control + "s"
    make = partial(
        heatmap_chart,
        places.matrix,
        places.offsets,
        names,
        signal=choice.signal,
        title=f"{choice.site_class}, {what}: {SIGNALS[choice.signal].name}",
    )
    event = st.plotly_chart(
        make(theme),
        theme=None,
        on_select="rerun",
        selection_mode="points",
        key=f"aggregate heatmap {hash((stamp, choice, first, last))}",
    )
    name = f"{choice.site_class}.{choice.rows}.{choice.signal}.heatmap"
    command = command_text(read_analysis(folder, stamp))
    offer_downloads(partial(make, theme), name, {".tsv": partial(_tsv, places)}, command)
    st.caption(f"The highest mean within {NEAR_BP} bp of the cut is on top.")
    lengths = _lengths(inputs)
    chosen = [point["point_index"] for point in event["selection"]["points"]]
    if chosen:
        bounds = line_bounds(len(places.matrix))
        line = min(chosen[0], len(bounds) - 2)
        _offer_loci(inputs, places.table.iloc[bounds[line] : bounds[line + 1]], lengths)
    else:
        st.caption("Click a line of the heatmap, or choose a row of the table, to open it on the locus page.")
    _list_rows(inputs, places, lengths, name)


def locus_query(row: object, lengths: dict[str, int]) -> dict[str, str]:
    """The address of the locus page around a row's cut, - strand flipped; ValueError where the track lacks it."""
    chrom, cut = row.chrom, row.cut  # type: ignore[attr-defined]
    if chrom not in lengths:
        raise ValueError(f"the track has no contig {chrom}")
    if pd.isna(cut) or not 0 <= cut <= lengths[chrom]:
        raise ValueError(f"cut {cut:g} is outside {chrom} ({lengths[chrom]:,} bp in the track)")
    start, end = max(0, int(cut) - LOCUS_REACH_BP), min(lengths[chrom], int(cut) + LOCUS_REACH_BP)
    query = {"locus": f"{chrom}:{start}-{end}"}
    return query | ({"flip": "1"} if row.strand == "-" else {})  # type: ignore[attr-defined]


def _ranks(num_rows: int, choice: Choice) -> tuple[int, int]:
    if num_rows <= MAX_LINES:
        return 1, num_rows
    key = f"aggregate ranks {choice.site_class} {choice.rows} {num_rows}"
    found: tuple[int, int] = st.slider(
        "Ranks shown", 1, num_rows, (1, num_rows), key=key, help=f"Up to {MAX_LINES} rows have a line each."
    )
    return found


def _offer_loci(inputs: Inputs, rows: pd.DataFrame, lengths: dict[str, int]) -> None:
    st.markdown(f"**{len(rows)} {'row' if len(rows) == 1 else 'rows'} in this line**")
    for row in list(rows.itertuples())[:_MAX_LINKS]:
        _link(inputs, row, lengths)
    if len(rows) > _MAX_LINKS:
        st.caption(f"{len(rows) - _MAX_LINKS} more: choose fewer ranks.")


def _link(inputs: Inputs, row: object, lengths: dict[str, int]) -> None:
    try:
        query = locus_query(row, lengths)
    except ValueError as error:
        st.caption(literal(f"{_name(row)}: not to be shown, as {error}"))
        return
    page = st.Page(partial(locus_page, inputs), title="Locus", url_path="locus", default=True)
    st.page_link(page, label=literal(f"Open {_name(row)}"), icon=":material/straighten:", query_params=query)


def _list_rows(inputs: Inputs, places: Places, lengths: dict[str, int], name: str) -> None:
    table = places.table.head(_MAX_LISTED)
    shown = table[["gene", "chrom", "cut", "strand", "locus", "site_id"]]
    event = st.dataframe(
        shown,
        hide_index=True,
        height=250,
        on_select="rerun",
        selection_mode="single-row",
        key=f"aggregate table {name} {len(table)} {hash(tuple(table['row_id'].iloc[[0, -1]]))}",
    )
    if len(places.table) > _MAX_LISTED:
        st.caption(f"The first {_MAX_LISTED:,} of {len(places.table):,} rows are listed.")
    for number in event["selection"]["rows"]:
        _link(inputs, next(table.iloc[[number]].itertuples()), lengths)


def _name(row: object) -> str:
    place = f"{row.chrom}:{row.cut:,.0f} {row.strand}"  # type: ignore[attr-defined]
    gene = row.gene  # type: ignore[attr-defined]
    return f"{gene} {place}" if gene else place


def _rows(places: Places, rows: np.ndarray) -> Places:
    return Places(places.matrix[rows], places.offsets, places.table.iloc[rows])


def _lengths(inputs: Inputs) -> dict[str, int]:
    try:
        return dict(contig_lengths(inputs.tracks[0].path)) if inputs.tracks else {}
    except (OSError, ValueError, TrackError) as error:
        st.caption(literal(f"Rows cannot be opened: {error}"))
        return {}


def _tsv(places: Places) -> bytes:
    columns = [str(offset) for offset in places.offsets]
    values = pd.DataFrame(places.matrix, columns=columns, index=places.table.index)
    table = pd.concat([places.table, values], axis=1)
    return table.to_csv(sep="\t", index=False, na_rep="nan", float_format="%.6g").encode()
