"""How far a windowed track is from reading the whole sequence at once, as a function of window and halo.

    python benchmarks/halo.py [--model default] [--fasta x.fa] [--length 65536]

Without --fasta the demo genome is read. For every window and halo: the largest and the 99.9 % difference in p over
all bases, and the share of bases whose hard cut differs.
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
    whole = track(model, genome, args.length, 1)
    rows = []
    print(f"{'window':>7} {'halo':>6} {'largest':>9} {'99.9 %':>9} {'mean':>9} {'cuts that differ':>17}")
    for window_bp in WINDOWS:
        for halo_bp in HALOS:
            if window_bp <= 2 * halo_bp or window_bp >= args.length:
                continue
            values = track(model, genome, window_bp, halo_bp)[1:]
            difference = np.abs(values - whole[1:])
            cuts = float(np.mean((values > 0.5) != (whole[1:] > 0.5)))
            largest, most = float(difference.max()), float(np.quantile(difference, 0.999))
            print(f"{window_bp:7} {halo_bp:6} {largest:9.4f} {most:9.4f} {difference.mean():9.5f} {cuts:17.3%}")
            for name, value in (("largest", largest), ("99.9 %", most), ("cuts that differ", cuts)):
                label = f"halo {args.model} window {window_bp} halo {halo_bp}: {name}"
                rows.append(
                    {
                        "name": label,
                        "device": "cpu",
                        "dtype": "float32",
                        "ours": value,
                        "baseline": None,
                        "ratio": None,
                        "unit": "|dp|" if name != "cuts that differ" else "share of bases",
                    }
                )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
