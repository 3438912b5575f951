"""The genome: its contigs, and the bases of what is looked at."""

from pathlib import Path

import numpy as np

from ldarnet.genome import Contig, Genome, open_genome
from ldarnet_app.file_cache import per_file


@per_file(maxsize=2)
def _genome(fasta: Path) -> Genome:
    """Kept open: opening checks every letter of a file, or looks that up in its index. Threads may share it."""
    return open_genome(fasta)


def contigs_of(fasta: Path) -> tuple[Contig, ...]:
    """Names and lengths, in the order of the file."""
    return _genome(fasta).contigs


def bases_of(fasta: Path, chrom: str, start: int, end: int) -> np.ndarray:
    """Ids (uint8 [end - start]) of the bases start..end-1; see `ldarnet.vocab`."""
    return _genome(fasta).ids(chrom, start, end)
