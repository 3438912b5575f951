"""Rows of tests.tsv: one paired test per site class, rung and signal, said in full whatever came out.

Effect: mean over sites of the site's value minus the mean of its controls (units of the track). Interval: cluster
bootstrap by locus, of differences of shares within -1 to 1. p: sign flips of whole loci. mde: smallest effect these
sites would have shown with power 0.8 at alpha 0.05. q: Benjamini-Hochberg over a pre-registered family, the tests of
it that could be made.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np
import pandas as pd

from ldarnet_analysis.bootstrap import cluster_bootstrap
from ldarnet_analysis.effects import paired_effect
from ldarnet_analysis.locus_sums import MIN_LOCI
from ldarnet_analysis.multiplicity import benjamini_hochberg
from ldarnet_analysis.permutation import sign_flip_test

STATUSES = ("ok", "too few loci", "too few cuts", "unbalanced", "no sites", "needs model", "failed", "degenerate")
# Of 0 or 1 at a site less a share: no difference is farther from 0, though a bootstrap-t interval may reach beyond.
SHARE_SIGNALS = ("cut-rate",)
TEST_COLUMNS = [
    *("class", "rung", "signal", "effect", "lo", "hi", "p", "q"),
    *("n_sites", "n_loci", "mde", "status", "reason"),
]
# The family fixed before looking: one test per site class.
PRIMARY_FAMILY = {"rung": "same-kmer", "signal": "residual"}
NAN = float("nan")


@dataclass(frozen=True)
class TestRow:
    """A row of tests.tsv, fields in the order of TEST_COLUMNS; numbers that could not be had are NaN."""

    site_class: str
    rung: str
    signal: str
    effect: float = NAN
    lo: float = NAN
    hi: float = NAN
    p: float = NAN
    q: float = NAN
    n_sites: int = 0
    n_loci: int = 0
    mde: float = NAN
    status: str = "ok"
    reason: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"expected a status of {', '.join(STATUSES)}, got {self.status!r}")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"expected a reason for status {self.status!r}, got none")


def primary_test(
    site_values: np.ndarray,
    control_values: np.ndarray,
    loci: np.ndarray,
    *,
    site_class: str,
    rung: str,
    signal: str,
    seed: int,
    unbalanced: str = "",
    num_flips: int = 9999,
    num_resamples: int = 2000,
) -> TestRow:
    """Test site values [n] against control values ([n], or [n, controls per site]; NaN = none), grouped by loci [n].

    Sites without a value, or without any control, are left out and counted in the reason. `unbalanced` says why the
    controls are refused; the test is then not made.
    """
    diffs = paired_differences(site_values, control_values)
    missing = int(np.isnan(diffs).sum())
    effect = paired_effect(diffs, loci)
    row = TestRow(site_class, rung, signal, n_sites=effect.num_sites, n_loci=effect.num_loci)
    left_out = f"{missing} of {len(diffs)} sites without a value or control left out" if missing else ""
    if not effect.num_sites:
        return replace(row, status="no sites", reason=left_out or "no site in this class")
    if unbalanced:
        return replace(row, status="unbalanced", reason=unbalanced)
    row = replace(row, effect=effect.mean)
    if effect.num_loci < MIN_LOCI:
        few = f"{effect.num_loci} loci, at least {MIN_LOCI} needed"
        return replace(row, status="too few loci", reason=_join(few, left_out))
    interval = cluster_bootstrap(diffs, loci, num=num_resamples, seed=seed)
    if interval.status != "ok":
        alike = "differences do not vary enough between loci for an interval"
        return replace(row, status="degenerate", reason=_join(alike, left_out))
    # another stream of random numbers than the bootstrap's
    p = sign_flip_test(diffs, loci, num_flips, seed=seed + 1).p
    limit = 1.0 if signal in SHARE_SIGNALS else np.inf
    lo, hi = (float(np.clip(bound, -limit, limit)) for bound in (interval.lo, interval.hi))
    return replace(row, lo=lo, hi=hi, p=p, mde=effect.minimum_detectable(), reason=left_out)


def paired_differences(site_values: np.ndarray, control_values: np.ndarray) -> np.ndarray:
    """Site minus the mean of its controls that have a value: float64 [n], NaN where either side has none."""
    sites = np.asarray(site_values, dtype=np.float64)
    controls = np.asarray(control_values, dtype=np.float64)
    if sites.ndim != 1 or controls.ndim not in (1, 2) or len(controls) != len(sites):
        got = f"got {list(sites.shape)} and {list(controls.shape)}"
        raise ValueError(f"expected values [n] and controls [n] or [n, controls per site], {got}")
    if controls.ndim == 1:
        controls = controls[:, None]
    num = np.count_nonzero(~np.isnan(controls), axis=1)
    return np.asarray(sites - np.nansum(controls, axis=1) / np.where(num, num, np.nan))


def tests_table(rows: Iterable[TestRow]) -> pd.DataFrame:
    """The rows as a table with TEST_COLUMNS, in the order given."""
    return pd.DataFrame([astuple(row) for row in rows], columns=TEST_COLUMNS)


def fill_q(tests: pd.DataFrame, family: Mapping[str, str] = PRIMARY_FAMILY) -> pd.DataFrame:
    """The table with q filled in the family: rows whose columns equal those given and whose status is ok.

    Other rows keep their q. Raises ValueError where the family holds a test twice or names an unknown column.
    """
    unknown = [column for column in family if column not in tests.columns]
    if unknown:
        raise ValueError(f"expected columns of {', '.join(TEST_COLUMNS)}, got {', '.join(unknown)}")
    member = np.ones(len(tests), dtype=bool)
    for column, value in family.items():
        member &= (tests[column] == value).to_numpy()
    twice = tests[member].duplicated(["class", "rung", "signal"])
    if twice.any():
        name = " ".join(tests[member].loc[twice, ["class", "rung", "signal"]].iloc[0])
        raise ValueError(f"expected every test of the family once, got {name} again")
    member &= (tests["status"] == "ok").to_numpy()
    filled = tests.copy()
    filled.loc[member, "q"] = benjamini_hochberg(tests.loc[member, "p"].to_numpy())
    return filled


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
