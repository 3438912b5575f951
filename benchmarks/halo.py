"""What windows and halos do to a track: two tables that choose the defaults.

    python benchmarks/halo.py [--model default] [--fasta x.fa --skip 100000] [--length 32768]

Without --fasta the demo genome is read. First table: against reading the whole stretch at once, for windows of
several lengths (the drift of a model past the context it was trained on shows here). Second table: the window stays
at the training context, and every base is compared with its value where the halo is nearly half the window, that is
from the middle of a window. Columns: largest, 99.9 % and mean difference in p, share of bases whose hard cut
differs, and how many bases are computed per base reported.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.boundaries import BatchRunner, TrackSettings
from ldarnet.checkpoint import load_model
from ldarnet.demo import write_demo
from ldarnet.genome import Contig, open_genome, plan_batches

WINDOWS = (512, 1024, 2048, 4096, 8192)
HALOS = (16, 32, 64, 128, 192, 256, 512, 1024)


class OneContig:
    """The first stretch without N of a genome, as a genome of its own."""

    def __init__(self, ids):
        self._ids, self.contigs = ids, (Contig("stretch", len(ids)),)

    def ids(self, chrom, start, end):
        assert chrom == "stretch"
        return self._ids[start:end]


def stretch_without_n(path, length_bp, skip_bp):
    with open_genome(path) as genome:
        for contig in genome.contigs:
            for start in range(skip_bp, contig.length_bp - length_bp + 1, length_bp):
                ids = genome.ids(contig.name, start, start + length_bp)
                if not (ids == vocab.N).any():
                    print(f"{genome.name} {contig.name}:{start}-{start + length_bp}")
                    return OneContig(ids)
    raise SystemExit(f"{path}: no stretch of {length_bp} bases without N")


def track(model, genome, window_bp, halo_bp):
    settings = TrackSettings(window_bp=window_bp, halo_bp=halo_bp, decimals=0)
    runner = BatchRunner(model, genome, settings)
    batches = plan_batches(genome.contigs, window_bp, halo_bp, max(window_bp, 8192))
    return np.concatenate([s.values[0] for batch in batches for s in runner.run(batch)])


def compare(model, genome, window_bp, halo_bp, reference, against):
    """Print a row of the table; the same as rows of JSON."""
    values = track(model, genome, window_bp, halo_bp)[1:]
    difference = np.abs(values - reference[1:])
    figures = {
        "largest": float(difference.max()),
        "99.9 %": float(np.quantile(difference, 0.999)),
        "mean": float(difference.mean()),
        "cuts that differ": float(np.mean((values > 0.5) != (reference[1:] > 0.5))),
    }
    largest, most, mean, cuts = figures.values()
    cost = window_bp / (window_bp - 2 * halo_bp)
    print(f"window {window_bp:5} halo {halo_bp:5}: {largest:7.4f} {most:7.4f} {mean:8.5f} {cuts:8.3%} {cost:6.2f}x")
    name = f"window {window_bp} halo {halo_bp} against {against}"
    common = {"device": "cpu", "dtype": "float32", "baseline": None, "ratio": None}
    return [
        {"name": f"{name}: {what}", "ours": value, "unit": "share of bases" if "cuts" in what else "|dp|", **common}
        for what, value in figures.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--fasta")
    parser.add_argument("--length", type=int, default=32_768, help="bases read")
    parser.add_argument("--skip", type=int, default=0, help="bases passed over at the start of each contig")
    args = parser.parse_args()
    model = load_model(args.model)
    with tempfile.TemporaryDirectory() as folder:
        fasta = args.fasta or write_demo(Path(folder)).fasta
        genome = stretch_without_n(fasta, args.length, args.skip)
    context_bp = model.config.context_bp
    rows = []
    print(f"\nAgainst the whole stretch of {args.length:,} bases at once")
    whole = track(model, genome, args.length, 1)
    for window_bp in WINDOWS:
        for halo_bp in HALOS:
            if 2 * halo_bp < window_bp < args.length:
                rows += compare(model, genome, window_bp, halo_bp, whole, "whole")
    middle_halo_bp = context_bp // 2 - context_bp // 32
    print(f"\nWindow {context_bp}, against halo {middle_halo_bp}")
    middle = track(model, genome, context_bp, middle_halo_bp)
    for halo_bp in (context_bp // n for n in (512, 64, 32, 16, 8, 6, 4, 3)):
        if 0 < halo_bp < middle_halo_bp:
            rows += compare(model, genome, context_bp, halo_bp, middle, "middle")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
