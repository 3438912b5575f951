"""The tables of a comparison as HTML."""

import pandas as pd

from ldarnet_analysis.html_text import Cell, table
from ldarnet_analysis.style import signed
from ldarnet_analysis.verdicts import chance_number

Row = list[str | Cell]


def segmenters_html(rows: pd.DataFrame) -> str:
    """What ran, how, and at which rates."""
    cells: list[Row] = [
        [
            str(row.segmenter),
            str(row.kind),
            str(row.source),
            str(row.status),
            str(row.reason),
            number(row.own_rate, 4),
            number(row.matched_rate, 4),
            number(row.threshold, 4),
        ]
        for row in rows.itertuples()
    ]
    headings = ["segmenter", "kind", "from", "status", "reason", "own rate", "matched rate", "threshold"]
    return table(headings, cells, "Cuts per base; the threshold is that of the common rate")


def overlap_html(rows: pd.DataFrame) -> str:
    """Every pair at every tolerance."""
    cells: list[Row] = [
        [
            str(row.a),
            str(row.b),
            number(row.tolerance, 0),
            str(row.rates),
            number(row.overlap, 3),
            number(row.expected, 3),
            number(row.ratio, 2),
            between(row.ratio_lo, row.ratio_hi, 2),
            number(row.agreement, 3),
            between(row.agreement_lo, row.agreement_hi, 3),
            str(row.reason),
        ]
        for row in rows.itertuples()
    ]
    headings = ["a", "b", "bp", "rates", "overlap", "expected", "ratio", "95 %", "agreement", "95 %", "reason"]
    return table(headings, cells, "Overlap of cuts")


def lengths_html(rows: pd.DataFrame) -> str:
    """Chunk lengths."""
    columns = [("rate", 4), ("num_chunks", 0), ("mean", 2), ("sd", 2), ("cv", 2), ("cv_random", 2)]
    columns += [("q10", 0), ("median", 0), ("q90", 0), ("longest", 0), ("single_base_share", 3)]
    cells: list[Row] = [
        [str(row["segmenter"]), str(row["cuts"]), *(number(row[name], digits) for name, digits in columns)]
        for _, row in rows.iterrows()
    ]
    return table(["segmenter", "cuts", *(name for name, _ in columns)], cells, "Whole chunks, in bases")


def motifs_html(rows: pd.DataFrame, caption: str) -> str:
    """Tokens per occurrence of some motifs."""
    cells: list[Row] = [
        [
            str(row.segmenter),
            str(row.cuts),
            str(row.motif),
            number(row.num_occurrences, 0),
            number(row.mean_chunk, 2),
            number(row.tokens, 3),
            between(row.tokens_lo, row.tokens_hi, 3),
            number(row.expected, 3),
            number(row.shifted, 3),
            between(row.shifted_lo, row.shifted_hi, 3),
            number(row.ratio, 3),
            between(row.ratio_lo, row.ratio_hi, 3),
            number(row.letters_ratio, 3),
            between(row.letters_ratio_lo, row.letters_ratio_hi, 3),
            str(row.reason),
        ]
        for row in rows.itertuples()
    ]
    headings = ["segmenter", "cuts", "motif", "occurrences", "mean chunk", "tokens", "95 %", "formula", "shifted cuts"]
    headings += ["95 % of shifts", "ratio", "95 %", "ratio, same letters", "95 %", "reason"]
    return table(headings, cells, caption)


def sites_html(sites: pd.DataFrame) -> str:
    """Every test, found or not."""
    cells: list[Row] = []
    for _, row in sites.iterrows():
        cells.append(
            [
                str(row["segmenter"]),
                str(row["class"]),
                number(row["tolerance"], 0),
                str(row["null"]),
                number(row["share"], 3),
                number(row["expected"], 3),
                Cell(signed(row["effect"], 4), row["effect"]),
                between(row["lo"], row["hi"], 4),
                Cell(chance_number(row["p"]), row["p"]),
                Cell(chance_number(row["q"]), row["q"]),
                number(row["num_sites"], 0),
                number(row["num_loci"], 0),
                f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"]),
            ]
        )
    headings = [
        "segmenter",
        "class",
        "bp",
        "null",
        "share cut",
        "expected",
        "effect",
        "95 %",
        "p",
        "q",
        "sites",
        "loci",
    ]
    return table([*headings, "status"], cells, "Cuts at sites")


def number(value: float, digits: int) -> Cell:
    """A number with so many decimals; an empty cell for NaN."""
    if pd.isna(value):
        return Cell("", float("nan"))
    return Cell(f"{value:,.{digits}f}".replace("-", "−"), float(value))


def between(low: float, high: float, digits: int) -> Cell:
    """An interval; an empty cell where there is none."""
    if pd.isna(low) or pd.isna(high):
        return Cell("", float("nan"))
    return Cell(f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−"), float(low))
