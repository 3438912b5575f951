"""The agreement of all pairs of segmenters as a matrix with its numbers."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ldarnet_analysis.style import BLACK, PALE, TWO_COLUMNS, figure_style, new_figure, shortened, signed

_LABEL_CHARS = 22
_MATRIX_TOLERANCES = (0, 1)


def agreement_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Agreement beyond chance of every pair, at tolerance 0 and 1, with the numbers in the cells."""
    first = tables["agreement.0"]
    with figure_style():
        figure = new_figure(TWO_COLUMNS, 30 + 5.6 * len(first))
        axes = figure.subplots(1, 2, sharey=True)
        for ax, tolerance in zip(axes, _MATRIX_TOLERANCES, strict=True):
            draw_agreement(tables[f"agreement.{tolerance}"], ax)
            ax.set_title("Same cut" if tolerance == 0 else f"Cut within {tolerance} bp")
    return figure


def draw_agreement(matrix: pd.DataFrame, ax: Axes) -> None:
    """Draw a table whose first column names the rows; white is chance, purple above it, orange below."""
    names = [shortened(str(name), _LABEL_CHARS) for name in matrix.iloc[:, 0]]
    values = matrix.iloc[:, 1:].to_numpy(dtype=np.float64)
    shown = np.ma.masked_invalid(np.where(np.eye(len(values), dtype=bool), np.nan, values))
    colours = colormaps["PuOr"].with_extremes(bad=PALE)
    ax.imshow(shown, cmap=colours, vmin=-0.6, vmax=0.6, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if row != column:
            text = "n/a" if np.isnan(value) else signed(value, 2).removeprefix("+")
            dark = abs(value) > 0.4
            ax.text(column, row, text, ha="center", va="center", fontsize=4.5, color="white" if dark else BLACK)
    ax.set_xticks(range(len(names)), labels=names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), labels=names)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
