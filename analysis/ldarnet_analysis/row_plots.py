"""Plots whose rows are named things with estimates: forest, love and density plots are made of these."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ldarnet_analysis.style import BLACK, GREY, PALE, shortened, small_size, wrapped

_COLUMN_ENDS_POINTS = (26, 58, 90)
"""How far right of the plot the text columns end."""
_LABEL_CHARS = 26


@dataclass(frozen=True)
class Mark:
    """An estimate with its interval (NaN = none)."""

    value: float
    lo: float = float("nan")
    hi: float = float("nan")
    colour: str = BLACK
    marker: str = "o"
    is_open: bool = False


@dataclass(frozen=True)
class Row:
    """A name, marks, the text of the columns at the right; or a name and a note, why there is nothing to draw."""

    label: str
    marks: tuple[Mark, ...] = ()
    columns: tuple[str, ...] = ()
    note: str = ""
    is_header: bool = False


def draw_rows(rows: Sequence[Row], ax: Axes, *, headings: Sequence[str] = (), note_chars: int = 44) -> None:
    """Draw the rows from the top down, what could not be had in grey with its reason.

    `headings` stand over the columns; notes are wrapped after `note_chars` letters.
    """
    notes = [wrapped(row.note, note_chars, 3) for row in rows]
    tops = np.concatenate([[0.0], np.cumsum([_height(note) for note in notes])])
    middles = (tops[:-1] + tops[1:]) / 2
    for row, note, y in zip(rows, notes, middles, strict=True):
        for mark in row.marks:
            _draw_mark(mark, y, ax)
        if note:
            ax.annotate(
                note,
                (0, y),
                xycoords=("axes fraction", "data"),
                xytext=(2, 0),
                textcoords="offset points",
                va="center",
                color=GREY,
                fontsize=small_size(),
                annotation_clip=False,
                # lines down the plot stop at the words
                bbox={"facecolor": ax.get_facecolor(), "edgecolor": "none", "pad": 0.5},
            )
        for number, text in enumerate(row.columns):
            _column_text(text, number, y, ax)
    for number, text in enumerate(headings):
        _column_text(text, number, -0.35, ax)
    ax.set_yticks(middles, labels=[shortened(row.label, _LABEL_CHARS) for row in rows])
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        if row.is_header:
            label.set_fontweight("bold")
        elif row.note:
            label.set_color(GREY)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(tops[-1], -0.1)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def rows_height(rows: Sequence[Row], note_chars: int = 44) -> float:
    """The height of the rows together, in heights of one with a line of text."""
    return sum(_height(wrapped(row.note, note_chars, 3)) for row in rows)


def draw_reference(ax: Axes, *values: float, dashed: bool = False) -> None:
    """Lines down the plot at values to compare with."""
    for value in values:
        ax.axvline(value, color=GREY if dashed else BLACK, linewidth=0.5, linestyle=":" if dashed else "-", zorder=0)


def _height(note: str) -> float:
    num_lines = note.count("\n") + 1
    return max(1.0, 0.68 * num_lines + 0.25)


def _draw_mark(mark: Mark, y: float, ax: Axes) -> None:
    if not np.isfinite(mark.value):
        return
    if np.isfinite(mark.lo) and np.isfinite(mark.hi):
        ax.plot([mark.lo, mark.hi], [y, y], color=GREY, linewidth=1.0, zorder=2)
    ax.plot(
        [mark.value],
        [y],
        linestyle="none",
        marker=mark.marker,
        markersize=4,
        markerfacecolor="white" if mark.is_open else mark.colour,
        markeredgecolor=mark.colour if mark.is_open else BLACK,
        markeredgewidth=0.8 if mark.is_open else 0.4,
        zorder=3,
    )


def _column_text(text: str, number: int, y: float, ax: Axes) -> None:
    ax.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(_COLUMN_ENDS_POINTS[number], 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=small_size(),
        annotation_clip=False,
    )


def shade_rows(ax: Axes, low: float, high: float) -> None:
    """A pale band between two values, for what is within limits."""
    ax.axvspan(low, high, color=PALE, alpha=0.6, linewidth=0, zorder=0)
