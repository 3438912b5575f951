"""Wall time of short commands, imports included.

    python benchmarks/startup.py [--runs 5]

`ldarnet-boundaries --help`; a FASTA of 10,000 bases to a bigWig with the shipped model; the same where no compiled
kernel is kept on disk yet (the first run of a user, once). Medians; the last line is JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from boundaries import write_fasta


def seconds(words, **environment):
    start = time.perf_counter()
    command = [sys.executable, "-c", "from ldarnet.cli import boundaries_main; boundaries_main()", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_fasta(folder / "x.fa", 10_000)
        track = ["--fasta", folder / "x.fa", "--out", folder / "x.bw", "--quiet"]
        commands = {"help": ["--help"], "10 kb": track, "10 kb, bfloat16": [*track, "--dtype", "bfloat16"]}
        rows = []
        for label, words in commands.items():
            seconds(words)  # files come into memory, kernels onto the disk
            rows.append({"name": label, "seconds": statistics.median(seconds(words) for _ in range(args.runs))})
        rows.append({"name": "10 kb, first run", "seconds": seconds(track, NUMBA_CACHE_DIR=str(folder / "cache"))})
    for row in rows:
        print(f"{row['name']:<20}{row['seconds']:>8.2f} s")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
