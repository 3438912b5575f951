"""Genomes made of letters in memory, and their reverse complements, for tests of the analysis."""

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Contig, Genome
from ldarnet.genome.survey import Surveyor
from ldarnet_analysis.sites import make_sites

EVERYWHERE = ("chrom", "cut", "strand")


class _Arrays:
    def __init__(self, sequences):
        self._ids = list(sequences.values())
        self.contigs = [Contig(name, len(ids)) for name, ids in sequences.items()]

    def ids(self, contig, start, end):
        return self._ids[contig][start:end]

    def survey(self, contig):
        surveyor = Surveyor()
        surveyor.feed(vocab.decode(self._ids[contig]).encode(), self._ids[contig].tobytes())
        return surveyor.result()

    def close(self):
        pass


def genome_of(sequences):
    """A genome of {name: letters or ids}."""
    return Genome(
        "arrays", _Arrays({name: vocab.encode(s) if isinstance(s, str) else s for name, s in sequences.items()})
    )


def reversed_genome(genome):
    """The genome with every contig reverse complemented."""
    return genome_of(
        {name: vocab.reverse_complement(genome.ids(name, 0, length_bp)) for name, length_bp in genome.contigs}
    )


def reversed_table(table, genome):
    """The same stranded cuts on the reversed genome."""
    length_of = dict(genome.contigs)
    turned = table.copy()
    turned["cut"] = [length_of[chrom] - cut for chrom, cut in zip(table["chrom"], table["cut"], strict=True)]
    turned["strand"] = ["-" if strand == "+" else "+" for strand in table["strand"]]
    return turned


def random_ids(num_bp, seed, gc=0.5, n_share=0.0):
    """Random bases."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(4, num_bp, p=[(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]).astype(np.uint8)
    ids[rng.random(num_bp) < n_share] = vocab.N
    return ids


def all_cuts(genome):
    rows = [(name, cut, strand) for name, length in genome.contigs for cut in range(length + 1) for strand in "+-"]
    return pd.DataFrame(rows, columns=list(EVERYWHERE))


def as_set(table):
    return set(table[list(EVERYWHERE)].itertuples(index=False, name=None))


def some_sites(genome, num, seed, site_class="donor", margin_bp=0):
    table = all_cuts(genome)
    length = table["chrom"].map(dict(genome.contigs))
    inside = table[(table["cut"] >= margin_bp) & (table["cut"] <= length - margin_bp)]
    rows = inside.sample(min(num, len(inside)), random_state=seed)
    return make_sites(chrom=rows["chrom"], cut=rows["cut"], strand=rows["strand"], site_class=site_class)


def sense(genome, chrom, cut, strand, span):
    """The letters in a span, read off the whole contig; None beyond it."""
    ids = genome.ids(chrom, 0, dict(genome.contigs)[chrom])
    if strand == "-":
        ids, cut = vocab.reverse_complement(ids), len(ids) - cut
    start, end = cut + span[0], cut + span[1]
    return vocab.decode(ids[start:end]) if start >= 0 and end <= len(ids) else None
