"""The cuts of a segmenter on the axis: its own, and those at any rate that is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ldarnet.tracks import CUT_THRESHOLD, open_writer
from ldarnet_analysis.compare_axis import Axis, read_values
from ldarnet_analysis.segmenters import Segmenter

Version = Literal["own", "matched"]


class Matched(NamedTuple):
    """Cuts (bool [size]) at a rate, the value above which places are cuts, and how many were drawn among equals."""

    cuts: np.ndarray
    threshold: float
    num_drawn: int


@dataclass(frozen=True, eq=False)
class CutsOnAxis:
    """A segmenter's cuts of its own (bool [size]) and its values (float32 [size]), None where it has none."""

    name: str
    own: np.ndarray | None
    scores: np.ndarray | None
    seed: int = field(default=0, repr=False)

    @property
    def is_graded(self) -> bool:
        """Whether it can be made to cut at any rate."""
        return self.scores is not None

    def at_rate(self, rate: float) -> Matched:
        """The highest values, so many that cuts have this rate; of equal values at the limit a random part.

        Raises ValueError for a hard segmenter, and for a rate above that of all its places.
        """
        if self.scores is None:
            raise ValueError(f"{self.name} has cuts, and no values to choose others by")
        return highest(self.scores, rate, self.seed, self.name)

    def for_rate(self, rate: float) -> "CutsOnAxis":
        """Itself; or its own cuts alone, as a hard segmenter, if it is graded and has too few places for the rate."""
        if self.scores is None or self.own is None or np.count_nonzero(self.scores >= 0) >= round(rate * self.own.size):
            return self
        return CutsOnAxis(self.name, self.own, None, self.seed)

    def versions(self, rate: float) -> dict[Version, np.ndarray]:
        """Its own cuts, and those at the rate; what it does not have is left out."""
        found: dict[Version, np.ndarray] = {} if self.own is None else {"own": self.own}
        if self.is_graded:
            found["matched"] = self.at_rate(rate).cuts
        return found

    def compared(self, rate: float) -> np.ndarray:
        """The cuts at the rate if it is graded, else its own."""
        if self.is_graded:
            return self.at_rate(rate).cuts
        assert self.own is not None, "a segmenter is graded or has cuts"
        return self.own


def cuts_on_axis(axis: Axis, segmenter: Segmenter, seed: int) -> CutsOnAxis:
    """The cuts of a segmenter that has a value at every place of the axis, or is sparse."""
    values = read_values(axis, segmenter)
    own = values > CUT_THRESHOLD if segmenter.has_cuts else None
    return CutsOnAxis(segmenter.name, own, values if segmenter.is_graded else None, seed)


def highest(scores: np.ndarray, rate: float, seed: int, name: str = "the track") -> Matched:
    """The round(rate * size) highest scores; negative ones stand for places that cannot be cuts."""
    num = round(rate * scores.size)
    if not 0 < num < scores.size:
        raise ValueError(f"expected a rate between 0 and 1 that is at least one cut, got {rate:g}")
    threshold = np.partition(scores, scores.size - num)[scores.size - num]
    if threshold < 0:
        most = np.count_nonzero(scores >= 0) / scores.size
        raise ValueError(f"{name} has places for {most:.4f} cuts per base, fewer than the {rate:.4f} asked for")
    cuts = scores > threshold
    equal = np.flatnonzero(scores == threshold)
    num_drawn = num - int(np.count_nonzero(cuts))
    cuts[np.random.default_rng(seed).choice(equal, num_drawn, replace=False)] = True
    return Matched(cuts, float(threshold), num_drawn if num_drawn < equal.size else 0)


def shuffled_chunks(axis: Axis, cuts: np.ndarray, seed: int) -> np.ndarray:
    """The chunks between cuts in random order within each stretch: the same lengths, elsewhere; bool [size].

    First and last cut of a stretch stay, as the chunks beyond them are not whole.
    """
    rng = np.random.default_rng(seed)
    shuffled = np.zeros(axis.size, dtype=bool)
    at = np.flatnonzero(cuts)
    for of_one in np.split(at, np.searchsorted(at, axis.stretches[1:])):
        if of_one.size:
            lengths = rng.permutation(np.diff(of_one))
            shuffled[of_one[0] + np.concatenate([[0], np.cumsum(lengths)])] = True
    return shuffled


def write_cuts(axis: Axis, cuts: np.ndarray, path: Path) -> None:
    """Write cuts (bool [size]) as a track in the format of the suffix: 1 for a cut, 0 for none, elsewhere no value.

    Raises TrackError where nothing can be written there.
    """
    contig, cut = axis.line.split(axis.numbers)
    borders = np.searchsorted(contig, np.arange(len(axis.line.contigs) + 1))
    with open_writer(path, axis.line.contigs) as writer:
        for number, (chrom, length_bp) in enumerate(axis.line.contigs):
            here = slice(*borders[number : number + 2])
            values = np.full(length_bp, np.nan, dtype=np.float32)
            values[cut[here]] = cuts[here]
            writer.write(chrom, 0, values)
        writer.commit()
