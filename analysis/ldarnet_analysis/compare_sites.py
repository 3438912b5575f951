"""Cuts at annotated sites, against two things: any place of the same block, and places with the same letters.

For each site: whether a cut is within the tolerance, less the share of places where one is. `shift`: of all places of
its block, which is what moving the cuts round the block comes to on average. `same-kmer`: of all places in the
regions with the same letters around the cut, no site of the class among them, at the density of the site's block.
Differences are tested by locus as in `primary`; the pre-registered family is `same-kmer` at 1 bp, over all segmenters
and classes together.

A flip of the sign swaps a site with a control; here there is none, and 0 or 1 less a share is as likely as its negative
only for a share of a half. So the p value holds only as far as the number of cut sites that chance gives is many and
near symmetric: no test is made under MIN_EXPECTED sites cut or uncut by chance, nor beyond MAX_SKEW.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from ldarnet_analysis.compare_axis import Axis
from ldarnet_analysis.compare_letters import LetterNull
from ldarnet_analysis.multiplicity import benjamini_hochberg
from ldarnet_analysis.positions import contig_numbers
from ldarnet_analysis.primary import TestRow, primary_test

SITE_TOLERANCES = (0, 1)
FAMILY_TOLERANCE = 1
MIN_EXPECTED = 20
"""Sites that chance has to cut, and to leave uncut."""
MAX_SKEW = 0.13
"""Of the number of sites that chance cuts: of rare cuts, 60 have it. With one site per locus, at most 0.07 of null data
sets are called at 0.05 and 0.008 at 0.002 within both limits (0.05 and 0.003 on average over shares and numbers)."""
SITE_TEST_COLUMNS = [
    *("segmenter", "class", "tolerance", "null", "k", "share", "expected", "effect", "lo", "hi", "p", "q"),
    *("num_sites", "num_loci", "mde", "status", "reason"),
]


class SiteClass:
    """The sites of a class that lie on compared cuts: index and locus of each; how many do not."""

    def __init__(self, axis: Axis, sites: pd.DataFrame) -> None:
        contig = contig_numbers(sites["chrom"], axis.line.contigs)
        index = axis.index_of(axis.line.numbers(contig, sites["cut"].to_numpy(dtype=np.int64)))
        self.index = index[index >= 0]
        self.loci = sites["locus"].to_numpy(dtype=object)[index >= 0]
        self.num_elsewhere = int((index < 0).sum())


def site_rows(
    axis: Axis, name: str, cuts: np.ndarray, classes: Mapping[str, SiteClass], kmers: np.ndarray, k: int, seed: int
) -> Iterator[dict[str, object]]:
    """The tests of one segmenter: SITE_TEST_COLUMNS, q not yet filled."""
    for tolerance in SITE_TOLERANCES:
        near = axis.widened(cuts, tolerance)
        share_in_block = axis.block_sums(near) / axis.block_sizes
        letters = LetterNull(axis, near, kmers, k)
        for class_name, sites in classes.items():
            at = near[sites.index].astype(np.float64)
            nulls = {
                "shift": share_in_block[axis.block_of(sites.index)],
                "same-kmer": letters.at(sites.index),
            }
            for null, expected in nulls.items():
                row = {"segmenter": name, "class": class_name, "tolerance": tolerance, "null": null}
                row["k"] = k if null == "same-kmer" else 0
                yield row | _test(at, expected, sites, class_name, null, seed)


def site_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows as a table with SITE_TEST_COLUMNS, q filled in the family."""
    table = pd.DataFrame(rows, columns=SITE_TEST_COLUMNS)
    in_family = (table["null"] == "same-kmer") & (table["tolerance"] == FAMILY_TOLERANCE) & (table["status"] == "ok")
    table.loc[in_family, "q"] = benjamini_hochberg(table.loc[in_family, "p"].to_numpy(dtype=np.float64))
    return table


def _test(
    at: np.ndarray, expected: np.ndarray, sites: SiteClass, class_name: str, null: str, seed: int
) -> dict[str, object]:
    if not at.size:
        row = TestRow(class_name, null, "cut-rate", status="no sites", reason="no site lies on compared cuts")
        share = chance = float("nan")
    else:
        row = primary_test(at, expected, sites.loci, site_class=class_name, rung=null, signal="cut-rate", seed=seed)
        known = ~np.isnan(expected)
        row = _refused_if_rare(row, expected[known])
        share, chance = (float(each[known].mean()) if known.any() else float("nan") for each in (at, expected))
    fields = asdict(row)
    fields["num_sites"], fields["num_loci"] = fields.pop("n_sites"), fields.pop("n_loci")
    return {"share": share, "expected": chance} | {key: fields[key] for key in fields if key in SITE_TEST_COLUMNS}


def _skew(expected: np.ndarray) -> float:
    """Skew of the number of sites cut by chance, rare cuts and rare gaps not set off against each other."""
    variance = expected * (1 - expected)
    total = variance.sum()
    return float((variance * abs(1 - 2 * expected)).sum() / total**1.5) if total > 0 else float("inf")


def _refused_if_rare(row: TestRow, expected: np.ndarray) -> TestRow:
    """The row without what rests on many cuts, if the expected shares [n] come to too few sites cut or uncut."""
    num_cut = float(expected.sum())
    num_uncut = expected.size - num_cut
    skew = _skew(expected)
    if row.status != "ok" or (min(num_cut, num_uncut) >= MIN_EXPECTED and skew <= MAX_SKEW):
        return row
    reason = f"{num_cut:,.1f} cut and {num_uncut:,.1f} uncut sites expected by chance, with a skew of {skew:.2f}: "
    reason += f"at least {MIN_EXPECTED} of each and at most {MAX_SKEW} needed"
    nan = float("nan")
    reason = f"{reason}; {row.reason}" if row.reason else reason
    return replace(row, lo=nan, hi=nan, p=nan, mde=nan, status="too few cuts", reason=reason)
