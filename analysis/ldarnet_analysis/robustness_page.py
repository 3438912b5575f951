"""The robustness report as one HTML file that needs nothing else, neither network nor other files."""

import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import pandas as pd

from ldarnet_analysis.html_text import Cell, bullets, facts_table, folded, image, paragraph, section, table
from ldarnet_analysis.report_page import report_page
from ldarnet_analysis.robustness_terms import ONE_SHIFT, UNRELATED, term_of
from ldarnet_analysis.screen_images import short_svg

_CLASSES = "Distances are classes: each reaches from its number up to the next."
_BANDS = (
    "Bands: 95 % intervals over windows. Grey: unrelated cuts at the same rates. Points of fewer than 20 windows are "
    "left out."
)
CAPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "reverse": f"Cuts of a window against those of its reverse complement, turned back: with a partner so near; "
        f"and the correlation of probabilities, also with the other strand's moved along. {_BANDS}",
        "shift": f"The same bases read in two windows, one of which starts some bases later: cuts shared, and for the "
        f"largest shift how many places change near the edges. {_BANDS} {_CLASSES}",
        "mask": f"Places left of unmasked bases whose cut changes when other bases are masked. {_BANDS} {_CLASSES}",
        "edits-cuts": f"Places whose cut changes when the middle base of a window does. Deletions and insertions leave "
        f"out the cuts beside them, which have no counterpart, and change the last base of the window too. {_BANDS} "
        f"{_CLASSES}",
        "edits-probabilities": f"The same as mean change of the probability, on a logarithmic scale. {_BANDS}",
        "arithmetic": f"Mixed precision against float32, and padding that leaks against padding that does not leak. "
        f"{_BANDS}",
        "models": f"Cuts of either model with a cut of the other so near. {_BANDS}",
    }
)
_HOW_TO_READ = (
    "A place is a junction of two bases inside a window. The first of a window, where a cut is given, is left out.",
    "Equal places: both readings cut there or neither does. As most places are not cut, unrelated cuts are equal at "
    "most places too: read it beside its null, or read shared cuts, those both readings make among those either makes.",
    f"Null, unless said otherwise: {UNRELATED}.",
    f"Null of correlations and quantiles, which are means over windows of the window's own: {ONE_SHIFT}.",
    "Intervals: 95 %, by resampling windows; those of the null too. Windows do not overlap and hold no N; neighbouring "
    "ones may still resemble each other, which the intervals do not know. None is given for fewer than 20 windows, nor "
    "where all windows say the same.",
    "Steady is not right: a model that cuts at every fourth base of a window is steady in most of these tests.",
)
_HEADLINES: Mapping[str, Callable[[pd.Series], pd.Series] | None] = MappingProxyType(
    {
        "plain.rate": None,
        "plain.near_half": None,
        "reverse.shared": None,
        "reverse.correlation": lambda x: x == 0,
        "shift.shared": lambda x: x.isin([x.min(), x.max()]),
        "mask.changed": lambda x: x.isna() | x.isin([0.01, 0.15, 0.3]),
        "snv.number": None,
        "deletion.number": None,
        "insertion.number": None,
        "bfloat16.shared": None,
        "padding.shared": lambda x: x == x.max(),
        "models.within": None,
        "models.all": None,
    }
)
"""Measures of the summary, in its order, and which of their x it shows (None: all)."""


def robustness_html(found: pd.DataFrame, pictures: Mapping[str, bytes], facts: Mapping[str, Any]) -> str:
    """The page, from the table of measures and its figures as SVG; the same input gives the same bytes."""
    parts = [_headline_rows(found[found["test"] == test], wanted) for test, wanted in _HEADLINES.items()]
    main = pd.concat(parts)
    body = "".join(
        [
            section("Summary", [table_html(main, "The main measures"), *_not_run(found)], "summary"),
            section("Figures", [_picture(name, each) for name, each in pictures.items()], "figures"),
            section("How to read this", [bullets(_HOW_TO_READ)], "read"),
            section("All measures", list(_all(found)), "all"),
            section("How it was made", list(_made(facts)), "made"),
        ]
    )
    subtitle = "What is left of a model's cuts when its input is disturbed."
    return report_page("How steady the cuts are", body, subtitle=subtitle)


def _headline_rows(rows: pd.DataFrame, wanted: Callable[[pd.Series], pd.Series] | None) -> pd.DataFrame:
    return rows if wanted is None else rows[wanted(rows["x"])]


def table_html(found: pd.DataFrame, caption: str) -> str:
    """Rows of the table in words."""
    rows = []
    for row in found.to_dict("records"):
        term = term_of(str(row["test"]))
        x = float(row["x"])
        at = Cell("" if math.isnan(x) else f"{x:g}", x)
        numbers = [_cell(row[name], term.digits) for name in ("value", "lo", "hi", "null", "null_lo", "null_hi")]
        value, lo, hi, null, null_lo, null_hi = numbers
        rows.append(
            (
                str(row["model"]),
                term.label,
                at,
                value,
                _between(lo, hi),
                null,
                _between(null_lo, null_hi),
                Cell(f"{row['n_windows']:,}", float(row["n_windows"])),
                f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"]),
            )
        )
    names = ["model", "measure", "at", "value", "95 % interval", "null", "95 % interval of null", "windows", "status"]
    return table(names, rows, caption)


def _cell(value: float, digits: int) -> Cell:
    value = float(value)
    return Cell("" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−"), value)


def _between(lo: Cell, hi: Cell) -> Cell:
    return Cell(f"{lo.shown} to {hi.shown}" if lo.shown and hi.shown else "", lo.sort)


def _not_run(found: pd.DataFrame) -> Iterator[str]:
    missing = found[found["status"] == "not run"]
    if len(missing):
        yield paragraph("Not run:")
        yield bullets(
            f"{model}, {term_of(test).label}: {reason}"
            for model, test, reason in zip(missing["model"], missing["test"], missing["reason"], strict=True)
        )


def _all(found: pd.DataFrame) -> Iterator[str]:
    for test in dict.fromkeys(found["test"]):
        term = term_of(test)
        rows = found[found["test"] == test]
        caption = f"{term.label}{f', at: {term.x}' if term.x else ''}. Null: {term.null or 'none'}."
        yield folded(f"{term.label} ({test})", table_html(rows, caption))


def _picture(name: str, svg: bytes) -> str:
    return image(short_svg(svg), "svg", name, CAPTIONS[name], "two-columns")


def _made(facts: Mapping[str, Any]) -> Iterator[str]:
    yield paragraph("The command:")
    yield paragraph(shlex.join(_without_folders(str(each)) for each in facts.get("command", ())), "finding")
    windows, settings = facts.get("windows", {}), facts.get("settings", {})
    lines = [("FASTA", str(facts.get("fasta", ""))), ("regions", str(facts.get("regions") or "all"))]
    lines += [(f"windows, {name.replace('_', ' ')}", str(value)) for name, value in windows.items()]
    lines += [(name.replace("_", " "), str(value)) for name, value in settings.items()]
    lines += [
        (f"model {name}", f"{PurePath(str(each.get('source', ''))).name}, sha256 {each.get('sha256', '')}")
        for name, each in facts.get("models", {}).items()
    ]
    lines += [(f"version of {name}", str(value)) for name, value in facts.get("versions", {}).items()]
    yield facts_table(lines)


def _without_folders(argument: str) -> str:
    """The last part of a path that starts at the root, at home or further up; anything else as it is."""
    return PurePath(argument).name if argument.startswith(("/", "~", "..")) else argument
