"""Mean profiles with their intervals, and the panel figure of a site class."""

import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from ldarnet_analysis.heatmap_figure import OFFSET_LABEL
from ldarnet_analysis.logos import UNIFORM, draw_logo
from ldarnet_analysis.style import (
    BLACK,
    GREY,
    ONE_COLUMN,
    PALE,
    RUNGS,
    SIGNALS,
    SITES,
    Look,
    Preset,
    figure_style,
    new_figure,
    rim,
    small_size,
)
from ldarnet_analysis.verdicts import chance_text, effect_text, primary_rows, rows_of, rung_look

CLOSE_SPAN = (-20, 20)
_DRAWN_CONTROLS = ("matched", "same-kmer")
_ROW_MM = {"raw": 27.0, "residual": 22.0, "cut-rate": 19.0, "logo": 15.0}


def draw_profile(
    profiles: pd.DataFrame,
    ax: Axes,
    *,
    cls: str,
    signal: str = "raw",
    rungs: Sequence[str] = (),
    span: tuple[int, int] | None = None,
    window: tuple[int, int] | None = None,
    by_score: bool = False,
) -> None:
    """Draw the mean profile of a class on one signal, with the controls of `rungs`, each with its interval as a band.

    Rows of the sites have rung "sites". Where lo and hi are NaN (under 20 loci) there is a line and no band. `span`
    limits the offsets drawn; `window` (first, last) is shaded; `by_score` as in `verdicts.rung_look`. Raises ValueError
    for profiles that are not there.
    """
    for rung in (SITES, *rungs):
        rows = profile_rows(profiles, cls, rung, signal, span)
        _draw_line(rows, rung_look(rung, by_score=by_score), ax, is_site=rung == SITES)
    if window is not None:
        ax.axvspan(window[0] - 0.5, window[1] + 0.5, color=PALE, alpha=0.5, linewidth=0, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.5, linestyle=":", zorder=0)
    if signal == "residual":
        ax.axhline(0, color=GREY, linewidth=0.5, zorder=0)
    ax.margins(x=0)
    ax.set(xlabel=OFFSET_LABEL, ylabel=SIGNALS[signal].axis)


def profile_rows(
    profiles: pd.DataFrame, cls: str, rung: str, signal: str, span: tuple[int, int] | None = None
) -> pd.DataFrame:
    """The rows of one profile, by offset; ValueError naming those there are if it is not among them."""
    of_class = profiles[profiles["class"] == cls]
    rows = of_class[(of_class["rung"] == rung) & (of_class["signal"] == signal)]
    if span is not None:
        rows = rows[rows["offset"].between(*span)]
    if rows.empty:
        names = of_class[["rung", "signal"]].drop_duplicates().to_numpy()
        there = ", ".join(" ".join(name) for name in names) or f"no class {cls!r}"
        raise ValueError(f"expected a profile of {cls} {rung} {signal}, got: {there}")
    return rows.sort_values("offset")


def panel_figure(
    cls: str,
    profiles: pd.DataFrame,
    *,
    tests: pd.DataFrame | None = None,
    logo: pd.DataFrame | None = None,
    rungs: Sequence[str] | None = None,
    span: tuple[int, int] = CLOSE_SPAN,
    window: tuple[int, int] | None = None,
    background: Sequence[float] = UNIFORM,
    preset: Preset = ONE_COLUMN,
    by_score: bool = False,
) -> Figure:
    """Profile, residual and hard-cut rate of a class with its controls, over the logo of the aligned sequence.

    One column shows the offsets in `span` (the letters of the logo must be legible), two columns all offsets beside
    them. Signals that are not in the profiles are left out. `rungs` are by default the matched and same-k-mer controls,
    or the hardest rung there is. `logo` are counts of `logos.count_bases`. The caption counts sites and loci.
    """
    signals = [signal for signal in SIGNALS if _has(profiles, cls, SITES, signal)]
    if not signals:
        profile_rows(profiles, cls, SITES, next(iter(SIGNALS)))
    parts = [*signals, *(["logo"] if logo is not None and len(logo) else [])]
    is_wide = preset is not ONE_COLUMN
    caption_inside = is_wide and "logo" in parts
    num_chars = int(preset.text_chars * (0.42 if caption_inside else 1))
    caption = panel_caption(cls, profiles, tests, num_chars, by_score=by_score)
    with figure_style():
        caption_mm = 0 if caption_inside else 2.8 * (caption.count("\n") + 1)
        figure = new_figure(preset, sum(_ROW_MM[part] for part in parts) + caption_mm + 15)
        grid = GridSpec(
            len(parts),
            2 if is_wide else 1,
            figure=figure,
            height_ratios=[_ROW_MM[part] for part in parts],
            width_ratios=[1.2, 1] if is_wide else None,
        )
        wide = _column(figure, grid, signals, 0) if is_wide else {}
        close = _column(figure, grid, parts, 1 if is_wide else 0)
        for signal in signals:
            drawn = [rung for rung in _chosen(profiles, cls, rungs) if _has(profiles, cls, rung, signal)]
            draw = partial(draw_profile, cls=cls, signal=signal, rungs=drawn, window=window, by_score=by_score)
            draw(profiles, close[signal], span=span)
            if is_wide:
                draw(profiles, wide[signal])
                _same_height(wide[signal], close[signal])
        if logo is not None and "logo" in close:
            draw_logo(logo, close["logo"], span=span, background=background)
            close["logo"].set_xlabel(OFFSET_LABEL)
        for column, letters in ((wide, "abc"), (close, "defg" if is_wide else "abcd")):
            _finish_column(figure, column, letters[: len(column)])
        if caption_inside:
            _label_outside_layout(wide[signals[-1]])
            _write_beside_logo(caption, figure.add_subplot(grid[-1, 0]))
        else:
            figure.supxlabel(caption, x=0.01, ha="left", fontsize=small_size())
        handles, labels = close[signals[0]].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=6 if is_wide else 2)
    return figure


def panel_caption(
    cls: str, profiles: pd.DataFrame, tests: pd.DataFrame | None, num_chars: int, *, by_score: bool = False
) -> str:
    """Sites and loci of the class, and its primary test if there is one, in lines of at most so many letters."""
    sites = profiles[(profiles["class"] == cls) & (profiles["rung"] == SITES)]
    counts = f"{cls}: {int(sites['n_sites'].max()):,} sites in {int(sites['n_loci'].max()):,} loci"
    no_band = sites[["lo", "hi"]].isna().all(axis=None)
    sentences = [f"{counts}, too few for intervals." if no_band else f"{counts}. Bands: pointwise 95 % intervals."]
    for test in [] if tests is None else rows_of(primary_rows(tests, cls)):
        against = f"Residual against {rung_look(test.rung, by_score=by_score).control}s"
        # the parts of a number must not be parted by a line's end
        found = f"{effect_text(test)}, {chance_text(test.p, test.q)}".replace(" = ", "\u00a0=\u00a0")
        sentences.append(f"{against}: {found}." if test.status == "ok" else f"{against} not tested: {test.status}.")
    return "\n".join(line for sentence in sentences for line in textwrap.wrap(sentence, num_chars))


def _draw_line(rows: pd.DataFrame, look: Look, ax: Axes, *, is_site: bool) -> None:
    offsets, mean, lo, hi = (rows[name].to_numpy(dtype=np.float64) for name in ("offset", "mean", "lo", "hi"))
    if not (np.isnan(lo) | np.isnan(hi)).all():
        ax.fill_between(offsets, lo, hi, color=look.colour, alpha=0.22 if is_site else 0.18, linewidth=0, zorder=1)
    ax.plot(
        offsets,
        mean,
        color=look.colour,
        linestyle=look.line,
        linewidth=1.2 if is_site else 0.9,
        label=look.control,
        path_effects=rim(look.colour, 0.9),
        zorder=3 if is_site else 2,
    )


def _chosen(profiles: pd.DataFrame, cls: str, rungs: Sequence[str] | None) -> list[str]:
    if rungs is not None:
        return list(rungs)
    there = set(profiles.loc[profiles["class"] == cls, "rung"])
    usual = [rung for rung in _DRAWN_CONTROLS if rung in there]
    return usual or [rung for rung in RUNGS if rung in there][-1:]


def _has(profiles: pd.DataFrame, cls: str, rung: str, signal: str) -> bool:
    found = (profiles["class"] == cls) & (profiles["rung"] == rung) & (profiles["signal"] == signal)
    return bool(found.any())


def _column(figure: Figure, grid: GridSpec, parts: Sequence[str], column: int) -> dict[str, Axes]:
    axes: dict[str, Axes] = {}
    for row, part in enumerate(parts):
        first = next(iter(axes.values()), None)
        axes[part] = figure.add_subplot(grid[row, column], sharex=first)
    return axes


def _same_height(wide: Axes, close: Axes) -> None:
    close.set_ylim(wide.get_ylim())
    close.tick_params(axis="y", labelleft=False)
    close.set_ylabel("")


def _label_outside_layout(ax: Axes) -> None:
    """Name the x axis in the empty cell below it, where room for a label would part the rows of the other column."""
    ax.set_xlabel("")
    below: dict[str, Any] = {"xycoords": "axes fraction", "xytext": (0, -13), "textcoords": "offset points"}
    ax.annotate(OFFSET_LABEL, (0.5, 0), **below, ha="center", va="top").set_in_layout(False)


def _write_beside_logo(text: str, ax: Axes) -> None:
    ax.set_axis_off()
    ax.text(0, 0, text, va="top", fontsize=small_size(), linespacing=1.3).set_in_layout(False)


def _finish_column(figure: Figure, column: dict[str, Axes], letters: str) -> None:
    axes = list(column.values())
    for ax, letter in zip(axes, letters, strict=True):
        ax.annotate(
            letter,
            (0, 1),
            xycoords="axes fraction",
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            va="bottom",
            weight="bold",
            fontsize=8,
            color=BLACK,
            annotation_clip=False,
        )
    for ax in axes[:-1]:
        ax.tick_params(axis="x", labelbottom=False)
        ax.set_xlabel("")
    figure.align_ylabels(axes)
