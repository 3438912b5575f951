"""Tracks as bedGraph: one line per run of equal adjacent values."""

from functools import lru_cache

import numpy as np

from ldarnet.tracks.text import TextWriter


class BedGraphWriter(TextWriter):
    """Lines `chrom start end value`, tab-separated; bases without a value are in no line.

    A value is the shortest decimal that reads back as the same float32, so one rounded to 4 decimals has at
    most 4. No `track` line: several tools take it for data.
    """

    def _begin(self) -> None:
        super()._begin()
        self._open_run: tuple[int, int, int, float] | None = None  # contig id, start, end, value

    def _put(self, contig_id: int, start: int, values: np.ndarray) -> None:
        changes = np.flatnonzero(values[1:] != values[:-1]) + 1  # NaN differs from NaN: dropped just below
        firsts = np.concatenate(([0], changes))
        ends = np.concatenate((changes, [values.size]))
        run_values = values[firsts]
        kept = ~np.isnan(run_values)
        starts, ends, run_values = firsts[kept] + start, ends[kept] + start, run_values[kept]
        runs = zip(starts.tolist(), ends.tolist(), run_values.tolist(), strict=True)

        run_start, run_end, value = next(runs)
        if self._open_run is not None:
            if self._open_run[0] == contig_id and self._open_run[2:] == (run_start, value):
                run_start = self._open_run[1]
            else:
                self._put_open_run()
        chrom = self._contigs[contig_id].name
        lines = []
        for next_start, next_end, next_value in runs:
            lines.append(f"{chrom}\t{run_start}\t{run_end}\t{value_text(value)}\n")
            run_start, run_end, value = next_start, next_end, next_value
        self._put_lines("".join(lines))
        self._open_run = (contig_id, run_start, run_end, value)

    def _finish(self) -> None:
        self._put_open_run()
        super()._finish()

    def _put_open_run(self) -> None:
        if self._open_run is not None:
            contig_id, start, end, value = self._open_run
            self._put_lines(f"{self._contigs[contig_id].name}\t{start}\t{end}\t{value_text(value)}\n")


@lru_cache(maxsize=1 << 16)
def value_text(value: float) -> str:
    """Shortest decimal, never in scientific notation, that reads back as the same float32."""
    return np.format_float_positional(np.float32(value), unique=True, trim="-")
