"""How large a difference is, and how large one had to be to be found.

Power and minimum detectable effect treat the mean difference as Student's t with num_loci - 1 degrees of freedom
around its true value: effect / standard error, shifted, against the two-sided critical value. The standard error is
sd * sqrt(design effect / num_sites). The design effect is the variance of the mean between loci over what it would be
if sites were independent: above 1 where sites of a locus resemble each other. Approximations: the noncentral t is
taken as a shifted t, and the test at hand as a t test; for max-T the critical value is larger.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from ldarnet_analysis.locus_sums import LocusSums, locus_sums


class PairedEffect(NamedTuple):
    """Mean paired difference, the SD of the differences and the standard error of the mean between loci (track units).

    `standardised` is mean / SD with Hedges' correction; `design_effect` is explained in the module.
    """

    mean: float
    sd: float
    standard_error: float
    standardised: float
    design_effect: float
    num_sites: int
    num_loci: int

    def minimum_detectable(self, alpha: float = 0.05, power: float = 0.8) -> float:
        """Smallest mean difference that these sites would have shown with that power."""
        return minimum_detectable_effect(self.num_loci, self.sd, alpha, power, self.design_effect, self.num_sites)

    def power_of(self, effect: float, alpha: float = 0.05) -> float:
        """Power of these sites to show a mean difference of that size (track units)."""
        return power_of(effect, self.num_loci, self.sd, alpha, self.design_effect, self.num_sites)


def paired_effect(diffs: np.ndarray, loci: np.ndarray) -> PairedEffect:
    """Effect of paired differences [n], grouped by loci [n]; NaN differences are left out."""
    diffs = np.asarray(diffs, dtype=np.float64)
    if diffs.ndim != 1:
        raise ValueError(f"expected differences [n], got {list(diffs.shape)}")
    return effect_of_sums(locus_sums(diffs, loci), diffs[~np.isnan(diffs)])


def effect_of_sums(sums: LocusSums, present: np.ndarray) -> PairedEffect:
    """The same of differences without NaN whose locus sums are known."""
    num_sites, num_loci = len(present), int(sums.num_loci[0])
    if num_loci < 2:
        nan = float("nan")
        mean = float(present.mean()) if num_sites else nan
        return PairedEffect(mean, nan, nan, nan, nan, num_sites, num_loci)
    sd = float(present.std(ddof=1))
    standard_error = float(sums.standard_errors[0])
    independent = sd**2 / num_sites
    return PairedEffect(
        mean=float(sums.means[0]),
        sd=sd,
        standard_error=standard_error,
        standardised=standardised_effect(present, num_loci),
        design_effect=standard_error**2 / independent if independent else float("nan"),
        num_sites=num_sites,
        num_loci=num_loci,
    )


def standardised_effect(diffs: np.ndarray, num_loci: int | None = None) -> float:
    """Mean over SD of paired differences, times Hedges' correction 1 - 3 / (4 df - 1) for small samples.

    df is num_loci - 1 (differences of a locus are not independent), by default that of independent differences.
    NaN for fewer than two differences or where they do not differ.
    """
    present = np.asarray(diffs, dtype=np.float64)
    present = present[~np.isnan(present)]
    df = (len(present) if num_loci is None else num_loci) - 1
    sd = present.std(ddof=1) if len(present) > 1 else 0.0
    if df < 1 or sd == 0:
        return float("nan")
    return float(present.mean() / sd * (1 - 3 / (4 * df - 1)))


def minimum_detectable_effect(
    n_loci: int,
    sd: float,
    alpha: float = 0.05,
    power: float = 0.8,
    design_effect: float = 1.0,
    num_sites: int | None = None,
) -> float:
    """Smallest mean difference (units of sd) that a two-sided test at alpha finds with that power.

    `sd` is that of the paired differences; num_sites defaults to one per locus. NaN under two loci.
    """
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"expected alpha and power between 0 and 1, got {alpha} and {power}")
    standard_error = _standard_error(n_loci, sd, design_effect, num_sites)
    return float((student.ppf(1 - alpha / 2, n_loci - 1) + student.ppf(power, n_loci - 1)) * standard_error)


def power_of(
    effect: float,
    n_loci: int,
    sd: float,
    alpha: float = 0.05,
    design_effect: float = 1.0,
    num_sites: int | None = None,
) -> float:
    """Power of a two-sided test at alpha to find a mean difference (units of sd): what the function above inverts."""
    if not 0 < alpha < 1:
        raise ValueError(f"expected alpha between 0 and 1, got {alpha}")
    standard_error = _standard_error(n_loci, sd, design_effect, num_sites)
    if not standard_error > 0:
        return float("nan")
    return float(student.cdf(abs(effect) / standard_error - student.ppf(1 - alpha / 2, n_loci - 1), n_loci - 1))


def _standard_error(n_loci: int, sd: float, design_effect: float, num_sites: int | None) -> float:
    if n_loci < 2:
        return float("nan")
    return float(sd * np.sqrt(design_effect / (n_loci if num_sites is None else num_sites)))
