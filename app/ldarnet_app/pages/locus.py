"""The locus page: one place of the genome, from a megabase to single bases."""

from functools import partial

import pandas as pd
import streamlit as st

from ldarnet.genome import Contig
from ldarnet_app.charts.locus import locus_chart
from ldarnet_app.command_line import command_line
from ldarnet_app.downloads import offer_downloads
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.locus_figure import locus_data, locus_figure, locus_table
from ldarnet_app.locus_search import Places
from ldarnet_app.pages.locus_controls import draw_controls, go, zoom_to_selection
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.gene_loading import genes_within
from ldarnet_app.sources.genes import GeneIndex
from ldarnet_app.sources.genome import contigs_of
from ldarnet_app.sources.sites import SiteIndex, site_index
from ldarnet_app.sources.tracks import all_tracks, place_with_values
from ldarnet_app.theme import theme_named
from ldarnet_app.view import View, centered, view_from_query

WAIT_FOR_GENES_S = 1.5
START_SPAN_BP = 400
CHART_KEY = "locus chart"
TRANSPARENT = "rgba(0,0,0,0)"


def locus_page(inputs: Inputs) -> None:
    """Draw the page."""
    try:
        contigs = contigs_of(inputs.fasta)
        tracks = all_tracks(inputs)
    except (ValueError, OSError) as error:
        st.error(f"The genome cannot be read: {literal(str(error))}")
        return
    sites = _sites(inputs)
    view = _view(contigs, tracks, sites)
    genes = _genes(inputs, contigs)
    draw_controls(view, Places(contigs, genes, sites), tracks)
    theme = theme_named(st.context.theme.type)
    try:
        figure = locus_chart(locus_data(inputs, view, genes, sites), theme)
    except (ValueError, OSError) as error:
        st.error(f"This locus cannot be drawn: {literal(str(error))}")
        return
    # the page shines through, whatever its theme
    figure.update_layout(paper_bgcolor=TRANSPARENT, plot_bgcolor=TRANSPARENT)
    st.plotly_chart(
        figure,
        theme=None,
        key=CHART_KEY,
        on_select=partial(zoom_to_selection, CHART_KEY, view, contigs),
        selection_mode="box",
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        alt=f"Tracks, cuts, chunks, sequence, sites and genes of {view.locus}",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        offer_downloads(
            partial(locus_figure, inputs, view, theme),
            view.locus.replace(":", "_"),
            data_files(inputs, view, tracks),
            command_line(inputs, view),
        )
        st.caption(
            "Coordinates are 0-based and half-open: chr:0-10 is the first ten bases. The value at base i is the "
            "probability of a cut left of it; cuts are those above 0.5. Drag over the chart to zoom to a range. "
            "Letters are as high as the cut left of them is probable."
        )


def _view(contigs: tuple[Contig, ...], tracks: tuple[TrackFile, ...], sites: SiteIndex | None) -> View:
    """The view of the address, or the start view with a message if the address is none."""
    query = st.query_params.to_dict()
    view = None
    if "locus" in query:
        try:
            view = view_from_query(query, contigs, [track.label for track in tracks])
        except ValueError as error:
            st.warning(f"The address of this page does not name a view, so this is the start: {literal(str(error))}")
    if view is None:
        view = _start_view(contigs, tracks, sites)
    if view.to_query() != query:
        go(view)
    return view


def _start_view(contigs: tuple[Contig, ...], tracks: tuple[TrackFile, ...], sites: SiteIndex | None) -> View:
    names = {contig.name for contig in contigs}
    site = sites.first() if sites else None
    if site is not None and site.chrom in names:
        return centered(View(site.chrom, 0, START_SPAN_BP), site.cut, contigs)
    longest = max(contigs, key=lambda contig: contig.length_bp)
    try:
        place = place_with_values(tracks[0], longest)
    except (ValueError, OSError):  # said where the chart would be
        place = longest.length_bp // 2
    return centered(View(longest.name, 0, START_SPAN_BP), place, contigs)


def _sites(inputs: Inputs) -> SiteIndex | None:
    if inputs.results is None:
        return None
    try:
        return site_index(inputs.results)
    except (ValueError, OSError) as error:
        st.warning(f"Sites of the results are not shown: {literal(str(error))}")
        return None


def _genes(inputs: Inputs, contigs: tuple[Contig, ...]) -> GeneIndex | None:
    if inputs.annotation is None:
        return None
    try:
        genes = genes_within(inputs.annotation, contigs, WAIT_FOR_GENES_S)
    except (ValueError, OSError) as error:
        st.warning(f"Genes are not shown: {literal(str(error))}")
        return None
    if genes is None:
        _draw_again_with_genes(inputs, contigs)
    return genes


@st.fragment(run_every=1.0)
def _draw_again_with_genes(inputs: Inputs, contigs: tuple[Contig, ...]) -> None:
    """A line that stands until the annotation is read."""
    assert inputs.annotation is not None
    try:
        is_read = genes_within(inputs.annotation, contigs, 0.0) is not None
    except (ValueError, OSError):  # said when the page is drawn again
        is_read = True
    if is_read:
        st.rerun(scope="app")
    st.caption(f":material/hourglass_top: Reading the genes of {literal(inputs.annotation.name)}; they appear soon.")


def data_files(inputs: Inputs, view: View, tracks: tuple[TrackFile, ...]) -> dict[str, partial[bytes]]:
    """The data of a view: one table, and a bedGraph for each track shown."""
    shown = [track.label for track in tracks if view.shows(track.label)]
    files = {".tsv": partial(_tsv, inputs, view)}
    for label in shown:
        name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in label)
        if f".{name}.bedGraph" in files:
            name = f"{name}_{len(files)}"
        files[".bedGraph" if len(shown) == 1 else f".{name}.bedGraph"] = partial(_bedgraph, inputs, view, label)
    return files


def _tsv(inputs: Inputs, view: View) -> bytes:
    return _text(locus_table(inputs, view), header=True)


def _bedgraph(inputs: Inputs, view: View, label: str) -> bytes:
    table = locus_table(inputs, view)
    is_shown = (table["track"] == label) & table["p"].notna()
    return _text(table.loc[is_shown, ["chrom", "start", "end", "p"]], header=False)


def _text(table: pd.DataFrame, *, header: bool) -> bytes:
    text: str = table.to_csv(
        sep="\t", index=False, header=header, na_rep="nan", float_format="%.6g", lineterminator="\n"
    )
    return text.encode()
