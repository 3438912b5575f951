"""A view of the inputs as a figure and as a table, on a page or without one."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ldarnet.genome import Contig
from ldarnet_analysis.sites import SITE_COLUMNS
from ldarnet_app.charts.genes import TRANSCRIPTS_UP_TO_BP
from ldarnet_app.charts.locus import LocusData, locus_chart
from ldarnet_app.inputs import Inputs
from ldarnet_app.sources.genes import GeneIndex, Model, gene_index
from ldarnet_app.sources.genome import bases_of, contigs_of
from ldarnet_app.sources.sites import SiteIndex, site_index
from ldarnet_app.sources.tracks import MAX_BASES_DRAWN, TrackWindow, all_tracks, read_window
from ldarnet_app.theme import Theme
from ldarnet_app.view import View

SPLICE_CLASSES = ("donor", "acceptor")
TABLE_COLUMNS = ["chrom", "start", "end", "strand", "track", "p", "cut"]


def locus_figure(inputs: Inputs, view: View, theme: Theme) -> go.Figure:
    """The view as a figure with all that the inputs have of it.

    Raises ValueError or OSError for files that cannot be read.
    """
    genes = gene_index(inputs.annotation, contigs_of(inputs.fasta)) if inputs.annotation else None
    sites = site_index(inputs.results) if inputs.results else None
    return locus_chart(locus_data(inputs, view, genes, sites), theme)


def locus_table(inputs: Inputs, view: View) -> pd.DataFrame:
    """One row per base and track shown, or per bin where the view is wide, with TABLE_COLUMNS.

    p is the value of the cut left of base `start`, or the mean of a bin; cut is 1 where it is a hard cut (or the bin
    has one), 0 where not, and missing like p where there is no value or the track is no probability.
    """
    contig = _contig(inputs, view)
    tables = []
    for window in windows_of(inputs, view, contig):
        has_value = ~np.isnan(window.top) & window.is_probability
        tables.append(
            pd.DataFrame(
                {
                    "chrom": view.chrom,
                    "start": window.starts,
                    "end": window.ends,
                    "strand": window.track.strand if window.track.strand in ("+", "-") else ".",
                    "track": window.track.label,
                    "p": window.mean,
                    "cut": pd.array(np.where(has_value, window.has_cut, 0), dtype="Int8"),
                }
            )
        )
        tables[-1].loc[~has_value, "cut"] = pd.NA
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=TABLE_COLUMNS)


def windows_of(inputs: Inputs, view: View, contig: Contig) -> list[TrackWindow]:
    """What the tracks shown hold of the view."""
    return [read_window(track, contig, view.start, view.end) for track in all_tracks(inputs) if view.shows(track.label)]


def locus_data(inputs: Inputs, view: View, genes: GeneIndex | None, sites: SiteIndex | None) -> LocusData:
    """All that lies in a view."""
    contig = _contig(inputs, view)
    windows = windows_of(inputs, view, contig)
    labels = [track.label for track in all_tracks(inputs)]
    models = genes.overlapping(view.chrom, view.start, view.end) if genes else []
    known = sites.between(view.chrom, view.start, view.end) if sites else pd.DataFrame(columns=SITE_COLUMNS)
    classes = sites.classes if sites else ()
    if view.span_bp <= TRANSCRIPTS_UP_TO_BP:
        found = [each for each in splice_sites(models, view) if each["class"] not in classes]
        if found:
            more = pd.DataFrame(found)[SITE_COLUMNS].drop_duplicates("site_id")
            known = more if known.empty else pd.concat([known, more])
    return LocusData(
        view=view,
        contig_bp=contig.length_bp,
        windows=windows,
        colour_of=[labels.index(window.track.label) for window in windows],
        ids=bases_of(inputs.fasta, view.chrom, view.start, view.end) if view.span_bp <= MAX_BASES_DRAWN else None,
        models=models,
        sites=known,
        site_classes=sorted({*classes, *SPLICE_CLASSES}),
        has_annotation=genes is not None,
    )


def splice_sites(models: list[Model], view: View) -> list[dict[str, object]]:
    """Donors and acceptors of the introns between exons, as rows of sites; their cuts are the edges of the exons."""
    rows: list[dict[str, object]] = []
    for model in models:
        if model.strand not in ("+", "-"):
            continue
        classes = SPLICE_CLASSES if model.strand == "+" else SPLICE_CLASSES[::-1]
        for left, right in zip(model.exons[:-1, 1].tolist(), model.exons[1:, 0].tolist(), strict=True):
            for name, cut in zip(classes, (left, right), strict=True):
                if view.start <= cut <= view.end:
                    site_id = f"{name}:{view.chrom}:{cut}:{model.strand}"
                    values = [site_id, view.chrom, cut, model.strand, name, model.gene, model.gene, np.nan]
                    rows.append(dict(zip(SITE_COLUMNS, values, strict=True)))
    return rows


def _contig(inputs: Inputs, view: View) -> Contig:
    for contig in contigs_of(inputs.fasta):
        if contig.name == view.chrom:
            return contig
    raise ValueError(f"expected a contig of {inputs.fasta.name}, got {view.chrom!r}")
