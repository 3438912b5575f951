"""How every figure looks: one colour, line and marker per rung, sizes for print, and the text of axes.

Colours are those of Okabe and Ito (2008) and two greys. Yellow is hard to see on white, so its lines have a dark rim.
Line styles and markers tell the rungs apart where colours do not.
"""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke

MM_PER_INCH = 25.4
POINTS_PER_MM = 72 / MM_PER_INCH
FONT = "DejaVu Sans"
"""Comes with matplotlib, so that figures are the same on every machine; it may be embedded."""

BLACK, GREY, PALE = "#000000", "#6B6B6B", "#D9D9D9"
BASE_COLOURS = MappingProxyType({"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"})


class Preset(NamedTuple):
    """A width in print."""

    name: str
    width_mm: float

    @property
    def text_chars(self) -> int:
        """How many letters of 6 pt fit into its width."""
        return int(self.width_mm / 1.15)


ONE_COLUMN = Preset("one-column", 88)
TWO_COLUMNS = Preset("two-columns", 180)
PRESETS: Mapping[str, Preset] = MappingProxyType({each.name: each for each in (ONE_COLUMN, TWO_COLUMNS)})


class Look(NamedTuple):
    """How the sites, or the controls of one rung, are drawn, and what they are called: as a rung, as a control."""

    label: str
    control: str
    colour: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


SITES = "sites"
"""Stands in column `rung` of the profiles for the sites themselves."""

LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        SITES: Look("sites", "sites", BLACK, "-", "o"),
        "random": Look("random", "random control", "#B0B0B0", (0, (1, 1)), "o"),
        "gc": Look("GC-matched", "GC-matched control", "#56B4E9", (0, (4, 1.5)), "s"),
        "matched": Look("matched", "matched control", "#0072B2", (0, (5, 1, 1, 1)), "D"),
        "same-dinucleotide": Look("same dinucleotide", "same-dinucleotide control", "#E69F00", (0, (3, 1)), "^"),
        "same-kmer": Look("same k-mer", "same-kmer control", "#D55E00", (0, (6, 1.5)), "v"),
        "context-swap": Look("context swapped", "swapped context", "#CC79A7", (0, (5, 1, 1, 1, 1, 1)), "<"),
        "planted": Look("motif planted", "planted motif", "#009E73", (0, (2, 1)), ">"),
        "ablated": Look("motif ablated", "ablated motif", "#F0E442", (0, (7, 1.5, 2, 1.5)), "P"),
        "shuffled": Look("shuffled", "shuffled sequence", "#555555", (0, (1, 1.5)), "X"),
    }
)
RUNGS = tuple(rung for rung in LOOKS if rung != SITES)
"""The null ladder, from the easiest rung up."""


class Signal(NamedTuple):
    """What a signal is called, on a value axis (short lines) and on an axis of differences."""

    name: str
    axis: str
    difference: str


SIGNALS: Mapping[str, Signal] = MappingProxyType(
    {
        "raw": Signal("raw", "Probability\nof a cut", "Difference in probability of a cut"),
        "residual": Signal("residual", "Residual\nprobability", "Difference in residual probability"),
        "cut-rate": Signal("hard-cut rate", "Share of\nsites cut", "Difference in share of sites cut"),
    }
)

_SETTINGS: Any = {
    "font.family": FONT,
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "figure.dpi": 150,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "savefig.facecolor": "white",
    # fonts travel inside the file: TrueType in PDF, where text stays text; outlines in SVG
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "ldarnet",
    # names of sites and genes are no formulas
    "text.parse_math": False,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Sizes, fonts and lines of our figures, for figures of your own made of the `draw_` functions."""
    with mpl.rc_context(_SETTINGS):
        yield


def new_figure(preset: Preset, height_mm: float) -> Figure:
    """An empty figure of the preset's width, laid out so that nothing overlaps or is cut off."""
    return Figure(figsize=(preset.width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def rim(colour: str, linewidth: float) -> list[AbstractPathEffect]:
    """A dark rim for lines in a colour too pale for paper; nothing for the others."""
    return [withStroke(linewidth=linewidth + 0.7, foreground=GREY)] if colour == LOOKS["ablated"].colour else []


def small_size() -> float:
    """Size of annotations in points: that of the tick labels in force."""
    size = mpl.rcParams["xtick.labelsize"]
    return float(size) if isinstance(size, int | float) else 6.0


def shortened(text: str, num_chars: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer than that."""
    return text if len(text) <= num_chars else text[: num_chars - 1].rstrip() + "…"


def wrapped(text: str, num_chars: int, num_lines: int) -> str:
    """The text in at most so many lines, an ellipsis for what does not fit."""
    lines = textwrap.wrap(text, num_chars, max_lines=num_lines, placeholder=" …")
    return "\n".join(lines)


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, as text: a true minus, none for what is rounded to 0, `n/a` for NaN."""
    if value != value:
        return "n/a"
    text = f"{value:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", "−")
