"""One class of sites against the controls of one rung: matrices, profiles with intervals, and tests."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ldarnet_analysis.bootstrap import cluster_bootstrap
from ldarnet_analysis.locus_sums import MIN_LOCI
from ldarnet_analysis.odds import OddsRatio, odds_ratio
from ldarnet_analysis.panel import PanelEntry
from ldarnet_analysis.permutation import max_t
from ldarnet_analysis.primary import TestRow, primary_test
from ldarnet_analysis.profiles import Values, hard_cuts, has_cut, profile_matrix
from ldarnet_analysis.style import SITES

PROFILE_COLUMNS = ["class", "rung", "signal", "offset", "mean", "lo", "hi", "n_sites", "n_loci"]
ODDS_COLUMNS = ["class", "rung", "odds_ratio", "lo", "hi", "site_share", "control_share", "n_loci", "status"]
MAX_T_COLUMNS = ["class", "rung", "signal", "offset", "effect", "t", "p_adjusted"]
TESTED_SIGNALS = ("raw", "residual", "cut-rate")
CUT_REACH_BP = 1
MIN_VALUE_SHARE = 0.5
"""A site has a primary value if at least this share of its test window has values."""


@dataclass(frozen=True)
class Tracks:
    """What one signal is read from; sites on - read `minus` where it is given."""

    plus: Values
    minus: Values | None = None

    def matrix(self, places: pd.DataFrame, offsets: np.ndarray) -> np.ndarray:
        """Values around the cuts of a table: float32 [rows, offsets]."""
        return profile_matrix(self.plus, places, offsets, self.minus)


@dataclass
class Findings:
    """Rows of the result tables, as they come."""

    profiles: list[pd.DataFrame] = field(default_factory=list)
    tests: list[TestRow] = field(default_factory=list)
    odds: list[tuple[object, ...]] = field(default_factory=list)
    max_t: list[pd.DataFrame] = field(default_factory=list)

    def add(self, others: "Findings") -> None:
        """Take in the rows of others."""
        self.profiles += others.profiles
        self.tests += others.tests
        self.odds += others.odds
        self.max_t += others.max_t


def compare(
    findings: Findings,
    entry: PanelEntry,
    rung: str,
    signals: dict[str, tuple[np.ndarray, np.ndarray]],
    offsets: np.ndarray,
    loci: np.ndarray,
    pair_rows: np.ndarray,
    *,
    unbalanced: str,
    seed: int,
) -> None:
    """Add profiles of the controls, tests and odds of one rung to the findings.

    `signals`: name -> (matrix of the sites [n, offsets], matrix of the controls [pairs, offsets]); row j of the
    latter belongs to site `pair_rows[j]`, whose locus it shares. Signal "raw" gives the hard-cut rate too. `unbalanced`
    says why the controls are refused: then there is no test, no max-T, and no odds.
    """
    control_loci = loci[pair_rows]
    for signal, (site_matrix, control_matrix) in signals.items():
        controls = _by_site(control_matrix, pair_rows, len(site_matrix))
        findings.profiles.append(profile(entry.name, rung, signal, control_matrix, offsets, control_loci, seed=seed))
        site_values = window_means(site_matrix, offsets, entry.test_window)
        control_values = window_means(controls, offsets, entry.test_window)
        findings.tests.append(
            primary_test(
                site_values,
                control_values,
                loci,
                site_class=entry.name,
                rung=rung,
                signal=signal,
                unbalanced=unbalanced,
                seed=seed,
            )
        )
        if not unbalanced:
            _add_max_t(findings, (entry.name, rung, signal), site_matrix, controls, offsets, loci, seed)
        if signal == "raw":
            findings.profiles.append(
                profile(entry.name, rung, "cut-rate", hard_cuts(control_matrix), offsets, control_loci, seed=seed)
            )
            _add_cut_rate(findings, entry, rung, site_matrix, controls, offsets, loci, unbalanced, seed)


def profile(
    site_class: str, rung: str, signal: str, matrix: np.ndarray, offsets: np.ndarray, loci: np.ndarray, *, seed: int
) -> pd.DataFrame:
    """Mean at every offset with its interval by cluster bootstrap, as rows with PROFILE_COLUMNS.

    Intervals of probabilities and rates end at 0 and 1: with few loci, a bootstrap-t one may reach beyond.
    """
    interval = cluster_bootstrap(matrix, loci, num=1000, seed=seed)
    limits = (-np.inf, np.inf) if signal == "residual" else (0.0, 1.0)
    lo, hi = np.clip(interval.lo, *limits), np.clip(interval.hi, *limits)
    table = pd.DataFrame({"offset": offsets, "mean": interval.estimate, "lo": lo, "hi": hi})
    num_sites = np.count_nonzero(~np.isnan(matrix), axis=0)
    named = table.assign(n_sites=num_sites, n_loci=interval.num_loci, rung=rung, signal=signal)
    return named.assign(**{"class": site_class})[PROFILE_COLUMNS]


def site_profiles(
    findings: Findings,
    entry: PanelEntry,
    matrices: dict[str, np.ndarray],
    offsets: np.ndarray,
    loci: np.ndarray,
    seed: int,
) -> None:
    """Add the profiles of the sites themselves, on every signal and as hard-cut rate."""
    for signal, matrix in matrices.items():
        findings.profiles.append(profile(entry.name, SITES, signal, matrix, offsets, loci, seed=seed))
        if signal == "raw":
            rate = profile(entry.name, SITES, "cut-rate", hard_cuts(matrix), offsets, loci, seed=seed)
            findings.profiles.append(rate)


def window_means(values: np.ndarray, offsets: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Mean over the offsets first..last of a window (last axis); NaN where less than half of them have a value."""
    inside = (offsets >= window[0]) & (offsets <= window[1])
    if inside.sum() != window[1] - window[0] + 1:
        raise ValueError(f"expected a test window within the offsets {offsets[0]}..{offsets[-1]}, got {window}")
    chosen = values[..., inside].astype(np.float64)
    num = np.count_nonzero(~np.isnan(chosen), axis=-1)
    enough = num >= MIN_VALUE_SHARE * inside.sum()
    return np.asarray(np.nansum(chosen, axis=-1) / np.where(enough, num, np.nan))


def _by_site(matrix: np.ndarray, pair_rows: np.ndarray, num_sites: int) -> np.ndarray:
    """Controls under their sites: [sites, most controls of a site, offsets], NaN where a site has fewer."""
    place = pd.Series(pair_rows).groupby(pair_rows).cumcount().to_numpy()
    most = int(place.max()) + 1 if len(place) else 1
    placed = np.full((num_sites, most, matrix.shape[1]), np.nan, dtype=np.float32)
    placed[pair_rows, place] = matrix
    return placed


def _add_cut_rate(
    findings: Findings,
    entry: PanelEntry,
    rung: str,
    site_matrix: np.ndarray,
    controls: np.ndarray,
    offsets: np.ndarray,
    loci: np.ndarray,
    unbalanced: str,
    seed: int,
) -> None:
    site_cuts = has_cut(site_matrix, offsets, entry.cut_at, CUT_REACH_BP)
    flat = has_cut(controls.reshape(-1, controls.shape[-1]), offsets, entry.cut_at, CUT_REACH_BP)
    control_cuts = flat.reshape(controls.shape[:2])
    findings.tests.append(
        primary_test(
            site_cuts,
            control_cuts,
            loci,
            site_class=entry.name,
            rung=rung,
            signal="cut-rate",
            unbalanced=unbalanced,
            seed=seed,
        )
    )
    num = np.count_nonzero(~np.isnan(control_cuts), axis=1)
    shares = np.nansum(control_cuts, axis=1) / np.where(num, num, np.nan)
    found = odds_ratio(site_cuts, shares, loci)
    if unbalanced:
        found = OddsRatio(np.nan, np.nan, np.nan, np.nan, np.nan, found.num_loci, "unbalanced")
    findings.odds.append((entry.name, rung, *found))


def _add_max_t(
    findings: Findings,
    names: tuple[str, str, str],
    site_matrix: np.ndarray,
    controls: np.ndarray,
    offsets: np.ndarray,
    loci: np.ndarray,
    seed: int,
) -> None:
    num = np.count_nonzero(~np.isnan(controls), axis=1)
    diffs = site_matrix - np.nansum(controls, axis=1) / np.where(num, num, np.nan)
    known = ~np.isnan(diffs).all(axis=1)
    if len(np.unique(loci[known])) < MIN_LOCI:
        return
    found = max_t(diffs[known], loci[known], num=999, seed=seed)
    table = pd.DataFrame({"offset": offsets, "effect": np.nanmean(diffs[known], axis=0), "t": found.t})
    site_class, rung, signal = names
    table = table.assign(p_adjusted=found.p, rung=rung, signal=signal)
    findings.max_t.append(table.assign(**{"class": site_class})[MAX_T_COLUMNS])


def untested(findings: Findings, entry: PanelEntry, rung: str, status: str, reason: str) -> None:
    """Add rows that say why a rung, or a whole class, was not tested."""
    findings.tests += [TestRow(entry.name, rung, signal, status=status, reason=reason) for signal in TESTED_SIGNALS]
