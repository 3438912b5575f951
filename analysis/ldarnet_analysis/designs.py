"""Sequences for the rungs of the null ladder that a model has to be run on: real windows, and what is changed in them.

Every record is a window on its site's sense strand with the anchor at the same place, natives included, so that both
sides of a comparison are read in equal context. What is random depends on seed, rung and site_id alone: a record does
not change with the other sites.
"""

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet_analysis.ablation import StillMatches, ablate, literal_test
from ldarnet_analysis.control_rules import DINUCLEOTIDES, decoy_span, only_class
from ldarnet_analysis.controls import PAIR_COLUMNS
from ldarnet_analysis.decoys import Span
from ldarnet_analysis.positions import positions_of, sense_bases
from ldarnet_analysis.shuffles import moved_share, num_arrangements, shuffle_klets
from ldarnet_analysis.sites import check_sites

DESIGN_COLUMNS = ["record", "pair_id", "site_id", "rung", "cut", "strand"]
NATIVE = "native"
DESIGNED_RUNGS = ("context-swap", "planted", "ablated", "shuffled")
LOCAL_SPANS: Mapping[str, Span] = MappingProxyType({"donor": (-3, 6), "acceptor": (-20, 3)})
"""The letters that make a splice site, as MaxEntScan (Yeo and Burge 2004) takes them: 9 and 23 bases."""


@dataclass(frozen=True)
class Design:
    """Records (name, ids), their `table` (DESIGN_COLUMNS, one row per record), sites without one, and notes.

    `cut` is the anchor's index in the record. Each site has one row of rung `native`, which all its others compare to.
    """

    records: list[tuple[str, np.ndarray]]
    table: pd.DataFrame
    unmatched: pd.DataFrame
    notes: tuple[str, ...]


def design(
    rung: str,
    sites: pd.DataFrame,
    genome: Genome,
    window_bp: int,
    *,
    pairs: pd.DataFrame | None = None,
    span: Span | None = None,
    k: int = 2,
    per_site: int = 1,
    still_matches: StillMatches | None = None,
    kind: str | None = None,
    seed: int,
) -> Design:
    """The windows of sites of one class, and `per_site` changed ones of each (context-swap: one per pair).

    context-swap: the letters of `span` in the window of a control (`pairs` as draw_controls gives them), read on its
    strand. planted: they stay, and the bases on each side are k-let shuffled. ablated: only they change order, until
    `still_matches` denies the motif (default: GT or AG of a splice site, or the very letters on either strand).
    shuffled: the whole window is k-let shuffled. `span` is by default that of `local_span`. `kind` is what the sites
    are ("donor", ...), by default their class.
    Raises ValueError for tables and sizes that cannot work; sites that get no record are listed with the reason.
    """
    if rung not in DESIGNED_RUNGS:
        raise ValueError(f"expected a rung out of {', '.join(DESIGNED_RUNGS)}, got {rung!r}")
    if per_site < 1 or k < 1:
        raise ValueError(f"expected 1 or more records per site and k of 1 or more, got {per_site} and {k}")
    sites = check_sites(sites)
    positions_of(sites, genome.contigs)
    kind = kind or only_class(sites)
    span = span or local_span(sites, kind)
    if not -(window_bp // 2) < span[0] < span[1] < window_bp - window_bp // 2:
        raise ValueError(f"expected windows that reach beyond the span {span} on both sides, got {window_bp} bases")
    cutter = _WindowCutter(genome, window_bp)
    changer = _Changer(rung, cutter.cut, span, k, DINUCLEOTIDES.get(kind), still_matches)
    contexts = _contexts(pairs, cutter) if rung == "context-swap" else {}
    records: list[tuple[str, np.ndarray]] = []
    rows: list[tuple[str, str, str, str, int, str]] = []
    reasons: dict[str, str] = {}
    moved: list[float] = []
    for site_id, chrom, cut, strand in sites[["site_id", "chrom", "cut", "strand"]].itertuples(index=False):
        try:
            native = cutter.window(chrom, cut, strand)
            if rung == "context-swap":
                made = [changer.swap(native, context) for context in contexts.get(site_id, [])]
            else:
                generators = (np.random.default_rng(_entropy(seed, rung, site_id, i)) for i in range(per_site))
                made = [changer.change(native, rng) for rng in generators]
        except _Impossible as impossible:
            reasons[site_id] = str(impossible)
            continue
        if not made:
            reasons[site_id] = "context: no control with a window of this size was given"
            continue
        moved += [moved_share(native, ids) for ids in made]
        for label, number, ids in [(NATIVE, 0, native), *((rung, i, ids) for i, ids in enumerate(made))]:
            name = f"{label}.{number}.{blake2b(site_id.encode(), digest_size=8).hexdigest()}"
            records.append((name, ids))
            rows.append((name, f"{label}:{number}:{site_id}", site_id, label, cutter.cut, "+"))
    unmatched = pd.DataFrame(list(reasons.items()), columns=["site_id", "reason"])
    notes = _notes(len(sites), unmatched, moved)
    return Design(records, pd.DataFrame(rows, columns=DESIGN_COLUMNS), unmatched, notes)


def local_span(sites: pd.DataFrame, kind: str | None = None) -> Span:
    """The letters at the anchor that a design keeps or ablates: LOCAL_SPANS, or those that `same-kmer` decoys share.

    `kind` is what the sites are, by default their class.
    """
    return LOCAL_SPANS.get(kind or only_class(sites)) or decoy_span("same-kmer", sites)


def record_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a design's table as places on a track of its records: PAIR_COLUMNS, chrom being the record."""
    return table.rename(columns={"record": "chrom"})[PAIR_COLUMNS]


def join_designs(designs: Sequence[Design]) -> Design:
    """Several designs as one, the native records they share kept once.

    Raises ValueError where a name stands for two different sequences (windows of two sizes, or two seeds).
    """
    records: dict[str, np.ndarray] = {}
    for each in designs:
        for name, ids in each.records:
            if not np.array_equal(records.setdefault(name, ids), ids):
                raise ValueError(f"expected designs of one window size and one seed, got two sequences called {name}")
    table = pd.concat([each.table for each in designs], ignore_index=True).drop_duplicates("record", ignore_index=True)
    unmatched = pd.concat([each.unmatched for each in designs], ignore_index=True)
    return Design(list(records.items()), table, unmatched, tuple(note for each in designs for note in each.notes))


class _Impossible(Exception):
    """A record cannot be made; the message is the reason listed for its site."""


class _WindowCutter:
    """Cuts windows on the sense strand; `cut` is the index of the anchor in each."""

    def __init__(self, genome: Genome, window_bp: int) -> None:
        self.cut = window_bp // 2
        self._after_bp = window_bp - self.cut
        self.genome = genome
        self._length_of = dict(genome.contigs)

    def window(self, chrom: str, cut: int, strand: str) -> np.ndarray:
        before_bp, after_bp = (self.cut, self._after_bp) if strand == "+" else (self._after_bp, self.cut)
        if cut < before_bp or cut + after_bp > self._length_of[chrom]:
            raise _Impossible("window: it leaves the contig")
        ids = sense_bases(self.genome, chrom, cut, strand, self.cut, self._after_bp)
        if (ids == vocab.N).any():
            raise _Impossible("window: it holds N")
        return ids


@dataclass(frozen=True)
class _Changer:
    """Makes the changed windows of one rung out of native ones."""

    rung: str
    cut: int
    span: Span
    k: int
    dinucleotide: Span | None
    still_matches: StillMatches | None

    def swap(self, native: np.ndarray, context: np.ndarray) -> np.ndarray:
        """The context with the local letters of the native window."""
        start, end = self.cut + self.span[0], self.cut + self.span[1]
        return np.concatenate([context[:start], native[start:end], context[end:]])

    def change(self, native: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One window of a rung other than context-swap."""
        start, end = self.cut + self.span[0], self.cut + self.span[1]
        if self.rung == "ablated":
            if self.still_matches:
                test = self.still_matches
            else:
                test = literal_test(native, self.cut, self.dinucleotide or self.span)
            changed = ablate(native, self.cut, self.span, test, rng)
            if changed is None:
                raise _Impossible(f"ablation: no order of {vocab.decode(native[start:end])} loses the motif")
            return changed
        parts = [native] if self.rung == "shuffled" else [native[:start], native[end:]]
        shuffled = [shuffle_klets(part, self.k, rng) for part in parts]
        # Counting arrangements is slow; only where nothing moved is it worth asking whether anything could.
        if all(map(np.array_equal, parts, shuffled)) and all(num_arrangements(part, self.k) == 1 for part in parts):
            raise _Impossible(f"shuffle: no other order has the same {self.k}-lets")
        return shuffled[0] if self.rung == "shuffled" else np.concatenate([shuffled[0], native[start:end], shuffled[1]])


def _contexts(pairs: pd.DataFrame | None, cutter: _WindowCutter) -> dict[str, list[np.ndarray]]:
    """The windows of each site's controls, those that leave their contig or hold N left out."""
    if pairs is None:
        raise ValueError("context-swap needs the pairs of balanced controls of rung matched or gc, and there are none")
    positions_of(pairs, cutter.genome.contigs)
    contexts: dict[str, list[np.ndarray]] = {}
    for site_id, chrom, cut, strand in pairs[["site_id", "chrom", "cut", "strand"]].itertuples(index=False):
        with suppress(_Impossible):
            contexts.setdefault(site_id, []).append(cutter.window(chrom, cut, strand))
    return contexts


def _entropy(seed: int, rung: str, site_id: str, number: int) -> list[int]:
    return [seed, zlib.crc32(f"{rung} {site_id}".encode()), number]


def _notes(num_sites: int, unmatched: pd.DataFrame, moved: list[float]) -> tuple[str, ...]:
    notes = []
    if len(unmatched):
        kinds = Counter(unmatched["reason"].str.partition(":")[0])
        counts = ", ".join(f"{kind} {num:,}" for kind, num in kinds.most_common())
        notes.append(f"{len(unmatched):,} of {num_sites:,} sites have no record ({counts})")
    if moved:
        notes.append(f"letters changed per record: {np.mean(moved):.1%} on average, {min(moved):.1%} at least")
    return tuple(notes)
