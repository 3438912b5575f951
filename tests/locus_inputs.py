"""A small genome with tracks, genes and sites, for the tests of the locus page."""

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet.tracks import open_writer
from ldarnet_analysis.sites import make_sites, write_sites
from ldarnet_app.inputs import Inputs, TrackFile

CONTIGS = (Contig("chr1", 12_000), Contig("chr2", 300))
GENES = (
    "1\t1000\t3000\tFWD|1\t0\t+\t1100\t2900\t0\t2\t500,1000,\t0,1000,\n"
    "1\t1000\t2900\tFWD|2\t0\t+\t1000\t1000\t0\t1\t1900,\t0,\n"
    "1\t5000\t6000\tREV\t0\t-\t5000\t5000\t0\t2\t100,100,\t0,900,\n"
)


def bases(chrom):
    """Ids of a contig: made up, the same each time, N in the middle of chr1."""
    contig = dict(CONTIGS)
    ids = np.random.default_rng(len(chrom) + contig[chrom]).integers(0, 4, contig[chrom]).astype(np.uint8)
    if chrom == "chr1":
        ids[8_000:8_100] = vocab.N
    return ids


def values(seed, chrom="chr1"):
    """Probabilities of a contig: none at base 0 and at N."""
    p = np.random.default_rng(seed).uniform(0, 1, dict(CONTIGS)[chrom]).astype(np.float32).round(4)
    p[(bases(chrom) == vocab.N) | (np.arange(len(p)) == 0)] = np.nan
    return p


def write_inputs(folder, *, annotation=True, results=True):
    """Inputs with the tracks plus and minus, and what else is asked for, in a folder."""
    fasta = folder / "genome.fa"
    fasta.write_text("".join(f">{contig.name}\n{vocab.decode(bases(contig.name))}\n" for contig in CONTIGS))
    tracks = []
    for seed, (label, strand) in enumerate((("plus", "+"), ("minus", "-"))):
        path = folder / f"{label}.bw"
        _write(path, lambda chrom, seed=seed: values(seed, chrom))
        tracks.append(TrackFile(label, path, strand))
    genes = folder / "genes.bed"
    genes.write_text(GENES)
    if results:
        (folder / "results").mkdir()
        _write(folder / "results" / "residual.bw", lambda chrom: values(0, chrom) - np.float32(0.4))
        sites = make_sites(
            chrom="chr1",
            cut=[1_500, 2_000, 5_100, 11_950],
            strand=["+", "+", "-", "+"],
            site_class=["donor", "acceptor", "acceptor", "TATA-box"],
            gene=["FWD", "FWD", "REV", ""],
        )
        write_sites(sites, folder / "results" / "sites.tsv")
    return Inputs(tuple(tracks), fasta, genes if annotation else None, folder / "results" if results else None)


def _write(path, values_of):
    with open_writer(path, CONTIGS) as writer:
        for contig in CONTIGS:
            writer.write(contig.name, 0, values_of(contig.name))
        writer.commit()
