"""Hard chunks as BED: the intervals into which the cuts divide each run of bases with values."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ldarnet.genome.intervals import Contig
from ldarnet.tracks.rounding import CUT_THRESHOLD
from ldarnet.tracks.text import TextWriter


class BedWriter(TextWriter):
    """Lines `chrom start end chunk_<n> score strand`, n counted from 1 through the file.

    A chunk starts at each cut (value > 0.5) and where a run of bases with values starts; it ends where the
    next one starts or the run ends. The score is 1000 x the probability of the cut at its start, 0 where no
    cut is there. Base 0 of a contig has no value, and belongs to the chunk of base 1.
    """

    def __init__(self, path: Path, contigs: Sequence[Contig], *, strand: str = ".", gzipped: bool = False) -> None:
        if strand not in ("+", "-", "."):
            raise ValueError(f"expected strand '+', '-' or '.', got {strand!r}")
        self._strand = strand
        super().__init__(path, contigs, gzipped=gzipped)

    def _begin(self) -> None:
        super()._begin()
        self._num_chunks = 0
        self._open_chunk: tuple[int, int, int] | None = None  # contig id, start, score
        self._run_end = 0

    def _put(self, contig_id: int, start: int, values: np.ndarray) -> None:
        open_chunk = self._open_chunk
        if open_chunk is not None and (open_chunk[0] != contig_id or self._run_end != start):
            self._close_chunk()
            open_chunk = None

        has_value = ~np.isnan(values)
        if start == 0 and values.size > 1 and has_value[1]:
            has_value[0] = True
        before = np.concatenate(([open_chunk is not None], has_value[:-1]))
        is_cut = values > CUT_THRESHOLD
        starts = np.flatnonzero(is_cut | (has_value & ~before))
        scores: list[int] = np.where(is_cut[starts], _scores(values[starts]), 0).tolist()
        run_ends = np.flatnonzero(before & ~has_value)

        starts += start
        if open_chunk is not None:
            starts = np.concatenate(([open_chunk[1]], starts))
            scores = [open_chunk[2], *scores]
        borders = np.sort(np.concatenate((starts, run_ends + start)))
        followers = np.searchsorted(borders, starts, side="right")
        num_closed = int(np.count_nonzero(followers < borders.size))
        ends = borders[followers[:num_closed]]
        self._put_chunks(contig_id, starts[:num_closed].tolist(), ends.tolist(), scores[:num_closed])

        self._open_chunk = None
        if num_closed < starts.size:
            self._open_chunk = (contig_id, int(starts[-1]), scores[-1])
            self._run_end = start + values.size

    def _finish(self) -> None:
        self._close_chunk()
        super()._finish()

    def _close_chunk(self) -> None:
        if self._open_chunk is not None:
            contig_id, start, score = self._open_chunk
            self._put_chunks(contig_id, [start], [self._run_end], [score])

    def _put_chunks(self, contig_id: int, starts: list[int], ends: list[int], scores: list[int]) -> None:
        chrom = self._contigs[contig_id].name
        numbers = range(self._num_chunks + 1, self._num_chunks + 1 + len(starts))
        self._num_chunks += len(starts)
        self._put_lines(
            "".join(
                f"{chrom}\t{start}\t{end}\tchunk_{number}\t{score}\t{self._strand}\n"
                for start, end, number, score in zip(starts, ends, numbers, scores, strict=True)
            )
        )


def _scores(values: np.ndarray) -> np.ndarray:
    """BED scores: whole numbers up to 1000; a base without a value gets 0."""
    return np.rint(1000 * np.nan_to_num(values.astype(np.float64))).clip(0, 1000).astype(np.int64)
