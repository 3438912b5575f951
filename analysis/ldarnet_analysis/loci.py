"""Loci, the units of inference: transcripts that overlap on the same strand, directly or through others."""

import numpy as np
import pandas as pd


def loci_of(intervals: pd.DataFrame) -> np.ndarray:
    """The locus of every row, named `chrom:start-end:strand` after the span of all it is joined from.

    Needs the columns chrom, start, end (0-based, half-open) and strand. Two rows share a locus if a chain of rows,
    each overlapping the next by a base or more on that contig and strand, leads from one to the other.
    """
    if intervals.empty:
        return np.array([], dtype=object)
    group = intervals.groupby(["chrom", "strand"], sort=False).ngroup().to_numpy()
    start = intervals["start"].to_numpy(dtype=np.int64)
    end = intervals["end"].to_numpy(dtype=np.int64)
    order = np.lexsort((start, group))
    group, start, end = group[order], start[order], end[order]
    # Contigs laid end to end, so that the furthest end so far is one running maximum over all of them.
    stride = int(end.max()) + 1
    furthest = np.maximum.accumulate(end + group * stride)
    is_first = np.append(True, (start + group * stride)[1:] >= furthest[:-1])
    number = np.cumsum(is_first) - 1
    first_start = start[is_first]
    last_end = np.maximum.reduceat(end, np.flatnonzero(is_first))
    rows = intervals.iloc[order[is_first]]
    names = [
        f"{chrom}:{low}-{high}:{strand}"
        for chrom, low, high, strand in zip(rows["chrom"], first_start, last_end, rows["strand"], strict=True)
    ]
    loci = np.empty(len(intervals), dtype=object)
    loci[order] = np.array(names, dtype=object)[number]
    return loci
