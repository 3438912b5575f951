"""Peak memory of the track command on one long contig: does it grow with the contig?

    python benchmarks/memory.py [--fasta worm.fa.gz] [--sizes 5 100]

A tiny random model runs, so that what is measured is reading, planning and writing. The contigs of --fasta are joined
into one of each size (Mb); without it, random bases.
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
from ldarnet.config import ModelConfig
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


def child(fasta, model, out):
    """In the child: run the command, then print its peak memory in MB."""
    sys.argv = ["ldarnet-boundaries", "--fasta", fasta, "--out", out, "--model", model, "--halo", "16", "-q"]
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
    parser.add_argument("--sizes", nargs="+", type=int, default=[5, 100], help="Mb")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "tiny.safetensors"
        save_model(random_model(TINY), model)
        for size in args.sizes:
            fasta, out = folder / "joined.fa", folder / "joined.bw"
            write_one_contig(fasta, joined_bases(args.fasta, size * 1_000_000))
            peaks[size] = peak_mb(fasta, model, out)
            speed = json.loads(Path(f"{out}.json").read_text())["bases_per_second"]
            print(
                f"{size:4} Mb contig: peak {peaks[size]:.0f} MB, {speed:,} bases/s, {out.stat().st_size / 1e6:.0f} MB"
            )
    smallest, largest = min(peaks), max(peaks)
    extra = peaks[largest] - peaks[smallest]
    print(f"{largest} Mb takes {extra:+.0f} MB over {smallest} Mb")
    row = {"name": f"peak memory, {largest} Mb contig against {smallest} Mb", "device": "cpu", "dtype": "float32"}
    ratio = peaks[largest] / peaks[smallest]
    print(json.dumps([{**row, "ours": peaks[largest], "baseline": peaks[smallest], "ratio": ratio, "unit": "MB"}]))


if __name__ == "__main__":
    main()
