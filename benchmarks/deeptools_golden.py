"""Write the golden profile matrix: a small track with gaps, anchors on both strands, and what deepTools makes of them.

    python benchmarks/deeptools_golden.py --deeptools PATH_TO_computeMatrix [--out tests/golden/deeptools_profile.npz]

deepTools wants an environment of its own (`pip install deepTools`). Each anchor cut c goes to it as the interval
[c, c+1) with its strand: it flips bases, this package flips cuts, and so both speak of the same value at each offset.
The second matrix holds the same TSS given as their bases: on the - strand the cut of a TSS is one right of its base,
and deepTools' profile one base away.
"""

import argparse
import gzip
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet.genome import Contig
from ldarnet.tracks import open_writer

CONTIGS = (Contig("chrA", 600), Contig("chrB", 90))
NUM_ANCHORS = {"chrA": 28, "chrB": 8}
OFFSETS = np.arange(-12, 13)


def write_track(path, values):
    """bigWig of {contig: float32 values}."""
    contigs = [Contig(name, len(of_contig)) for name, of_contig in values.items()]
    with open_writer(path, contigs) as writer:
        for name, of_contig in values.items():
            writer.write(name, 0, of_contig)
        writer.commit()


def write_bed(path, chroms, bases, strands):
    """Each base as a 1-bp interval with its strand, every row under a name of its own."""
    rows = (
        f"{c}\t{b}\t{b + 1}\tr{i}\t0\t{s}\n" for i, (c, b, s) in enumerate(zip(chroms, bases, strands, strict=True))
    )
    path.write_text("".join(rows))


def command_line(compute_matrix, track, bed, out, offsets, processors=1):
    """The command whose matrix has one column per offset; column j is base j - b of the strand."""
    before, after = -int(offsets[0]), int(offsets[-1]) + 1
    what = f"reference-point --referencePoint TSS -bs 1 -b {before} -a {after} --sortRegions keep -p {processors}"
    return [str(compute_matrix), *what.split(), "-S", str(track), "-R", str(bed), "-o", str(out)]


def read_matrix(path):
    """float32 [rows, offsets] from a computeMatrix file, after its header line and six columns of BED."""
    with gzip.open(path, "rt") as file:
        table = pd.read_csv(file, sep="\t", skiprows=1, header=None, dtype={0: str, 3: str, 5: str}, engine="c")
    return table.iloc[:, 6:].to_numpy(dtype=np.float32)


def version_of(compute_matrix):
    said = subprocess.run([compute_matrix, "--version"], check=True, capture_output=True, text=True)
    return (said.stdout + said.stderr).strip()


def made_up_input(rng):
    """Values with gaps of all lengths, and anchors in and beside gaps, up to both ends of the contigs."""
    values, anchors = {}, []
    for name, length_bp in CONTIGS:
        of_contig = rng.random(length_bp, dtype=np.float32)
        of_contig[0] = np.nan
        for start, length in zip(rng.integers(0, length_bp, 6), (1, 2, 5, 11, 30, 3), strict=True):
            of_contig[start : start + length] = np.nan
        values[name] = of_contig
        cuts = np.concatenate(([1, 5, length_bp - 1, length_bp - 6], rng.integers(1, length_bp, NUM_ANCHORS[name] - 4)))
        anchors += [(name, int(cut), "+-"[i % 2]) for i, cut in enumerate(cuts)]
    return values, anchors


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--deeptools", required=True, help="path of computeMatrix")
    parser.add_argument("--out", type=Path, default=Path("tests/golden/deeptools_profile.npz"))
    args = parser.parse_args()
    values, anchors = made_up_input(np.random.Generator(np.random.PCG64(4)))
    chroms, cuts, strands = (list(column) for column in zip(*anchors, strict=True))
    bases = [cut - (strand == "-") for cut, strand in zip(cuts, strands, strict=True)]
    matrices = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_track(folder / "track.bw", values)
        for key, starts in (("matrix", cuts), ("matrix_of_bases", bases)):
            write_bed(folder / "anchors.bed", chroms, starts, strands)
            command = command_line(
                args.deeptools, folder / "track.bw", folder / "anchors.bed", folder / "m.gz", OFFSETS
            )
            subprocess.run(command, check=True)
            matrices[key] = read_matrix(folder / "m.gz")
    shown = " ".join(["computeMatrix", *command[1:]]).replace(f"{name}/", "")
    about = {"command": shown, "version": version_of(args.deeptools)}
    print(f"{about['version']}\n{shown}")
    np.savez_compressed(
        args.out,
        **{f"values_{name}": of_contig for name, of_contig in values.items()},
        chrom=np.array(chroms), cut=np.array(cuts), strand=np.array(strands), offsets=OFFSETS,
        **matrices, about=np.array(json.dumps(about)),
    )  # fmt: skip
    print(f"{args.out}: {args.out.stat().st_size:,} bytes, {len(anchors)} anchors x {OFFSETS.size} offsets")


if __name__ == "__main__":
    main()
