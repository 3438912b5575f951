"""Speed and memory of `ldarnet-boundaries` against the published arrangement.

    python benchmarks/boundaries.py [--runs 3] [--models default ldarnet-2m ldarnet-110m]
    python benchmarks/boundaries.py --device cuda --dtypes bfloat16

On a CPU the published arrangement is plain torch, on a GPU it is built of mamba-ssm's modules. A ratio compares both
sides in one dtype; the last column is the ratio to the published arrangement in float32. Each side is a process of its
own on the same FASTA, windows and halo; bases per second are those of the track (reported bases over seconds of
computing, start-up excluded). Before anything is timed, both sides' tracks are compared. Runs alternate; medians are
shown.
"""

import argparse
import importlib.util
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

BASES = {"ldarnet-110m": 16_384, "ldarnet-2m": 60_000, "default": 300_000}
GPU_BASES = {"ldarnet-110m": 8_000_000, "ldarnet-2m": 20_000_000, "default": 20_000_000}
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}
"""Largest difference between the tracks of both sides: both round to bfloat16 at other places."""


def write_fasta(path, num_bases):
    ids = np.random.Generator(np.random.PCG64(0)).integers(0, 4, num_bases)
    path.write_text(">bench\n" + "".join("ACGT"[i] for i in ids) + "\n")


def child(side, model, device, dtype, fasta, out):
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
            device=device,
            dtype=dtype,
            random_weights=model in PRESETS,
            show_progress=False,
            decimals=0,
        )
        module.write_track(request, say=lambda _: None)
    print(own_peak_mb())


def run(side, setting, fasta, folder):
    out = folder / f"{side}.npz"
    command = [sys.executable, __file__, "--child", side, *setting, str(fasta), str(out)]
    # As the command sets it; the published side runs with torch's default.
    environment = {**os.environ, **({"OMP_WAIT_POLICY": "PASSIVE"} if side == "ours" else {})}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    printed = done.stdout
    record = json.loads(out.with_name(f"{out.name}.json").read_text())
    return record["bases_per_second"], float(printed), out


def check(setting, folder):
    """Both sides on a short sequence; the largest difference of their tracks."""
    fasta = folder / "check.fa"
    write_fasta(fasta, 3_000)
    tracks = []
    for side in ("ours", "baseline"):
        with np.load(run(side, setting, fasta, folder)[2]) as file:
            tracks.append(file["bench"])
    worst = float(np.nanmax(np.abs(tracks[0] - tracks[1])))
    if not worst < TOLERANCE[setting[2]]:
        raise SystemExit(f"{' '.join(setting)}: the two sides differ by {worst:.1e}; nothing was timed")
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["default", "ldarnet-2m", "ldarnet-110m"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], choices=list(TOLERANCE))
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}")
    heads = ("ours", "published", "ratio", "memory", "published", "check", "to float32")
    print(f"{'model':<14}{'dtype':<10}" + "".join(f"{head:>11}" for head in heads))
    rows = []
    for model in args.models:
        exact = None  # the published arrangement in float32
        for dtype in args.dtypes:
            ours, baseline, memory, worst = measured((model, args.device, dtype), args.runs)
            exact = baseline if dtype == "float32" else exact
            numbers = f"{ours:>11,.0f}{baseline:>11,.0f}{ours / baseline:>10.1f}x"
            numbers += f"{memory['ours']:>9.0f}MB{memory['baseline']:>9.0f}MB{worst:>11.0e}"
            print(f"{model:<14}{dtype:<10}{numbers}" + (f"{ours / exact:>10.1f}x" if exact else ""), flush=True)
            common = {"device": args.device, "dtype": dtype}
            if args.device != "cpu":  # without this package the published side convolves more slowly
                common["causal_conv1d"] = importlib.util.find_spec("causal_conv1d") is not None
            speed = {"ours": ours, "baseline": baseline, "ratio": ours / baseline, "unit": "bases/s"}
            rows.append({"name": f"track {model}", **common, **speed})
            peaks = {**memory, "ratio": memory["ours"] / memory["baseline"], "unit": "MB"}
            rows.append({"name": f"peak memory {model}", **common, **peaks})
    print(json.dumps(rows))


def measured(setting, num_runs):
    """Bases per second of both sides, their peak memory in MB, and by how much their tracks differ."""
    model, device, _ = setting
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worst = check(setting, folder)
        fasta = folder / "bench.fa"
        write_fasta(fasta, (BASES if device == "cpu" else GPU_BASES)[model])
        speeds = {"ours": [], "baseline": []}
        memory = {}
        for _ in range(num_runs):
            for side in speeds:
                speed, memory[side], _ = run(side, setting, fasta, folder)
                speeds[side].append(speed)
    return *(statistics.median(speeds[side]) for side in ("ours", "baseline")), memory, worst


if __name__ == "__main__":
    main()
