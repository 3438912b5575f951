"""Sites of a window: one lane per class, an arrow head at each cut that points the way its strand is read."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ldarnet_app.charts.locus_text import plain

SITE_LANE_PX = 20


def site_traces(
    sites: pd.DataFrame, classes: Sequence[tuple[str, str]], yaxis: str, *, flipped: bool
) -> list[go.Scatter]:
    """A trace per class; lane k (0 lowest) is that of classes[k], a name and its colour."""
    return [
        _class_trace(sites[sites["class"] == name], lane, colour, yaxis, flipped=flipped)
        for lane, (name, colour) in enumerate(classes)
    ]


def _class_trace(sites: pd.DataFrame, lane: int, colour: str, yaxis: str, *, flipped: bool) -> go.Scatter:
    reads_right = (sites["strand"] == "+").to_numpy() != flipped
    told = [
        f"<b>{row.cut:,}</b> ({row.strand})<br>{plain(row.site_id)}<br>{plain(row.gene)}"
        for row in sites[["cut", "strand", "site_id", "gene"]].itertuples(index=False)
    ]
    return go.Scatter(
        x=sites["cut"].to_numpy(),
        y=np.full(len(sites), lane + 0.5),
        text=told,
        hovertemplate="%{text}<extra></extra>",
        mode="markers",
        marker={
            "symbol": np.where(reads_right, "triangle-right", "triangle-left"),
            "size": 10,
            "color": colour,
        },
        cliponaxis=False,
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
        yaxis=yaxis,
    )
