"""Small inputs of the explorer: two contigs with genes, and a track of planted values."""

import numpy as np

from ldarnet.genome import Contig
from ldarnet.tracks import open_writer
from tests.command_line import letters, write_fasta

LENGTHS_BP = {"chrA": 6000, "chrB": 2500}
GENE = (1000, 3000)
GAP = (4000, 4100)


def values_of(chrom, seed=0):
    """float32 probabilities of a contig: base 0 and a gap of chrA have none."""
    values = np.random.default_rng([seed, *chrom.encode()]).random(LENGTHS_BP[chrom]).astype(np.float32).round(4)
    values[0] = np.nan
    if chrom == "chrA":
        values[slice(*GAP)] = np.nan
    return values


def write_genome(folder, name="genome.fa"):
    return write_fasta(folder / name, **{c: letters(i, length) for i, (c, length) in enumerate(LENGTHS_BP.items())})


def write_track(path, lengths_bp=None, seed=0):
    """Planted values, each contig cut or extended to its length in `lengths_bp`."""
    lengths_bp = LENGTHS_BP if lengths_bp is None else lengths_bp
    with open_writer(path, [Contig(*each) for each in lengths_bp.items()]) as writer:
        for chrom, length_bp in lengths_bp.items():
            planted = values_of(chrom, seed) if chrom in LENGTHS_BP else np.full(length_bp, 0.5, dtype=np.float32)
            writer.write(chrom, 0, np.resize(planted, length_bp))
        writer.commit()
    return path


def write_genes(path, chrom="chrA"):
    start, end = GENE
    attributes = 'gene_id "G1"; gene_name "ABC1"; transcript_id "T1";'
    exons = [(start, start + 500), (end - 700, end)]
    rows = [("transcript", start, end), *(("exon", *exon) for exon in exons)]
    path.write_text("".join(f"{chrom}\ttest\t{kind}\t{a + 1}\t{b}\t.\t+\t.\t{attributes}\n" for kind, a, b in rows))
    return path


def write_inputs(folder):
    """The arguments of `ldarnet explore` for all of them."""
    return [
        "--track",
        write_track(folder / "probs.bw"),
        "--fasta",
        write_genome(folder),
        "--annotation",
        write_genes(folder / "genes.gtf"),
    ]
