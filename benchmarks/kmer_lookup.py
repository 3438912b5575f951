"""How much of a track is a look-up of the bases around each cut: R2 of k-mers held out, and how long that takes.

    python benchmarks/kmer_lookup.py [--track probs.bw --fasta genome.fa] [--fit BED] [--test BED]

--fit and --test take a BED file or chrom:start-end. Without --fit the track is cross-fitted: every contig, or every
block where there are few contigs, is predicted from the others. Without --track, a made-up track of --megabases on ten
contigs is taken, whose values follow the two bases around a cut, and the letters of a 6-mer, and noise. The residual
is written to a temporary folder. Seconds are of one run and one thread, on the clock and on the processor (the two part
where other programs run); memory is the peak of the process.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Contig, open_genome, parse_regions
from ldarnet.tracks import open_track, open_writer
from ldarnet_analysis.crossfit import cross_fit
from ldarnet_analysis.kmer_cells import KmerLevels
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.residual import write_residual

NUM_CONTIGS = 10
LINE_BP = 80
SEED = 21


def make_up(folder, num_bases):
    """A FASTA of random bases and a bigWig of values that follow 2-mers, less so 6-mers, and noise."""
    rng = np.random.default_rng(SEED)
    fasta, track = folder / "made_up.fa", folder / "made_up.bw"
    levels = KmerLevels((2, 6))
    means = np.concatenate([[0.3], rng.beta(0.6, 1.2, 4**2), np.clip(rng.normal(0, 0.1, 4**6), -0.2, 0.2)])
    contigs = [Contig(f"chr{i + 1}", num_bases // NUM_CONTIGS) for i in range(NUM_CONTIGS)]
    with fasta.open("wb") as file, open_writer(track, contigs) as writer:
        for name, length_bp in contigs:
            ids = rng.integers(0, 4, length_bp, dtype=np.uint8)
            letters = np.frombuffer(vocab.decode(ids).encode(), dtype=np.uint8)
            file.write(b">%s\n" % name.encode())
            for start in range(0, length_bp, LINE_BP):
                file.write(letters[start : start + LINE_BP].tobytes() + b"\n")
            values = means[levels.cells(ids, 2)] + means[levels.cells(ids, 6)] + rng.normal(0, 0.05, length_bp)
            values = np.clip(values, 0, 1).round(4).astype(np.float32)
            values[0] = np.nan
            writer.write(name, 0, values)
        writer.commit()
    return track, fasta


def timed(work):
    """Seconds on the clock and on the processor, and what came back."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return np.array([time.perf_counter() - clock, time.process_time() - processor]), result


def measure(track, genome, fit, test, out):
    """R2 table (None if nothing was held out), seconds of each step, and how many values the residual has."""
    seconds = {}
    if fit:
        regions = parse_regions(fit, genome.contigs).intervals
        seconds["fit"], expectation = timed(lambda: KmerLookup.fit(track, genome, regions))
        r2 = None
        if test:
            held_out = parse_regions(test, genome.contigs).intervals
            seconds["R2"], r2 = timed(lambda: expectation.r2(track, genome, held_out))
    else:
        seconds["cross-fit and R2"], expectation = timed(lambda: cross_fit(track, genome))
        r2 = expectation.r2
    seconds["residual track"], written = timed(lambda: write_residual(track, genome, expectation, out))
    return r2, seconds, written.num_values


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--track", type=Path, help="bigWig, bedGraph or npz")
    parser.add_argument("--fasta", help="the genome that the track was made on")
    parser.add_argument("--fit", help="regions to fit on; without it the track is cross-fitted")
    parser.add_argument("--test", help="regions to test on, with --fit")
    parser.add_argument("--megabases", type=float, default=65, help="size of the made-up track")
    args = parser.parse_args()
    if (args.track is None) != (args.fasta is None) or (args.test and not args.fit):
        parser.error("--track needs --fasta and the other way round; --test needs --fit")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, fasta = args.track, args.fasta
        if path is None:
            path, fasta = make_up(folder, int(args.megabases * 1e6))
        with open_track(path) as track, open_genome(fasta) as genome:
            r2, seconds, num_values = measure(track, genome, args.fit, args.test, folder / "residual.bw")
    seconds["together"] = sum(seconds.values())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)

    rows = []
    if r2 is not None:
        print(r2.to_string(index=False, float_format="{:.4f}".format))
        rows += [(f"R2 of {each.k}-mers, held out", each.r2, "R2") for each in r2.itertuples()]
    print(f"{num_values:,} values in the residual, peak memory {peak_mb:.0f} MB")
    rows.append(("peak memory", peak_mb, "MB"))
    for what, (clock, processor) in seconds.items():
        print(f"{what:20} {clock:8.1f} s, {processor:8.1f} s of processor")
        rows += [(what, clock, "s"), (what, processor, "processor s")]
    row = {"device": "cpu", "dtype": "float32", "baseline": None, "ratio": None}
    print(json.dumps([{"name": f"k-mer look-up, {what}", **row, "ours": x, "unit": unit} for what, x, unit in rows]))


if __name__ == "__main__":
    main()
