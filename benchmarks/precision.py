"""What rounding does to a track: float32 against bfloat16 products, or weights as trained against weights as stored.

    python benchmarks/precision.py --fasta chr20.fa.gz --skip 8000000 [--models default] [--length 1000000]
    python benchmarks/precision.py --fasta chr20.fa.gz --models hnet-small=runs/hnet/model.safetensors

The first stretch without N of the given length is read, on the CPU. Columns: difference in p (largest, 99.9 % quantile,
mean), share of bases whose hard cut (p > 0.5) is the same, and of all cuts of float32 the share that the other has too.
With NAME=FILE both tracks are computed in float32, the first by FILE, the weights as trained, the other by NAME.
Exits with 1 where hard cuts agree on less than 99.9 % of bases. The last line is JSON.
"""

import argparse
import json
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from halo import stretch_without_n

from ldarnet.boundaries import BatchRunner, TrackSettings, default_settings
from ldarnet.checkpoint import load_model
from ldarnet.genome import plan_batches

ASKED = 0.999


def track(model, genome, dtype):
    window, halo = default_settings(model)
    settings = TrackSettings(window_bp=window, halo_bp=halo, dtype=dtype, decimals=0)
    runner = BatchRunner(model, genome, settings)
    batches = plan_batches(genome.contigs, window, halo, max(window, 4096))
    return np.concatenate([s.values[0] for batch in batches for s in runner.run(batch)])[1:]


def compare(name, genome):
    name, _, trained = name.partition("=")
    exact = track(load_model(trained or name), genome, "float32")
    rounded = track(load_model(name), genome, "float32" if trained else "bfloat16")
    difference = np.abs(exact - rounded)
    if not (difference > 0).any():
        raise SystemExit("no difference at all: this CPU has no bfloat16 products, or both models are one")
    cuts, kept = exact > 0.5, (exact > 0.5) & (rounded > 0.5)
    return {
        "name": name,
        "bases": len(exact),
        "largest": float(difference.max()),
        "quantile_999": float(np.quantile(difference, 0.999)),
        "mean": float(difference.mean()),
        "same_hard_cut": float((cuts == (rounded > 0.5)).mean()),
        "cuts_kept": float(kept.sum() / cuts.sum()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fasta", required=True)
    parser.add_argument("--models", nargs="+", default=["default"])
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--skip", type=int, default=0, help="bases of each contig passed over first")
    args = parser.parse_args()
    genome = stretch_without_n(args.fasta, args.length, args.skip)
    print(f"{'model':<20}{'largest':>10}{'99.9 %':>10}{'mean':>10}{'same hard cut':>15}{'cuts kept':>12}")
    rows = []
    for name in args.models:
        row = compare(name, genome)
        print(
            f"{row['name']:<20}{row['largest']:>10.4f}{row['quantile_999']:>10.4f}{row['mean']:>10.5f}"
            f"{100 * row['same_hard_cut']:>13.3f} %{100 * row['cuts_kept']:>10.2f} %"
        )
        rows.append(row)
    print(json.dumps(rows))
    sys.exit(0 if all(row["same_hard_cut"] >= ASKED for row in rows) else 1)


if __name__ == "__main__":
    main()
