"""The residual track: what a track has beyond what the k-mers around its cuts lead one to expect."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet.genome import Contig, Genome
from ldarnet.tracks import check_target, format_of, open_writer
from ldarnet_analysis.covered_blocks import READ_BP, track_name
from ldarnet_analysis.kmer_table import Expectation
from ldarnet_analysis.profiles import Values, check_same_assembly


class Residual(NamedTuple):
    """What was written: how many values, their mean, and the contigs of the track whose bases the genome lacks."""

    num_values: int
    mean: float
    left_out: tuple[str, ...]


def write_residual(track: Values, genome: Genome, expectation: Expectation, out: Path) -> Residual:
    """Write track less expectation to `out` (.bw, .bedGraph[.gz] or .npz), on the contigs of the track.

    Values may be below 0; a base without a value has none here either. It is read in blocks, and the file appears when
    it is whole. Raises ValueError for a track of another assembly, where a value has no expectation (look-ups
    cross-fitted on another track), for BED, and where `out` is the track itself.
    """
    names = set(check_same_assembly(track, genome))
    if format_of(out) == "bed":
        raise ValueError(f"{out}: BED holds chunks, not values; expected .bw, .bedGraph[.gz] or .npz")
    check_target(out)
    if out.exists() and Path(track_name(track)).exists() and out.samefile(track_name(track)):
        raise ValueError(f"{out}: expected another file than the track that the residual is of")
    # a bedGraph does not know how long contigs are
    length_of = dict(track.contigs) | {name: length_bp for name, length_bp in genome.contigs if name in names}
    contigs = [Contig(name, length_of[name]) for name, _ in track.contigs]
    total = 0.0
    with open_writer(out, contigs) as writer:
        for contig, (_, track_end) in zip(contigs, track.contigs, strict=True):
            if contig.name not in names:
                continue
            for start in range(0, track_end, READ_BP):
                end = min(start + READ_BP, track_end)
                values = track.values(contig.name, start, end)
                if np.isnan(values).all():
                    continue
                residual = values - expectation.expected_at(genome, contig, start, end)
                if np.count_nonzero(np.isnan(residual)) > np.count_nonzero(np.isnan(values)):
                    raise ValueError(
                        f"{track_name(track)}: values in {contig.name}:{start}-{end} have no expected value; "
                        "expected look-ups that were cross-fitted on this track"
                    )
                writer.write(contig.name, start, residual)
                total += float(np.nansum(residual, dtype=np.float64))
        writer.commit()
        num_values = writer.num_values
    return Residual(num_values, total / num_values, tuple(each.name for each in contigs if each.name not in names))
