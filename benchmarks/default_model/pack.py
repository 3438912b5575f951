"""Pack the genomes of a genomes.toml as .2bit, two bits a base, so that they travel to the machine that trains.

    python benchmarks/default_model/pack.py --genomes DIR --out DIR

The folder of --out (keep it under an ignored one, such as scratch/) gets a .2bit and a BED per genome and a
genomes.toml whose paths are relative. Every file is read back and compared base by base. Lower case is not kept.
"""

import argparse
import json
import shutil
import struct
import tomllib
from pathlib import Path

import numpy as np

from ldarnet.genome import open_genome

MAGIC = 0x1A412743
MAX_BYTES = 1 << 32
BLOCK_BP = 1 << 20
CODE_OF_ID = np.array([2, 1, 3, 0, 0], dtype=np.uint8)  # T0 C1 A2 G3, and N is packed as T


def numbers(*values):
    return struct.pack(f"<{len(values)}I", *values)


def packed_blocks(genome, contig):
    """The bases of a contig, four to a byte."""
    for start in range(0, contig.length_bp, BLOCK_BP):
        ids = genome.ids(contig.name, start, min(start + BLOCK_BP, contig.length_bp))
        codes = np.zeros((-(-len(ids) // 4), 4), dtype=np.uint8)
        codes.reshape(-1)[: len(ids)] = CODE_OF_ID[ids]
        yield (codes << np.array([6, 4, 2, 0], dtype=np.uint8)).sum(axis=1, dtype=np.uint8).tobytes()


def write_twobit(genome, path):
    """Write an open genome as .2bit (UCSC, version 0), with its runs of N and without soft masking."""
    headers = []
    for name, length_bp in genome.contigs:
        runs = genome.survey(name).n_runs
        starts, lengths = runs[:, 0].tolist(), (runs[:, 1] - runs[:, 0]).tolist()
        headers.append(numbers(length_bp, len(runs), *starts, *lengths, 0, 0))
    names = [contig.name.encode() for contig in genome.contigs]
    if too_long := [name for name in names if len(name) > 255]:
        raise ValueError(f"{path}: expected names of at most 255 bytes, got {too_long[0]!r}")
    offset = 16 + sum(len(name) + 5 for name in names)
    index = numbers(MAGIC, 0, len(names), 0)
    for name, header, contig in zip(names, headers, genome.contigs, strict=True):
        if offset >= MAX_BYTES:
            raise ValueError(f"{path}: expected sequences that start within {MAX_BYTES:,} bytes, got more bases")
        index += bytes([len(name)]) + name + numbers(offset)
        offset += len(header) + -(-contig.length_bp // 4)
    with path.open("wb") as file:
        file.write(index)
        for header, contig in zip(headers, genome.contigs, strict=True):
            file.write(header)
            file.writelines(packed_blocks(genome, contig))


def check_same(genome, other):
    """Raise ValueError unless two genomes have the same contigs and bases."""
    if genome.contigs != other.contigs:
        raise ValueError(f"{other.name}: expected the contigs of {genome.name}, got others")
    for name, length_bp in genome.contigs:
        for start in range(0, length_bp, BLOCK_BP):
            end = min(start + BLOCK_BP, length_bp)
            if not np.array_equal(genome.ids(name, start, end), other.ids(name, start, end)):
                raise ValueError(
                    f"{other.name}: expected the bases of {genome.name} in {name}:{start}-{end}, got others"
                )


def pack(folder, out):
    """Pack the genomes of folder/genomes.toml; returns the file names and their sizes in bytes."""
    if out.resolve() == folder.resolve():
        raise ValueError(f"{out}: expected another folder than that of the genomes, got the same")
    tables, sizes = [], {}
    for table in tomllib.loads((folder / "genomes.toml").read_text())["genome"]:
        name = table["name"]
        path = out / f"{name}.2bit"
        with open_genome(folder / table["fasta"]) as genome:
            write_twobit(genome, path)
            with open_genome(path) as packed:
                check_same(genome, packed)
        files = {"fasta": path.name}
        if "intervals" in table:
            files["intervals"] = f"{name}.bed"
            shutil.copyfile(folder / table["intervals"], out / files["intervals"])
        values = {**table, **files}
        tables.append("[[genome]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
        sizes |= {file: (out / file).stat().st_size for file in files.values()}
    (out / "genomes.toml").write_text("\n".join(tables))
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genomes", type=Path, required=True, help="folder of genomes.toml, as split.py writes it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the packed genomes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sizes = pack(args.genomes, args.out)
    for file, num_bytes in sizes.items():
        print(f"{file:<24}{num_bytes:>14,}")
    print(f"{'all':<24}{sum(sizes.values()):>14,} bytes, read back and compared")


if __name__ == "__main__":
    main()
