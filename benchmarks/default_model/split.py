"""The fixed split of the real genomes on which the default model is trained, tuned and tested.

    python benchmarks/default_model/split.py --data DIR --out DIR [--species ecoli sacCer3]

DIR of --data holds `human/` and `other_species/`. Writes one BED per genome (chrom, start, end, split) and
genomes.toml, and prints the bases (N excluded) of every genome and split.

Human sequences overlap: LRG records lie inside the chromosome windows and inside one another. So a base is left out
of train where its GRCh38 position is within 5 kb of valid or test, and out of valid where it is within 5 kb of test.

E. coli is all train, unless only some species are asked for: then part of it is held out too.
"""

import argparse
import csv
import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Interval, open_genome

PAD_BP = 5_000
SPLITS = ("train", "valid", "test")
WEIGHTS = {"human": 0.6, "ce10": 0.15, "sacCer3": 0.08, "ecoli": 0.07, "arabidopsis": 0.05, "fly": 0.05}
FASTA = {
    "human-lrg": "human/lrg_genomic.fa.gz",
    "human-chr20-21": "human/grch38.chr20_and_21_10M.fa.gz",
    "human-chr19": "human/hg38.chr19_1-2378552.fa.gz",
    "human-chr9": "human/hg38.chr9_1-1000000.softmasked.fa.gz",
    "ce10": "other_species/ce10_WS220.fa.gz",
    "sacCer3": "other_species/sacCer3.fa.gz",
    "ecoli": "other_species/ecoli_K12_MG1655_U00096.2.fa.gz",
    "arabidopsis": "other_species/korf_1pct_athaliana.fa.gz",
    "fly": "other_species/korf_1pct_dmelanogaster.fa.gz",
}
LRG = "human-lrg"
LRG_MAPPING = "human/lrg_mapping.tsv.gz"
TO_THE_END = 1 << 40


class HeldOut(NamedTuple):
    """Intervals of the two splits that are kept from training."""

    valid: list[Interval]
    test: list[Interval]


HELD_OUT = {
    "human": HeldOut(
        valid=[Interval("chr9", 0, 1_000_000)],
        test=[Interval("chr19", 0, 2_378_552), Interval("chr20", 6_000_000, 10_000_000)],
    ),
    "ce10": HeldOut(valid=[Interval("chrX", 0, 2_000_000)], test=[Interval("chrV", 0, TO_THE_END)]),
    "sacCer3": HeldOut(
        valid=[Interval("chrXIV", 0, TO_THE_END)],
        test=[Interval("chrXV", 0, TO_THE_END), Interval("chrXVI", 0, TO_THE_END)],
    ),
}
NOTHING = HeldOut([], [])
HELD_OUT_OF_FEW = {
    "ecoli": HeldOut(valid=[Interval("ecoli", 4_000_000, 4_200_000)], test=[Interval("ecoli", 4_200_000, TO_THE_END)])
}
"""Held out besides where only some species are asked for."""


class Placement(NamedTuple):
    """Where an LRG record lies on GRCh38. Insertions shift its bases by up to `slack_bp` from a straight line."""

    record: str
    span: Interval
    is_reverse: bool
    slack_bp: int

    def on_record(self, region: Interval) -> Interval | None:
        """A region of GRCh38 in the record's coordinates, which may reach beyond its ends."""
        chrom, start, end = self.span
        if region.chrom != chrom or region.start >= end + self.slack_bp or region.end <= start - self.slack_bp:
            return None
        first, last = (
            (end - region.end, end - region.start) if self.is_reverse else (region.start - start, region.end - start)
        )
        return Interval(self.record, first - self.slack_bp, last + self.slack_bp)


def split_of_record(record):
    """The split of LRG_n goes by n."""
    number = int(record.removeprefix("LRG_"))
    if number % 5 == 0:
        return "test"
    return "valid" if number % 10 == 1 else "train"


def read_placements(path):
    """Placements on the chromosomes of GRCh38: one of every record, two of one in the pseudo-autosomal region."""
    placements = []
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if (row["assembly"], row["mapping_type"]) != ("GRCh38", "main_assembly"):
                continue
            if row["lrg_start"] != "1" or row["strand"] not in ("1", "-1"):
                raise ValueError(f"{path}: expected whole records on strand 1 or -1, got {row}")
            span = Interval(f"chr{row['chrom']}", int(row["chrom_start"]) - 1, int(row["chrom_end"]))
            slack_bp = abs(span.end - span.start - int(row["lrg_end"]))
            placements.append(Placement(row["lrg"], span, row["strand"] == "-1", slack_bp))
    return placements


def subtract(spans, holes):
    """The parts of intervals that lie in no hole."""
    by_chrom = {}
    for hole in sorted(holes):
        by_chrom.setdefault(hole.chrom, []).append(hole)
    left = []
    for chrom, start, end in spans:
        for _, hole_start, hole_end in by_chrom.get(chrom, ()):
            if start < min(hole_start, end):
                left.append(Interval(chrom, start, min(hole_start, end)))
            start = max(start, hole_end)
        if start < end:
            left.append(Interval(chrom, start, end))
    return left


def intersect(spans, others):
    """The parts of intervals that lie in one of the others."""
    return subtract(spans, subtract(spans, others))


def padded(spans):
    """Intervals with 5 kb more at either end."""
    return [Interval(chrom, start - PAD_BP, end + PAD_BP) for chrom, start, end in spans]


def divide(contigs, own, near):
    """Split -> intervals. `own` is what these contigs hold out, `near` all that is too close to any held out."""
    whole = [Interval(name, 0, length_bp) for name, length_bp in contigs]
    return {
        "train": subtract(whole, [*own.valid, *own.test, *near.valid, *near.test]),
        "valid": subtract(intersect(whole, own.valid), near.test),
        "test": intersect(whole, own.test),
    }


def held_out_on_grch38(placements):
    """Valid and test of all human sequences together."""
    records = {split: [p.span for p in placements if split_of_record(p.record) == split] for split in SPLITS}
    human = HELD_OUT["human"]
    return HeldOut(human.valid + records["valid"], human.test + records["test"])


def divide_genome(name, contigs, placements, held_out=HELD_OUT):
    """Split -> intervals of one of the genomes."""
    species = name.partition("-")[0]
    if species != "human":
        return divide(contigs, held_out.get(species, NOTHING), NOTHING)
    near = HeldOut(*(padded(spans) for spans in held_out_on_grch38(placements)))
    if name != LRG:
        return divide(contigs, HELD_OUT[species], near)
    if missing := {record for record, _ in contigs} - {placement.record for placement in placements}:
        raise ValueError(f"expected a place on GRCh38 for every LRG record, got none for {sorted(missing)}")
    on_records = [
        [found for region in spans for placement in placements if (found := placement.on_record(region))]
        for spans in near
    ]
    whole = {split: [Interval(r, 0, n) for r, n in contigs if split_of_record(r) == split] for split in SPLITS}
    return divide(contigs, HeldOut(whole["valid"], whole["test"]), HeldOut(*on_records))


def num_known(genome, spans):
    return sum(int(np.count_nonzero(genome.ids(*span) < vocab.N)) for span in spans)


def write_split(data, out, species=None):
    """Write the BED files and genomes.toml, of some species only where named; returns genome -> split -> bases."""
    chosen = {name: fasta for name, fasta in FASTA.items() if species is None or name.partition("-")[0] in species}
    held_out = HELD_OUT if species is None else HELD_OUT | HELD_OUT_OF_FEW
    placements = read_placements(data / LRG_MAPPING) if LRG in chosen else []
    bases = {}
    for name, fasta in chosen.items():
        with open_genome(data / fasta) as genome:
            spans = divide_genome(name, genome.contigs, placements, held_out)
            bases[name] = {split: num_known(genome, spans[split]) for split in SPLITS}
        rows = [(*span, split) for split in SPLITS for span in spans[split]]
        text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
        (out / f"{name}.bed").write_text(text)
    tables = [
        f"[[genome]]\nname = {json.dumps(name)}\nfasta = {json.dumps(str((data / fasta).resolve()))}\n"
        f"intervals = {json.dumps(f'{name}.bed')}\nweight = {weight_of(name, bases)}\n"
        for name, fasta in chosen.items()
    ]
    (out / "genomes.toml").write_text("\n".join(tables))
    return bases


def weight_of(name, bases):
    """The species' weight, divided among its files by their train bases: none for files that are held out whole."""
    species = name.partition("-")[0]
    total = sum(of_split["train"] for each, of_split in bases.items() if each.partition("-")[0] == species)
    return round(WEIGHTS[species] * bases[name]["train"] / total, 6)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of human/ and other_species/")
    parser.add_argument("--out", type=Path, required=True, help="folder for genomes.toml and the BED files")
    parser.add_argument("--species", nargs="+", choices=list(WEIGHTS), help="only these")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    bases = write_split(args.data, args.out, args.species)
    print(f"{'genome':<16}{'weight':>8}" + "".join(f"{split:>14}" for split in SPLITS))
    for name, of_split in bases.items():
        print(f"{name:<16}{weight_of(name, bases):>8.4f}" + "".join(f"{of_split[split]:>14,}" for split in SPLITS))
    totals = [sum(of_split[split] for of_split in bases.values()) for split in SPLITS]
    print(f"{'all':<16}{'':>8}" + "".join(f"{total:>14,}" for total in totals))


if __name__ == "__main__":
    main()
