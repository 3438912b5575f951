"""Variants of a genome: read from VCF, checked against it, and what can be counted about them without any model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet.genome.text_lines import text_lines
from ldarnet.orfs import Orf, codons_of, translate

MAX_ALLELE_BP = 1000


class Variant(NamedTuple):
    """`ref`, which stands at base `start` (0-based) of the genome, replaced by `alt`; upper-case A, C, G, T."""

    chrom: str
    start: int
    ref: str
    alt: str

    @property
    def num_changes(self) -> int:
        """Bases substituted, and bases by which the length changes."""
        shared = min(len(self.ref), len(self.alt))
        differing = sum(a != b for a, b in zip(self.ref[:shared], self.alt[:shared], strict=True))
        return differing + abs(len(self.ref) - len(self.alt))


class CodonChanges(NamedTuple):
    """What a variant does to the codons of one reading frame."""

    num_changed: int
    """Codons of other letters; from the first one to the end where the frame shifts."""
    num_amino_acids: int
    """Codons that stand for another amino acid, or for a stop."""


def read_variants(path: Path, genome: Genome) -> list[Variant]:
    """The variants of a VCF file (plain or gzip; the columns CHROM, POS, ID, REF, ALT), one per alternative allele.

    Raises ValueError naming file and line for alleles that are not bases, and where REF is not what the genome holds.
    """
    lengths = {contig.name: contig.length_bp for contig in genome.contigs}
    found = []
    for number, line in text_lines(path, "VCF"):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        where = f"{path}: line {number}"
        if len(fields) < 5 or not fields[1].isdecimal():
            raise ValueError(f"{where}: expected CHROM, POS, ID, REF, ALT with tabs between, got {fields[:5]}")
        chrom, start, ref = fields[0], int(fields[1]) - 1, fields[3].upper()
        if chrom not in lengths:
            raise ValueError(f"{where}: no contig {chrom!r} in {genome.name}; it has {', '.join(list(lengths)[:8])}")
        for alt in fields[4].upper().split(","):
            for allele in (ref, alt):
                if not allele or set(allele) - set("ACGT") or len(allele) > MAX_ALLELE_BP:
                    raise ValueError(f"{where}: expected 1 to {MAX_ALLELE_BP:,} of A, C, G, T, got {allele[:40]!r}")
            if not 0 <= start <= start + len(ref) <= lengths[chrom]:
                raise ValueError(f"{where}: position {start + 1:,} lies outside {chrom}, of {lengths[chrom]:,} bases")
            holds = vocab.decode(genome.ids(chrom, start, start + len(ref)))
            if holds != ref:
                raise ValueError(f"{where}: REF is {ref[:40]!r}, but {genome.name} holds {holds[:40]!r} there")
            found.append(Variant(chrom, start, ref, alt))
    if not found:
        raise ValueError(f"{path}: no variants in it")
    return found


def applied(ids: np.ndarray, offset: int, variant: Variant) -> np.ndarray:
    """The sequence `ids`, which starts at base `offset` of the contig, with the variant in it."""
    first = variant.start - offset
    return np.concatenate([ids[:first], vocab.encode(variant.alt), ids[first + len(variant.ref) :]])


class Frames:
    """Reading frames, to be asked which of them holds a variant."""

    def __init__(self, orfs: Sequence[Orf]) -> None:
        self._of: dict[str, list[Orf]] = {}
        for orf in orfs:
            self._of.setdefault(orf.chrom, []).append(orf)
        self._ends = {chrom: np.array([(o.start, o.end) for o in some]) for chrom, some in self._of.items()}

    def longest_around(self, variant: Variant) -> Orf | None:
        """The longest frame that holds all of the reference allele."""
        if variant.chrom not in self._ends:
            return None
        start, end = self._ends[variant.chrom].T
        holding = np.flatnonzero((start <= variant.start) & (variant.start + len(variant.ref) <= end))
        if not holding.size:
            return None
        return self._of[variant.chrom][int(holding[np.argmax((end - start)[holding])])]


def codon_changes(genome: Genome, variant: Variant, orf: Orf) -> CodonChanges:
    """What a variant does to a frame that holds it."""
    wild = genome.ids(orf.chrom, orf.start, orf.end)
    mutant = applied(wild, orf.start, variant)
    if orf.strand == "-":
        wild, mutant = vocab.reverse_complement(wild), vocab.reverse_complement(mutant)
    before, after = codons_of(wild), codons_of(mutant)
    shared = min(len(before), len(after))
    extra = abs(len(before) - len(after))
    changed = before[:shared] != after[:shared]
    other = translate(before[:shared]) != translate(after[:shared])
    return CodonChanges(int(changed.sum()) + extra, int(other.sum()) + extra)
