"""Introns, splice sites and starts of transcripts, on both strands, on whole genomes and on parts of them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.annotations import read_annotation
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.flanks import bases_around, spell
from ldarnet_analysis.given_sites import read_aligned
from ldarnet_analysis.placing import on_genome
from ldarnet_analysis.records import lift_sites, lift_to_records, records_in_names
from ldarnet_analysis.splicing import intron_check, introns_of, splice_sites
from ldarnet_analysis.transcript_starts import start_codon_sites, tss_sites
from tests.made_up_transcripts import annotation_of, genome_of, records_of, rows, transcript

LENGTH_BP = 400


@st.composite
def random_transcripts(draw):
    found = []
    for i in range(draw(st.integers(1, 5))):
        edges = sorted(draw(st.sets(st.integers(1, LENGTH_BP - 1), min_size=2, max_size=10)))
        edges = edges[: len(edges) // 2 * 2]
        exons = list(zip(edges[::2], edges[1::2], strict=True))
        coding = draw(st.booleans())
        cds = (exons[0][0] + draw(st.integers(0, 1)) * (exons[0][1] > exons[0][0] + 1), exons[-1][1])
        found.append(transcript(f"t{i}", draw(st.sampled_from("+-")), exons, cds if coding else (np.nan, np.nan)))
    return found


def sites_by_hand(transcripts, genome, min_intron_bp):
    """(class, cut, strand) -> (lowest exon rank, dinucleotide), walking along every transcript base by base."""
    found = {}
    for each in transcripts:
        exons = each.exons.tolist() if each.strand == "+" else each.exons.tolist()[::-1]
        for rank, (before, after) in enumerate(pairwise(exons), start=1):
            if each.strand == "+":
                donor, acceptor = before[1], after[0]
                intron = vocab.decode(genome.ids("chr1", donor, acceptor))
            else:
                donor, acceptor = before[0], after[1]
                intron = vocab.decode(vocab.reverse_complement(genome.ids("chr1", acceptor, donor)))
            if len(intron) >= min_intron_bp:
                for key, value in {
                    ("donor", donor, each.strand): (rank, intron[:2]),
                    ("acceptor", acceptor, each.strand): (rank + 1, intron[-2:]),
                }.items():
                    found[key] = min(found.get(key, value), value)
    return found


@settings(max_examples=40, deadline=None)
@given(transcripts=random_transcripts(), seed=st.integers(0, 9), min_intron_bp=st.sampled_from([2, 20]))
def test_splice_sites_are_those_found_by_walking_along_transcripts(transcripts, seed, min_intron_bp):
    genome = AlignedSequences(["chr1"], [np.random.default_rng(seed).integers(0, 4, LENGTH_BP, dtype=np.uint8)], 0)
    expected = sites_by_hand(transcripts, genome, min_intron_bp)
    annotation = annotation_of(*transcripts)
    if not expected:
        with pytest.raises(ValueError, match=r"no introns of a.gtf left; "):
            splice_sites(annotation, genome, min_intron_bp=min_intron_bp)
        return
    sites = splice_sites(annotation, genome, min_intron_bp=min_intron_bp)
    columns = ["class", "cut", "strand", "exon_rank", "dinucleotide", "canonical"]
    got = {row[:3]: row[3:] for row in sites[columns].itertuples(index=False, name=None)}
    canonical = {"donor": "GT", "acceptor": "AG"}
    assert got == {key: (*value, value[1] == canonical[key[0]]) for key, value in expected.items()}


@settings(max_examples=20, deadline=None)
@given(transcripts=random_transcripts(), seed=st.integers(0, 9))
def test_sites_of_the_reverse_complement_are_the_sites_mirrored(transcripts, seed):
    ids = np.random.default_rng(seed).integers(0, 4, LENGTH_BP, dtype=np.uint8)
    forward = annotation_of(*transcripts)
    turned = records_of(("turned", "chr1", 0, LENGTH_BP, "-"))
    backward = lift_to_records(forward, turned)
    genome = AlignedSequences(["chr1", "turned"], [ids, vocab.reverse_complement(ids)], 0)
    finders = [
        lambda each: splice_sites(each, genome, min_intron_bp=1),
        lambda each: tss_sites(each, without_utr=True),
        lambda each: start_codon_sites(each, genome),
    ]
    for find in finders:
        try:
            sites = find(forward)
        except ValueError:
            with pytest.raises(ValueError, match="left"):
                find(backward)
            continue
        mirrored = find(backward)
        extra = [name for name in sites if name in ("exon_rank", "dinucleotide", "codon", "canonical")]
        assert rows(
            mirrored.assign(cut=LENGTH_BP - mirrored["cut"], strand=mirrored["strand"].map({"+": "-", "-": "+"})),
            "class", "cut", "strand", "gene", *extra,
        ) == rows(sites, "class", "cut", "strand", "gene", *extra)  # fmt: skip
        assert rows(lift_sites(sites, turned), "class", "cut", "strand", *extra) == rows(
            mirrored, "class", "cut", "strand", *extra
        )
    twice = lift_to_records(backward, records_of(("chr1", "turned", 0, LENGTH_BP, "-")))
    pd.testing.assert_frame_equal(twice.transcripts, forward.transcripts)


# On +: exon with ATG, intron GT..AG, exon. On -: from the right, exon with CAT, intron CT..AC, the same second exon.
LETTERS = "AAAATGGTCCCCCCCCAGAAAACTGGGGGGGGACCATAAA"
PLUS = transcript("plus", "+", [(0, 6), (18, 22)], cds=(3, 21))
MINUS = transcript("minus", "-", [(18, 22), (34, 40)], cds=(18, 37))


def test_sites_by_hand_on_both_strands():
    genome = genome_of(chr1=LETTERS)
    annotation = annotation_of(PLUS, MINUS)
    splice = splice_sites(annotation, genome, min_intron_bp=12)
    assert rows(splice, "class", "cut", "strand", "exon_rank", "dinucleotide", "canonical", "gene", "locus") == {
        ("donor", 6, "+", 1, "GT", True, "plus", "chr1:0-22:+"),
        ("acceptor", 18, "+", 2, "AG", True, "plus", "chr1:0-22:+"),
        ("donor", 34, "-", 1, "GT", True, "minus", "chr1:18-40:-"),
        ("acceptor", 22, "-", 2, "AG", True, "minus", "chr1:18-40:-"),
    }
    assert rows(tss_sites(annotation), "class", "cut", "strand") == {("TSS", 0, "+"), ("TSS", 40, "-")}
    starts = start_codon_sites(annotation, genome)
    assert rows(starts, "cut", "strand", "codon", "canonical") == {(3, "+", "ATG", True), (37, "-", "ATG", True)}


def test_sites_that_transcripts_share_come_once_with_the_lowest_rank():
    annotation = annotation_of(
        transcript("long", "+", [(0, 10), (100, 110), (200, 210)], gene="G"),
        transcript("other end", "+", [(90, 110), (205, 220)], gene="Z"),
        transcript("first of two", "+", [(70, 80), (90, 110), (205, 220)], gene="F"),
        transcript("apart", "+", [(220, 230), (300, 310)], gene="H"),
    )
    assert len(introns_of(annotation)) == 5
    sites = splice_sites(annotation, min_intron_bp=1)
    assert rows(sites, "class", "cut", "exon_rank", "gene", "locus") == {
        ("donor", 10, 1, "G", "chr1:0-220:+"), ("acceptor", 100, 2, "G", "chr1:0-220:+"),
        ("donor", 110, 1, "Z", "chr1:0-220:+"), ("acceptor", 200, 3, "G", "chr1:0-220:+"),
        ("donor", 80, 1, "F", "chr1:0-220:+"), ("acceptor", 90, 2, "F", "chr1:0-220:+"),
        ("acceptor", 205, 2, "Z", "chr1:0-220:+"),
        ("donor", 230, 1, "H", "chr1:220-310:+"), ("acceptor", 300, 2, "H", "chr1:220-310:+"),
    }  # fmt: skip


def test_what_gives_no_splice_site_is_counted():
    dropped = Dropped()
    annotation = annotation_of(
        transcript("fine", "-", [(0, 10), (50, 60)]),
        transcript("gap", "+", [(0, 10), (49, 60)]),
        transcript("no strand", ".", [(0, 10), (80, 90)]),
    )
    assert rows(splice_sites(annotation, dropped=dropped), "class", "cut") == {("donor", 50), ("acceptor", 10)}
    assert dropped.counts == [("introns without a strand", 1), ("introns shorter than 40 bp", 1)]
    with pytest.raises(
        ValueError, match=r"no introns of a.gtf left; dropped 1: introns without a strand; 2: introns sh"
    ):
        splice_sites(annotation, min_intron_bp=41)


def test_starts_that_are_not_known_to_be_tss_are_left_out_and_counted():
    annotation = annotation_of(
        transcript("utr", "+", [(10, 40)], cds=(13, 40)),
        transcript("same start", "+", [(10, 90)]),
        transcript("orf", "-", [(10, 50)], cds=(13, 50)),
        transcript("cut off", "+", [(60, 90)], tss_known=False),
        transcript("no strand", ".", [(70, 90)]),
    )
    dropped = Dropped()
    assert rows(tss_sites(annotation, dropped=dropped), "cut", "strand", "gene") == {(10, "+", "same start")}
    assert [count for _, count in dropped.counts] == [1, 1, 1]
    assert rows(tss_sites(annotation, without_utr=True), "cut", "strand") == {(10, "+"), (50, "-")}
    dropped = Dropped()
    assert rows(start_codon_sites(annotation, dropped=dropped), "cut", "strand") == {(13, "+"), (50, "-")}
    assert [count for _, count in dropped.counts] == [1, 2, 0]
    yeast = annotation_of(*(transcript(f"Y{i}", "+", [(i, i + 9)], cds=(i, i + 9)) for i in range(3)))
    with pytest.raises(
        ValueError, match=r"no TSS of a.gtf left; dropped 3: transcripts that begin with their start codon"
    ):
        tss_sites(yeast)


def test_introns_of_a_bed6_file_share_the_locus_of_their_gene(tmp_path):
    path = tmp_path / "introns.bed"
    path.write_text("chr1\t10\t60\tG\t5\t+\nchr1\t100\t150\tG\t6\t+\nchr1\t70\t90\tH\t7\t+\nchr1\t70\t90\t.\t7\t-\n")
    annotation = read_annotation(path)
    sites = splice_sites(annotation, min_intron_bp=20)
    assert rows(sites, "class", "cut", "strand", "exon_rank", "gene", "locus", "score") == {
        ("donor", 10, "+", 0, "G", "chr1:10-150:+", 5), ("acceptor", 60, "+", 0, "G", "chr1:10-150:+", 5),
        ("donor", 70, "+", 0, "H", "chr1:10-150:+", 7), ("acceptor", 90, "+", 0, "H", "chr1:10-150:+", 7),
        ("donor", 100, "+", 0, "G", "chr1:10-150:+", 6), ("acceptor", 150, "+", 0, "G", "chr1:10-150:+", 6),
        ("donor", 90, "-", 0, "", "chr1:70-90:-", 7), ("acceptor", 70, "-", 0, "", "chr1:70-90:-", 7),
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"introns.bed: expected transcripts"):
        tss_sites(annotation)


def introns_reading(*pairs, chrom="chr1"):
    """A genome of introns of 40 bases with the given ends, every second on the reverse strand, and their table."""
    pieces, table = [], []
    for i, (first, last) in enumerate(pairs):
        ids = vocab.encode("C" * 5 + first + "A" * 36 + last + "C" * 5)
        pieces.append(vocab.reverse_complement(ids) if i % 2 else ids)
        table.append((chrom, 50 * i + 5, 50 * i + 45, "+-"[i % 2]))
    genome = AlignedSequences([chrom], [np.concatenate(pieces)], 0)
    return pd.DataFrame(table, columns=["chrom", "start", "end", "strand"]), genome


def test_share_of_canonical_introns_warns_and_refuses():
    good, minor, other = ("GT", "AG"), [("GC", "AG"), ("AT", "AC")], ("GT", "AC")
    check = intron_check(*introns_reading(*[good] * 18, *minor))
    assert check[:4] == (20, 18, 1, 1)
    assert check.warning == ""
    assert str(check) == "18 of 20 introns (90.00%) read GT..AG, 1 GC..AG, 1 AT..AC"
    check = intron_check(*introns_reading(*[good] * 5, *minor, *[other] * 3))
    assert check.gt_ag_share == 0.5
    assert check.warning.startswith("5 of 10 introns (50.00%) read GT..AG")
    with pytest.raises(ValueError, match=r"4 of 10 introns \(40.00%\) read GT..AG.* different assemblies"):
        intron_check(*introns_reading(*[good] * 4, *[other] * 6))


def test_introns_that_are_not_read_are_counted():
    table, genome = introns_reading(("GT", "AG"), ("GT", "AG"), ("CC", "CC"), ("CC", "CC"))
    table.loc[2, "end"] -= 1
    table.loc[3, "strand"] = "."
    check = intron_check(table, genome)
    assert (check.num_introns, check.num_gt_ag, check.num_short, check.num_strandless) == (2, 2, 1, 1)
    check = intron_check(*introns_reading(("CC", "CC"), chrom="chrM"))
    assert (check.num_introns, check.num_organellar, check.warning, str(check)) == (0, 1, "", "no introns to check")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.sampled_from("+-")), max_size=8),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_bases_around_cuts_are_those_read_one_by_one(cuts, upstream_bp, downstream_bp):
    genome = genome_of(a="ACGTTGCAACGT", b="GGATTACATCCC")
    found = bases_around(genome, pd.DataFrame(cuts, columns=["chrom", "cut", "strand"]), upstream_bp, downstream_bp)
    for (chrom, cut, strand), got in zip(cuts, found, strict=True):
        sense = vocab.decode(genome.ids(chrom, 0, 12))
        if strand == "-":
            sense, cut = vocab.decode(vocab.reverse_complement(genome.ids(chrom, 0, 12))), 12 - cut
        padded = "N" * 5 + sense + "N" * 5
        assert vocab.decode(got) == padded[cut + 5 - upstream_bp : cut + 5 + downstream_bp]


def test_cuts_outside_the_genome_are_refused():
    genome = genome_of(a="ACGT")
    for chrom, cut, message in [
        ("b", 1, "no such contigs in the genome: b; its contigs: a"),
        ("a", 5, "0..4 of a, got 5"),
    ]:
        with pytest.raises(ValueError, match=message):
            bases_around(genome, pd.DataFrame({"chrom": [chrom], "cut": [cut], "strand": ["+"]}), 1, 1)


def check_of(annotation, fasta, **options):
    with open_genome(fasta) as genome:
        placed = on_genome(annotation, genome.contigs, **options)
        return intron_check(introns_of(placed), genome)


def test_introns_of_real_genomes_read_as_they_must(shared_data):
    human, others = shared_data / "data" / "human", shared_data / "data" / "other_species"
    lrg = check_of(read_annotation(human / "lrg_annotation.gtf.gz"), human / "lrg_genomic.fa.gz")
    assert lrg[:4] == (8293, 8218, 61, 11)
    chr9 = human / "hg38.chr9_1-1000000.softmasked.fa.gz"
    ensembl = check_of(read_annotation(human / "Homo_sapiens.GRCh38.91_chr9_1_1000000.gtf.gz"), chr9)
    assert ensembl[:2] == (195, 193)
    for name, expected in {
        "korf_1pct_athaliana": (1535, 1513, 22, 0),
        "korf_1pct_dmelanogaster": (484, 477, 7, 0),
    }.items():
        assert check_of(read_annotation(others / f"{name}.gff3.gz"), others / f"{name}.fa.gz")[:4] == expected


def test_introns_of_yeast_and_its_start_codons(shared_data):
    folder = shared_data / "data" / "other_species"
    for name, num_introns, num_gt_ag, num_with_utr in [
        ("ensGene.gtf", 287, 272, 4),
        ("S288C_R64-2-1_ncbi.gff3", 282, 270, 0),
    ]:
        annotation = read_annotation(folder / f"sacCer3.{name}.gz")
        assert check_of(annotation, folder / "sacCer3.fa.gz")[:2] == (num_introns, num_gt_ag)
        with open_genome(folder / "sacCer3.fa.gz") as genome:
            starts = start_codon_sites(annotation, genome)
        assert len(starts) > 5900
        assert starts["canonical"].mean() > 0.998
        coding = annotation.transcripts[annotation.transcripts["cds_start"].notna()]
        num_others = len(coding) - num_with_utr
        dropped = Dropped()
        try:
            assert len(tss_sites(replace(annotation, transcripts=coding), dropped=dropped)) == num_with_utr
        except ValueError:
            assert num_with_utr == 0
        assert dropped.counts[-1] == ("transcripts that begin with their start codon: no TSS is annotated", num_others)


@pytest.mark.slow
def test_a_genome_wide_annotation_on_windows_and_on_another_assembly(shared_data):
    human = shared_data / "data" / "human"
    annotation = read_annotation(human / "hg38_protein_coding_transcripts.bed12.gz")
    chr19 = human / "hg38.chr19_1-2378552.fa.gz"
    assert check_of(annotation, chr19, partial=True)[:2] == (1167, 1146)  # and one of 39 bp
    assert check_of(annotation, human / "hg38.chr9_1-1000000.softmasked.fa.gz", partial=True)[:2] == (185, 181)
    with pytest.raises(ValueError, match="of chr19, which has 2,378,552 bases"):
        check_of(annotation, chr19)
    for name, num_introns in [("hg19.chr17_1-1000000", 91), ("hg19.chr22_20000001-21000000", 142)]:
        with open_genome(human / f"{name}.fa.gz") as genome:
            records = records_in_names(genome.contigs)
            with pytest.raises(ValueError, match=r"\([0-2]\.\d\d%\) read GT..AG, .* different assemblies"):
                intron_check(introns_of(lift_to_records(annotation, records)), genome)
            right = lift_to_records(read_annotation(human / "hg19_refseq_transcripts.bed12.gz"), records)
            check = intron_check(introns_of(right), genome)
        assert check.num_introns == num_introns
        assert check.gt_ag_share > 0.98


@pytest.mark.slow
def test_introns_of_worm_and_aligned_introns_all_read_gt_ag(shared_data):
    data = shared_data / "data"
    annotation = read_annotation(data / "other_species" / "ce10_WS220_rnaseq_introns.bed.gz")
    assert len(annotation.features) == 54_270
    check = check_of(annotation, data / "other_species" / "ce10_WS220.fa.gz")
    assert (
        check.num_introns == check.num_gt_ag == 53_670
    )  # the others are placements of two genes' introns at one place
    for index, expected in ((50, "GT"), (-50, "AG")):
        aligned = read_aligned(data / "splice" / "eie.ce.txt.gz", index)
        flanks = bases_around(aligned, aligned.anchor_sites("x"), 2 * (index < 0), 2 * (index > 0))
        assert len(flanks) == 53_516
        assert set(spell(flanks)) == {expected}
