"""Profiles of 100,000 sites x 401 bp on a made-up 20 Mb bigWig: seconds, against deepTools where it is given.

    python benchmarks/profiles.py [--deeptools PATH_TO_computeMatrix] [--processors 1 2] [--sites 100000]

Sites are random cuts on both strands; 1 % of the bases lie in gaps. Ours is the median of five runs of one thread, from
opening the track to the matrix and its mean. deepTools runs once per number of processors; its matrix is compared with
ours value by value. The ratio is that of elapsed seconds; seconds of processor time stand beside them, for a machine
that does other things too.
"""

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from deeptools_golden import command_line, read_matrix, version_of, write_bed, write_track

from ldarnet.tracks import open_track
from ldarnet_analysis.profiles import profile_matrix, summarise

LENGTHS_BP = {"chrA": 12_000_000, "chrB": 8_000_000}
GAP_BP = 200
OFFSETS = np.arange(-200, 201)
NUM_RUNS = 5
SEED = 20


def made_up_values(rng):
    values = {}
    for name, length_bp in LENGTHS_BP.items():
        of_contig = rng.beta(0.3, 0.9, length_bp).round(4).astype(np.float32)
        of_contig[0] = np.nan
        for start in rng.integers(0, length_bp, length_bp // (100 * GAP_BP)):
            of_contig[start : start + GAP_BP] = np.nan
        values[name] = of_contig
    return values


def random_sites(num_sites, rng):
    chrom = rng.choice(list(LENGTHS_BP), num_sites)
    cut = rng.integers(1, np.array([LENGTHS_BP[name] for name in chrom]))
    return pd.DataFrame({"chrom": chrom, "cut": cut, "strand": rng.choice(["+", "-"], num_sites)})


def processor_seconds():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def timed(work):
    """Elapsed seconds, seconds of processor time (children included), and what the work gave."""
    start, processor_start = time.perf_counter(), processor_seconds()
    result = work()
    return time.perf_counter() - start, processor_seconds() - processor_start, result


def ours(track, sites):
    with open_track(track) as opened:
        matrix = profile_matrix(opened, sites, OFFSETS)
    summarise(matrix)
    return matrix


def show(label, seconds, processor, note=""):
    print(f"{label:32} {seconds:9.2f} s elapsed {processor:9.2f} s of processor {note}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--deeptools", help="path of computeMatrix")
    parser.add_argument("--processors", nargs="+", type=int, default=[1], help="runs of deepTools with so many")
    parser.add_argument("--sites", type=int, default=100_000)
    args = parser.parse_args()
    rng = np.random.Generator(np.random.PCG64(SEED))
    sites = random_sites(args.sites, rng)
    what = f"profile matrix, {args.sites:,} sites x {OFFSETS.size} bp"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        track, bed, out = folder / "track.bw", folder / "sites.bed", folder / "matrix.gz"
        write_track(track, made_up_values(rng))
        runs = [timed(lambda: ours(track, sites)) for _ in range(NUM_RUNS)]
        seconds, processor = (statistics.median(run[i] for run in runs) for i in (0, 1))
        row = {"name": what, "device": "cpu", "dtype": "float32", "ours": seconds, "unit": "s"}
        results = []
        print(f"{what}, 20 Mb bigWig")
        show(f"ours, median of {NUM_RUNS}", seconds, processor)
        write_bed(bed, sites["chrom"], sites["cut"], sites["strand"])
        for processors in args.processors if args.deeptools else ():
            command = command_line(args.deeptools, track, bed, out, OFFSETS, processors)
            theirs, processor, _ = timed(lambda run=command: subprocess.run(run, check=True, capture_output=True))
            label, ratio = f"{version_of(args.deeptools)} -p {processors}", theirs / seconds
            show(label, theirs, processor, f"{ratio:.0f} x")
            results.append({**row, "name": f"{what}, against {label}", "baseline": theirs, "ratio": ratio})
            np.testing.assert_allclose(runs[-1][2], read_matrix(out), rtol=0, atol=1e-6, equal_nan=True)
            print("equal to ours to 1e-6, gaps included", flush=True)
    print(json.dumps(results or [{**row, "baseline": None, "ratio": None}]))


if __name__ == "__main__":
    main()
