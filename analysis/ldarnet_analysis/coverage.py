"""A track of part of a genome: its sites elsewhere are left out, and no control is taken from there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ldarnet.genome import Contig, Interval
from ldarnet_analysis.panel_sites import PanelSites


def uncovered_regions(covered: Sequence[Interval], contigs: Sequence[Contig]) -> pd.DataFrame:
    """The bases outside of `covered` (disjoint, in the order of the genome): columns chrom, start, end."""
    spans_of = _by_contig(covered)
    rows = []
    for name, length_bp in contigs:
        start = 0
        for first, end in spans_of.get(name, ()):
            rows.append((name, start, first))
            start = end
        rows.append((name, start, length_bp))
    return pd.DataFrame([row for row in rows if row[1] < row[2]], columns=["chrom", "start", "end"])


def keep_covered(sites: PanelSites, covered: Sequence[Interval], track: str) -> PanelSites:
    """The sites whose cut lies in `covered`; the notes say how many of a class do not, and why a class is missing."""
    by_class, missing, notes = {}, dict(sites.missing), list(sites.notes)
    for name, table in sites.by_class.items():
        inside = _inside(table, covered)
        num_out = len(table) - int(inside.sum())
        if num_out:
            notes.append(f"{name}: dropped {num_out:,} of {len(table):,} sites: {track} has no values there")
        if inside.any():
            by_class[name] = table[inside].reset_index(drop=True)
        else:
            missing[name] = f"{track} has no values at any of its {len(table):,} sites"
    return replace(sites, by_class=by_class, missing=missing, notes=notes)


def _inside(table: pd.DataFrame, covered: Sequence[Interval]) -> np.ndarray:
    inside = np.zeros(len(table), dtype=bool)
    spans_of, cut = _by_contig(covered), table["cut"].to_numpy()
    for name, rows in table.groupby("chrom").indices.items():
        if name in spans_of:
            spans = np.array(spans_of[name])
            block = np.searchsorted(spans[:, 0], cut[rows], side="right") - 1
            inside[rows] = (block >= 0) & (cut[rows] < spans[block, 1])
    return inside


def _by_contig(intervals: Sequence[Interval]) -> dict[str, list[tuple[int, int]]]:
    spans: dict[str, list[tuple[int, int]]] = {}
    for chrom, start, end in intervals:
        spans.setdefault(chrom, []).append((start, end))
    return spans
