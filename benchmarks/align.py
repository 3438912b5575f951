"""`ldarnet align` on a made-up track of a chromosome's size: seconds and peak memory, no model run.

    python benchmarks/align.py [--megabases 65] [--genes 7000] [--introns 4000] [--keep FOLDER]

A genome of three contigs, random letters, genes on both strands (7,000 TSS; 4,000 introns that read GT..AG, so 8,000
splice sites), and a track of noise. The default panel with every rung that needs positions only: tables, figures and
report. Asked for is less than two minutes on 2 cores.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet.tracks import open_writer

SEED = 5
TARGET_SECONDS = 120
INTRON_BP, FIRST_EXON_BP = 1000, 300
LINE_BP = 80


def made_up_genome(folder, num_bases, num_genes, num_introns):
    """FASTA, GTF and bigWig in the folder."""
    rng = np.random.default_rng(SEED)
    contigs = [Contig(f"chr{i + 1}", int(num_bases * share)) for i, share in enumerate((0.5, 0.3, 0.2))]
    space_bp = num_bases // (num_genes + len(contigs))
    rows, left = [], [num_genes, num_introns]
    with open_writer(folder / "track.bw", contigs) as writer, (folder / "genome.fa").open("wb") as fasta:
        for name, length_bp in contigs:
            ids = rng.integers(0, 4, length_bp).astype(np.uint8)
            for start in range(space_bp // 2, length_bp - space_bp, space_bp):
                if not left[0]:
                    break
                left[0] -= 1
                has_intron, strand = left[1] > 0, "+-"[left[0] % 2]
                left[1] -= has_intron
                rows += gene(ids, name, start, start + space_bp // 2, strand, has_intron, left[0])
            values = rng.beta(0.3, 0.9, length_bp).astype(np.float32).round(4)
            values[0] = np.nan
            writer.write(name, 0, values)
            letters = vocab.decode(ids).encode()
            fasta.write(f">{name}\n".encode())
            fasta.writelines(letters[i : i + LINE_BP] + b"\n" for i in range(0, length_bp, LINE_BP))
        writer.commit()
    assert left == [0, 0], "room for every gene"
    (folder / "genes.gtf").write_text("\n".join(rows) + "\n")


def gene(ids, chrom, start, end, strand, has_intron, number):
    """GTF rows of a gene; its intron is written into the letters as GT..AG along the strand."""
    exons = [(start, end)]
    if has_intron:
        first = start + FIRST_EXON_BP
        exons = [(start, first), (first + INTRON_BP, end)]
        head, tail = ("GT", "AG") if strand == "+" else ("CT", "AC")
        ids[first : first + 2], ids[first + INTRON_BP - 2 : first + INTRON_BP] = vocab.encode(head), vocab.encode(tail)
    note = f'gene_id "g{number}"; transcript_id "t{number}";'
    return ["\t".join(map(str, (chrom, "made", "exon", a + 1, b, ".", strand, ".", note))) for a, b in exons]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabases", type=float, default=65)
    parser.add_argument("--genes", type=int, default=7000)
    parser.add_argument("--introns", type=int, default=4000)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep genome, track and results there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        made_up_genome(folder, round(args.megabases * 1e6), args.genes, args.introns)
        command = [Path(sys.executable).with_name("ldarnet"), "align", "--track", folder / "track.bw"]
        command += ["--fasta", folder / "genome.fa", "--annotation", folder / "genes.gtf", "--out", folder / "results"]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        report_mb = (folder / "results" / "report.html").stat().st_size / 1e6
    print(f"{args.megabases:g} Mb, {args.genes:,} TSS, {2 * args.introns:,} splice sites, default panel")
    print(f"{'elapsed':>12} {'processor':>12} {'peak memory':>12} {'report':>10}")
    print(f"{seconds:10.0f} s {processor:10.0f} s {peak_mb:9.0f} MB {report_mb:7.1f} MB")
    row = {"name": "align", "device": "cpu", "dtype": "float32", "ours": round(seconds, 1), "baseline": TARGET_SECONDS}
    row |= {"ratio": round(TARGET_SECONDS / seconds, 3), "unit": "s", "processor_s": round(processor, 1)}
    print(json.dumps([row | {"peak_mb": round(peak_mb)}]))


if __name__ == "__main__":
    main()
