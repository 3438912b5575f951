"""Reading and writing alone, on one core: is either slower than the model?

    python benchmarks/files.py [--mb 20]

Reading: a FASTA to ids, plain and gzip, the first time (with the index made) and block by block as the track does.
Writing: a track of probabilities of four decimals in stretches of 3,072 bases, as they come out of a model. Bases per
second; the last line is JSON.
"""

import argparse
import gzip
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from memory import joined_bases, write_one_contig

from ldarnet.genome import Contig, open_genome
from ldarnet.tracks import open_writer, round_values

STRETCH_BP = 3072


def reading(path, num_bases):
    start = time.perf_counter()
    with open_genome(path) as genome:
        for begin in range(0, num_bases, STRETCH_BP):
            genome.ids("joined", begin, min(begin + STRETCH_BP, num_bases))
    return num_bases / (time.perf_counter() - start)


def writing(path, values):
    start = time.perf_counter()
    with open_writer(path, (Contig("joined", len(values)),)) as writer:
        for begin in range(0, len(values), STRETCH_BP):
            writer.write("joined", begin, round_values(values[begin : begin + STRETCH_BP], 4))
        writer.commit()
    return len(values) / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=20)
    args = parser.parse_args()
    num_bases = args.mb * 1_000_000
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, packed = folder / "x.fa", folder / "x.fa.gz"
        write_one_contig(plain, joined_bases(None, num_bases))
        with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as target:
            shutil.copyfileobj(source, target)
        for path in (plain, packed):
            rows.append({"name": f"read {path.name}", "ours": reading(path, num_bases)})
        values = np.random.default_rng(0).random(num_bases, dtype=np.float32)
        for suffix in ("bw", "bedGraph.gz", "npz"):
            rows.append({"name": f"write {suffix}", "ours": writing(folder / f"x.{suffix}", values)})
    for row in rows:
        row |= {"device": "cpu", "unit": "bases/s"}
        print(f"{row['name']:<20}{row['ours']:>14,.0f} bases/s")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
