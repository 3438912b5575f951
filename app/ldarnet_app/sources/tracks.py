"""Tracks: values of a window, one per base or summed up in bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybigtools

from ldarnet.genome import Contig
from ldarnet.tracks import CUT_THRESHOLD, Track, TrackError, open_track
from ldarnet.tracks.formats import format_of
from ldarnet_app.file_cache import per_file
from ldarnet_app.inputs import Inputs, TrackFile

MAX_BASES_DRAWN = 4_000
MAX_BINS = 1_600


@dataclass(frozen=True)
class TrackWindow:
    """What a track holds of the bases start..end-1.

    Bin k covers the bases starts[k]..ends[k]-1; `mean` and `top` (float32 [num_bins], NaN = no value) are over those
    of them that have a value. Where `bin_bp` is 1 a bin is a base, and both are its value.
    """

    track: TrackFile
    bin_bp: int
    starts: np.ndarray
    ends: np.ndarray
    mean: np.ndarray
    top: np.ndarray
    is_probability: bool

    @property
    def has_cut(self) -> np.ndarray:
        """True for bins with a hard cut; only of a probability."""
        is_cut: np.ndarray = self.top > CUT_THRESHOLD
        return is_cut


def all_tracks(inputs: Inputs) -> tuple[TrackFile, ...]:
    """The tracks of the command line, and the residual track of the results if it is not among them."""
    tracks = inputs.tracks
    residual = inputs.results / "residual.bw" if inputs.results else None
    if residual is None or not residual.is_file() or any(residual.samefile(track.path) for track in tracks):
        return tracks
    labels = {track.label for track in tracks}
    label = "residual" if "residual" not in labels else "residual of the results"
    return (*tracks, TrackFile(label, residual))


def bin_width_bp(span_bp: int) -> int:
    """1 up to MAX_BASES_DRAWN bases, then the power of two that gives at most MAX_BINS bins.

    Powers of two, because a bigWig keeps summaries of such widths: bins of these widths that start at their
    multiples have exact means and maxima there.
    """
    if span_bp <= MAX_BASES_DRAWN:
        return 1
    return 1 << int(np.ceil(np.log2(span_bp / MAX_BINS)))


def read_window(track: TrackFile, contig: Contig, start: int, end: int) -> TrackWindow:
    """The window of a track that lies in the genome's `contig`, NaN where the track has no value or no such contig.

    Bins begin at multiples of their width, so the first and the last may reach past the window.
    Raises ValueError or OSError for a file that cannot be read.
    """
    width = bin_width_bp(end - start)
    edges = np.arange(start // width, -(-end // width) + 1, dtype=np.int64) * width
    ends = np.minimum(edges[1:], contig.length_bp)
    mean, top = _binned(track.path, contig.name, int(edges[0]), int(ends[-1]), width)
    return TrackWindow(track, width, edges[:-1], ends, mean, top, is_probability(track.path))


def place_with_values(track: TrackFile, contig: Contig) -> int:
    """A base with values near the middle of a contig, which is often a gap itself.

    The middle where the whole file would have to be read to know.
    """
    middle = contig.length_bp // 2
    if format_of(track.path) != "bigwig":
        return middle
    window = read_window(track, contig, 0, contig.length_bp)
    has_value = ~np.isnan(window.mean)
    if not has_value.any():
        return middle
    holds_middle = (window.starts <= middle) & (middle < window.ends)
    places = np.where(holds_middle, middle, (window.starts + window.ends) // 2)[has_value]
    return int(places[np.argmin(np.abs(places - middle))])


@per_file(maxsize=64)
def is_probability(path: Path) -> bool:
    """Whether all values lie in 0..1; a residual has negative ones, and no cuts."""
    if format_of(path) == "bigwig":
        with _open_bigwig(path) as file:
            summary = file.info()["summary"]
            low, high = summary["min"], summary["max"]
    else:
        track = _open_other(path)
        lows, highs = zip(*(_extremes(track, contig) for contig in track.contigs), strict=True)
        low, high = np.fmin.reduce(lows), np.fmax.reduce(highs)  # NaN: a contig without values
    return bool(low >= 0 and high <= 1)


@per_file(maxsize=64)
def _binned(path: Path, chrom: str, start: int, end: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    if format_of(path) == "bigwig":
        return _bigwig_bins(path, chrom, start, end, width)
    track = _open_other(path)
    values = np.full(-(-(end - start) // width) * width, np.nan, dtype=np.float32)
    last = min(end, dict(track.contigs).get(chrom, 0))
    if last > start:
        values[: last - start] = track.values(chrom, start, last)
    return binned(values, width)


def binned(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and maximum (float32 [num_bins]) of every `width` values, over those that are not NaN."""
    bins = values.reshape(-1, width)
    counts = (~np.isnan(bins)).sum(axis=1)
    totals = np.nansum(bins, axis=1, dtype=np.float64)
    mean = np.divide(totals, counts, out=np.full(len(bins), np.nan), where=counts > 0)
    top = np.fmax.reduce(bins, axis=1)
    return mean.astype(np.float32), top.astype(np.float32)


def _bigwig_bins(path: Path, chrom: str, start: int, end: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    whole = start + (end - start) // width * width
    with _open_bigwig(path) as file:
        if chrom not in file.chroms():
            nothing = np.full(-(-(end - start) // width), np.nan, dtype=np.float32)
            return nothing, nothing
        try:
            if width == 1:
                values = file.values(chrom, start, end, fillna=np.nan, oob=np.nan).astype(np.float32)
                return values, values
            # the last bin of a contig is narrower; pybigtools has no value for bins that reach past the end
            spans = [(start, whole), (whole, end)]
            mean, top = (
                np.concatenate(
                    [
                        file.values(chrom, low, high, bins=-(-(high - low) // width), summary=each, fillna=np.nan)
                        for low, high in spans
                        if low < high
                    ]
                ).astype(np.float32)
                for each in ("mean", "max")
            )
        except pybigtools.BBIReadError as error:
            raise TrackError(f"{path}: the values of {chrom} are damaged: {error}") from error
    return mean, top


def _open_bigwig(path: Path) -> "pybigtools.BBIReader":
    try:
        # opened here, because pybigtools itself takes no .BW
        return pybigtools.open(path.open("rb"))
    except (pybigtools.BBIReadError, ValueError) as error:
        raise TrackError(f"{path}: expected a bigWig, got a file that is none or is damaged: {error}") from error


@per_file(maxsize=1)
def _open_other(path: Path) -> Track:
    """Kept open: a bedGraph is read through as a whole. A bigWig is the format for large genomes."""
    return open_track(path)


def _extremes(track: Track, contig: Contig) -> tuple[float, float]:
    values = track.values(contig.name, 0, contig.length_bp)
    return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))


def shown_range(windows: Sequence[TrackWindow]) -> tuple[float, float]:
    """Where the values are drawn unless a reader says otherwise: 0..1, or evenly about 0 for what is no probability."""
    if all(window.is_probability for window in windows):
        return 0.0, 1.0
    values = np.concatenate([np.abs(each) for window in windows for each in (window.mean, window.top)])
    most = float(np.fmax.reduce(values))
    reach = most if most > 0 else 1.0
    return -1.05 * reach, 1.05 * reach
