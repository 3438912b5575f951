"""Figures of a robustness report: each model in its colour, unrelated cuts in grey, bands of 95 %."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ldarnet_analysis.robustness_terms import MASK_CURVES
from ldarnet_analysis.style import GREY, TWO_COLUMNS, figure_style, new_figure, shortened

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
_NAME_CHARS = 40
_SHARES = "mask.changed"
"""Its x are shares, drawn as percent."""


def robustness_figures(table: pd.DataFrame) -> dict[str, Figure]:
    """Figures by name; one that has nothing to show is left out."""
    drawn = {name: draw(table) for name, draw in _FIGURES.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _shift(table: pd.DataFrame) -> Figure | None:
    panels: list[tuple[str, Sequence[str], str]] = [
        ("Same bases, window moved", ["shift.shared"], "shift (bases)"),
        ("Largest shift: start of window", ["shift.changed_near_start"], "bases to the edge"),
        ("Largest shift: end of window", ["shift.changed_near_end"], "bases to the edge"),
    ]
    return _curves(table, panels, ("cuts shared", "places changed", "places changed"))


def _reverse(table: pd.DataFrame) -> Figure | None:
    panels: list[tuple[str, Sequence[str], str]] = [
        ("Other strand", ["reverse.within"], "at most so many bases away"),
        ("Other strand", ["reverse.correlation"], "its reading moved by (bases)"),
    ]
    return _curves(table, panels, ("cuts with a partner", "correlation"))


def _masks(table: pd.DataFrame) -> Figure | None:
    panels: list[tuple[str, Sequence[str], str]] = [("All unmasked bases", [_SHARES], "bases masked (%)")]
    panels += [(f"{name[4:]} % masked", [f"{name}.changed_near"], "bases to [MASK]") for name in (MASK_CURVES[1:])]
    return _curves(table, panels, ("places changed",) * len(panels))


def _edits(kind: str) -> Callable[[pd.DataFrame], Figure | None]:
    def draw(table: pd.DataFrame) -> Figure | None:
        names = ("snv", "deletion", "insertion")
        words = ("Substitution", "Deletion", "Insertion")
        panels: list[tuple[str, Sequence[str], str]] = [
            (word, [f"{name}.{kind}_left", f"{name}.{kind}_right"], "bases to the change")
            for name, word in zip(names, words, strict=True)
        ]
        label = "places changed" if kind == "changed" else "mean |change of p|"
        return _curves(table, panels, (label,) * 3, log=(kind == "moved",) * 3)

    return draw


def _arithmetic(table: pd.DataFrame) -> Figure | None:
    panels: list[tuple[str, Sequence[str], str]] = [
        ("bfloat16", ["bfloat16.moved"], "quantile over places"),
        ("Leaky padding", ["padding.moved"], "quantile over places"),
        ("Leaky padding", ["padding.shared"], "letters of padding"),
    ]
    return _curves(table, panels, ("|change of p|", "|change of p|", "cuts shared"), log=(True, True, False))


def _between(table: pd.DataFrame) -> Figure | None:
    panels: list[tuple[str, Sequence[str], str]] = [("", ["models.within"], "at most so many bases away")]
    return _curves(table, panels, ("cuts with a partner",))


_FIGURES: Mapping[str, Callable[[pd.DataFrame], Figure | None]] = MappingProxyType(
    {
        "reverse": _reverse,
        "shift": _shift,
        "mask": _masks,
        "edits-cuts": _edits("changed"),
        "edits-probabilities": _edits("moved"),
        "arithmetic": _arithmetic,
        "models": _between,
    }
)


def _curves(
    table: pd.DataFrame,
    panels: Sequence[tuple[str, Sequence[str], str]],
    y_labels: Sequence[str],
    *,
    log: Sequence[bool] = (),
) -> Figure | None:
    """A panel per title, tests and x label; x are classes, drawn side by side at equal steps.

    Points of too few windows are left out.
    """
    is_shown = table["test"].isin([test for _, tests, _ in panels for test in tests])
    wanted = table[is_shown & table["status"].isin(["ok", "no spread"])]
    if wanted.empty:
        return None
    models = list(dict.fromkeys(wanted["model"]))
    with figure_style():
        figure = new_figure(TWO_COLUMNS, 58 + 4 * len(models))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        scales = log or (False,) * len(panels)
        for ax, (title, tests, x_label), y_label, is_log in zip(axes, panels, y_labels, scales, strict=True):
            here = wanted[wanted["test"].isin(tests)]
            if here.empty:
                ax.set_axis_off()
                continue
            _panel(here, models, ax, is_log=is_log)
            ax.set(xlabel=x_label, ylabel=y_label)
            ax.set_title(title)
        entries = [entry for ax in axes for entry in zip(*ax.get_legend_handles_labels(), strict=True)]
        by_label = {label: handle for handle, label in reversed(entries)}
        labels = list(dict.fromkeys(label for _, label in entries))
        figure.legend([by_label[label] for label in labels], labels, loc="outside lower left", ncols=2)
    return figure


def _panel(table: pd.DataFrame, models: Sequence[str], ax: Axes, *, is_log: bool) -> None:
    is_left = table["test"].str.endswith("_left")
    keys = [(bool(left), float(x)) for left, x in zip(is_left, table["x"], strict=True)]
    # distances to the left of a change run outwards, as the sequence does
    places = sorted(set(keys), key=lambda key: (not key[0], -key[1] if key[0] else key[1]))
    order = {key: place for place, key in enumerate(places)}
    table = table.assign(place=[order[key] for key in keys], is_left=is_left).sort_values("place")
    for number, model in enumerate(models):
        for left, side in table[table["model"] == model].groupby("is_left"):
            colour, line = _COLOURS[number % len(_COLOURS)], _LINES[number % len(_LINES)]
            name = "_" if left and not table["is_left"].all() else shortened(model, _NAME_CHARS)
            ax.plot(side["place"], side["value"], color=colour, linestyle=line, marker="o", markersize=2, label=name)
            ax.fill_between(side["place"], side["lo"], side["hi"], color=colour, alpha=0.2, linewidth=0)
            null_name = "_" if name == "_" else f"{name}: unrelated cuts"
            ax.plot(side["place"], side["null"], color=GREY, linestyle=line, label=null_name)
            ax.fill_between(side["place"], side["null_lo"], side["null_hi"], color=GREY, alpha=0.15, linewidth=0)
    _ticks(places, ax, factor=100 if (table["test"] == _SHARES).all() else 1)
    if is_log and (table["value"] > 0).any():
        ax.set_yscale("log")
        # matplotlib writes powers as formulas, which the style shows as they are
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif table["value"].min() >= 0:
        ax.set_ylim(bottom=0)
    if any(left for left, _ in places):
        ax.axvline(sum(left for left, _ in places) - 0.5, color=GREY, linewidth=0.5)


def _ticks(places: Sequence[tuple[bool, float]], ax: Axes, factor: int) -> None:
    most = 9
    step = max(1, int(np.ceil(len(places) / most)))
    num_left = sum(left for left, _ in places)
    # counted from the change outwards, so that both sides carry the same numbers; the two next to it would touch
    steps = [num_left - 1 - i if i < num_left else i - num_left for i in range(len(places))]
    shown = [i for i, away in enumerate(steps) if away % step == 0 and i != num_left - 1]
    ax.set_xticks(shown, [f"{factor * places[i][1]:g}".replace("-", "−") for i in shown])
