"""How often classes of annotation are cut, compared with the reference at equal composition."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ldarnet_analysis.row_plots import Mark, Row, draw_reference, draw_rows
from ldarnet_analysis.style import LOOKS

_AXIS = {
    "cut-rate": "Hard cuts per base, class − {reference}",
    "raw": "Mean probability of a cut, class − {reference}",
    "residual": "Mean residual probability, class − {reference}",
}
REFERENCE_STATUS = "reference"


def draw_density(density: pd.DataFrame, ax: Axes, *, signal: str = "cut-rate", note_chars: int = 44) -> None:
    """Draw the effect of each class against the reference: filled at equal composition, open as it is.

    `density` is a `density.density_table`. Columns: the class's own density, and its bins.
    """
    rows, reference = density_rows(density, signal=signal)
    draw_rows(rows, ax, headings=("density", "bins"), note_chars=note_chars)
    draw_reference(ax, 0)
    ax.set_xlabel(f"{_AXIS[signal].format(reference=reference)}\n(filled: at equal composition, open: as it is)")


def density_rows(density: pd.DataFrame, *, signal: str = "cut-rate") -> tuple[list[Row], str]:
    """The rows of `draw_density`, and the name of the reference class."""
    shown = density[density["signal"] == signal]
    if shown.empty:
        there = ", ".join(map(str, density["signal"].unique())) or "none"
        raise ValueError(f"expected the density of signal {signal}, got that of: {there}")
    reference = next(iter(shown.loc[shown["status"] == REFERENCE_STATUS, "class"]), "reference")
    rows = []
    for name, group in shown.groupby("class", sort=False):
        as_it_is = group[group["matching"] == "none"]
        matched = group[group["matching"] != "none"]
        last = (matched if len(matched) else as_it_is).iloc[-1]
        if last["status"] == REFERENCE_STATUS:
            rows.append(Row(str(name), (Mark(0.0),), _columns(last)))
        elif last["status"] != "ok":
            reason = f": {last['reason']}" if last["reason"] else ""
            rows.append(Row(str(name), note=f"{last['status']}{reason}"))
        else:
            marks = _marks(as_it_is, is_open=True) + _marks(matched, is_open=False)
            rows.append(Row(str(name), marks, _columns(last)))
    return rows, str(reference)


def _marks(tests: pd.DataFrame, *, is_open: bool) -> tuple[Mark, ...]:
    fine = tests[tests["status"] == "ok"]
    colour = LOOKS["matched"].colour
    # the interval is of the comparison that is claimed, at equal composition
    limits = np.full((len(fine), 2), np.nan) if is_open else fine[["lo", "hi"]].to_numpy(dtype=np.float64)
    return tuple(
        Mark(float(effect), float(lo), float(hi), colour, is_open=is_open)
        for effect, (lo, hi) in zip(fine["effect"], limits, strict=True)
    )


def _columns(test: pd.Series) -> tuple[str, ...]:
    return (f"{test['density']:.3f}", f"{int(test['num_bins']):,}")
