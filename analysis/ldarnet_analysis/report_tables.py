"""The tables of the report, as HTML: numbers as a reader wants them, each row with its words."""

from collections.abc import Container, Mapping
from typing import Any

import pandas as pd

from ldarnet_analysis.balance_plot import COVARIATE_LABELS
from ldarnet_analysis.html_text import Cell, folded, table
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import RUNGS, SIGNALS, signed
from ldarnet_analysis.verdicts import chance_number, rows_of, rung_look, verdict


def tests_table_html(
    tests: pd.DataFrame, caption: str, *, names_class: bool = True, scored: Container[str] = ()
) -> str:
    """Tests with their verdicts; `names_class` says in each row which class it is of.

    `scored`: classes whose same-kmer controls share a score.
    """
    classes = tests["class"].astype(str)
    rows = (
        (
            *([name] if names_class else []),
            rung_look(test.rung, by_score=name in scored).label,
            SIGNALS[signal].name,
            verdict(test, by_score=name in scored),
            Cell(signed(test.effect, 4), test.effect),
            _interval(test.lo, test.hi, "+.4f"),
            Cell(chance_number(test.p), test.p),
            Cell(chance_number(test.q), test.q),
            Cell(f"{n_sites:,.0f}", n_sites),
            Cell(f"{test.n_loci:,.0f}", test.n_loci),
            _number(test.mde, ".4f"),
        )
        for name, signal, n_sites, test in zip(classes, tests["signal"], tests["n_sites"], rows_of(tests), strict=True)
    )
    headings = ["control", "signal", "in words", "effect", "95 % interval", "p", "q", "sites", "loci", "detectable"]
    return table(
        [*(["class"] if names_class else []), *headings],
        rows,
        f"{caption}. Detectable: smallest effect found with power 0.8.",
    )


def odds_table_html(odds: pd.DataFrame, *, by_score: bool = False) -> str:
    """Odds of hard cuts of a class; nothing without any. `by_score` as in `verdicts.rung_look`."""
    if odds.empty:
        return ""
    rows = (
        (
            rung_look(str(row["rung"]), by_score=by_score).label,
            _number(row["site_share"], ".3f"),
            _number(row["control_share"], ".3f"),
            _number(row["odds_ratio"], ".2f"),
            _interval(row["lo"], row["hi"], ".2f"),
            str(row["status"]),
        )
        for _, row in odds.iterrows()
    )
    headings = ["control", "sites cut", "controls cut", "odds ratio", "95 % interval", "status"]
    return table(headings, rows, "Hard cuts (probability above 0.5) within 1 bp")


def peaks_table_html(peaks: pd.DataFrame) -> str:
    """Places and heights of peaks; nothing without any."""
    if peaks.empty:
        return ""
    rows = (
        (
            SIGNALS[str(row["signal"])].name,
            Cell(signed(row["offset"], 0), row["offset"]),
            _interval(row["offset_lo"], row["offset_hi"], "+.0f"),
            _number(row["height"], "+.3f"),
            _interval(row["lo"], row["hi"]),
        )
        for _, row in peaks.iterrows()
    )
    headings = ["signal", "offset (bp)", "95 % interval", "height", "95 % interval"]
    return table(headings, rows, "Peak of the sites' profile: place chosen on other loci than its height is taken from")


def unmatched_table_html(results: Results, cls: str) -> str:
    """How many sites have no control, by rung and kind of reason."""
    num_sites = len(results.of_class("sites", cls))
    unmatched = results.of_class("unmatched", cls)
    pairs = results["pairs"]
    is_own = pairs["site_id"].isin(results.of_class("sites", cls)["site_id"])
    rows = []
    for rung in RUNGS:
        paired = pairs.loc[is_own & (pairs["rung"] == rung), "site_id"].nunique()
        reasons = unmatched.loc[unmatched["rung"] == rung, "reason"]
        if not paired and reasons.empty:
            continue
        kinds = reasons.str.partition(":")[0].value_counts() if len(reasons) else {}
        why = ", ".join(f"{kind} ({num:,})" for kind, num in kinds.items())
        without = num_sites - paired
        shares = (Cell(f"{paired:,}", paired), Cell(f"{without:,}", without))
        label = rung_look(rung, by_score=cls in results.scored_classes).label
        rows.append((label, *shares, why or ("not recorded" if without else "")))
    return table(["control", "sites with", "sites without", "why without"], rows, "Pairing") if rows else ""


def balance_table_html(balance: pd.DataFrame, cls: str, *, by_score: bool = False) -> str:
    """Covariates of a class before and after matching, folded; nothing without any. `by_score` as in `rung_look`."""
    if balance.empty:
        return ""
    rows = (
        (
            rung_look(str(row["rung"]), by_score=by_score).label,
            COVARIATE_LABELS.get(str(row["covariate"]), str(row["covariate"])),
            _number(row["smd_before"], "+.3f"),
            _number(row["smd_after"], "+.3f"),
        )
        for _, row in balance.iterrows()
    )
    headings = ["control", "covariate", "before", "after"]
    found = table(headings, rows, "Standardised mean differences, sites less controls")
    return folded(f"Balance of {cls} in numbers", found)


def density_table_html(density: pd.DataFrame) -> str:
    """Density of cuts over classes of annotation."""
    rows = (
        (
            str(row["class"]),
            SIGNALS[str(row["signal"])].name,
            str(row["matching"]),
            _number(row["density"], ".4f"),
            _number(row["expected"], ".4f"),
            *_effect_cells(row),
            Cell(f"{row['num_bins']:,.0f}", row["num_bins"]),
            f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"]),
        )
        for _, row in density.iterrows()
    )
    headings = ["class", "signal", "matching", "density", "expected", "effect", "95 % interval", "bins", "status"]
    return table(headings, rows, "Density of cuts")


def _effect_cells(row: Mapping[str, Any]) -> tuple[Cell, Cell]:
    return _number(row["effect"], "+.4f"), _interval(row["lo"], row["hi"], "+.4f")


def _interval(lo: float, hi: float, digits: str = "+.3f") -> Cell:
    if pd.isna(lo) or pd.isna(hi):
        return Cell("", float("nan"))
    return Cell(f"{lo:{digits}} to {hi:{digits}}".replace("-", "−"), float(lo))


def _number(value: float, digits: str) -> Cell:
    return Cell("" if pd.isna(value) else f"{value:{digits}}".replace("-", "−"), float(value))
