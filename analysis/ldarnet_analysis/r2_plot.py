"""How much of a track the letters near each cut explain, by how many letters are looked at."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ldarnet_analysis.style import LOOKS, small_size

R2_COLUMNS = ["k", "r2", "num_positions"]
_LABELLED_BELOW = 0.85


def draw_r2_curve(r2: pd.DataFrame, ax: Axes) -> None:
    """Draw R2 against k (columns k, r2, num_positions), one line for each `track` if there is such a column.

    Values below 0, worse than the mean, are drawn too.
    """
    if r2.empty:
        raise ValueError("expected R2 of at least one k, got none")
    tracks = list(r2.groupby("track", sort=False)) if "track" in r2.columns else [("", r2)]
    looks = [LOOKS["same-kmer"], LOOKS["matched"]]
    for number, (track, curve) in enumerate(tracks):
        look = looks[number % len(looks)]
        ordered = curve.sort_values("k")
        values = ordered["r2"].to_numpy(dtype=np.float64)
        line = "-" if number == 0 else look.line
        label = f"{track} strand" if str(track) in "+-" else str(track)
        ax.plot(
            ordered["k"], values, color=look.colour, linestyle=line, marker=look.marker, markersize=3.5, label=label
        )
        for k, value in zip(ordered["k"], values, strict=True) if number == 0 else ():
            is_high = value > _LABELLED_BELOW
            ax.annotate(
                f"{value:.2f}".replace("-", "−"),
                (float(k), value),
                xytext=(0, -6 if is_high else 6),
                textcoords="offset points",
                ha="center",
                va="top" if is_high else "bottom",
                fontsize=small_size(),
            )
    if len(tracks) > 1:
        ax.legend(loc="lower right")
    ax.set_xticks(sorted(r2["k"].unique().tolist()))
    ax.margins(x=0.12)
    ax.set_ylim(min(0.0, float(r2["r2"].min()) - 0.1), 1)
    ax.set(xlabel="k (bases looked at, half on each side of the cut)", ylabel="Variance explained,\nheld out (R²)")
