"""Speed and memory of `ldarnet-boundaries` against the published arrangement in plain torch, on this machine's CPU.

    python benchmarks/boundaries.py [--runs 3] [--models default ldarnet-2m ldarnet-110m]

Each side is a process of its own on the same FASTA, windows and halo; bases per second are those of the track
(reported bases over seconds of computing, start-up excluded). Before anything is timed, both sides' tracks are
compared. Runs alternate; medians are shown.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from memory import own_peak_mb

BASES = {"ldarnet-110m": 16_384, "ldarnet-2m": 100_000, "default": 600_000}


def write_fasta(path, num_bases):
    ids = np.random.Generator(np.random.PCG64(0)).integers(0, 4, num_bases)
    path.write_text(">bench\n" + "".join("ACGT"[i] for i in ids) + "\n")


def child(side, model, fasta, out):
    """In the child: write the track, by the library as it is or by the published arrangement."""
    from ldarnet import write_track as module
    from ldarnet.config import PRESETS

    if side == "baseline":
        from _published import PublishedArrangement

        load = module.load_model
        module.load_model = lambda *args, **kwargs: PublishedArrangement.of(load(*args, **kwargs))
    short = Path(out).with_name("warm-up.fa")  # compiled kernels are loaded on first use
    write_fasta(short, 2_000)
    for path in (str(short), fasta):
        request = module.TrackRequest(
            fasta=path,
            outputs=(Path(out),),
            model=model,
            random_weights=model in PRESETS,
            show_progress=False,
            decimals=0,
        )
        module.write_track(request, say=lambda _: None)
    print(own_peak_mb())


def run(side, model, fasta, folder):
    out = folder / f"{side}.npz"
    command = [sys.executable, __file__, "--child", side, model, str(fasta), str(out)]
    # As the command sets it; the published side runs with torch's default.
    environment = {**os.environ, **({"OMP_WAIT_POLICY": "PASSIVE"} if side == "ours" else {})}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    printed = done.stdout
    record = json.loads(out.with_name(f"{out.name}.json").read_text())
    return record["bases_per_second"], float(printed), out


def check(model, folder):
    """Both sides on a short sequence; the largest difference of their tracks."""
    fasta = folder / "check.fa"
    write_fasta(fasta, 3_000)
    tracks = []
    for side in ("ours", "baseline"):
        with np.load(run(side, model, fasta, folder)[2]) as file:
            tracks.append(file["bench"])
    worst = float(np.nanmax(np.abs(tracks[0] - tracks[1])))
    if not worst < 1e-4:
        raise SystemExit(f"{model}: the two sides differ by {worst:.1e}; nothing was timed")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["default", "ldarnet-2m", "ldarnet-110m"])
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}")
    print(f"{'model':<14} {'ours':>10} {'published':>10} {'ratio':>7} {'memory':>8} {'published':>10} {'check':>8}")
    rows = []
    for model in args.models:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            worst = check(model, folder)
            fasta = folder / "bench.fa"
            write_fasta(fasta, BASES[model])
            speeds = {"ours": [], "baseline": []}
            memory = {}
            for _ in range(args.runs):
                for side in speeds:
                    speed, memory[side], _ = run(side, model, fasta, folder)
                    speeds[side].append(speed)
        ours, baseline = (statistics.median(speeds[side]) for side in ("ours", "baseline"))
        print(
            f"{model:<14} {ours:>10,.0f} {baseline:>10,.0f} {ours / baseline:>6.1f}x {memory['ours']:>6.0f}MB "
            f"{memory['baseline']:>8.0f}MB {worst:>8.0e}"
        )
        common = {"device": "cpu", "dtype": "float32"}
        rows.append(
            {
                "name": f"track {model}",
                **common,
                "ours": ours,
                "baseline": baseline,
                "ratio": ours / baseline,
                "unit": "bases/s",
            }
        )
        rows.append(
            {
                "name": f"peak memory {model}",
                **common,
                "ours": memory["ours"],
                "baseline": memory["baseline"],
                "ratio": memory["ours"] / memory["baseline"],
                "unit": "MB",
            }
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
