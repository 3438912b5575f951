"""Peak memory and speed of the track command on one long contig: do they change with its length?

    python benchmarks/memory.py [--fasta worm.fa.gz] [--sizes 1 5 100]
    python benchmarks/memory.py --model ldarnet-110m --device cuda --dtype bfloat16 --sizes 1 100

A tiny random model runs where none is named, so that what is measured is reading, planning and writing; presets run
with random weights. The contigs of --fasta are joined into one of each size (Mb); without it, random bases. Time per
base is that of the run, start-up excluded; that of a human genome (3.1 Gb, one strand) is projected from the longest.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.checkpoint import random_model, save_model
from ldarnet.cli import boundaries_main
from ldarnet.config import PRESETS, ModelConfig
from ldarnet.genome import open_genome

TINY = ModelConfig(
    layout=("m1", ("M1",), "m1"),
    d_model=(16, 16),
    d_intermediate=(0, 32),
    num_heads=(1, 1),
    rotary_dim=(16, 16),
    attention_window=(63, -1),
    d_state=8,
    head_dim=16,
    context_bp=4096,
)
LINE_BP = 60
HUMAN_BP = 3.1e9


def joined_bases(fasta, num_bases):
    """The first num_bases of the contigs of a FASTA, one after the other, round again where they end."""
    if fasta is None:
        letters = np.frombuffer(b"ACGT", dtype=np.uint8)
        return letters[np.random.Generator(np.random.PCG64(0)).integers(0, 4, num_bases, dtype=np.uint8)]
    with open_genome(fasta) as genome:
        whole = np.concatenate([genome.ids(c.name, 0, c.length_bp) for c in genome.contigs])
    return np.frombuffer(vocab.LETTERS.encode(), dtype=np.uint8)[np.resize(whole, num_bases)]


def write_one_contig(path, bases):
    with path.open("wb") as file:
        file.write(b">joined\n")
        whole = len(bases) - len(bases) % LINE_BP
        lines = np.full((whole // LINE_BP, LINE_BP + 1), ord("\n"), dtype=np.uint8)
        lines[:, :LINE_BP] = bases[:whole].reshape(-1, LINE_BP)
        file.write(lines.tobytes() + bases[whole:].tobytes() + b"\n")


def own_peak_mb():
    """Peak memory of this process. Not ru_maxrss on Linux: it counts what the parent held when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def child(fasta, out, *options):
    """In the child: run the command, then print its peak memory in MB."""
    sys.argv = ["ldarnet-boundaries", "--fasta", fasta, "--out", out, "-q", *options]
    try:
        boundaries_main()
    except SystemExit as end:
        if end.code:
            raise
    print(own_peak_mb())


def peak_mb(*arguments):
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fasta")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 5, 100], help="Mb")
    parser.add_argument("--model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    peaks, speeds = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in args.sizes:
            fasta, out = folder / "joined.fa", folder / "joined.bw"
            write_one_contig(fasta, joined_bases(args.fasta, size * 1_000_000))
            peaks[size] = peak_mb(
                fasta, out, "--device", args.device, "--dtype", args.dtype, *model_options(args, folder)
            )
            speeds[size] = json.loads(Path(f"{out}.json").read_text())["bases_per_second"]
            written = out.stat().st_size / 1e6
            print(f"{size:4} Mb contig: peak {peaks[size]:.0f} MB, {speeds[size]:,} bases/s, {written:.0f} MB")
    small, large = min(peaks), max(peaks)
    slower = speeds[small] / speeds[large]
    minutes = HUMAN_BP / speeds[large] / 60
    print(
        f"{large} Mb takes {peaks[large] - peaks[small]:+.0f} MB over {small} Mb, {slower:.2f} times the time per base"
    )
    print(f"human genome, one strand, at the speed of {large} Mb: {minutes:.1f} minutes")
    common = {"device": args.device, "dtype": args.dtype, "model": args.model or "tiny"}
    sizes = f"{large} Mb contig against {small} Mb"
    row = {"ours": peaks[large], "baseline": peaks[small], "ratio": peaks[large] / peaks[small], "unit": "MB"}
    rows = [{"name": f"peak memory, {sizes}", **common, **row}]
    row = {"ours": 1 / speeds[large], "baseline": 1 / speeds[small], "ratio": slower, "unit": "s per base"}
    rows.append({"name": f"time per base, {sizes}", **common, **row})
    rows.append({"name": f"human genome projected from {large} Mb", **common, "ours": minutes, "unit": "minutes"})
    print(json.dumps(rows))


def model_options(args, folder):
    """The options that name the model: a tiny one with a small halo, a preset with random weights, or any other."""
    if args.model in PRESETS:
        return "--model", args.model, "--random-weights"
    if args.model:
        return "--model", args.model
    path = folder / "tiny.safetensors"
    if not path.exists():
        save_model(random_model(TINY), path)
    return "--model", path, "--halo", "16"


if __name__ == "__main__":
    main()
