"""The figures of a comparison: agreement, chunk lengths, tokens per motif against chunk length, cuts at sites."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator, ScalarFormatter

from ldarnet_analysis.compare_matrix_plot import agreement_figure
from ldarnet_analysis.compare_motifs import ALL_MOTIFS
from ldarnet_analysis.compare_sites import FAMILY_TOLERANCE
from ldarnet_analysis.row_plots import Mark, Row, draw_reference, draw_rows, rows_height
from ldarnet_analysis.style import (
    BLACK,
    GREY,
    TWO_COLUMNS,
    figure_style,
    new_figure,
    shortened,
    small_size,
)
from ldarnet_analysis.verdicts import ALPHA

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B5A2B", "#6B6B6B")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LABEL_CHARS = 22
_LONGEST_CHUNK_BP = 100.0


class Look(NamedTuple):
    """Colour and marker of a segmenter, the same in every figure."""

    colour: str
    marker: str
    line: str


def looks_of(segmenters: Sequence[str]) -> dict[str, Look]:
    """A look for each, in order; colours come again with another line after nine."""
    lines = [line for line in ("-", "--", ":") for _ in _COLOURS]
    return {
        name: Look(*look)
        for name, look in zip(segmenters, zip(cycle(_COLOURS), cycle(_MARKERS), cycle(lines)), strict=False)
    }


def lengths_figure(tables: Mapping[str, pd.DataFrame], longest_bp: int = 100) -> Figure:
    """Distribution of chunk lengths: own cuts on the left, cuts at the common rate on the right."""
    counts = tables["length_counts"]
    looks = looks_of(list(tables["segmenters"]["segmenter"]))
    with figure_style():
        figure = new_figure(TWO_COLUMNS, 75)
        axes = figure.subplots(1, 2, sharey=True)
        for ax, version, title in zip(
            axes, ("own", "matched"), ("Cuts of their own", "Cuts at the common rate"), strict=True
        ):
            draw_lengths(counts[counts["cuts"] == version], ax, looks, longest_bp)
            ax.set_title(title)
            if version == "matched":
                _draw_geometric(tables["lengths"], ax, longest_bp)
        axes[0].set_ylabel("Share of chunks")
        handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside right upper")
    return figure


def draw_lengths(counts: pd.DataFrame, ax: Axes, looks: Mapping[str, Look], longest_bp: int) -> None:
    """Draw the share of chunks of each length (columns segmenter, length_bp, num_chunks), both axes logarithmic."""
    for name, rows in counts.groupby("segmenter", sort=False):
        look = looks[str(name)]
        share = rows["num_chunks"] / rows["num_chunks"].sum()
        near = (rows["length_bp"] <= longest_bp) & (share > 0)
        is_single = near.sum() < 3
        ax.plot(
            rows["length_bp"][near],
            share[near],
            color=look.colour,
            linestyle="none" if is_single else look.line,
            marker=look.marker if is_single else "",
            markersize=4,
            label=shortened(str(name), _LABEL_CHARS),
        )
    ax.set(xscale="log", yscale="log", xlabel="Chunk length (bp)", ylim=(1e-5, 1.5), xlim=(0.9, longest_bp))
    _plain_ticks(ax, (1, 2, 5, 10, 20, 50, 100))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    if counts.empty:
        ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", color=GREY)


def _draw_geometric(lengths: pd.DataFrame, ax: Axes, longest_bp: int) -> None:
    matched = lengths[lengths["cuts"] == "matched"]
    if matched.empty:
        return
    rate = float(matched["rate"].iloc[0])
    at = np.arange(1, longest_bp + 1)
    ax.plot(
        at, rate * (1 - rate) ** (at - 1), color=GREY, linewidth=0.7, linestyle=(0, (1, 1)), label="independent cuts"
    )


def motifs_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Tokens per motif occurrence against mean chunk, with what chunk length alone makes of it; ratios by segmenter."""
    motifs = tables["motifs"]
    looks = looks_of(list(tables["segmenters"]["segmenter"]))
    pooled = _pooled(motifs)
    # cuts as rare as those of annotation have intervals that would hide all others
    dense = pooled[pooled["mean_chunk"] <= _LONGEST_CHUNK_BP]
    rows = _ratio_rows(dense if len(dense) else pooled, looks)
    with figure_style():
        figure = new_figure(TWO_COLUMNS, max(70, 4.0 * rows_height(rows) + 24))
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1.15, 1]})
        draw_tokens(pooled, left, looks)
        draw_rows(rows, right, headings=("tokens", "formula"))
        draw_reference(right, 1)
        right.set_xlabel("Cuts inside motifs, observed / expected\n(bar: expected from dinucleotides)")
    return figure


def draw_tokens(pooled: pd.DataFrame, ax: Axes, looks: Mapping[str, Look]) -> None:
    """Draw tokens per occurrence by mean chunk: filled marks for own cuts, open ones for those at the common rate."""
    inner = float((pooled["mean_width"] - 1).iloc[0])
    low, high = pooled["mean_chunk"].min() * 0.7, min(pooled["mean_chunk"].max() * 1.4, _LONGEST_CHUNK_BP)
    chunk = np.geomspace(max(low, 1.0), high, 100)
    ax.plot(chunk, 1 + inner / chunk, color=GREY, linewidth=0.8, zorder=1)
    ax.annotate("1 + E[w − 1] / mean chunk", (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", color=GREY)
    for row in pooled[pooled["mean_chunk"] <= high].itertuples():
        look = looks[str(row.segmenter)]
        is_open = row.cuts == "matched"
        ax.plot(
            [row.mean_chunk],
            [row.tokens],
            linestyle="none",
            marker=look.marker,
            markersize=4.5,
            markerfacecolor="none" if is_open else look.colour,
            markeredgecolor=look.colour,
            zorder=3,
        )
    ax.set(xscale="log", xlabel="Mean chunk (bp)", ylabel=f"Tokens per occurrence (E[w − 1] = {inner:.1f})")
    _plain_ticks(ax, (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 50, 100))


def sites_figure(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Cuts within 1 bp of sites, less those at any place of the block (open) and at the same letters (filled)."""
    sites = tables["sites"]
    shown = sites[(sites["tolerance"] == FAMILY_TOLERANCE) & (sites["status"] == "ok")]
    if shown.empty:
        return None
    looks = looks_of(list(tables["segmenters"]["segmenter"]))
    classes = list(dict.fromkeys(shown["class"]))
    names = [name for name in looks if (shown["segmenter"] == name).any()]
    num_columns = min(3, len(classes))
    num_lines = -(-len(classes) // num_columns)
    with figure_style():
        figure = new_figure(TWO_COLUMNS, num_lines * (3.6 * len(names) + 16))
        axes = figure.subplots(num_lines, num_columns, squeeze=False)
        for number, ax in enumerate(axes.flat):
            if number >= len(classes):
                ax.set_axis_off()
                continue
            rows = shown[shown["class"] == classes[number]]
            is_named = number % num_columns == 0
            draw_rows([_site_row(name, rows, looks[name], is_named=is_named) for name in names], ax)
            draw_reference(ax, 0)
            low, high = ax.get_xlim()
            ax.set_xlim(max(low, -1.02), min(high, 1.02))  # intervals of few sites may leave what shares can be
            ax.set_title(shortened(str(classes[number]), _LABEL_CHARS))
        figure.supxlabel(
            f"Share of sites cut within {FAMILY_TOLERANCE} bp, less that of the null "
            "(open: any place of the block; filled: same letters)",
            fontsize=7,
        )
    return figure


def _site_row(name: str, rows: pd.DataFrame, look: Look, *, is_named: bool) -> Row:
    marks = []
    for null, is_open in (("shift", True), ("same-kmer", False)):
        for test in rows[(rows["segmenter"] == name) & (rows["null"] == null)].itertuples():
            marks.append(Mark(test.effect, test.lo, test.hi, look.colour, look.marker, is_open))
    found = rows[(rows["segmenter"] == name) & (rows["null"] == "same-kmer") & (rows["q"] <= ALPHA)]
    return Row(
        f"{name}{' *' if len(found) and is_named else ''}" if is_named else "*" if len(found) else "", tuple(marks)
    )


def _pooled(motifs: pd.DataFrame) -> pd.DataFrame:
    """The rows of all motifs together, or of the only one."""
    fine = motifs[motifs["num_occurrences"] > 0]
    pooled = fine[fine["motif"] == ALL_MOTIFS]
    return pooled if len(pooled) else fine


def _ratio_rows(pooled: pd.DataFrame, looks: Mapping[str, Look]) -> list[Row]:
    rows = []
    for row in pooled.itertuples():
        look = looks[str(row.segmenter)]
        is_matched = row.cuts == "matched"
        marks = (
            Mark(row.ratio, row.ratio_lo, row.ratio_hi, look.colour, look.marker, is_matched),
            Mark(row.letters_ratio, row.letters_ratio_lo, row.letters_ratio_hi, BLACK, "|"),
        )
        label = f"{row.segmenter}{', rate' if is_matched else ''}"
        rows.append(Row(label, marks, (f"{row.tokens:.2f}", f"{row.expected:.2f}")))
    return rows


def _plain_ticks(ax: Axes, at: Sequence[float]) -> None:
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(FixedLocator([each for each in at if low <= each <= high]))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(labelsize=small_size())


FIGURES = {"agreement": agreement_figure, "lengths": lengths_figure, "motifs": motifs_figure, "sites": sites_figure}
"""Name of the file, and the function that draws it (None where there is nothing to draw)."""
