"""Rates of the stages around the model, and what they make of a run on 1, 8 and 64 devices.

    python benchmarks/pipeline.py [--mb 8] [--device-rate BASES_PER_S] [--price PER_HOUR]

Reader, journal, writer, merge and training corpus are timed alone on random bases, the shipped model on a CPU. A
simulation of `ldarnet boundaries` with these rates then says how long a genome takes, and which stage holds it up.
--device-rate is what the run on one device alone prints as bases/s: without it, GPU times are left open.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from _pipeline import Rates, separate_runs, sharded_run, shared_run
from Bio.bgzf import BgzfWriter

from ldarnet import load_model
from ldarnet.boundaries import BatchRunner, TrackSettings, planned_batches
from ldarnet.genome import Contig, open_genome
from ldarnet.journal import Journal
from ldarnet.tracks import open_track, open_writer, round_values
from ldarnet.train.corpus import Corpus, LoadedGenome, Stretch
from ldarnet.train.draws import CorpusDraws
from ldarnet.train.masking import mask_letters

GPU_BATCH_TOKENS = 262_144
LINE_BP = 60
# How many, and bases of each.
GENOMES = {"human": (1, 3.1e9), "10,000 bacteria": (10_000, 4e6), "240 mammals": (240, 2.7e9)}
PUBLISHED_BASES = 3e11


def rate_of(work, num_bases, repeats=3):
    """Bases per second of the median of some repeats."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return num_bases / sorted(seconds)[len(seconds) // 2]


def write_genome(folder, num_bases):
    """Random bases as a FASTA, plain and bgzip."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(0).integers(0, 4, num_bases, dtype=np.uint8)]
    text = b"".join(letters[i : i + LINE_BP].tobytes() + b"\n" for i in range(0, num_bases, LINE_BP))
    plain, bgzip = folder / "random.fa", folder / "random.fa.gz"
    plain.write_bytes(b">random\n" + text)
    with BgzfWriter(str(bgzip)) as file:
        file.write(b">random\n" + text)
    return plain, bgzip


def settings_of(window_bp, batch_tokens=GPU_BATCH_TOKENS):
    return TrackSettings(window_bp=window_bp, halo_bp=window_bp // 4, batch_tokens=batch_tokens)


def read_rate(path, window_bp, num_bases):
    settings = settings_of(window_bp)
    with open_genome(path) as genome:

        def read():
            for batch in planned_batches(genome, settings):
                for window in batch.windows:
                    genome.ids(window.chrom, window.start, window.end)

        return rate_of(read, num_bases)


def write_rates(folder, window_bp, num_bases):
    """Journal, writer, merge (bases/s each), and bytes a base of the bigWig."""
    core_bp = window_bp // 2
    contig = Contig("random", num_bases - num_bases % core_bp)
    values = np.random.default_rng(1).random(contig.length_bp, dtype=np.float32)
    track = folder / "random.bw"

    def journal():
        with Journal.open(folder / "journal", {}, resume=False) as file:
            for number, start in enumerate(range(0, contig.length_bp, GPU_BATCH_TOKENS // 2)):
                file.append(number, values[None, start : start + GPU_BATCH_TOKENS // 2])

    def write():
        with open_writer(track, [contig]) as writer:
            for start in range(0, contig.length_bp, core_bp):
                writer.write(contig.name, start, round_values(values[start : start + core_bp], 4))
            writer.commit()

    def merge():
        with open_track(track) as source, open_writer(folder / "merged.bw", [contig]) as writer:
            for start in range(0, contig.length_bp, 1 << 20):
                end = min(start + (1 << 20), contig.length_bp)
                writer.write(contig.name, start, source.values(contig.name, start, end))
            writer.commit()

    rates = [rate_of(stage, contig.length_bp) for stage in (journal, write, merge)]
    return *rates, track.stat().st_size / contig.length_bp


def model_rate(path, num_bases):
    """The shipped model on the CPU, reading included."""
    model = load_model("default", device="cpu")
    settings = settings_of(model.config.context_bp, batch_tokens=4096)
    with open_genome(path) as genome:
        runner = BatchRunner(model, genome, settings)
        batches = list(planned_batches(genome, settings))
        runner.run(batches[0])  # compiles the kernels
        num = max(1, num_bases // (batches[0].windows[-1].core_end or 1))
        picked = batches[1 : 1 + num]
        cores = sum(w.core_end - w.core_start for batch in picked for w in batch.windows)
        return rate_of(lambda: [runner.run(batch) for batch in picked], cores, repeats=1)


def corpus_rate(num_bases, window_bp):
    """Windows drawn, turned and masked, as training takes them."""
    ids = np.random.default_rng(2).integers(0, 4, num_bases, dtype=np.uint8)
    corpus = Corpus([LoadedGenome("random", (Stretch("random", 0, num_bases, ids),), None)], window_bp, seed=0)
    draws = CorpusDraws(corpus)

    def draw():
        for _ in range(8):
            windows = draws.take(16)
            mask_letters(windows.ids, windows.draws, 0, 0.15)

    return rate_of(draw, 8 * 16 * window_bp)


def duration(seconds):
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def ways(num_genomes, bases_each, num_devices, rates):
    """The ways to share the work; with several genomes, one run after the other or a genome for each device."""
    total = num_genomes * bases_each
    yield "one run", shared_run(total, num_devices, rates)
    if num_devices > 1:
        yield "shards", sharded_run(total, num_devices, rates)
    if num_genomes > 1 and num_devices > 1:
        yield "a genome each", separate_runs(num_genomes, bases_each, num_devices, rates)


def print_runs(rates, price):
    print(f"\n{'genomes':18}{'devices':>8}{'how':>15}{'time':>12}{'device h':>11}{'cost':>11}  held up by")
    for name, (num_genomes, bases_each) in GENOMES.items():
        for num_devices in (1, 8, 64):
            for how, run in ways(num_genomes, bases_each, num_devices, rates):
                hours = num_devices * run.seconds / 3600
                cost = f"{hours * price:,.0f}" if price else "-"
                took = duration(run.seconds)
                print(f"{name:18}{num_devices:>8}{how:>15}{took:>12}{hours:>11,.1f}{cost:>11}  {run.bottleneck}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mb", type=int, default=8, help="bases of the random genome, in millions")
    parser.add_argument("--device-rate", type=float, help="bases/s of the track on one device")
    parser.add_argument("--price", type=float, default=2.0, help="of a device for an hour, an assumption")
    args = parser.parse_args()
    num_bases = args.mb * 1_000_000
    rows, rates = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, bgzip = write_genome(folder, num_bases)
        cpu = model_rate(plain, 200_000)
        print(f"{'stage':34}{'window':>8}{'bases/s':>14}")
        for window_bp in (512, 4096):
            journal, write, merge, size = write_rates(folder, window_bp, num_bases)
            stages = {
                "reader, FASTA": read_rate(plain, window_bp, num_bases),
                "reader, bgzip": read_rate(bgzip, window_bp, num_bases),
                "journal": journal,
                "writer, bigWig": write,
                "merge, bigWig": merge,
                "corpus with masking": corpus_rate(num_bases, window_bp),
            }
            for stage, rate in stages.items():
                print(f"{stage:34}{window_bp:>8}{rate:>14,.0f}")
                rows.append((f"{stage}, window {window_bp}", rate))
            rates[window_bp] = Rates(stages["reader, FASTA"], cpu, journal, write, merge)
    print(f"{'model (default, CPU, with reader)':34}{512:>8}{cpu:>14,.0f}")
    print(f"the bigWig takes {size:.2f} bytes a base, a journal 4\n")

    for window_bp, each in rates.items():
        for num in (1, 8, 64):
            limit = f"{each.write / num:,.0f}"
            print(f"window {window_bp}, {num} devices: the writer holds up one run past {limit} bases/s each")
    needed = ", ".join(f"{num}: {PUBLISHED_BASES / 86_400 / num:,.0f}" for num in (1, 8, 64))
    print(f"300 Gb of training in a day takes, in bases/s of each of so many devices: {needed}")
    if args.device_rate is None:
        print("\ntracks on GPUs: not measured; give --device-rate. With the CPU's rate:")
        print_runs(rates[512], 0.0)
    else:
        print(f"\ntracks with {args.device_rate:,.0f} bases/s per device (given, not measured here):")
        # The rate that a run prints has reading, journal and writing in it.
        host = rates[4096]
        spent = 1 / host.read + 1 / host.journal + 1 / host.write
        if args.device_rate * spent >= 1:
            parser.error(f"--device-rate: the host stages alone allow {1 / spent:,.0f} bases/s on this machine")
        print_runs(host._replace(model=1 / (1 / args.device_rate - spent)), args.price)
    print(
        json.dumps(
            [
                {
                    "name": name,
                    "device": "cpu",
                    "dtype": "float32",
                    "ours": round(rate),
                    "baseline": round(cpu),
                    "ratio": rate / cpu,
                    "unit": "bases/s, against the default model on this CPU",
                }
                for name, rate in rows
            ]
        )
    )


if __name__ == "__main__":
    main()
