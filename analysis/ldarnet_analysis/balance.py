"""How alike sites and controls are: standardised mean differences, and the limit beyond which they are refused."""

import numpy as np
import pandas as pd

BALANCE_COLUMNS = ["class", "rung", "covariate", "smd_before", "smd_after"]
MAX_SMD = 0.1
UNMATCHED_RUNGS = frozenset({"random"})
"""Rungs that promise no balance; theirs is reported and not judged."""


def standardised_mean_difference(sites: np.ndarray, controls: np.ndarray) -> float:
    """Difference of means over the root of the mean of the two variances (Austin 2009), sites minus controls.

    0 if both are constant and equal, infinite if constant and different, NaN if either is empty.
    """
    if not len(sites) or not len(controls):
        return float("nan")
    difference = float(np.mean(sites) - np.mean(controls))
    spread = float(
        np.sqrt((np.var(sites, ddof=min(1, len(sites) - 1)) + np.var(controls, ddof=min(1, len(controls) - 1))) / 2)
    )
    if spread:
        return difference / spread
    return float(np.copysign(np.inf, difference)) if difference else 0.0


def balance_table(
    site_class: str, rung: str, sites: pd.DataFrame, pool: pd.DataFrame, matched: pd.DataFrame, controls: pd.DataFrame
) -> pd.DataFrame:
    """One row per covariate (column): all sites against the pool before, sites against their controls after.

    `matched` and `controls` have one row per pair, so a site with several controls is as heavy as they are.
    """
    rows = [
        (
            site_class,
            rung,
            name,
            standardised_mean_difference(sites[name].to_numpy(), pool[name].to_numpy()),
            standardised_mean_difference(matched[name].to_numpy(), controls[name].to_numpy()),
        )
        for name in sites.columns
    ]
    return pd.DataFrame(rows, columns=BALANCE_COLUMNS)


def imbalance(balance: pd.DataFrame, limit: float = MAX_SMD) -> str:
    """What is out of balance, as a sentence for `reason`; empty if nothing is."""
    judged = balance[~balance["rung"].isin(UNMATCHED_RUNGS)]
    # A NaN stands for a comparison that could not be made, which is no balance either.
    beyond = judged[~(judged["smd_after"].abs() <= limit)]
    rows = zip(beyond["class"], beyond["rung"], beyond["covariate"], beyond["smd_after"], strict=True)
    return "; ".join(f"{name} {rung}: |SMD| of {covariate} is {abs(smd):.3f}" for name, rung, covariate, smd in rows)


def refuse_if_unbalanced(balance: pd.DataFrame, limit: float = MAX_SMD, *, force: bool = False) -> str:
    """The sentence of `imbalance`, empty if balanced; raises ValueError with it unless `force` is set."""
    found = imbalance(balance, limit)
    if found and not force:
        raise ValueError(f"expected matched controls with |SMD| of at most {limit:g}, got {found}")
    return found
