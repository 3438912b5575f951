"""Genes as lanes of boxes: exons low, coding parts high, introns a line, a name with the direction above."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ldarnet_app.charts.locus_text import plain
from ldarnet_app.sources.genes import Model
from ldarnet_app.theme import Theme

MAX_LANES = 8
TRANSCRIPTS_UP_TO_BP = 100_000
LANE_PX = 30
MAX_HOVER_EXONS = 400

_LETTER_PX = 7.4
_EXON, _CODING = 0.13, 0.24
_MIDDLE, _LABEL = 0.32, 0.8
_GENE_COLOUR = {"light": "#4a5a8a", "dark": "#9fb0e3"}


@dataclass(frozen=True)
class Lane:
    """A gene or transcript, where it is drawn, and how it is labelled; lane 0 is the lowest."""

    model: Model
    lane: int
    label: str


@dataclass(frozen=True)
class GeneLanes:
    """What is drawn of the genes of a window, and of how many no room was left."""

    lanes: tuple[Lane, ...]
    num_left_out: int

    @property
    def num_lanes(self) -> int:
        """Lanes in use."""
        return 1 + max((each.lane for each in self.lanes), default=-1)


def lanes_of(models: Sequence[Model], start: int, end: int, bp_per_px: float, *, flipped: bool) -> GeneLanes:
    """The models of a window in lanes, none over another or its label; wide windows have one model per gene."""
    chosen = list(models) if end - start <= TRANSCRIPTS_UP_TO_BP else genes_of(models)
    chosen.sort(key=lambda model: (model.start, -model.end))
    taken = [float("-inf")] * MAX_LANES
    lanes = []
    for model in chosen:
        label = label_of(model, flipped=flipped)
        left, right = float(max(model.start, start)), float(min(model.end, end))
        # the label is as wide as its text, and centred on what is seen of the gene
        half = max((right - left) / 2, len(label) * _LETTER_PX * bp_per_px / 2)
        middle = _label_place(model, label, start, end, bp_per_px)
        left, right = min(left, middle - half), max(right, middle + half)
        free = next((lane for lane in range(MAX_LANES) if taken[lane] + 8 * bp_per_px <= left), None)
        if free is not None:
            taken[free] = right
            lanes.append(Lane(model, free, label))
    return GeneLanes(tuple(lanes), len(chosen) - len(lanes))


def genes_of(models: Sequence[Model]) -> list[Model]:
    """One model per gene and strand: from its first to its last base, with the union of its exons and of its CDS."""
    together: dict[tuple[str, str], list[Model]] = {}
    for model in models:
        together.setdefault((model.gene, model.strand), []).append(model)
    return [_union(group) if len(group) > 1 else group[0]._replace(name=group[0].gene) for group in together.values()]


def label_of(model: Model, *, flipped: bool) -> str:
    """The name, with an arrow on the side that transcription runs to as it is displayed."""
    name = model.name if model.gene in model.name else f"{model.gene} {model.name}"
    if model.strand not in "+-":
        return name
    return f"{name} →" if (model.strand == "+") != flipped else f"← {name}"


def box_shapes(genes: GeneLanes, start: int, end: int, theme: Theme, yref: str) -> list[dict[str, Any]]:
    """Exons and coding parts, each all in one shape."""
    exons, coding = [], []
    for model, lane in ((each.model, each.lane) for each in genes.lanes):
        for left, right in np.clip(model.exons, start, end).tolist():
            if left < right:
                exons.append(_box(left, right, lane, _EXON))
                inner = max(left, model.cds[0]), min(right, model.cds[1])
                if inner[0] < inner[1]:
                    coding.append(_box(*inner, lane, _CODING))
    colour = _GENE_COLOUR[theme.name]
    style = {"type": "path", "xref": "x", "yref": yref, "fillcolor": colour, "line": {"width": 0.6, "color": colour}}
    return [{**style, "path": "".join(boxes)} for boxes in (exons, coding) if boxes]


def gene_traces(genes: GeneLanes, start: int, end: int, bp_per_px: float, theme: Theme, yaxis: str) -> list[go.Scatter]:
    """Intron lines, labels, and a place to hover over at each exon."""
    colour = _GENE_COLOUR[theme.name]
    line_x: list[float | None] = []
    line_y: list[float | None] = []
    for each in genes.lanes:
        line_x += [max(each.model.start, start), min(each.model.end, end), None]
        line_y += [each.lane + _MIDDLE, each.lane + _MIDDLE, None]
    quiet: dict[str, Any] = {"hoverinfo": "skip", "showlegend": False, "yaxis": yaxis}
    introns = go.Scatter(x=line_x, y=line_y, mode="lines", line={"color": colour, "width": 1.2}, **quiet)
    labels = go.Scatter(
        x=[_label_place(each.model, each.label, start, end, bp_per_px) for each in genes.lanes],
        y=[each.lane + _LABEL for each in genes.lanes],
        text=[plain(each.label) for each in genes.lanes],
        mode="text",
        textfont={"size": 11, "color": theme.ink},
        **quiet,
    )
    return [introns, labels, _hover(genes, start, end, yaxis)]


def _hover(genes: GeneLanes, start: int, end: int, yaxis: str) -> go.Scatter:
    places: list[tuple[float, float, str]] = []
    for each in genes.lanes:
        model = each.model
        head = f"{plain(model.gene)}<br>{plain(model.name)} ({model.strand})<br>{model.start:,}-{model.end:,}"
        shown = np.clip(model.exons, start, end)
        number = np.arange(1, len(shown) + 1) if model.strand != "-" else np.arange(len(shown), 0, -1)
        for (left, right), (low, high), n in zip(shown.tolist(), model.exons.tolist(), number.tolist(), strict=True):
            if left < right:
                exon = f"exon {n} of {len(shown)}, {low:,}-{high:,}"
                places.append(((left + right) / 2, each.lane + _MIDDLE, f"{head}<br>{exon}"))
        middle = (max(model.start, start) + min(model.end, end)) / 2
        places.append((middle, each.lane + _MIDDLE, head))
    if len(places) > MAX_HOVER_EXONS:
        # a megabase: a place for each gene is enough
        places = [place for place in places if "<br>exon" not in place[2]]
    return go.Scatter(
        x=[place[0] for place in places],
        y=[place[1] for place in places],
        text=[place[2] for place in places],
        mode="markers",
        marker={"opacity": 0, "size": 10},
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        yaxis=yaxis,
    )


def _union(group: Sequence[Model]) -> Model:
    spans = np.concatenate([model.exons for model in group])
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    furthest = np.maximum.accumulate(spans[:, 1])
    begins = np.append(True, spans[1:, 0] > furthest[:-1])
    exons = np.column_stack([spans[begins, 0], furthest[np.append(begins[1:], True)]])
    coding = [model.cds for model in group if model.cds[0] < model.cds[1]]
    cds = (min(each[0] for each in coding), max(each[1] for each in coding)) if coding else (0, 0)
    start, end = min(model.start for model in group), max(model.end for model in group)
    return group[0]._replace(name=group[0].gene, start=start, end=end, exons=exons, cds=cds)


def _label_place(model: Model, label: str, start: int, end: int, bp_per_px: float) -> float:
    """Above the middle of what is seen, moved in where the text would reach over the edge."""
    half = min(len(label) * _LETTER_PX * bp_per_px / 2, (end - start) / 2)
    middle = (max(model.start, start) + min(model.end, end)) / 2
    return min(max(middle, start + half), end - half)


def _box(left: float, right: float, lane: int, half: float) -> str:
    low, high = lane + _MIDDLE - half, lane + _MIDDLE + half
    return f"M{left},{low:.2f}V{high:.2f}H{right}V{low:.2f}Z"
