"""Synthetic knock-outs: a stop put into a reading frame near its start, and what a causal model thinks of it.

There are no labels of which genes are essential here, and none is claimed: the score is the model's, beside what can be
counted, and beside an insertion of the same letters that stops nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet.likelihood import log_likelihoods
from ldarnet.model import LDARNet
from ldarnet.orfs import Orf

STOP_INSERT = "TAACTAGCTGACTAA"
"""A stop in each of the three frames, in 15 bases that keep the frame (dnaHNet's own letters are not published)."""
CONTROL_INSERT = STOP_INSERT[::-1]
"""The same letters backwards, without a stop in any frame."""
CODONS_BEFORE = 4
"""Codons that stay in front of the insertion, the start codon among them (our choice)."""


class KnockOut(NamedTuple):
    """One reading frame, whole and with a stop near its start; log-likelihoods in nats."""

    orf: Orf
    drop: float
    """Of the bases of the window, wild type minus mutant; the inserted bases themselves are not counted."""
    control_drop: float
    """The same where the inserted letters hold no stop."""
    insert_drop: float
    """Log-likelihood of the control's inserted letters minus that of the stop's."""
    num_changes: int
    num_codons_lost: int
    """Codons behind the stop: a count that any score has to beat."""


def knock_out(
    model: LDARNet, genome: Genome, orfs: Sequence[Orf], *, window_bp: int | None = None, batch_orfs: int = 64
) -> list[KnockOut]:
    """Scores of frames, each read on its own strand, in a window centred on it that holds its start.

    ValueError unless the model is causal, and where a window leaves no room for the insertion.
    """
    model.config.check_reads_dna()
    model.config.check_is("causal", to="score knock-outs")
    window_bp = model.config.context_bp if window_bp is None else window_bp
    before = 3 * CODONS_BEFORE
    if window_bp < 4 * before:
        raise ValueError(f"window: expected {4 * before} bases or more, got {window_bp}")
    found, lengths = [], {contig.name: contig.length_bp for contig in genome.contigs}
    for first in range(0, len(orfs), batch_orfs):
        some = orfs[first : first + batch_orfs]
        sequences, sites = [], []
        for orf in some:
            ids, start = _window(genome, orf, window_bp, lengths[orf.chrom])
            site = start + before
            inserts = (vocab.encode(text) for text in (STOP_INSERT, CONTROL_INSERT))
            sequences += [ids, *(np.concatenate([ids[:site], insert, ids[site:]]) for insert in inserts)]
            sites.append(site)
        values = log_likelihoods(model, sequences)
        for i, (orf, site) in enumerate(zip(some, sites, strict=True)):
            found.append(_knock_out(orf, site, *values[3 * i : 3 * i + 3]))
    return found


def _knock_out(orf: Orf, site: int, wild: np.ndarray, stopped: np.ndarray, control: np.ndarray) -> KnockOut:
    inserted = slice(site, site + len(STOP_INSERT))
    (stop_insert, stop_rest), (control_insert, control_rest) = (
        (values[inserted].sum(), values.sum() - values[inserted].sum()) for values in (stopped, control)
    )
    return KnockOut(
        orf=orf,
        drop=float(wild.sum() - stop_rest),
        control_drop=float(wild.sum() - control_rest),
        insert_drop=float(control_insert - stop_insert),
        num_changes=len(STOP_INSERT),
        num_codons_lost=(orf.end - orf.start) // 3 - CODONS_BEFORE,
    )


def _window(genome: Genome, orf: Orf, window_bp: int, length_bp: int) -> tuple[np.ndarray, int]:
    """Ids of the frame's strand, and where its start codon begins among them, on a contig of `length_bp`.

    The window is centred on the frame; of one too long for that, the start stands a quarter into the window.
    """
    size = orf.end - orf.start
    ahead = (window_bp - size) // 2 if size <= window_bp else window_bp // 4
    low = orf.start - ahead if orf.strand == "+" else orf.end + ahead - window_bp
    low = max(0, min(low, length_bp - window_bp))
    high = min(low + window_bp, length_bp)
    ids = genome.ids(orf.chrom, low, high)
    if orf.strand == "+":
        return ids, orf.start - low
    return vocab.reverse_complement(ids), high - orf.end
