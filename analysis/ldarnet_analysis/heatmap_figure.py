"""Heatmaps of a profile matrix, one line per site."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ldarnet_analysis.heatmaps import order_by_mean
from ldarnet_analysis.profiles import summarise
from ldarnet_analysis.style import BLACK, GREY, ONE_COLUMN, PALE, SIGNALS, Preset, figure_style, new_figure

MAX_LINES = 250
"""More sites than this are drawn as the means of neighbours in the order shown."""
OFFSET_LABEL = "Offset from the site's cut (bp)"

_NUM_COLOURS = 64
"""Steps of the colour scale: finer ones are not seen, and make files three times as large."""
_COLOUR_MAPS = {"raw": "viridis", "cut-rate": "viridis", "residual": "PuOr_r"}
_SORT_REACH_BP = 5


def draw_heatmap(matrix: np.ndarray, offsets: np.ndarray, ax: Axes, *, signal: str = "raw") -> AxesImage:
    """Draw a matrix [sites, offsets], its first row on top; the image that comes back is for a colour bar.

    Missing values are grey. Probabilities go from 0 to 1, residuals as far below 0 as above it. Offsets must be
    consecutive; the column of offset o is centred at o.
    """
    offsets = np.asarray(offsets)
    if matrix.ndim != 2 or matrix.shape[1] != offsets.size or not matrix.size:
        raise ValueError(f"expected a matrix [sites, {offsets.size} offsets] of some sites, got {list(matrix.shape)}")
    if (np.diff(offsets) != 1).any():
        raise ValueError("expected consecutive offsets for a heatmap, got some that are farther apart")
    lines = mean_lines(matrix, MAX_LINES)
    low, high = (-_reach(lines), _reach(lines)) if signal == "residual" else (0.0, 1.0)
    image = ax.imshow(
        lines,
        aspect="auto",
        interpolation="nearest",
        cmap=colormaps[_COLOUR_MAPS[signal]].resampled(_NUM_COLOURS).with_extremes(bad=PALE),
        vmin=low,
        vmax=high,
        extent=(offsets[0] - 0.5, offsets[-1] + 0.5, len(matrix), 0),
    )
    ax.set(xlabel=OFFSET_LABEL, ylabel=f"Sites (n = {len(matrix):,})")
    ax.set_yticks([])
    return image


def heatmap_figure(
    matrix: np.ndarray,
    offsets: np.ndarray,
    *,
    title: str,
    signal: str = "raw",
    order: np.ndarray | None = None,
    preset: Preset = ONE_COLUMN,
    height_mm: float = 90,
) -> Figure:
    """The heatmap under its mean profile. `order` are rows from the top; by default the highest near 0 first."""
    if order is None:
        window = (max(-_SORT_REACH_BP, int(offsets[0])), min(_SORT_REACH_BP, int(offsets[-1])))
        order = order_by_mean(matrix, offsets, window)
        sorted_by = f"sorted by mean within {_SORT_REACH_BP} bp of 0"
    else:
        sorted_by = "in the order given"
    with figure_style():
        figure = new_figure(preset, height_mm)
        top, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 4.5]})
        top.plot(offsets, summarise(matrix), color=BLACK, linewidth=0.8)
        top.axvline(0, color=GREY, linewidth=0.5, linestyle=":", zorder=0)
        top.set_ylabel("Mean")
        top.tick_params(axis="x", labelbottom=False)
        image = draw_heatmap(matrix[order], offsets, below, signal=signal)
        below.set_ylabel(f"{below.get_ylabel()}, {sorted_by}")
        beyond = "both" if signal == "residual" else "neither"
        bar = figure.colorbar(image, ax=below, aspect=30, pad=0.02, extend=beyond)
        bar.set_label(SIGNALS[signal].axis.replace("\n", " "))
        bar.outline.set_linewidth(0.5)
        top.set_title(title)
        figure.align_ylabels([top, below])
    return figure


def mean_lines(matrix: np.ndarray, max_lines: int) -> np.ndarray:
    """The rows, neighbours averaged (missing values left out) so that at most max_lines are left: float32."""
    if len(matrix) <= max_lines:
        return matrix
    first = np.linspace(0, len(matrix), max_lines, endpoint=False).astype(np.int64)
    num = np.add.reduceat(~np.isnan(matrix), first, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.nan_to_num(matrix, nan=0.0), first, axis=0, dtype=np.float64)
    means = np.divide(total, num, out=np.full(total.shape, np.nan), where=num > 0)
    lines: np.ndarray = means.astype(np.float32)
    return lines


def _reach(lines: np.ndarray) -> float:
    """How far the colours go on both sides of 0: all but the 1 % most extreme values."""
    present = np.abs(lines[~np.isnan(lines)])
    return float(np.quantile(present, 0.99)) or 1.0 if present.size else 1.0
