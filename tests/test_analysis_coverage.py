"""Tracks of part of a genome: which sites stay, and where no control may come from."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.genome import Contig, Interval
from ldarnet_analysis.coverage import keep_covered, uncovered_regions
from ldarnet_analysis.panel_sites import PanelSites

CONTIGS = [Contig("a", 30), Contig("b", 12), Contig("c", 5)]


@st.composite
def coverages(draw):
    """Disjoint intervals in the order of the genome."""
    intervals = []
    for name, length_bp in CONTIGS:
        edges = sorted(draw(st.sets(st.integers(0, length_bp), max_size=6)))
        intervals += [Interval(name, start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    return intervals


def marked(intervals):
    """One flag per base of all contigs."""
    flags = {name: np.zeros(length_bp, dtype=int) for name, length_bp in CONTIGS}
    for chrom, start, end in intervals:
        flags[chrom][start:end] += 1
    return flags


@given(coverages())
def test_every_base_is_covered_or_not(covered):
    rest = uncovered_regions(covered, CONTIGS)
    inside, outside = marked(covered), marked(rest.itertuples(index=False))
    for name, length_bp in CONTIGS:
        assert (inside[name] + outside[name] == np.ones(length_bp, dtype=int)).all()
    assert (rest["start"] < rest["end"]).all()


@given(coverages())
def test_sites_stay_where_the_track_is(covered):
    table = pd.DataFrame(
        [(name, cut) for name, length_bp in CONTIGS for cut in range(length_bp)], columns=["chrom", "cut"]
    )
    found = keep_covered(PanelSites(by_class={"x": table}), covered, "t.bw")
    flags = marked(covered)
    expected = [(chrom, cut) for chrom, cut in table.itertuples(index=False) if flags[chrom][cut]]
    if expected:
        assert list(found.by_class["x"].itertuples(index=False, name=None)) == expected
    else:
        assert "x" not in found.by_class and "t.bw has no values at any of its 47 sites" in found.missing["x"]
    assert bool(found.notes) == (len(expected) < len(table))
