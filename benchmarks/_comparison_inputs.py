"""Sequence and regions of the comparison of segmenters, from the fixed test split.

    python benchmarks/_comparison_inputs.py --data DIR --out DIR

Writes test.fa (human windows and LRG records of the test split), train.fa (chr20 of train), their tables of where
they lie, and regions.bed: the test split without chr20 below 8 Mb and LRG records on chr20 and chr21, which a model of
other splits, seed-nano, has seen.
"""

import argparse
from pathlib import Path

from default_model.split import LRG_MAPPING, read_placements
from results import write_parts

from ldarnet.genome import open_genome

SEEN_CHROMS = ("chr20", "chr21")
SEEN_END = {"chr20": 8_000_000, "chr21": 10_000_000}


def unseen(contig, length_bp, placements):
    """The part of a test contig that no model has seen: (start, end), empty where there is none."""
    chrom, _, span = contig.partition(":")
    if chrom.startswith("LRG_"):
        seen = any(p.record == chrom and p.span.chrom in SEEN_CHROMS for p in placements)
        return (0, 0) if seen else (0, length_bp)
    first = int(span.partition("-")[0]) - 1 if span else 0
    return max(SEEN_END.get(chrom, 0) - first, 0), length_bp


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if not (args.out / "test.fa").exists():
        write_parts(args.data, "test", args.out / "test.fa")
    if not (args.out / "train.fa").exists():
        write_parts(args.data, "train", args.out / "train.fa", keep=lambda span: span.chrom == "chr20")
    placements = read_placements(args.data / LRG_MAPPING)
    with open_genome(args.out / "test.fa") as genome:
        spans = [(name, *unseen(name, length_bp, placements)) for name, length_bp in genome.contigs]
    kept = [(name, start, end) for name, start, end in spans if start < end]
    (args.out / "regions.bed").write_text("".join(f"{name}\t{start}\t{end}\n" for name, start, end in kept))
    print(f"{sum(end - start for _, start, end in kept):,} bp in {len(kept)} regions")


if __name__ == "__main__":
    main()
