"""Peak memory of the track command on one long contig: does it grow with the contig?

    python benchmarks/memory.py [--fasta worm.fa.gz] [--sizes 5 100]

A tiny random model runs, so that what is measured is reading, planning and writing. The contigs of --fasta are joined
into one of each size (Mb); without it, random bases.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.checkpoint import random_model, save_model
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


def peak_mb(command):
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return usage.ru_maxrss * (1 if platform.system() == "Darwin" else 1024) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fasta")
    parser.add_argument("--sizes", nargs="+", type=int, default=[5, 100], help="Mb")
    args = parser.parse_args()
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "tiny.safetensors"
        save_model(random_model(TINY), model)
        for size in args.sizes:
            fasta, out = folder / "joined.fa", folder / "joined.bw"
            write_one_contig(fasta, joined_bases(args.fasta, size * 1_000_000))
            run = "from ldarnet.cli import boundaries_main; boundaries_main()"
            options = ["--fasta", fasta, "--out", out, "--model", model, "--halo", "16", "-q"]
            peaks[size] = peak_mb([sys.executable, "-c", run, *map(str, options)])
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
