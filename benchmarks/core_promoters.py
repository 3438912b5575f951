"""Are core promoter motifs where they belong? A check that coordinates and strands are right, on human TSS.

    python benchmarks/core_promoters.py --data DIR

DIR/human holds GRCh38 windows, protein-coding transcripts as BED12, LRG records and where they lie on GRCh38. The TSS
are those of the windows, and those that fall into LRG records, each once. First table: share of TSS with a consensus
in its functional window against one of equal length downstream; an error of coordinates or strands evens them out.
Second table: the presets, the same window moved to start at +5 as its control.
"""

import argparse
import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet.genome import open_genome
from ldarnet_analysis.motifs import UNITS_PER_BIT
from ldarnet_analysis.promoter_presets import CONSENSUS_PRESETS, MATRIX_PRESETS
from ldarnet_analysis.promoters import MotifEntry, motif_sites, window_hits
from ldarnet_analysis.sites import make_sites

WINDOWS = ("hg38.chr19_1-2378552.fa.gz", "grch38.chr20_and_21_10M.fa.gz", "hg38.chr9_1-1000000.softmasked.fa.gz")
UPSTREAM_BP, DOWNSTREAM_BP = 100, 50
CHECKS = (
    (MotifEntry("TATAWA", "TATAWA", "sense", (-40, -18)), (5, 27)),
    (MotifEntry("CCAAT/ATTGG", "CCAAT", "both", (-100, -50)), (0, 50)),
    (MotifEntry("GGGCGG/CCGCCC", "GGGCGG", "both", (-100, -50)), (0, 50)),
)


class Contigs:
    """Contigs of several genome files as one."""

    def __init__(self, genomes):
        self._genome_of = {contig.name: genome for genome in genomes for contig in genome.contigs}
        self.contigs = [contig for genome in genomes for contig in genome.contigs]

    def ids(self, chrom, start, end):
        return self._genome_of[chrom].ids(chrom, start, end)


def read_tss(path):
    """Unique TSS cuts of a BED12, with gene symbols; transcripts of unknown strand have none."""
    columns = ["chrom", "start", "end", "gene", "score", "strand"]
    bed = pd.read_csv(path, sep="\t", header=None, names=columns, usecols=range(6), comment="#")
    bed = bed[bed["strand"].isin(["+", "-"])]
    bed["cut"] = bed["start"].where(bed["strand"] == "+", bed["end"])
    return bed.drop_duplicates(["chrom", "cut", "strand"])[["chrom", "cut", "strand", "gene"]]


def lift(tss, mapping_path):
    """TSS in the coordinates of the LRG records that hold them; records of another length than GRCh38 are left out."""
    spans = pd.read_csv(mapping_path, sep="\t", dtype={"chrom": str})
    spans = spans[(spans["assembly"] == "GRCh38") & (spans["mapping_type"] == "main_assembly")]
    spans = spans[spans["lrg_end"] - spans["lrg_start"] == spans["chrom_end"] - spans["chrom_start"]]
    spans["chrom"] = "chr" + spans["chrom"]
    both = tss.merge(spans, on="chrom", suffixes=("", "_of_record"))
    low, high = both["chrom_start"] - 1, both["chrom_end"]
    both = both[(low <= both["cut"]) & (both["cut"] <= high)]
    along = both["strand_of_record"] == 1
    into = (both["cut"] - both["chrom_start"] + 1).where(along, both["chrom_end"] - both["cut"])
    turned = both["strand"].map({"+": "-", "-": "+"})
    lifted = {"chrom": both["lrg"], "cut": into + both["lrg_start"] - 1, "strand": both["strand"].where(along, turned)}
    return both[["gene"]].assign(**lifted, genomic=_place(both))


def _place(tss):
    return tss["chrom"] + ":" + tss["cut"].astype(str) + tss["strand"]


def tss_with_flanks(genome, folder):
    """Site table of all TSS with their flanks inside the sequence; one that is in several sequences counts once."""
    tss = read_tss(folder / "hg38_protein_coding_transcripts.bed12.gz")
    every = pd.concat([tss.assign(genomic=_place(tss)), lift(tss, folder / "lrg_mapping.tsv.gz")])
    length_bp = every["chrom"].map(dict(genome.contigs))
    plus = every["strand"] == "+"
    left = every["cut"] - np.where(plus, UPSTREAM_BP, DOWNSTREAM_BP)
    right = every["cut"] + np.where(plus, DOWNSTREAM_BP, UPSTREAM_BP)
    inside = every[(left >= 0) & (right <= length_bp)].drop_duplicates("genomic")
    inside = inside.drop_duplicates(["chrom", "cut", "strand"])  # the record of a gene on X and Y lies on both
    columns = {name: inside[name] for name in ("chrom", "cut", "strand", "gene")}
    return make_sites(**columns, site_class="TSS", locus=inside["gene"])


def percent_with_hit(genome, tss, entry):
    return 100 * len(np.unique(window_hits(genome, tss, entry).tss)) / len(tss)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with human/")
    folder = parser.parse_args().data / "human"
    with ExitStack() as stack:
        genome = Contigs([stack.enter_context(open_genome(folder / name)) for name in (*WINDOWS, "lrg_genomic.fa.gz")])
        tss = tss_with_flanks(genome, folder)
        print(f"{len(tss):,} TSS with {UPSTREAM_BP} bases upstream and {DOWNSTREAM_BP} downstream")
        rows = [row for entry, control in CHECKS for row in check(genome, tss, entry, control)]
        print()
        for entry in (*CONSENSUS_PRESETS, *MATRIX_PRESETS):
            rows += preset(genome, tss, entry)
    print(json.dumps(rows))


def check(genome, tss, entry, control):
    """One row of the first table, printed; the same for JSON."""
    there = percent_with_hit(genome, tss, entry)
    elsewhere = percent_with_hit(genome, tss, replace(entry, window=control))
    print(f"{entry.name:14} {_span(entry.window):>9} {there:6.2f} %   {_span(control):>8} {elsewhere:6.2f} %")
    return [_row(entry.name, there, elsewhere)]


def preset(genome, tss, entry):
    """One row of the second table, printed; the same for JSON."""
    started = time.perf_counter()
    sites = motif_sites(genome, tss, entry)
    seconds = time.perf_counter() - started
    first, end = entry.window
    there = percent_with_hit(genome, tss, entry)
    elsewhere = percent_with_hit(genome, tss, replace(entry, window=(5, 5 + end - first)))
    says = entry.provenance()
    kind = says["motif"]
    print(
        f"{entry.name:10} {kind:9} {says['consensus']:15} p {entry.scored.p_value:.2e} "
        f"from {entry.scored.threshold / UNITS_PER_BIT:6.2f} bits: {len(sites):6,} sites, "
        f"{there:5.2f} % of TSS, downstream {elsewhere:5.2f} %, {seconds:.2f} s"
    )
    return [
        _row(f"{entry.name} {kind}", there, elsewhere),
        {"name": f"{entry.name} {kind}: sites", "device": "cpu", "dtype": "int32", "ours": seconds}
        | {"baseline": None, "ratio": None, "unit": "s"},
    ]


def _span(window):
    return f"{window[0]:+d}..{window[1]:+d}"


def _row(name, ours, baseline):
    common = {"device": "cpu", "dtype": "int32", "unit": "% of TSS, against control window"}
    return {"name": name, "ours": ours, "baseline": baseline, "ratio": ours / baseline if baseline else None, **common}


if __name__ == "__main__":
    main()
