"""The primary effect of every site class in every genome, with intervals: one panel a class, one row a genome."""

import math

import pandas as pd
from matplotlib.figure import Figure

from ldarnet_analysis.primary import PRIMARY_FAMILY
from ldarnet_analysis.row_plots import Mark, Row, draw_reference, draw_rows
from ldarnet_analysis.style import LOOKS, SIGNALS, TWO_COLUMNS, figure_style, new_figure, shortened
from ldarnet_analysis.verdicts import ALPHA, Test, primary_rows, rows_of

_PANELS_A_LINE = 4
_ROW_MM = 4.2
_AXIS_MM = 16.0
_MOST_MM = 4_000
"""Higher pictures have more pixels than PNG files of matplotlib may."""
_TITLE_CHARS = 22
_NOTE_CHARS = 26


def cross_genome_figure(effects: pd.DataFrame) -> Figure:
    """Effects of the primary tests; a full mark where `q_across` is at most 0.05, else an open one.

    Genomes that could not be tested have the reason in their row. Raises ValueError without any primary test.
    """
    primary = primary_rows(effects)
    if primary.empty:
        kind = f"{PRIMARY_FAMILY['rung']}, {PRIMARY_FAMILY['signal']}"
        raise ValueError(f"expected tests of the pre-registered kind ({kind}) among the effects, got none")
    genomes = list(dict.fromkeys(effects["genome"]))
    classes = list(dict.fromkeys(effects["class"]))
    num_lines = math.ceil(len(classes) / _PANELS_A_LINE)
    num_columns = min(len(classes), _PANELS_A_LINE)
    row_mm = min(_ROW_MM, _MOST_MM / (num_lines * len(genomes)))
    with figure_style():
        figure = new_figure(TWO_COLUMNS, num_lines * (row_mm * len(genomes) + _AXIS_MM))
        axes = figure.subplots(num_lines, num_columns, squeeze=False)
        for number, ax in enumerate(axes.flat):
            if number >= len(classes):
                ax.set_axis_off()
                continue
            tests = primary[primary["class"] == classes[number]].set_index("genome")
            rows = [_row(genome, tests, is_named=number % num_columns == 0) for genome in genomes]
            draw_rows(rows, ax, note_chars=_NOTE_CHARS)
            draw_reference(ax, 0)
            if not any(row.marks for row in rows):
                ax.set_xticks([])
            ax.set_title(shortened(classes[number], _TITLE_CHARS))
        figure.supxlabel(SIGNALS[PRIMARY_FAMILY["signal"]].difference, fontsize=7)
    return figure


def _row(genome: str, tests: pd.DataFrame, *, is_named: bool) -> Row:
    label = genome if is_named else ""
    if genome not in tests.index:
        return Row(label, note="not in this panel")
    found = tests.loc[[genome]].reset_index()
    test: Test = rows_of(found)[0]
    if test.status != "ok":
        return Row(label, note=test.status)
    look = LOOKS[PRIMARY_FAMILY["rung"]]
    is_open = not found["q_across"].iloc[0] <= ALPHA
    return Row(label, (Mark(test.effect, test.lo, test.hi, look.colour, look.marker, is_open),))
