"""One figure of a run's log: losses beside those of the tables, what the router does, gradients, speed (no torch)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ldarnet.tracks.atomic import whole_file
from ldarnet.train.progress import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito: told apart by colour-blind readers."""
FAINT = "#9A9A9A"
LINE_STYLES = ("-", "--", ":", "-.")
MOST_MARKERS = 60
SMOOTHED_SHARE = 0.02
"""The running mean reaches over this share of the points."""


@dataclass(frozen=True)
class Curves:
    """The records of a log, training and validation apart, and the share of cuts aimed at per stage."""

    train: list[dict[str, Any]]
    valid: list[dict[str, Any]]
    target_shares: tuple[float, ...]

    def series(self, key: str, *, of_valid: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Steps [n] and values [n] or [n, stages] of the records that have the key; a null is NaN."""
        records = self.valid if of_valid else self.train
        rows = [(r["step"], values[key]) for r in records if key in (values := r["valid"] if of_valid else r)]
        values = np.array([value for _, value in rows], dtype=float)
        return np.array([step for step, _ in rows]), values


def draw_curves(log_jsonl: Path, out: Path, tokens_per_chunk: Sequence[float] = ()) -> None:
    """Draw a log as a figure of nine panels; the ending of `out` (.png, .pdf, .svg) says its format.

    `tokens_per_chunk` (per stage) adds the shares of cuts aimed at. Raises ValueError where the log has no records,
    ImportError where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("drawing curves needs matplotlib: pip install 'ldarnet[train]'") from None
    records = read_log(log_jsonl)
    if not records:
        raise ValueError(f"{log_jsonl}: expected the records of a run, got none")
    curves = Curves(
        [record for record in records if "valid" not in record],
        [record for record in records if "valid" in record],
        tuple(1 / tokens for tokens in tokens_per_chunk),
    )
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    figure.suptitle(f"{log_jsonl.absolute().parent.name}: step {records[-1]['step']:,}", fontsize=11)
    panels: list[tuple[str, Callable[[Axes, Curves], None]]] = [
        ("Training loss (nats per letter to guess)", _training_loss),
        ("Validation loss, and that of tables (nats per letter)", _validation_loss),
        ("Validation accuracy", _accuracy),
        ("Share of tokens cut, F (solid), and mean p, G (dashed)", _cut_shares),
        ("Share of p within .01 of .5", _near_half),
        ("Chunk lengths in the last validation", _chunk_lengths),
        ("Gradient norm (all: before clipping)", _gradients),
        ("Learning rate", _learning_rate),
        ("Speed (thousand tokens per second)", _speed),
    ]
    for axes, (title, draw) in zip(figure.subplots(3, 3).flat, panels, strict=True):
        axes.set_title(title, fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if draw is not _chunk_lengths:
            axes.set_xlabel("step", fontsize=8)
            axes.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}k" if step >= 1000 else f"{step:g}")
        draw(axes, curves)
        if not axes.has_data():
            axes.text(0.5, 0.5, "nothing logged yet", transform=axes.transAxes, ha="center", color=FAINT)
            axes.set(xticks=[], yticks=[])
        elif labels := axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8, frameon=False, ncols=3 if len(labels) > 3 else 1)
    with whole_file(out) as file:
        figure.savefig(file, format=out.suffix[1:] or "png", dpi=130)


def running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean of each value [n] and up to `reach` on either side, NaN left out."""
    known = ~np.isnan(values)
    kernel = np.ones(2 * reach + 1)
    sums, counts = (np.convolve(np.pad(x, reach), kernel, "valid") for x in (np.where(known, values, 0), known * 1.0))
    return np.where(counts > 0.5, sums / np.maximum(counts, 1), np.nan)


def _line(
    axes: "Axes",
    steps: np.ndarray,
    values: np.ndarray,
    colour: str = COLOURS[0],
    *,
    style: str = "-",
    label: str | None = None,
    is_raw_shown: bool = True,
) -> None:
    """Values [n] smoothed, those of a few validations as points; nothing where there are none."""
    if not len(values):
        return
    reach = round(SMOOTHED_SHARE * len(values) / 2)
    if reach and is_raw_shown:
        axes.plot(steps, values, color=colour, alpha=0.3, linewidth=0.8)
    marker = "" if len(values) > MOST_MARKERS else "o"
    smooth = running_mean(values, reach)
    axes.plot(steps, smooth, style, color=colour, linewidth=1.5, marker=marker, markersize=3, label=label)


def _lines_per_stage(axes: "Axes", steps: np.ndarray, values: np.ndarray, style: str = "-") -> None:
    """Values [n, stages], a colour per stage."""
    for stage, column in enumerate(values.T if values.ndim == 2 else ()):
        label = f"stage {stage}" if values.shape[1] > 1 and style == "-" else None
        _line(axes, steps, column, COLOURS[stage % len(COLOURS)], style=style, label=label)


def _training_loss(axes: "Axes", curves: Curves) -> None:
    _line(axes, *curves.series("letter_loss"))


def _validation_loss(axes: "Axes", curves: Curves) -> None:
    _line(axes, *curves.series("loss", of_valid=True))
    tables = curves.valid[-1]["valid"].get("tables", {}) if curves.valid else {}
    for (name, loss), colour in zip(sorted(tables.items(), key=lambda each: -each[1]), COLOURS[1:], strict=False):
        axes.axhline(loss, color=colour, linewidth=1)
        right_end = axes.get_yaxis_transform()
        axes.text(1, loss, name, transform=right_end, fontsize=8, color=colour, ha="right", va="bottom")


def _accuracy(axes: "Axes", curves: Curves) -> None:
    _line(axes, *curves.series("accuracy", of_valid=True))


def _cut_shares(axes: "Axes", curves: Curves) -> None:
    for key, style in (("cut_share", "-"), ("mean_prob", "--")):
        _lines_per_stage(axes, *curves.series(key), style)
    for target in curves.target_shares:
        axes.axhline(target, color=FAINT, linewidth=1, linestyle=":", label=f"target {target:.3g}")


def _near_half(axes: "Axes", curves: Curves) -> None:
    _lines_per_stage(axes, *curves.series("near_half_share", of_valid=True))


def _chunk_lengths(axes: "Axes", curves: Curves) -> None:
    counts = np.array(curves.valid[-1]["valid"].get("chunk_lengths", []) if curves.valid else [])
    if not counts.any():
        return
    axes.bar(np.arange(1, len(counts) + 1), counts / counts.sum(), color=COLOURS[0])
    axes.set_xlabel(f"bases (the last bar: {len(counts)} and more)", fontsize=8)
    axes.set_ylabel("share of chunks", fontsize=8)


def _gradients(axes: "Axes", curves: Curves) -> None:
    axes.set_yscale("log")
    _line(axes, *curves.series("grad_norm"), FAINT, label="all")
    steps = np.array([r["step"] for r in curves.train])
    rows = [r.get("grad_norm_per_stage", {}) for r in curves.train]
    for number, part in enumerate(dict.fromkeys(part for row in rows for part in row)):
        norms = np.array([row.get(part) for row in rows], dtype=float)
        style, colour = LINE_STYLES[number % len(LINE_STYLES)], COLOURS[number % len(COLOURS)]
        _line(axes, steps, norms, colour, style=style, label=part, is_raw_shown=False)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.3)  # room for the legend


def _learning_rate(axes: "Axes", curves: Curves) -> None:
    steps, rates = curves.series("learning_rate")
    if len(rates):
        axes.plot(steps, rates, color=COLOURS[0])
        axes.yaxis.set_major_formatter("{x:.2g}")
        _from_zero(axes)


def _speed(axes: "Axes", curves: Curves) -> None:
    steps, rates = curves.series("tokens_per_second")
    if len(rates):
        _line(axes, steps, rates / 1000)
        _from_zero(axes)


def _from_zero(axes: "Axes") -> None:
    axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
