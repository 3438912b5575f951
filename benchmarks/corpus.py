"""Windows per second drawn at random from a corpus in shards, against the same bases held in memory.

    python benchmarks/corpus.py [--gb 0.2] [--processes 2] [--folder scratch/corpus]

Made-up bases (contigs of 20 Mb, some with runs of N) are written as shards; the folder, if named, is kept and used
again. Each process draws windows as training does. Cold: the operating system was told to forget the shards before;
warm: the windows had been drawn once. The side in memory has one byte a base, of the first 200 million at most.
"""

import argparse
import json
import multiprocessing
import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.genome.survey import Surveyor
from ldarnet.train.corpus import Corpus, GenomeSource, LoadedGenome, Stretch, load_corpus
from ldarnet.train.sequence_shards import FORMAT, INDEX_NAME, INDEX_VERSION
from ldarnet.train.sequence_shards_corpus import ShardFolder
from ldarnet.train.sequence_shards_writer import ShardSeries

CONTIG_BP = 20_000_000
SHARD_BP = 1_000_000_000
IN_MEMORY_BP = 200_000_000
GB = 1_000_000_000


def contig(number, length_bp):
    ids = np.random.Generator(np.random.PCG64(number)).integers(0, 4, length_bp, dtype=np.uint8)
    ids[length_bp // 2 : length_bp // 2 + 5_000 * (number % 3)] = vocab.N
    return ids


def write_corpus(folder, num_bases):
    """Shards and their index; returns seconds spent in the writer alone."""
    series, shards, seconds = ShardSeries(folder, SHARD_BP, 0), [], 0.0
    starts = range(0, num_bases, CONTIG_BP)
    for number, start in enumerate(starts):
        ids = contig(number, min(CONTIG_BP, num_bases - start))
        surveyor = Surveyor()
        surveyor.feed(vocab.decode(ids).encode(), ids.tobytes())
        began = time.perf_counter()
        series.add(ids.tobytes())
        shards.append(series.end_contig(f"c{number}", 0, len(ids), surveyor.result()))
        seconds += time.perf_counter() - began
    shards = [each for each in (*shards, series.finish()) if each is not None]
    entries = [
        {"file": s.path.name, "contigs": s.header.num_contigs, "bases": s.num_bases}
        | {"bases_sha256": s.header.bases_sha256.hex()}
        for s in shards
    ]
    source = {"name": "made-up", "first_contig": 0, "contigs": len(starts), "bases": num_bases}
    index = {"format": FORMAT, "version": INDEX_VERSION, "shards": entries, "sources": [source]}
    (folder / INDEX_NAME).write_text(json.dumps(index))
    return seconds


def forget(folder):
    """Pages of the shards leave the cache of the system, where it lets go of them."""
    for path in folder.glob("shard-*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def in_memory(num_bases, window_bp):
    lengths = (min(CONTIG_BP, num_bases - at) for at in range(0, num_bases, CONTIG_BP))
    pieces = [contig(number, length_bp) for number, length_bp in enumerate(lengths)]
    stretches = tuple(Stretch(f"c{number}", 0, len(ids), ids) for number, ids in enumerate(pieces))
    return Corpus([LoadedGenome("m", stretches)], window_bp, seed=0)


def own_memory_mb():
    """Without pages of files, which the system takes back when it likes (Linux; NaN elsewhere)."""
    status = Path("/proc/self/status")
    found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


def draw(make_corpus, source, window_bp, draws, is_warm, barrier, queue):
    corpus = make_corpus(source, window_bp)
    for number in draws if is_warm else ():
        corpus.window(number)
    barrier.wait()
    began = time.perf_counter()
    for number in draws:
        corpus.window(number)
    queue.put((time.perf_counter() - began, own_memory_mb()))


def drawn(make_corpus, source, args, num_processes, is_warm):
    """Windows per second of all processes together, and the most memory of its own (MB) that one of them has."""
    context = multiprocessing.get_context("spawn")
    queue, barrier = context.Queue(), context.Barrier(num_processes)
    processes = []
    for number in range(num_processes):
        draws = range(number * args.windows, (number + 1) * args.windows)
        given = (make_corpus, source, args.window_bp, draws, is_warm, barrier, queue)
        processes.append(context.Process(target=draw, args=given))
        processes[-1].start()
    found = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    return num_processes * args.windows / max(seconds for seconds, _ in found), max(memory for _, memory in found)


def from_shards(folder, window_bp):
    return load_corpus([GenomeSource(folder)], window_bp, seed=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=0.2, help="billion bases")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--windows", type=int, default=20_000, help="drawn by each process")
    parser.add_argument("--window-bp", type=int, default=1024)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    num_bases = int(args.gb * GB)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / INDEX_NAME).exists():
            seconds = write_corpus(folder, num_bases)
            print(f"written: {num_bases:,} bases, {num_bases / seconds / 1e6:,.0f} million bases/s", flush=True)
        found = sum(shard.num_bases for shard in ShardFolder(folder).shards)
        if found != num_bases:
            raise SystemExit(f"{folder} holds {found:,} bases, expected {num_bases:,}: remove it, or give its --gb")
        num_held = min(num_bases, IN_MEMORY_BP)
        title = f"windows/s of {args.window_bp:,} bases"
        print(f"{title:<34}{'shards':>10}{'memory':>10}{'own MB, shards':>16}{'memory':>9}")
        rows = []
        for num_processes, is_warm in ((1, False), (1, True), (args.processes, True)):
            if not is_warm:
                forget(folder)
            ours, our_mb = drawn(from_shards, str(folder), args, num_processes, is_warm)
            baseline, its_mb = drawn(in_memory, num_held, args, num_processes, is_warm)
            name = f"{num_processes} process{'es' * (num_processes > 1)}, {'warm' if is_warm else 'cold'}"
            print(f"{name:<34}{ours:>10,.0f}{baseline:>10,.0f}{our_mb:>16,.0f}{its_mb:>9,.0f}", flush=True)
            row = {"name": f"corpus of {args.gb:g} Gb, {name}", "device": "cpu", "dtype": "uint8", "ours": ours}
            rows.append(row | {"baseline": baseline, "ratio": ours / baseline, "unit": "windows/s"})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
