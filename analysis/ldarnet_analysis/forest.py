"""The null ladder as a forest plot: effect and interval of every rung, or why it could not be tested."""

from collections.abc import Container, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldarnet_analysis.row_plots import Mark, Row, draw_reference, draw_rows, rows_height
from ldarnet_analysis.style import LOOKS, ONE_COLUMN, RUNGS, SIGNALS, Preset, figure_style, new_figure, shortened
from ldarnet_analysis.verdicts import Test, chance_number, rows_of, rung_look

_ROW_MM = 4.2
_AXIS_MM = 13.0
_TITLE_CHARS = 24
_NOTE_CHARS_PER_MM = {"stacked": 0.52, "side by side": 0.26}


def draw_forest(
    tests: pd.DataFrame,
    ax: Axes,
    *,
    cls: str | None = None,
    signal: str = "residual",
    note_chars: int = 44,
    scored: Container[str] = (),
) -> None:
    """Draw the tests of one class, or of all, on one signal, with loci and q: rungs in the order of the ladder.

    Tests outside the pre-registered family have no q; their p stands there in brackets. Where all classes have but
    one rung, the rows are named by class. `scored`: classes whose same-kmer controls share a score. Raises ValueError
    without any test.
    """
    rows = forest_rows(tests, cls=cls, signal=signal, scored=scored)
    draw_rows(rows, ax, headings=("loci", "q or (p)"), note_chars=note_chars)
    draw_reference(ax, 0)
    if not any(row.marks for row in rows):
        ax.set_xticks([])
    ax.set_xlabel(SIGNALS[signal].difference)


def forest_rows(
    tests: pd.DataFrame, *, cls: str | None = None, signal: str = "residual", scored: Container[str] = ()
) -> list[Row]:
    """The rows of `draw_forest`; with several classes and rungs, under a header for each class."""
    shown = tests[tests["signal"] == signal]
    if cls is not None:
        shown = shown[shown["class"] == cls]
    if shown.empty:
        there = ", ".join(f"{name} {kind}" for name, kind in tests[["class", "signal"]].drop_duplicates().to_numpy())
        raise ValueError(f"expected tests of {cls or 'any class'} on signal {signal}, got tests of: {there or 'none'}")
    by_class = cls is None and shown["rung"].nunique() == 1
    rows: list[Row] = []
    for name, group in shown.groupby("class", sort=False):
        if cls is None and not by_class:
            rows.append(Row(str(name), is_header=True))
        ordered = group.sort_values("rung", key=lambda rungs: rungs.map(RUNGS.index), kind="stable")
        for test in rows_of(ordered):
            rows.append(_row(test, str(name) if by_class else rung_look(test.rung, by_score=name in scored).label))
    return rows


def forest_figure(
    tests: pd.DataFrame,
    cls: str | None = None,
    *,
    signals: Sequence[str] = ("raw", "residual"),
    preset: Preset = ONE_COLUMN,
    title: str = "",
    scored: Container[str] = (),
) -> Figure:
    """The ladder of a class (None: of all) on each signal tested, on one scale; stacked in one column of print.

    `scored`: classes whose same-kmer controls share a score.
    """
    shown = tests if cls is None else tests[tests["class"] == cls]
    there = [signal for signal in signals if (shown["signal"] == signal).any()] or list(signals[-1:])
    is_stacked = preset is ONE_COLUMN or len(there) == 1
    note_chars = int(preset.width_mm * _NOTE_CHARS_PER_MM["stacked" if is_stacked else "side by side"])
    heights = [rows_height(forest_rows(tests, cls=cls, signal=signal), note_chars) for signal in there]
    lines_mm = _ROW_MM * (sum(heights) if is_stacked else max(heights))
    with figure_style():
        figure = new_figure(preset, lines_mm + _AXIS_MM * (len(there) if is_stacked else 1) + 3)
        axes = list(
            figure.subplots(len(there), 1, squeeze=False, height_ratios=heights).flat
            if is_stacked
            else figure.subplots(1, len(there), squeeze=False).flat
        )
        for ax, signal in zip(axes, there, strict=True):
            draw_forest(tests, ax, cls=cls, signal=signal, note_chars=note_chars, scored=scored)
            ax.set_title(title or f"{shortened(cls or 'All classes', _TITLE_CHARS)}: {SIGNALS[signal].name}", pad=9)
        _share_limits(axes)
    return figure


def _row(test: Test, label: str) -> Row:
    if test.status != "ok":
        return Row(label, note=test.status + (f": {test.reason}" if test.reason else ""))
    look = LOOKS[test.rung]
    mark = Mark(test.effect, test.lo, test.hi, look.colour, look.marker)
    chance = f"({chance_number(test.p)})" if pd.isna(test.q) else chance_number(test.q)
    return Row(label, (mark,), (f"{int(test.n_loci):,}", chance))


def _share_limits(axes: list[Axes]) -> None:
    """Effects of different signals are read on one scale."""
    low = min(ax.get_xlim()[0] for ax in axes)
    high = max(ax.get_xlim()[1] for ax in axes)
    for ax in axes:
        ax.set_xlim(low, high)
