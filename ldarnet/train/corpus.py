"""Genomes held in memory as one byte per base, and the windows that training draws from them (numpy only).

Which bases may be used stands in a BED file: chrom, start, end and, in the fourth column or in one that a header line
`chrom start end ... split` names so, the split (train, valid, test).
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig, Interval, merge_intervals, open_genome
from ldarnet.genome.names import list_names
from ldarnet.genome.text_lines import text_lines
from ldarnet.train.draws import MAX_SEED, Purpose, random_stream
from ldarnet.train.sequence_shards_corpus import ShardedGenome, ShardedPool, ShardFolder, find_sharded, load_sharded
from ldarnet.train.soft_mask import letters, lower_case_runs, mark_repeats, num_repeats, reverse_complement

MAX_UNKNOWN_SHARE = 0.1
MAX_TRIES = 1000
"""Windows looked at before a genome is said to have too many N."""

_NAME_ENDS = re.compile(r"(\.(fa|fasta|fna|2bit|txt))?(\.(gz|bgz|bgzf))?$", re.IGNORECASE)
_COORDINATE = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True)
class GenomeSource:
    """One genome of a corpus, and which part of it is meant."""

    fasta: str
    """FASTA (plain, gzip, bgzip) or .2bit; or a folder of shards, FOLDER/NAME being one of its sources."""
    name: str = ""
    """Defaults to the file's name without its endings."""
    intervals: str | None = None
    """BED file of the stretches to use; None = whole contigs."""
    split: str | None = None
    """Use the rows of this split only; None = all rows, whatever their fourth column says."""
    weight: float | None = None
    """Share of the draws; None = by its bases. A genome of weight 0 is not even read."""


@dataclass(frozen=True)
class Stretch:
    """The bases start..end-1 of a contig, all of which windows may hold: `ids` uint8 [end - start], read-only.

    Where a corpus was asked for repeats, ids carry their bit (`soft_mask`).
    """

    contig: str
    start: int
    end: int
    ids: np.ndarray


@dataclass(frozen=True)
class LoadedGenome:
    """The stretches of a genome, disjoint and not touching, in the order of its contigs."""

    name: str
    stretches: tuple[Stretch, ...]
    weight: float | None = None

    def pool(self, window_bp: int) -> "_Pool":
        """Its windows. Raises ValueError where it has none."""
        return _Pool(self, window_bp)


@dataclass(frozen=True)
class CorpusGenome:
    """What a corpus holds of a genome; `weight` is its share of the draws, N are no bases."""

    name: str
    weight: float
    num_bases: int
    num_stretches: int
    num_short_stretches: int
    """Left out: shorter than the window."""
    num_repeats: int = 0
    """Bases marked as repeats; 0 also where nobody asked."""


class Corpus:
    """Windows drawn from genomes: the genome by its weight, then one of its windows, all of them being as likely.

    Windows with more than `max_unknown_share` of N are drawn again; half of the windows are turned to the opposite
    strand. `genomes` and `num_bases` say what it holds. Raises ValueError where a genome has no window.
    """

    def __init__(
        self,
        genomes: Sequence[LoadedGenome | ShardedGenome],
        window_bp: int,
        seed: int,
        max_unknown_share: float = MAX_UNKNOWN_SHARE,
    ) -> None:
        if window_bp < 1:
            raise ValueError(f"expected windows of 1 base or more, got {window_bp}")
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f"expected a seed from 0 to {MAX_SEED}, got {seed}")
        if not 0 <= max_unknown_share < 1:
            raise ValueError(f"expected a largest share of N from 0 to below 1, got {max_unknown_share}")
        self.window_bp = window_bp
        self._seed = seed
        self._max_unknown_bp = int(max_unknown_share * window_bp)
        self._pools: list[_Pool | ShardedPool] = [genome.pool(window_bp) for genome in genomes]
        weights = _shares(genomes, [pool.num_bases for pool in self._pools])
        self._weight_ends = np.cumsum(weights)
        self.genomes = tuple(
            CorpusGenome(genome.name, weight, pool.num_bases, pool.num_stretches, pool.num_short, pool.num_repeats)
            for genome, pool, weight in zip(genomes, self._pools, weights, strict=True)
        )
        self.num_bases = sum(genome.num_bases for genome in self.genomes)

    def window(self, draw: int) -> np.ndarray:
        """Ids (uint8 [window_bp]) of the window of that number: a pure function of the seed and the number."""
        rng = random_stream(self._seed, Purpose.WINDOW, draw)
        # The last share may end a rounding error below 1.
        number = np.searchsorted(self._weight_ends, rng.random() * self._weight_ends[-1], side="right")
        pool = self._pools[number]
        for _ in range(MAX_TRIES):
            ids = pool.window(int(rng.integers(pool.num_windows)))
            if np.count_nonzero(letters(ids) >= vocab.N) <= self._max_unknown_bp:
                return reverse_complement(ids) if rng.random() < 0.5 else ids.copy()
        raise ValueError(
            f"{self.genomes[number].name}: expected windows of {self.window_bp:,} bases with at most "
            f"{self._max_unknown_bp:,} N, got {MAX_TRIES:,} with more (draw {draw}; first stretch "
            f"{pool.first_stretch}): leave long runs of N out of the intervals"
        )

    def fingerprint(self) -> str:
        """SHA-256 of bases, intervals, weights and window, the same on every machine; neither names nor seed count."""
        digest = hashlib.sha256(f"{self.window_bp} {self._max_unknown_bp} {len(self._pools)}\n".encode())
        for genome, pool in zip(self.genomes, self._pools, strict=True):
            pool.add_to(digest, genome.weight)
        return digest.hexdigest()


class _Pool:
    """The windows of one genome, numbered through its stretches."""

    def __init__(self, genome: LoadedGenome, window_bp: int) -> None:
        longest_bp = max((len(stretch.ids) for stretch in genome.stretches), default=0)
        if longest_bp < window_bp:
            raise ValueError(
                f"{genome.name}: expected a stretch of at least {window_bp:,} bases, the window, got "
                f"{len(genome.stretches):,} stretches, the longest of {longest_bp:,} bases"
            )
        self.stretches = [stretch for stretch in genome.stretches if len(stretch.ids) >= window_bp]
        self.num_stretches = len(self.stretches)
        self.num_short = len(genome.stretches) - len(self.stretches)
        self.num_bases = sum(int(np.count_nonzero(letters(stretch.ids) < vocab.N)) for stretch in self.stretches)
        self.num_repeats = sum(num_repeats(stretch.ids) for stretch in self.stretches)
        if not self.num_bases:
            raise ValueError(f"{genome.name}: expected letters A, C, G, T, got stretches of nothing but N")
        self._window_bp = window_bp
        self._ends = np.cumsum([len(stretch.ids) - window_bp + 1 for stretch in self.stretches])
        self.num_windows = int(self._ends[-1])

    def window(self, number: int) -> np.ndarray:
        """A view of the window that starts at the number-th possible start."""
        place = int(np.searchsorted(self._ends, number, side="right"))
        ids = self.stretches[place].ids
        start = number - int(self._ends[place]) + len(ids) - self._window_bp + 1
        return ids[start : start + self._window_bp]

    @property
    def first_stretch(self) -> str:
        """Where it begins, for messages."""
        stretch = self.stretches[0]
        return f"{stretch.contig}:{stretch.start}-{stretch.end}"

    def add_to(self, digest: "hashlib._Hash", weight: float) -> None:
        """What decides the windows: intervals and bases."""
        spans = [(stretch.contig, stretch.start, stretch.end) for stretch in self.stretches]
        digest.update(json.dumps([weight, spans]).encode())
        for stretch in self.stretches:
            digest.update(stretch.ids.data)


def load_corpus(
    sources: Sequence[GenomeSource],
    window_bp: int,
    seed: int,
    max_unknown_share: float = MAX_UNKNOWN_SHARE,
    *,
    marks_repeats: bool = False,
) -> Corpus:
    """A corpus from files; a source of weight 0 is not read. Raises ValueError as `load_genome` and `Corpus` do.

    `marks_repeats` keeps what lower case says; ValueError where no genome has any.
    """
    if not sources:
        raise ValueError("expected at least one genome, got none")
    used = [source for source in sources if source.weight != 0]
    if not used:
        raise ValueError(f"expected a weight above 0, got 0 for all of {list_names([_name(each) for each in sources])}")
    opened: dict[Path, ShardFolder] = {}
    genomes = [_load(source, opened, marks_repeats) for source in used]
    corpus = Corpus(genomes, window_bp, seed, max_unknown_share)
    if marks_repeats and not any(genome.num_repeats for genome in corpus.genomes):
        names = list_names([genome.name for genome in corpus.genomes])
        raise ValueError(f"expected repeats in lower case, got none in {names}: use soft-masked FASTA")
    return corpus


def _load(source: GenomeSource, opened: dict[Path, ShardFolder], marks_repeats: bool) -> LoadedGenome | ShardedGenome:
    sharded = find_sharded(source.fasta)
    if sharded is None:
        return load_genome(source, marks_repeats=marks_repeats)
    if marks_repeats:
        raise ValueError(f"{source.fasta}: shards do not keep lower case, which marks repeats: train on the FASTA")
    if source.intervals is not None:
        raise ValueError(f"{source.fasta}: intervals go with a FASTA, not with shards: shard the stretches alone")
    return load_sharded(*sharded, source.name, source.weight, opened)


def load_genome(source: GenomeSource, *, marks_repeats: bool = False) -> LoadedGenome:
    """The bases of a genome that its intervals allow, in memory; with the repeat bit set where they are lower case.

    Raises GenomeError for a bad genome file, ValueError (file, line) for intervals that are malformed, outside their
    contig, on contigs that the genome lacks (with both lists of names) or in two splits, and for a split without rows.
    """
    with open_genome(source.fasta) as genome:
        runs = lower_case_runs(source.fasta) if marks_repeats else {}
        spans: Sequence[Interval]
        if source.intervals is not None:
            rows = _read_rows(Path(source.intervals), genome.contigs)
            spans = _select(rows, source, [contig.name for contig in genome.contigs])
        elif source.split is None:
            spans = [Interval(chrom, 0, length_bp) for chrom, length_bp in genome.contigs]
        else:
            raise ValueError(f"{_name(source)}: expected intervals to find split {source.split!r} in, got none")
        stretches = []
        for span in spans:
            ids = genome.ids(*span)
            if marks_repeats:
                mark_repeats(ids, span.start, runs[span.chrom])
            ids.flags.writeable = False
            stretches.append(Stretch(*span, ids))
    return LoadedGenome(_name(source), tuple(stretches), source.weight)


def splits_of(intervals: str | Path) -> tuple[str, ...]:
    """The splits that a BED file names, in the order of their first rows. Raises ValueError (file, line)."""
    rows = _read_rows(Path(intervals))
    return tuple(dict.fromkeys(row.split for row in rows if row.split is not None))


def _name(source: GenomeSource) -> str:
    name = Path(source.fasta).name
    return source.name or _NAME_ENDS.sub("", name) or name


def _shares(genomes: Sequence[LoadedGenome | ShardedGenome], num_bases: Sequence[int]) -> list[float]:
    """Shares that sum to 1: those given, and what they leave divided by bases among the rest."""
    for genome in genomes:
        if genome.weight is not None and not (math.isfinite(genome.weight) and genome.weight >= 0):
            raise ValueError(f"{genome.name}: expected a weight of 0 or more, got {genome.weight}")
    given = math.fsum(genome.weight for genome in genomes if genome.weight is not None)
    free_bases = sum(num for genome, num in zip(genomes, num_bases, strict=True) if genome.weight is None)
    if free_bases == 0:
        if given == 0:
            raise ValueError(f"expected genomes with a weight above 0, got {len(genomes)} of weight 0")
        return [(genome.weight or 0.0) / given for genome in genomes]
    if given >= 1:
        names = list_names([genome.name for genome in genomes if genome.weight is None])
        raise ValueError(f"expected given weights below 1, to leave a share to {names}, got {given:g} in all")
    return [
        (1 - given) * num / free_bases if genome.weight is None else genome.weight
        for genome, num in zip(genomes, num_bases, strict=True)
    ]


class _Row(NamedTuple):
    """One line of a BED file; `split` is None where it has no such column."""

    interval: Interval
    split: str | None
    where: str


def _read_rows(path: Path, contigs: Sequence[Contig] | None = None) -> list[_Row]:
    """All rows, checked against the contigs where these are given."""
    rows: list[_Row] = []
    column = 3
    for number, line in text_lines(path, "BED"):
        words = line.split("\t") if "\t" in line else line.split()
        words = [word.strip() for word in words]
        names = [word.lstrip("#").lower() for word in words]
        if names[1:3] in (["start", "end"], ["chromstart", "chromend"]) and not rows:
            column = names.index("split") if "split" in names else 3
        elif not line.startswith("#") and names[0].split()[:1] not in (["track"], ["browser"]):
            rows.append(_parse_row(words, column, f"{path}, line {number}"))
    if not rows:
        raise ValueError(f"{path}: expected rows of chrom, start, end and split, got an empty file")
    if contigs is not None:
        _check_rows(rows, dict(contigs), path)
    return rows


def _parse_row(words: list[str], column: int, where: str) -> _Row:
    if len(words) < 3:
        raise ValueError(f"{where}: expected the columns chrom, start, end, got {len(words)} of them")
    for word in words[1:3]:
        if not _COORDINATE.fullmatch(word):
            raise ValueError(f"{where}: expected start and end as whole numbers of 0 or more, got {word!r}")
    split = words[column] if len(words) > column else None
    return _Row(Interval(words[0], int(words[1]), int(words[2])), split, where)


def _check_rows(rows: Sequence[_Row], length_of: dict[str, int], path: Path) -> None:
    unknown = dict.fromkeys(row.interval.chrom for row in rows if row.interval.chrom not in length_of)
    if unknown:
        raise ValueError(
            f"{path}: intervals on contigs that the FASTA does not have: {list_names(list(unknown))}; "
            f"contigs in the FASTA: {list_names(list(length_of))}"
        )
    for (chrom, start, end), _, where in rows:
        if start >= end:
            raise ValueError(f"{where}: expected start < end, got {start} and {end}")
        if end > length_of[chrom]:
            raise ValueError(f"{where}: expected an end inside {chrom} ({length_of[chrom]:,} bases), got {end:,}")


def _select(rows: Sequence[_Row], source: GenomeSource, chroms: Sequence[str]) -> Sequence[Interval]:
    """The intervals of the source's split, merged; ValueError where the split has none or shares a base."""
    if source.split is None:
        return merge_intervals((row.interval for row in rows), chroms)
    of_split: dict[str, list[Interval]] = {}
    for row in rows:
        if not row.split:
            raise ValueError(f"{row.where}: expected a fourth column that names the split, got none")
        of_split.setdefault(row.split, []).append(row.interval)
    if source.split not in of_split:
        names = list_names(list(of_split))
        raise ValueError(f"{source.intervals}: expected rows of split {source.split!r}; splits in the file: {names}")
    merged = {split: merge_intervals(intervals, chroms) for split, intervals in of_split.items()}
    labelled = sorted((*interval, split) for split, intervals in merged.items() for interval in intervals)
    for (chrom, _, end, split), (other_chrom, start, other_end, other) in itertools.pairwise(labelled):
        if chrom == other_chrom and start < end:
            raise ValueError(
                f"{source.intervals}: expected every base in one split, got {chrom}:{start}-{min(end, other_end)} in "
                f"both {split} and {other}"
            )
    return merged[source.split]
