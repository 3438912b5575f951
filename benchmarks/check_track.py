"""Does a bigWig say exactly what its FASTA allows? Read with two libraries that did not write it.

    python benchmarks/check_track.py --fasta x.fa.gz --track probs.bw

Checks: every contig, in the order of the FASTA, with its length; zoom levels; values in [0, 1]; a value at every base
but N and the first of each contig, and nowhere else; pyBigWig and pybigtools agree. Exit status 1 on the first fault.
"""

import argparse
import json

import numpy as np
import pybigtools
import pyBigWig

from ldarnet import vocab
from ldarnet.genome import open_genome

BLOCK_BP = 1 << 20


def fail_unless(condition, message):
    if not condition:
        raise SystemExit(f"FAULT: {message}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fasta", required=True)
    parser.add_argument("--track", required=True)
    args = parser.parse_args()
    num_values = num_n = 0
    sum_of_values = num_cuts = 0.0
    with open_genome(args.fasta) as genome, pybigtools.open(args.track) as second:
        first = pyBigWig.open(args.track)
        expected = {contig.name: contig.length_bp for contig in genome.contigs}
        fail_unless(list(first.chroms().items()) == list(expected.items()), "contigs differ (pyBigWig)")
        fail_unless(dict(second.chroms()) == expected, "contigs differ (pybigtools)")
        num_zooms = first.header()["nLevels"]
        fail_unless(num_zooms > 0, "no zoom levels")
        for name, length_bp in expected.items():
            for start in range(0, length_bp, BLOCK_BP):
                end = min(start + BLOCK_BP, length_bp)
                allowed = genome.ids(name, start, end) != vocab.N
                num_n += int((~allowed).sum())
                if start == 0:
                    allowed[0] = False
                values = first.values(name, start, end, numpy=True)
                fail_unless(np.array_equal(~np.isnan(values), allowed), f"{name}:{start}-{end}: values misplaced")
                there = values[allowed]
                fail_unless(there.size == 0 or (there.min() >= 0 and there.max() <= 1), f"{name}: outside [0, 1]")
                again = np.asarray(second.values(name, start, end, fillna=np.nan), dtype=values.dtype)
                fail_unless(np.array_equal(values, again, equal_nan=True), f"{name}:{start}-{end}: readers disagree")
                num_values += int(allowed.sum())
                sum_of_values += float(there.sum())
                num_cuts += int((there > 0.5).sum())
        fail_unless(first.header()["nBasesCovered"] == num_values, "the header's count of bases is wrong")
    print(
        f"{args.track}: {len(expected):,} contigs, {num_values:,} values, {num_n:,} N, {num_zooms} zoom levels, "
        f"mean p {sum_of_values / num_values:.4f}, {num_cuts / num_values:.4f} cuts a base"
    )
    print(json.dumps([{"name": f"check {args.track}", "ours": num_values, "unit": "values", "device": "cpu"}]))


if __name__ == "__main__":
    main()
