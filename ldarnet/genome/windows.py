"""The plan of windows: which stretch of context each reported base is read in, fixed by the FASTA alone."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from ldarnet.genome.intervals import Contig, Interval
from ldarnet.genome.regions import merge_intervals


class Window(NamedTuple):
    """Bases start..end-1 are given to the model; values are kept for the core, core_start..core_end-1."""

    chrom: str
    start: int
    end: int
    core_start: int
    core_end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows that go through the model together, and their place in the plan of the whole FASTA."""

    index: int
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Shard:
    """One of `count` about equal, consecutive runs of the batches of a plan; `number` counts from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """`2/8`: the second of eight. Raises ValueError for anything else."""
    number, separator, count = text.partition("/")
    if not (separator and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ValueError(f"--shard: expected i/n with i from 1 to n, such as 2/8, got {text!r}")
    return Shard(int(number), int(count))


def shard_batches(plan: Callable[[], Iterable[Batch]], shard: Shard) -> Iterator[Batch]:
    """The batches of one shard, whole and unchanged; `plan` is called twice, and each time gives all of them.

    Raises ValueError where there are fewer batches than shards, so that no shard is empty.
    """
    total = sum(1 for _ in plan())
    if total < shard.count:
        raise ValueError(f"--shard {shard}: there are {total} batches to share out, use at most {total} shards")
    first, last = (total * n // shard.count for n in (shard.number - 1, shard.number))
    return islice(iter(plan()), first, last)


def plan_windows(contig: Contig, window_bp: int, halo_bp: int) -> Iterator[Window]:
    """The windows of a contig, in order; their cores tile it.

    Window k starts at k * (window_bp - 2 * halo_bp), whatever was asked for. A core keeps halo_bp from the
    edges of its window except at the ends of the contig. Raises ValueError for sizes that cannot work.
    """
    _check_sizes(window_bp, halo_bp)
    _check_contig(contig, window_bp, halo_bp)
    return _windows(contig, window_bp, halo_bp)


def plan_batches(contigs: Iterable[Contig], window_bp: int, halo_bp: int, batch_tokens: int) -> Iterator[Batch]:
    """All windows of a genome in order, packed greedily: windows times the longest of them <= batch_tokens.

    A batch holds one window at least, however long. Nothing is kept: a plan of any size needs no memory.
    Raises ValueError for sizes that cannot work.
    """
    _check_sizes(window_bp, halo_bp)
    if batch_tokens < 1:
        raise ValueError(f"--batch-tokens: expected 1 or more, got {batch_tokens}")
    return _batches(contigs, window_bp, halo_bp, batch_tokens)


def select_batches(batches: Iterable[Batch], regions: Sequence[Interval]) -> Iterator[Batch]:
    """The batches, whole and unchanged, in which the core of some window meets a region.

    Raises ValueError without regions.
    """
    if not regions:
        raise ValueError("expected at least one region, got none")
    chroms = list(dict.fromkeys(region.chrom for region in regions))
    spans: dict[str, tuple[list[int], list[int]]] = {chrom: ([], []) for chrom in chroms}
    for region in merge_intervals(regions, chroms):
        starts, ends = spans[region.chrom]
        starts.append(region.start)
        ends.append(region.end)
    return (batch for batch in batches if any(_meets(window, spans) for window in batch.windows))


def _meets(window: Window, spans: dict[str, tuple[list[int], list[int]]]) -> bool:
    if window.chrom not in spans:
        return False
    starts, ends = spans[window.chrom]
    first = bisect_right(ends, window.core_start)
    return first < len(starts) and starts[first] < window.core_end


def _windows(contig: Contig, window_bp: int, halo_bp: int) -> Iterator[Window]:
    chrom, length_bp = contig
    start, core_start = 0, 0
    while start + window_bp < length_bp:
        core_end = start + window_bp - halo_bp
        yield Window(chrom, start, start + window_bp, core_start, core_end)
        start += window_bp - 2 * halo_bp
        core_start = core_end
    yield Window(chrom, start, length_bp, core_start, length_bp)


def _batches(contigs: Iterable[Contig], window_bp: int, halo_bp: int, batch_tokens: int) -> Iterator[Batch]:
    index = 0
    waiting: list[Window] = []
    longest_bp = 0
    for contig in contigs:
        _check_contig(contig, window_bp, halo_bp)
        for window in _windows(contig, window_bp, halo_bp):
            length_bp = window.end - window.start
            if waiting and (len(waiting) + 1) * max(longest_bp, length_bp) > batch_tokens:
                yield Batch(index, tuple(waiting))
                index += 1
                waiting, longest_bp = [], 0
            waiting.append(window)
            longest_bp = max(longest_bp, length_bp)
    if waiting:
        yield Batch(index, tuple(waiting))


def _check_sizes(window_bp: int, halo_bp: int) -> None:
    if halo_bp < 0:
        raise ValueError(f"--halo: expected 0 or more bases, got {halo_bp}")
    if window_bp <= 2 * halo_bp:
        raise ValueError(
            f"--window and --halo: expected a window longer than two halos, got --window {window_bp} and "
            f"--halo {halo_bp}"
        )


def _check_contig(contig: Contig, window_bp: int, halo_bp: int) -> None:
    if contig.length_bp < 1:
        raise ValueError(f"{contig.name}: expected a contig of 1 base or more, got {contig.length_bp}")
    if halo_bp == 0 and contig.length_bp > window_bp:
        # The first base of a window has no value of its own: without a halo it would be reported.
        raise ValueError(
            f"--halo: expected 1 or more, got 0, while --window {window_bp} is shorter than {contig.name} "
            f"({contig.length_bp:,} bases)"
        )
