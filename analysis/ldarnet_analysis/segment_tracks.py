"""Tracks and chunks of a model as segmenters."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldarnet.genome import Contig, Genome
from ldarnet.tracks import Track, open_track
from ldarnet.tracks.formats import format_of
from ldarnet_analysis.bed import read_bed_features
from ldarnet_analysis.profiles import check_same_assembly
from ldarnet_analysis.segmenters import CUT, Segmenter


class TrackSegmenter:
    """A boundary track: p ranks the cuts, p > 0.5 is one."""

    is_graded = True
    has_cuts = True

    def __init__(self, name: str, track: Track, *, is_sparse: bool = False) -> None:
        self.name = name
        self.is_sparse = is_sparse
        self.path = track.path
        self._track = track
        self._length_of = dict(track.contigs)

    @property
    def contigs(self) -> Sequence[Contig]:
        """Those of the track."""
        return self._track.contigs

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See `Segmenter`. A bedGraph's contig ends with its last value; behind it there is none."""
        values = np.full(end - start, np.nan, dtype=np.float32)
        inside = min(end, self._length_of.get(chrom, 0))
        if start < inside:
            values[: inside - start] = self._track.values(chrom, start, inside)
        return values

    def close(self) -> None:
        """Close the track."""
        self._track.close()


class ChunkSegmenter:
    """Chunks of a BED file: a cut where one ends and the next begins; outside chunks nothing is known."""

    is_graded = False
    has_cuts = True
    is_sparse = False

    def __init__(self, name: str, path: Path, genome: Genome) -> None:
        self.name = name
        self.path = path
        self.contigs = genome.contigs
        chunks = read_bed_features(path).sort_values(["chrom", "start"], kind="stable")
        known = {contig.name for contig in genome.contigs}
        if not set(chunks["chrom"]) & known:
            raise ValueError(f"{path}: none of its contigs is one of {genome.name}")
        self._spans_of = {
            str(chrom): rows[["start", "end"]].to_numpy(dtype=np.int64) for chrom, rows in chunks.groupby("chrom")
        }
        for chrom, spans in self._spans_of.items():
            overlapping = np.flatnonzero(spans[1:, 0] < spans[:-1, 1])
            if overlapping.size:
                first = spans[overlapping[0] + 1]
                raise ValueError(
                    f"{path}: expected chunks that do not overlap, got one at {chrom}:{first[0]}-{first[1]}"
                )
        self._follows_of = {
            chrom: np.append(False, spans[1:, 0] == spans[:-1, 1]) for chrom, spans in self._spans_of.items()
        }

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See `Segmenter`."""
        values = np.full(end - start, np.nan, dtype=np.float32)
        spans = self._spans_of.get(chrom)
        if spans is None:
            return values
        first, last = np.searchsorted(spans[:, 1], start, side="right"), np.searchsorted(spans[:, 0], end)
        met = spans[first:last]
        edges = np.zeros(end - start + 1, dtype=np.int64)
        np.add.at(edges, np.maximum(met[:, 0], start) - start, 1)
        np.add.at(edges, np.minimum(met[:, 1], end) - start, -1)
        values[np.cumsum(edges)[:-1] > 0] = 0
        begins_here = met[:, 0] >= start
        follows = self._follows_of[chrom][first:last]
        values[met[begins_here, 0] - start] = np.where(follows[begins_here], CUT, np.nan)
        return values


def open_segmenter(name: str, path: Path, genome: Genome, *, is_stage: bool = False) -> Segmenter:
    """The segmenter in a track (.bw, .bedGraph, .npz) or in chunks (.bed), checked against the genome.

    A later stage's track has values at the chunks of the stage before only; `is_stage` says so, or the record beside
    it. Raises ValueError for a track of another genome and OSError for one that cannot be read.
    """
    if format_of(path) == "bed":
        return ChunkSegmenter(name, path, genome)
    track = open_track(path)
    try:
        check_same_assembly(track, genome)
    except ValueError:
        track.close()
        raise
    return TrackSegmenter(name, track, is_sparse=is_stage or _recorded_stage(path) > 0)


def _recorded_stage(path: Path) -> int:
    record = path.with_name(f"{path.name}.json")
    try:
        settings = json.loads(record.read_text(encoding="utf-8")).get("settings")
    except (OSError, ValueError, AttributeError):
        return 0
    stage = settings.get("stage") if isinstance(settings, dict) else 0
    return stage if isinstance(stage, int) else 0
