"""Odds of a hard cut at sites against those at their controls.

The marginal odds ratio, of the share of sites with a cut and the share of controls with one. Its logarithm is
linearised: each locus moves it by the sum, over its sites, of (cut - share) / (n share (1 - share)), minus the same
over its controls, so that pairing, several controls per site and likeness within a locus all enter the standard error
(Binder 1983). Student's t has one degree of freedom less than the side with fewer loci has effective ones. Half a
count is added to every cell (Haldane 1956), so that a share of 0 or 1 has finite odds.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from ldarnet_analysis.bootstrap import NO_SPREAD
from ldarnet_analysis.locus_sums import MIN_LOCI, effective_number, locus_sums


class OddsRatio(NamedTuple):
    """Odds ratio with its interval (NaN unless status is "ok"), and the shares of sites and controls with a cut.

    `num_loci` is that of the side with fewer; `status` is "ok", "too few loci" or "degenerate".
    """

    odds_ratio: float
    lo: float
    hi: float
    site_share: float
    control_share: float
    num_loci: int
    status: str


def odds_ratio(
    site_cuts: np.ndarray,
    control_cuts: np.ndarray,
    loci: np.ndarray,
    control_loci: np.ndarray | None = None,
    level: float = 0.95,
) -> OddsRatio:
    """Odds ratio of a cut (True, False, or the share of several; NaN = not known) at sites and at controls.

    Paired: row i of both belongs to the same site, and a row with either missing is left out. With control_loci,
    controls are rows of their own, with the locus of the site each was drawn for, or other names if for none.
    """
    sites, controls = (np.asarray(cuts, dtype=np.float64) for cuts in (site_cuts, control_cuts))
    if sites.ndim != 1 or controls.ndim != 1:
        raise ValueError(f"expected cuts [n], got {list(sites.shape)} and {list(controls.shape)}")
    for cuts in (sites, controls):
        if ((cuts < 0) | (cuts > 1)).any():
            raise ValueError(f"expected cuts between 0 and 1, got {np.nanmin(cuts)} to {np.nanmax(cuts)}")
    if control_loci is None:
        if len(sites) != len(controls):
            raise ValueError(f"expected as many controls as sites, got {len(controls)} and {len(sites)}")
        known = ~np.isnan(sites + controls)
        sites, controls, loci = sites[known], controls[known], np.asarray(loci)[known]
        control_loci = loci
    site_odds, site_moves = _odds_and_moves(sites)
    control_odds, control_moves = _odds_and_moves(controls)
    moves = locus_sums(np.concatenate([site_moves, -control_moves]), np.concatenate([loci, control_loci]))
    sizes = [locus_sums(*side).nums[:, 0] for side in ((sites, loci), (controls, control_loci))]
    # the side with fewer loci says how well the spread between them is known
    num_loci = min(len(each) for each in sizes)
    estimate = site_odds / control_odds
    shares = (_mean(sites), _mean(controls))
    if num_loci < MIN_LOCI:
        return OddsRatio(estimate, np.nan, np.nan, *shares, num_loci, "too few loci")
    spread = np.square(moves.sums).sum()
    # what cancels within loci leaves rounding
    if not spread > NO_SPREAD * (np.nansum(site_moves**2) + np.nansum(control_moves**2)):
        return OddsRatio(estimate, np.nan, np.nan, *shares, num_loci, "degenerate")
    standard_error = np.sqrt(num_loci / (num_loci - 1) * spread)
    df = max(min(effective_number(each) for each in sizes) - 1, 1)
    reach = np.exp(student.ppf((1 + level) / 2, df) * standard_error)
    return OddsRatio(estimate, float(estimate / reach), float(estimate * reach), *shares, num_loci, "ok")


def _odds_and_moves(cuts: np.ndarray) -> tuple[float, np.ndarray]:
    """Odds of a cut, and by how much each row moves their logarithm (NaN rows by NaN)."""
    num = np.count_nonzero(~np.isnan(cuts))
    if not num:
        return float("nan"), np.full(len(cuts), np.nan)
    share = (np.nansum(cuts) + 0.5) / (num + 1)
    return float(share / (1 - share)), (cuts - np.nanmean(cuts)) / (num * share * (1 - share))


def _mean(cuts: np.ndarray) -> float:
    return float(np.nanmean(cuts)) if (~np.isnan(cuts)).any() else float("nan")
