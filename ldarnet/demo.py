"""A small genome with planted sites, to see the tools work before real data are at hand.

It shows mechanics only: files go in, a track comes out, an analysis finds what was planted where it was
planted. The sites are put there by this module, far denser than in any real genome, so nothing measured on
the demo is evidence about biology. The background holds chance copies of the same motifs; they are not
listed, as nobody planted them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet import vocab

SEED = 11
GENES_PER_CONTIG = {"demo1": 18, "demo2": 6}
LINE_BP = 60
SPACER_BP = (700, 2000)
GAP_CONTIG, GAP_BP = "demo2", 500
SOFT_MASK_CONTIG, SOFT_MASK = "demo1", slice(20_000, 21_200)

EXONS, EXON_BP, INTRON_BP = (2, 5), (90, 300), (120, 900)

# Element: sequence, how many of the 24 genes carry it, where its first base lies (-1: just before the TSS).
PROMOTER = {
    "CCAAT": ("CCAAT", 18, (-84, -76)),
    "GC-box": ("GGGCGG", 20, (-64, -56)),
    "TATA": ("TATAAA", 16, (-33, -29)),
}
# These work in either orientation: half of them read ATTGG or CCGCCC along the gene.
TURNED = ("CCAAT", "GC-box")

# One string per base, first to last; a letter is drawn from it with the frequency it is written there.
DONOR = ["G", "T", "AAAG", "AAAG", "GGGGA", "TTTA"]
ACCEPTOR = ["TTTC"] * 12 + ["ACGT", "CCT", "A", "G"]
TSS = ["A"]

# Chance, in percent, of A, C, G, T after each pair of bases. Trinucleotide counts of 13.6 Mb of human
# chromosomes 20 and 21 (GRCh38), both strands together, rounded: CpG comes out as rare as in human.
AFTER = {
    "AA": (39, 15, 21, 25), "AC": (40, 24, 5, 31), "AG": (31, 21, 26, 22), "AT": (25, 18, 25, 32),
    "CA": (25, 22, 29, 24), "CC": (35, 26, 6, 33), "CG": (21, 26, 29, 24), "CT": (17, 25, 30, 28),
    "GA": (33, 16, 30, 21), "GC": (33, 29, 6, 32), "GG": (29, 23, 26, 22), "GT": (21, 20, 31, 28),
    "TA": (31, 18, 20, 31), "TC": (32, 27, 4, 37), "TG": (27, 20, 26, 27), "TT": (20, 21, 20, 39),
}  # fmt: skip


class Site(NamedTuple):
    """One planted site; `cut` is 0-based, left of the base of that number.

    `sequence` is read 5' to 3' on `strand`. It starts at the cut, except an acceptor's, which ends there.
    """

    chrom: str
    cut: int
    strand: str
    kind: str
    locus: str
    sequence: str


class Gene(NamedTuple):
    """One gene with one transcript; exons are half-open and ascend along the contig on either strand."""

    name: str
    chrom: str
    strand: str
    exons: tuple[tuple[int, int], ...]

    @property
    def span(self) -> tuple[int, int]:
        """First and last cut of the gene, in contig order."""
        return self.exons[0][0], self.exons[-1][1]


class Demo(NamedTuple):
    """The demo genome in memory: contigs by name; sites and genes in contig order."""

    contigs: dict[str, str]
    sites: list[Site]
    genes: list[Gene]


class DemoFiles(NamedTuple):
    """Where `write_demo` put the files."""

    fasta: Path
    sites: Path
    gtf: Path
    bed12: Path


def make_demo(seed: int = SEED) -> Demo:
    """The genome of a seed, equal on every machine: two contigs (about 60 and 20 kb) and 24 genes.

    demo2 has one run of 500 N, demo1 one stretch of lower case. Raises ValueError for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"expected a seed of 0 or more, got {seed}")
    dice = _Dice(seed)
    num_genes = sum(GENES_PER_CONTIG.values())
    minus = dice.subset(num_genes, num_genes // 2)
    carriers = {kind: dice.subset(num_genes, count) for kind, (_, count, _) in PROMOTER.items()}
    turned = {kind: sorted(carriers[kind])[::2] for kind in TURNED}

    demo = Demo({}, [], [])
    for chrom, count in GENES_PER_CONTIG.items():
        numbers = range(len(demo.genes), len(demo.genes) + count)
        placed, gap, length_bp = _place_genes(dice, chrom, numbers, minus)
        bases = _background(dice, length_bp)
        for number, gene in zip(numbers, placed, strict=True):
            wanted = {kind: number in turned.get(kind, ()) for kind in PROMOTER if number in carriers[kind]}
            demo.sites.extend(_plant_promoter(dice, bases, gene, wanted))
            demo.sites.extend(_plant_introns(dice, bases, gene))
        bases[gap] = b"N" * (gap.stop - gap.start)
        if chrom == SOFT_MASK_CONTIG:
            bases[SOFT_MASK] = bases[SOFT_MASK].lower()
        demo.genes.extend(placed)
        demo.contigs[chrom] = bases.decode()
    demo.sites.sort()
    return demo


def write_demo(folder: str | Path, *, seed: int = SEED) -> DemoFiles:
    """Write demo.fa, demo.sites.tsv, demo.genes.gtf and demo.genes.bed12; the folder is made if need be.

    Files of an earlier call are replaced. Raises OSError if the folder cannot be made or written.
    """
    demo = make_demo(seed)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"expected a folder for the demo files, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "demo.fa": "".join(_fasta_record(name, bases) for name, bases in demo.contigs.items()),
        "demo.sites.tsv": _table([("chrom", "cut", "strand", "class", "locus", "sequence"), *demo.sites]),
        "demo.genes.gtf": "".join(_table(_gtf_lines(gene)) for gene in demo.genes),
        "demo.genes.bed12": _table([_bed12_line(gene) for gene in demo.genes]),
    }
    for name, text in texts.items():
        part = folder / f"{name}.part"
        part.write_bytes(text.encode("ascii"))
        part.replace(folder / name)
    return DemoFiles(*(folder / name for name in texts))


class _Dice:
    """Integers from PCG64's raw stream: NumPy promises that one never changes, its Generator's draws may."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def raw(self, num: int, below: int) -> np.ndarray:
        return np.asarray(self._bits.random_raw(num)) % np.uint64(below)

    def between(self, low: int, high: int) -> int:
        """Low to high, both included."""
        return low + int(self.raw(1, high - low + 1)[0])

    def subset(self, num: int, size: int) -> set[int]:
        order = np.argsort(np.asarray(self._bits.random_raw(num)), kind="stable")
        return {int(i) for i in order[:size]}

    def spell(self, columns: Sequence[str]) -> str:
        return "".join(letters[self.between(0, len(letters) - 1)] for letters in columns)


def _walk(cut: int, strand: str, bases: int) -> int:
    """The cut that many bases further in the direction of transcription."""
    return cut + bases if strand == "+" else cut - bases


def _plant(contig: bytearray, start: int, strand: str, sequence: str) -> None:
    """Overwrite the contig with a sequence that begins, on its strand, at the cut `start`."""
    if strand == "+":
        contig[start : start + len(sequence)] = sequence.encode()
    else:
        opposite = vocab.decode(vocab.reverse_complement(vocab.encode(sequence)))
        contig[start - len(sequence) : start] = opposite.encode()


def _background(dice: _Dice, length_bp: int) -> bytearray:
    choices = {pair: "".join(base * n for base, n in zip("ACGT", AFTER[pair], strict=True)) for pair in AFTER}
    bases, pair = bytearray(), "TG"
    for draw in dice.raw(length_bp, 100).tolist():
        base = choices[pair][draw]
        bases += base.encode()
        pair = pair[1] + base
    return bases


_Placed = tuple[list[Gene], slice, int]


def _place_genes(dice: _Dice, chrom: str, numbers: range, minus: set[int]) -> _Placed:
    """Genes of one contig with spacers around each, the run of N between two of them, the contig's length."""
    genes, gap = [], slice(0, 0)
    position = dice.between(*SPACER_BP)
    for number in numbers:
        exons = []
        for _ in range(dice.between(*EXONS)):
            exon_bp, intron_bp = dice.between(*EXON_BP), dice.between(*INTRON_BP)
            exons.append((position, position + exon_bp))
            position += exon_bp + intron_bp
        strand = "-" if number in minus else "+"
        genes.append(Gene(f"DEMOG{number + 1:03d}", chrom, strand, tuple(exons)))
        position = exons[-1][1] + dice.between(*SPACER_BP)
        if chrom == GAP_CONTIG and number == numbers[len(numbers) // 2]:
            gap = slice(position, position + GAP_BP)
            position = gap.stop + dice.between(*SPACER_BP)
    return genes, gap, position


def _plant_promoter(dice: _Dice, bases: bytearray, gene: Gene, wanted: dict[str, bool]) -> list[Site]:
    """Plant the TSS and the wanted elements (element -> whether it is turned round)."""
    strand = gene.strand
    tss = gene.span[strand == "-"]
    sites = [Site(gene.chrom, tss, strand, "TSS", gene.name, dice.spell(TSS))]
    for kind, turned in wanted.items():
        motif, _, (low, high) = PROMOTER[kind]
        anchor, site_strand = _walk(tss, strand, dice.between(low, high)), strand
        if turned:
            anchor, site_strand = _walk(anchor, strand, len(motif)), "-" if strand == "+" else "+"
        sites.append(Site(gene.chrom, anchor, site_strand, kind, gene.name, motif))
    for site in sites:
        _plant(bases, site.cut, site.strand, site.sequence)
    return sites


def _plant_introns(dice: _Dice, bases: bytearray, gene: Gene) -> list[Site]:
    sites = []
    for (_, left), (right, _) in zip(gene.exons, gene.exons[1:], strict=False):
        first, last = (left, right) if gene.strand == "+" else (right, left)
        donor, acceptor = dice.spell(DONOR), dice.spell(ACCEPTOR)
        _plant(bases, first, gene.strand, donor)
        _plant(bases, _walk(last, gene.strand, -len(acceptor)), gene.strand, acceptor)
        sites.append(Site(gene.chrom, first, gene.strand, "donor", gene.name, donor))
        sites.append(Site(gene.chrom, last, gene.strand, "acceptor", gene.name, acceptor))
    return sites


def _table(rows: Sequence[Sequence[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def _fasta_record(name: str, bases: str) -> str:
    lines = [bases[i : i + LINE_BP] for i in range(0, len(bases), LINE_BP)]
    return f">{name}\n" + "\n".join(lines) + "\n"


def _gtf_lines(gene: Gene) -> list[tuple[object, ...]]:
    def line(feature: str, start: int, end: int, attributes: str) -> tuple[object, ...]:
        return gene.chrom, "ldarnet_demo", feature, start + 1, end, ".", gene.strand, ".", attributes

    gene_id = f'gene_id "{gene.name}";'
    transcript_id = f'{gene_id} transcript_id "{gene.name}.1";'
    lines = [line("gene", *gene.span, gene_id), line("transcript", *gene.span, transcript_id)]
    transcribed = gene.exons if gene.strand == "+" else gene.exons[::-1]
    for number, exon in enumerate(transcribed, start=1):
        lines.append(line("exon", *exon, f'{transcript_id} exon_number "{number}";'))
    return lines


def _bed12_line(gene: Gene) -> tuple[object, ...]:
    start, end = gene.span
    sizes = ",".join(str(right - left) for left, right in gene.exons) + ","
    starts = ",".join(str(left - start) for left, _ in gene.exons) + ","
    name_to_strand = f"{gene.name}.1", 0, gene.strand
    nothing_coding = start, start, 0
    return gene.chrom, start, end, *name_to_strand, *nothing_coding, len(gene.exons), sizes, starts
