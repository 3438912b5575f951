"""What a locus page shows, as a value: moved, zoomed, and carried in the page's address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ldarnet.genome import Contig, parse_regions

MIN_SPAN_BP = 20
MAX_SPAN_BP = 2_000_000


@dataclass(frozen=True)
class View:
    """Bases start..end-1 of a contig (0-based, half-open), and how they are drawn.

    `tracks` are the labels of the tracks shown, None for all; `flipped` reads right to left on the - strand.
    """

    chrom: str
    start: int
    end: int
    flipped: bool = False
    tracks: tuple[str, ...] | None = None
    overlaid: bool = False

    @property
    def span_bp(self) -> int:
        """Bases shown."""
        return self.end - self.start

    @property
    def locus(self) -> str:
        """As people write it, and as the address holds it."""
        return f"{self.chrom}:{self.start}-{self.end}"

    def to_query(self) -> dict[str, str]:
        """The parts of the page's address that bring this view back."""
        query = {"locus": self.locus}
        if self.flipped:
            query["flip"] = "1"
        if self.overlaid:
            query["overlay"] = "1"
        if self.tracks is not None:
            query["tracks"] = ",".join(self.tracks)
        return query


def view_from_query(query: Mapping[str, str], contigs: Sequence[Contig], labels: Sequence[str]) -> View:
    """The view of an address; anything unknown in it is a ValueError that says what was expected."""
    view = view_of_locus(query["locus"], contigs)
    tracks = None
    if "tracks" in query:
        tracks = tuple(filter(None, query["tracks"].split(",")))
        unknown = [label for label in tracks if label not in labels]
        if unknown:
            raise ValueError(f"track {unknown[0]!r}: expected one of {', '.join(labels)}")
    return replace(view, flipped=query.get("flip") == "1", overlaid=query.get("overlay") == "1", tracks=tracks)


def view_of_locus(locus: str, contigs: Sequence[Contig]) -> View:
    """The view of `chrom` or `chrom:start-end` (0-based, half-open; thousands may be written with commas)."""
    interval = parse_regions(locus.replace(",", "").strip(), contigs).intervals[0]
    return fitted(View(interval.chrom, interval.start, interval.end), contigs)


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
