"""Love plot: how alike sites and controls are in each covariate, before and after matching."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ldarnet_analysis.balance import MAX_SMD
from ldarnet_analysis.row_plots import Mark, Row, draw_reference, draw_rows, shade_rows
from ldarnet_analysis.style import LOOKS, RUNGS

COVARIATE_LABELS = {
    "gc": "GC",
    "gc_upstream": "GC upstream",
    "gc_downstream": "GC downstream",
    "cpg": "CpG obs./exp.",
    "repeat_share": "repeat share",
    "log_tss_distance": "distance to TSS (log)",
    "score": "motif score",
}


def draw_balance(balance: pd.DataFrame, ax: Axes, *, cls: str | None = None) -> None:
    """Draw |SMD| of one class: open marks before, filled after matching; within the band is balanced.

    An infinite one (constant on both sides, and different) or one that could not be computed is said in words.
    """
    rows = balance_rows(balance, cls=cls)
    draw_rows(rows, ax, headings=("before", "after"))
    shade_rows(ax, 0, MAX_SMD)
    draw_reference(ax, MAX_SMD, dashed=True)
    high = max(ax.get_xlim()[1], 2.5 * MAX_SMD)
    ax.set_xlim(-0.03 * high, high)
    ax.set_xlabel("|Standardised mean difference|\n(open: before matching, filled: after)")


def balance_rows(balance: pd.DataFrame, *, cls: str | None = None) -> list[Row]:
    """The rows of `draw_balance`, under a header for each rung."""
    shown = balance if cls is None else balance[balance["class"] == cls]
    if shown.empty:
        classes = ", ".join(map(str, balance["class"].unique())) or "none"
        raise ValueError(f"expected the balance of {cls or 'some class'}, got that of: {classes}")
    if shown["class"].nunique() > 1:
        raise ValueError(f"expected the balance of one class, got {', '.join(map(str, shown['class'].unique()))}")
    rows: list[Row] = []
    for rung, group in sorted(shown.groupby("rung", sort=False), key=lambda item: RUNGS.index(str(item[0]))):
        look = LOOKS[str(rung)]
        rows.append(Row(look.label, is_header=True))
        for name, before, after in zip(group["covariate"], group["smd_before"], group["smd_after"], strict=True):
            sizes = (abs(float(before)), abs(float(after)))
            marks = (
                Mark(sizes[0], colour=look.colour, marker=look.marker, is_open=True),
                Mark(sizes[1], colour=look.colour, marker=look.marker),
            )
            rows.append(Row(COVARIATE_LABELS.get(name, name), marks, tuple(_size_text(size) for size in sizes)))
    return rows


def _size_text(size: float) -> str:
    if np.isnan(size):
        return "n/a"
    return f"{size:.2f}" if np.isfinite(size) else "∞"
