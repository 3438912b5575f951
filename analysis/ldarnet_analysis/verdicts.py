"""What a test says, in words: one rule, written out in every report."""

from collections.abc import Sequence
from typing import Protocol, cast

import pandas as pd

from ldarnet_analysis.primary import PRIMARY_FAMILY
from ldarnet_analysis.style import LOOKS, SIGNALS, Look, signed

ALPHA = 0.05

RULE = (
    f"A test says “above” or “below” its control if q is at most {ALPHA:g}; tests outside the pre-registered family "
    f"have no q, and say so if p is at most {ALPHA:g}, marked “not adjusted”. Otherwise it says “no difference found” "
    "and the smallest difference that it would have found with a power of 0.8. A test that could not be made says why. "
    "The pre-registered family is one test per site class: the residual against controls with the same k-mer "
    f"(rung {PRIMARY_FAMILY['rung']}; of a motif given as a matrix: with the same score, whatever the letters), "
    "adjusted by Benjamini and Hochberg. Only this test may say that cuts go with "
    "function: a difference of raw probabilities alone may be nothing but a difference of letters near the cut."
)


class Test(Protocol):
    """What is read of a row of the tests: one of `rows_of`, or a `primary.TestRow`."""

    rung: str
    effect: float
    lo: float
    hi: float
    p: float
    q: float
    n_loci: int
    mde: float
    status: str
    reason: str


def rows_of(tests: pd.DataFrame) -> Sequence[Test]:
    """The rows of a table with TEST_COLUMNS."""
    return cast(Sequence[Test], list(tests.itertuples()))


def verdict(test: Test, *, by_score: bool = False) -> str:
    """The words for one row of the tests; `by_score` as in `rung_look`."""
    if test.status != "ok":
        return f"could not be tested: {_why(test)}"
    adjusted = not pd.isna(test.q)
    chance = test.q if adjusted else test.p
    if pd.isna(chance):
        return "could not be tested: no p value"
    if chance <= ALPHA:
        side = "above" if test.effect > 0 else "below"
        return f"{side} {rung_look(test.rung, by_score=by_score).control}" + ("" if adjusted else " (not adjusted)")
    power = f"; one of {test.mde:.2g} would have been" if not pd.isna(test.mde) else ""
    return f"no difference found{power}"


def rung_look(rung: str, *, by_score: bool = False) -> Look:
    """The look of a rung; `by_score` for classes whose same-kmer controls share the score of a matrix instead."""
    if by_score and rung == PRIMARY_FAMILY["rung"]:
        return LOOKS[rung]._replace(label="same score", control="same-score control")
    return LOOKS[rung]


def headline(tests: pd.DataFrame, site_class: str, *, by_score: bool = False) -> str:
    """One sentence on the primary test of a class; `by_score` as in `rung_look`."""
    alike = "the same score of the matrix" if by_score else "the same k-mer"
    primary = rows_of(primary_rows(tests, site_class))
    if not primary:
        return f"The pre-registered test (residual against {alike}) is not among the tests."
    test = primary[0]
    if test.status != "ok":
        return f"The pre-registered test could not be made: {_why(test)}."
    if pd.isna(test.q) or test.q > ALPHA:
        found = f"No difference was found between the residual at sites and at other places with {alike}"
    else:
        side = "above" if test.effect > 0 else "below"
        found = f"The residual at sites is {side} that at other places with {alike}"
    return f"{found}: {effect_text(test)}, {chance_text(test.p, test.q)}."


def primary_rows(tests: pd.DataFrame, site_class: str | None = None) -> pd.DataFrame:
    """The tests of the pre-registered family, of one class or of all."""
    member = pd.Series(True, index=tests.index) if site_class is None else tests["class"] == site_class
    for column, value in PRIMARY_FAMILY.items():
        member &= tests[column] == value
    return tests[member]


def signal_name(signal: str) -> str:
    """What a signal is called in text."""
    return SIGNALS[signal].name if signal in SIGNALS else signal


def effect_text(test: Test) -> str:
    """`+0.0570 (+0.0450 to +0.0690)`, without brackets where there is no interval."""
    interval = "" if pd.isna(test.lo) or pd.isna(test.hi) else f" ({signed(test.lo, 4)} to {signed(test.hi, 4)})"
    return signed(test.effect, 4) + interval


def chance_text(p: float, q: float) -> str:
    """`q = 0.01`, or p where a test has no q."""
    name, value = ("q", q) if not pd.isna(q) else ("p", p)
    return "p n/a" if pd.isna(value) else f"{name} = {chance_number(value)}"


def chance_number(value: float) -> str:
    """A p or q with two digits, `n/a` for NaN."""
    if pd.isna(value):
        return "n/a"
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}"


def _why(test: Test) -> str:
    return f"{test.status} ({test.reason})" if test.reason else test.status
