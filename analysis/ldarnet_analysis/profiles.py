"""Profiles: the values of a track around sites, base by base, read in the direction of each site's strand."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
from scipy.stats import trim_mean

from ldarnet.genome import Contig, Genome
from ldarnet.genome.names import list_names
from ldarnet.tracks import CUT_THRESHOLD
from ldarnet.tracks.reader import BedGraphTrack
from ldarnet_analysis.positions import Positions, positions_of

Statistic = Literal["mean", "median", "sd", "trimmed"]

TRIMMED_SHARE = 0.1
"""Share of the values that the trimmed mean leaves out at either end."""

# Windows this close are read as one: a bigWig is stored in blocks, of which the smallest read unpacks a whole one.
_MERGED_GAP_BP = 4096
_READ_BP = 1 << 20
_NUM_ROWS_AT_ONCE = 4096
_NUM_COLUMNS_AT_ONCE = 32
_ANY_LENGTH_BP = 1 << 62

_STATISTICS: dict[Statistic, Callable[[np.ndarray], float]] = {
    "mean": lambda values: values.mean(dtype=np.float64),
    "median": lambda values: np.median(values),
    "sd": lambda values: values.std(ddof=1, dtype=np.float64) if values.size > 1 else np.nan,
    "trimmed": lambda values: trim_mean(values.astype(np.float64), TRIMMED_SHARE),
}


class Values(Protocol):
    """What profiles are read from: a `ldarnet.tracks.Track`, or anything that answers the same two questions."""

    @property
    def contigs(self) -> Sequence[Contig]:
        """Names and lengths."""

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """float32 [end - start], NaN = none; value i is about the cut left of base start + i."""


class CutCounts(NamedTuple):
    """How many sites have a hard cut, of those where that is known."""

    num_cut: int
    num_sites: int

    @property
    def rate(self) -> float:
        """Share of the sites with a cut; NaN without sites."""
        return self.num_cut / self.num_sites if self.num_sites else float("nan")


def profile_matrix(
    track: Values, sites: pd.DataFrame, offsets: np.ndarray, track_minus: Values | None = None
) -> np.ndarray:
    """Track values around cuts: float32 [sites, offsets], row i for row i of the table, NaN where there is none.

    `sites` is any table with chrom, cut and strand: sites, or the controls of a table of pairs. `offsets` are whole
    numbers, increasing. At offset o stands the value of cut + o on the + strand, of cut - o on the - strand, there
    read from `track_minus` if given. Raises ValueError for a table without rows, and, as it does with sites of another
    assembly, for contigs that the track does not have (both lists of names) and for cuts outside their contig.
    """
    offsets = _checked_offsets(offsets)
    if sites.empty:
        raise ValueError("expected at least one site to make a profile of, got none")
    matrix = np.full((len(sites), offsets.size), np.nan, dtype=np.float32)
    if track_minus is None:
        _read_rows(matrix, np.arange(len(sites)), track, sites, offsets)
    else:
        is_minus = sites["strand"].to_numpy() == "-"
        _read_rows(matrix, np.flatnonzero(~is_minus), track, sites, offsets)
        _read_rows(matrix, np.flatnonzero(is_minus), track_minus, sites, offsets)
    return matrix


def num_valid(matrix: np.ndarray) -> np.ndarray:
    """How many sites have a value at each offset (int64 [offsets])."""
    return np.count_nonzero(~np.isnan(matrix), axis=0)


def summarise(matrix: np.ndarray, statistic: Statistic = "mean") -> np.ndarray:
    """The statistic over the sites that have a value, at each offset (float64 [offsets]); NaN where too few do.

    "sd" divides by n - 1; "trimmed" is the mean without the lowest and the highest `TRIMMED_SHARE` of the values.
    """
    if statistic not in _STATISTICS:
        raise ValueError(f"expected a statistic out of {', '.join(_STATISTICS)}, got {statistic!r}")
    compute = _STATISTICS[statistic]
    summary = np.full(matrix.shape[1], np.nan)
    for first in range(0, matrix.shape[1], _NUM_COLUMNS_AT_ONCE):
        columns = np.ascontiguousarray(matrix[:, first : first + _NUM_COLUMNS_AT_ONCE].T)
        for i, column in enumerate(columns, start=first):
            values = column[~np.isnan(column)]
            if values.size:
                summary[i] = compute(values)
    return summary


def hard_cuts(matrix: np.ndarray) -> np.ndarray:
    """Where the track cuts: float32 of the same shape, 1 for values above 0.5, 0 for others, NaN for none."""
    return np.where(np.isnan(matrix), np.float32(np.nan), (matrix > CUT_THRESHOLD).astype(np.float32))


def has_cut(matrix: np.ndarray, offsets: np.ndarray, at: int = 0, within_bp: int = 0) -> np.ndarray:
    """Which sites have a hard cut at most `within_bp` from the offset `at`: float32 [sites], 1, 0 or NaN.

    NaN where any value of that window is missing: counting a cut found beside a gap, when none found beside a gap
    cannot count, would raise the rate. Raises ValueError if the window is not inside the offsets.
    """
    offsets = _checked_offsets(offsets)
    asked = np.arange(at - within_bp, at + within_bp + 1)
    if within_bp < 0 or not np.isin(asked, offsets).all():
        raise ValueError(f"expected {at} +- {within_bp} within the offsets {offsets[0]}..{offsets[-1]}")
    # the maximum of a window with a NaN is NaN
    cuts: np.ndarray = hard_cuts(matrix[:, np.searchsorted(offsets, asked)]).max(axis=1)
    return cuts


def count_cuts(matrix: np.ndarray, offsets: np.ndarray, at: int = 0, within_bp: int = 0) -> CutCounts:
    """Sites with a hard cut at most `within_bp` from the offset `at`, as `has_cut` decides."""
    cuts = has_cut(matrix, offsets, at, within_bp)
    return CutCounts(int(np.nansum(cuts)), int(np.count_nonzero(~np.isnan(cuts))))


def check_same_assembly(track: Values, genome: Genome) -> tuple[str, ...]:
    """Names of the contigs that track and genome share, in the order of the genome.

    Raises ValueError if they share none (both lists of names), or if a shared contig has another length in the track
    (contigs and lengths): the track was made on another assembly, or on a part of this one.
    """
    length_in_track = dict(track.contigs)
    shared = [contig for contig in genome.contigs if contig.name in length_in_track]
    if not shared:
        names, own_names = (list_names([contig.name for contig in each.contigs]) for each in (track, genome))
        raise ValueError(f"{_name(track)} and {genome.name} share no contig: the track has {names}, FASTA {own_names}")
    wrong = [
        f"{name} ({length_in_track[name]:,} bp in the track, {length_bp:,} bp in the FASTA)"
        for name, length_bp in shared
        if length_in_track[name] > length_bp or (length_in_track[name] < length_bp and _knows_lengths(track))
    ]
    if wrong:
        lengths = list_names(wrong)
        raise ValueError(f"{_name(track)} is not a track of {genome.name}: contigs differ in length: {lengths}")
    return tuple(contig.name for contig in shared)


def _checked_offsets(offsets: np.ndarray) -> np.ndarray:
    offsets = np.asarray(offsets)
    is_axis = offsets.ndim == 1 and offsets.size and offsets.dtype.kind in "iu"
    if not is_axis or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise ValueError(f"expected offsets as increasing whole numbers, got {offsets.dtype} {offsets}")
    return offsets.astype(np.int64)


def _read_rows(matrix: np.ndarray, rows: np.ndarray, track: Values, sites: pd.DataFrame, offsets: np.ndarray) -> None:
    # all rows are checked, so that a message counts them as the table does
    positions = _positions(track, sites).take(rows)
    span_bp = int(offsets[-1] - offsets[0]) + 1
    columns = offsets - offsets[0]
    low = np.where(positions.is_minus, positions.cut - offsets[-1], positions.cut + offsets[0])
    for group in _neighbours(positions.contig, low, span_bp):
        contig = track.contigs[positions.contig[group[0]]]
        first = int(low[group[0]])
        windows = np.lib.stride_tricks.sliding_window_view(
            _with_margins(track, contig, first, int(low[group[-1]]) + span_bp), span_bp
        )
        for at in range(0, group.size, _NUM_ROWS_AT_ONCE):
            some = group[at : at + _NUM_ROWS_AT_ONCE]
            values = windows[low[some] - first]
            is_minus = positions.is_minus[some]
            values[is_minus] = values[is_minus, ::-1]
            matrix[rows[some]] = values[:, columns]


def _positions(track: Values, sites: pd.DataFrame) -> Positions:
    contigs = track.contigs
    if not _knows_lengths(track):
        contigs = [Contig(contig.name, _ANY_LENGTH_BP) for contig in contigs]
    try:
        return positions_of(sites, contigs)
    except ValueError as error:
        raise ValueError(f"the sites do not fit the track {_name(track)}: {error}") from error


def _neighbours(contig: np.ndarray, low: np.ndarray, span_bp: int) -> Iterator[np.ndarray]:
    """Rows in groups to be read at once, each sorted by the first base of its window."""
    order = np.lexsort((low, contig))
    contig, low = contig[order], low[order]
    is_far = np.diff(low) > span_bp + _MERGED_GAP_BP
    is_first = (np.diff(contig) != 0) | is_far | (np.diff(low // _READ_BP) != 0)
    groups = np.split(order, np.flatnonzero(is_first) + 1)
    yield from (group for group in groups if group.size)


def _with_margins(track: Values, contig: Contig, start: int, end: int) -> np.ndarray:
    """Values of the bases start..end-1, NaN for those beyond the ends of the contig."""
    values = np.full(end - start, np.nan, dtype=np.float32)
    inside_start, inside_end = max(start, 0), min(end, contig.length_bp)
    if inside_start < inside_end:
        read = track.values(contig.name, inside_start, inside_end)
        values[inside_start - start : inside_end - start] = read
    return values


def _knows_lengths(track: Values) -> bool:
    """A bedGraph holds no lengths: there a contig seems to end where its last line does."""
    return not isinstance(track, BedGraphTrack)


def _name(track: Values) -> str:
    return str(getattr(track, "path", type(track).__name__))
