"""What a locus page shows, as a value: moved, zoomed, and carried in the page's address."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ldarnet.genome import Contig
from ldarnet.genome.names import list_names

MIN_SPAN_BP = 20
MAX_SPAN_BP = 2_000_000

_SPAN = re.compile(r"(-?\d{1,15})(?:-(-?\d{1,15}))?", re.ASCII)
_LONGEST_SHOWN = 60


class ValueRange(NamedTuple):
    """The values between which a track is drawn."""

    label: str
    low: float
    high: float


@dataclass(frozen=True)
class View:
    """Bases start..end-1 of a contig (0-based, half-open), and how they are drawn.

    `tracks` are the labels of the tracks shown, None for all; `flipped` reads right to left on the - strand.
    `ranges` are those that a reader has set; other tracks have their own.
    """

    chrom: str
    start: int
    end: int
    flipped: bool = False
    tracks: tuple[str, ...] | None = None
    overlaid: bool = False
    ranges: tuple[ValueRange, ...] = ()

    @property
    def span_bp(self) -> int:
        """Bases shown."""
        return self.end - self.start

    @property
    def locus(self) -> str:
        """As people write it, and as the address holds it."""
        return f"{self.chrom}:{self.start}-{self.end}"

    def shows(self, label: str) -> bool:
        """Whether a track is drawn."""
        return self.tracks is None or label in self.tracks

    def to_query(self) -> dict[str, str]:
        """The parts of the page's address that bring this view back."""
        query = {"locus": self.locus}
        if self.flipped:
            query["flip"] = "1"
        if self.overlaid:
            query["overlay"] = "1"
        if self.tracks is not None:
            query["tracks"] = ",".join(map(_quoted, self.tracks))
        if self.ranges:
            query["ranges"] = ",".join(f"{_quoted(each.label)}:{each.low}:{each.high}" for each in self.ranges)
        return query


class Located(NamedTuple):
    """A view of what was asked for, and a sentence on what was changed to show it ("" for nothing)."""

    view: View
    note: str


def view_from_query(query: Mapping[str, str], contigs: Sequence[Contig], labels: Sequence[str]) -> View:
    """The view of an address; anything unknown in it is a ValueError that says what was expected."""
    view = view_of_locus(query["locus"], contigs)
    tracks = None
    if "tracks" in query:
        tracks = tuple(_known(_unquoted(label), labels) for label in filter(None, query["tracks"].split(",")))
    ranges = tuple(_range(text, labels) for text in filter(None, query.get("ranges", "").split(",")))
    return replace(
        view,
        flipped=query.get("flip") == "1",
        overlaid=query.get("overlay") == "1",
        tracks=tracks,
        ranges=ranges,
    )


def view_of_locus(locus: str, contigs: Sequence[Contig]) -> View:
    """The view of `chrom`, `chrom:base` or `chrom:start-end` (0-based, half-open; thousands may have commas)."""
    return located(locus, contigs).view


def located(locus: str, contigs: Sequence[Contig]) -> Located:
    """The view of a locus, moved into its contig if it reaches past an edge.

    The text never names a file. Raises ValueError for an unknown contig, malformed or empty spans, and those that
    lie outside their contig as a whole (the message states its length).
    """
    locus, length_of = locus.strip(), dict(contigs)
    if locus in length_of:
        return _fitted_with_note(View(locus, 0, length_of[locus]), contigs)
    chrom, colon, span = locus.rpartition(":")
    if not colon:
        chrom = _contig_named(locus, length_of)
        return _fitted_with_note(View(chrom, 0, length_of[chrom]), contigs)
    chrom = _contig_named(chrom, length_of)
    numbers = _SPAN.fullmatch(span.replace(",", "").replace(" ", ""))
    if not numbers:
        raise ValueError(f"{_shown(locus)}: expected chrom:start-end with whole numbers, such as {chrom}:1000-2000")
    start = int(numbers[1])
    if numbers[2] is None:
        half = 10 * MIN_SPAN_BP
        _refuse_outside(chrom, start, start + 1, length_of[chrom])
        return _fitted_with_note(View(chrom, start - half, start + half), contigs, is_span=False)
    end = int(numbers[2])
    if start >= end:
        raise ValueError(f"{_shown(locus)}: expected start < end (0-based, half-open), got {start:,} and {end:,}")
    _refuse_outside(chrom, start, end, length_of[chrom])
    return _fitted_with_note(View(chrom, start, end), contigs)


def moved(view: View, share: float, contigs: Sequence[Contig]) -> View:
    """Moved by a share of its width, to the reader's right where positive."""
    step = max(1, round(abs(share) * view.span_bp)) * (1 if share > 0 else -1) * (-1 if view.flipped else 1)
    return fitted(replace(view, start=view.start + step, end=view.end + step), contigs)


def zoomed(view: View, factor: float, contigs: Sequence[Contig]) -> View:
    """Its width times factor, about the same middle."""
    middle, span = (view.start + view.end) / 2, max(MIN_SPAN_BP, round(view.span_bp * factor))
    start = round(middle - span / 2)
    return fitted(replace(view, start=start, end=start + span), contigs)


def centered(view: View, cut: int, contigs: Sequence[Contig], *, chrom: str | None = None) -> View:
    """The same width about a cut."""
    start = cut - view.span_bp // 2
    return fitted(replace(view, chrom=chrom or view.chrom, start=start, end=start + view.span_bp), contigs)


def fitted(view: View, contigs: Sequence[Contig]) -> View:
    """Moved and cut to lie on its contig, MIN_SPAN_BP to MAX_SPAN_BP wide where the contig allows."""
    length = {contig.name: contig.length_bp for contig in contigs}[view.chrom]
    span = min(max(view.span_bp, MIN_SPAN_BP), MAX_SPAN_BP, length)
    start = view.start + (view.span_bp - span) // 2
    start = min(max(start, 0), length - span)
    return replace(view, start=start, end=start + span)


def _fitted_with_note(view: View, contigs: Sequence[Contig], *, is_span: bool = True) -> Located:
    length = dict(contigs)[view.chrom]
    inside = replace(view, start=max(view.start, 0), end=min(view.end, length)) if is_span else view
    note = ""
    if inside != view:
        note = f"{view.locus} reaches past the edge of {view.chrom}, which has {length:,} bases: cut off there."
    if inside.span_bp > MAX_SPAN_BP:
        note = f"{view.locus} is wider than the {MAX_SPAN_BP:,} bases that can be shown at once: this is its middle."
    return Located(fitted(inside, contigs), note)


def _refuse_outside(chrom: str, start: int, end: int, length: int) -> None:
    if end <= 0 or start >= length:
        raise ValueError(
            f"{chrom}:{start:,}-{end:,} lies outside {chrom}, which has {length:,} bases (0 to {length:,})"
        )


def _contig_named(chrom: str, length_of: Mapping[str, int]) -> str:
    """The contig of that name, with or without chr."""
    for name in (chrom, f"chr{chrom}", chrom.removeprefix("chr")):
        if name in length_of:
            return name
    raise ValueError(f"no contig {_shown(chrom)}; the contigs are {list_names(list(length_of))}")


def _range(text: str, labels: Sequence[str]) -> ValueRange:
    label, *numbers = text.split(":")
    try:
        low, high = map(float, numbers)
    except ValueError:
        low = high = 0.0
    if not -1e6 <= low < high <= 1e6:
        raise ValueError(f"ranges={_shown(text)}: expected track:low:high with low < high")
    return ValueRange(_known(_unquoted(label), labels), low, high)


def _known(label: str, labels: Sequence[str]) -> str:
    if label not in labels:
        raise ValueError(f"no track {_shown(label)}; the tracks are {', '.join(labels)}")
    return label


def _quoted(label: str) -> str:
    return label.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")


def _unquoted(label: str) -> str:
    return label.replace("%3A", ":").replace("%2C", ",").replace("%25", "%")


def _shown(text: str) -> str:
    """Text of a stranger, short enough for a message."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
