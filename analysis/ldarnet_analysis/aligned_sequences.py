"""Sequences cut out around an anchor, each standing as a contig of its own, so that genome code runs on them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet_analysis.sites import make_sites


class AlignedSequences:
    """Ids (uint8) of sequences by name, read like a genome, and the cut in each that they are aligned at."""

    def __init__(self, names: Sequence[str], sequences: Sequence[np.ndarray], anchors: int | Sequence[int]) -> None:
        anchor_of = [anchors] * len(names) if isinstance(anchors, int) else list(anchors)
        if not len(names) == len(sequences) == len(anchor_of):
            raise ValueError(
                f"expected a name and an anchor for every sequence, got {len(names)} names, {len(sequences)} "
                f"sequences and {len(anchor_of)} anchors"
            )
        self._ids_of = dict(zip(names, sequences, strict=True))
        if len(self._ids_of) < len(names):
            raise ValueError(f"expected every name once, got {len(names) - len(self._ids_of)} repeated")
        for name, ids, anchor in zip(names, sequences, anchor_of, strict=True):
            if not 0 <= anchor <= len(ids):
                raise ValueError(f"sequence {name}: expected an anchor from 0 to its length {len(ids)}, got {anchor}")
            if ids.size and int(ids.max()) > vocab.N:
                raise ValueError(f"sequence {name}: expected ids of bases (0 to {vocab.N}), got {int(ids.max())}")
        self.contigs = tuple(Contig(name, len(ids)) for name, ids in self._ids_of.items())
        self.anchors = tuple(anchor_of)

    def ids(self, chrom: str, start: int, end: int) -> np.ndarray:
        """The ids (uint8 [end - start], the caller's own) of bases start..end-1; ValueError outside the sequence."""
        if chrom not in self._ids_of:
            raise ValueError(f"no sequence {chrom!r}")
        ids = self._ids_of[chrom]
        if not 0 <= start <= end <= len(ids):
            raise ValueError(f"sequence {chrom}: expected 0 <= start <= end <= {len(ids)}, got {start}..{end}")
        return ids[start:end].copy()

    def anchor_sites(self, site_class: str) -> pd.DataFrame:
        """Site table of the anchors, on +; every sequence is a locus of its own."""
        names = [contig.name for contig in self.contigs]
        return make_sites(chrom=names, cut=self.anchors, strand="+", site_class=site_class, locus=names, gene=names)
