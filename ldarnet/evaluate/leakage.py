"""Sequences that lie in two splits: equal ones, reverse complements, near-duplicates by shared k-mers.

A k-mer is that of either strand, so orientation does not matter. Two sequences are near-duplicates where they share
half of the different k-mers of the one that has fewer: for sequences of one length, an overlap of half of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.evaluate.folds import canonical

K = 20
NEAR_SHARE = 0.5
PAIRS_AT_ONCE = 1 << 22
Kind = Literal["same", "reverse complement", "near-duplicate"]
KINDS: tuple[Kind, ...] = ("same", "reverse complement", "near-duplicate")


class Leak(NamedTuple):
    """A test sequence, and the sequence of another split that resembles it most."""

    test: int
    other: int
    kind: Kind
    share: float
    """Of the different k-mers of the one that has fewer; 1 for equal ones."""


@dataclass(frozen=True)
class KmerIndex:
    """The different k-mers of sequences."""

    kmers: np.ndarray
    """uint64, sorted"""
    owners: np.ndarray
    """int64: the sequence of each."""
    num_kmers: np.ndarray
    """int64 [sequences]: different k-mers of each; 0 where it is shorter than k, or all N."""


def canonical_kmers(ids: np.ndarray, k: int = K) -> np.ndarray:
    """The k-mers of a sequence (uint64, 2 bits a base), each as the smaller of the two strands; none across an N."""
    num = len(ids) - k + 1
    if num < 1:
        return np.empty(0, dtype=np.uint64)
    bases = np.minimum(ids, 3).astype(np.uint64)
    forward = np.zeros(num, dtype=np.uint64)
    backward = np.zeros(num, dtype=np.uint64)
    for place in range(k):
        here = bases[place : place + num]
        forward = (forward << np.uint64(2)) | here
        backward |= (np.uint64(3) - here) << np.uint64(2 * place)
    num_unknown = np.concatenate([[0], np.cumsum(ids > vocab.T)])
    is_known = num_unknown[k:] == num_unknown[:-k]
    return np.minimum(forward, backward)[is_known]


def index_kmers(sequences: list[np.ndarray], k: int = K) -> KmerIndex:
    """The index of sequences; their place in the list is their number."""
    each = [np.unique(canonical_kmers(sequence, k)) for sequence in sequences]
    num_kmers = np.array([len(kmers) for kmers in each], dtype=np.int64)
    kmers = np.concatenate(each) if each else np.empty(0, dtype=np.uint64)
    owners = np.repeat(np.arange(len(each)), num_kmers)
    order = np.argsort(kmers, kind="stable")
    return KmerIndex(kmers[order], owners[order], num_kmers)


def find_leaks(test: list[np.ndarray], others: list[np.ndarray], k: int = K) -> list[Leak]:
    """Test sequences that another split holds too, each with the sequence most like it, in the order of `test`."""
    first = {sequence.tobytes(): number for number, sequence in reversed(list(enumerate(others)))}
    either = {canonical(sequence): number for number, sequence in reversed(list(enumerate(others)))}
    near = _near(index_kmers(test, k), index_kmers(others, k))
    leaks = []
    for number, sequence in enumerate(test):
        if (same := first.get(sequence.tobytes())) is not None:
            leaks.append(Leak(number, same, "same", 1.0))
        elif (turned := either.get(canonical(sequence))) is not None:
            leaks.append(Leak(number, turned, "reverse complement", 1.0))
        elif number in near:
            leaks.append(Leak(number, *near[number]))
    return leaks


def leaks_between_folds(sequences: list[np.ndarray], folds: np.ndarray, k: int = K) -> list[Leak]:
    """Sequences that resemble one of another fold, with the one most like each; numbers are places in `sequences`."""
    leaks = []
    for fold in np.unique(folds[folds >= 0]):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & (folds >= 0))
        found = find_leaks([sequences[i] for i in inside], [sequences[i] for i in outside], k)
        leaks += [leak._replace(test=int(inside[leak.test]), other=int(outside[leak.other])) for leak in found]
    return sorted(leaks)


def share_in(test: list[np.ndarray], pieces: Iterable[np.ndarray], k: int = K) -> np.ndarray:
    """Share of every test sequence's different k-mers that occur in any of the pieces (float [n]; NaN: it has none).

    Pieces, such as the windows a model was trained on, are looked at one by one; only the k-mers of `test` are kept.
    """
    index = index_kmers(test, k)
    known = np.unique(index.kmers)
    is_found = np.zeros(len(known), dtype=bool)
    for piece in pieces:
        if len(known):
            kmers = np.unique(canonical_kmers(piece, k))
            place = np.minimum(np.searchsorted(known, kmers), len(known) - 1)
            is_found[place[known[place] == kmers]] = True
    found = np.bincount(
        index.owners, weights=is_found[np.searchsorted(known, index.kmers)], minlength=len(index.num_kmers)
    )
    with np.errstate(invalid="ignore"):
        share: np.ndarray = found / index.num_kmers
    return share


def _near(test: KmerIndex, others: KmerIndex) -> dict[int, tuple[int, Kind, float]]:
    """Test sequence -> the one that shares most with it, where that is enough."""
    low = np.searchsorted(others.kmers, test.kmers, side="left")
    num_matches = np.searchsorted(others.kmers, test.kmers, side="right") - low
    hit = np.flatnonzero(num_matches)
    # By sequence, so that all matches of one are counted together.
    hit = hit[np.argsort(test.owners[hit], kind="stable")]
    best: dict[int, tuple[int, Kind, float]] = {}
    for part in _parts(test.owners[hit], num_matches[hit]):
        rows = hit[part]
        repeats = num_matches[rows]
        ends = np.cumsum(repeats)
        places = np.repeat(low[rows] - (ends - repeats), repeats) + np.arange(ends[-1])
        mine, theirs = np.repeat(test.owners[rows], repeats), others.owners[places]
        pairs, counts = np.unique(mine * len(others.num_kmers) + theirs, return_counts=True)
        mine, theirs = np.divmod(pairs, len(others.num_kmers))
        shares = counts / np.minimum(test.num_kmers[mine], others.num_kmers[theirs])
        for number, other, share in zip(mine.tolist(), theirs.tolist(), shares.tolist(), strict=True):
            if share >= NEAR_SHARE and (number not in best or share > best[number][2]):
                best[number] = (other, "near-duplicate", share)
    return best


def _parts(owners: np.ndarray, num_matches: np.ndarray) -> Iterable[slice]:
    """Runs of whole sequences with about `PAIRS_AT_ONCE` matches each."""
    if not len(owners):
        return
    ends = np.flatnonzero(np.append(owners[1:] != owners[:-1], True)) + 1
    matches = np.cumsum(num_matches)[ends - 1]
    start, before = 0, 0
    for end, so_far in zip(ends.tolist(), matches.tolist(), strict=True):
        if so_far - before >= PAIRS_AT_ONCE or end == len(owners):
            yield slice(start, end)
            start, before = end, so_far
