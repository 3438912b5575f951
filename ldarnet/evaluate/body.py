"""What is evaluated: a model, or the counts of k-mers that any model should beat."""

import hashlib
import re
from dataclasses import dataclass

import numpy as np

from ldarnet import vocab
from ldarnet.checkpoint import load_model
from ldarnet.finetune import Examples, FineTuneSettings, pooled_states
from ldarnet.model import LDARNet

KMERS = re.compile(r"kmer-([1-6])")
_NO_LIMIT = 1 << 31


@dataclass(frozen=True)
class Body:
    """Gives a state to every sequence; `model` is None for counts of k-mers, which have no weights to train."""

    sha256: str
    source: str
    num_parameters: int
    context_bp: int
    model: LDARNet | None = None
    k: int = 0

    def states(self, examples: Examples, settings: FineTuneSettings) -> np.ndarray:
        """float32 [n, width] for a probe: pooled hidden states, or the share of each k-mer of the given strand."""
        if self.model is not None:
            return pooled_states(self.model, examples, settings)
        return kmer_shares(examples, self.k)

    def check_mode(self, mode: str) -> None:
        """Raise ValueError for counts of k-mers in any mode but probe."""
        if self.model is None and mode != "probe":
            raise ValueError(f"{self.source}: counts of k-mers have no weights to train; expected --mode probe")


def load_body(source: str, device: str = "cpu") -> Body:
    """The model of that source (see `load_model`), or counts for `kmer-1` to `kmer-6`."""
    if named := KMERS.fullmatch(source):
        return Body(hashlib.sha256(source.encode()).hexdigest(), source, 0, _NO_LIMIT, k=int(named[1]))
    model = load_model(source, device=device)
    model.config.check_reads_dna()
    assert model.provenance is not None
    return Body(
        model.provenance.sha256, model.provenance.source, model.num_parameters(), model.config.context_bp, model
    )


def kmer_shares(examples: Examples, k: int) -> np.ndarray:
    """float32 [n, 4^k]: how often each k-mer occurs among those without N; all 0 where there is none."""
    shares = np.zeros((len(examples.ids), 4**k), dtype=np.float32)
    places = max(examples.ids.shape[1] - k + 1, 0)
    for row, ids in zip(shares, examples.ids, strict=True):
        word = np.zeros(places, dtype=np.int64)
        is_known = np.ones(places, dtype=bool)
        for offset in range(k):
            here = ids[offset : offset + places]  # padding counts as unknown
            word = word * 4 + np.minimum(here, vocab.T)
            is_known &= here <= vocab.T
        counts = np.bincount(word[is_known], minlength=4**k)
        row[:] = counts / max(1, int(counts.sum()))
    return shares
