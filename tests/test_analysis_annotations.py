"""Annotations in GTF, GFF3 and BED, of every flavour; names of chromosomes; malformed files."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet_analysis.aliases import REFSEQ_CHROMOSOMES, chromosome_of, is_nuclear, match_chromosomes
from ldarnet_analysis.annotations import annotation_format, read_annotation
from ldarnet_analysis.bed import read_bed_features
from ldarnet_analysis.transcripts import TRANSCRIPT_COLUMNS, merge_touching

IDS = 'gene_id "G"; transcript_id "T";'


def read(tmp_path, text, name="a.txt"):
    path = tmp_path / name
    path.write_text(text)
    return read_annotation(path)


def gff(*rows):
    """Lines of nine columns from (kind, first, last, strand, attributes)."""
    return "".join(f"chr1\tsrc\t{kind}\t{a}\t{b}\t.\t{strand}\t.\t{text}\n" for kind, a, b, strand, text in rows)


def exons_of(annotation):
    return {row.transcript_id: row.exons.tolist() for row in annotation.transcripts.itertuples()}


def only(annotation):
    assert len(annotation.transcripts) == 1
    return annotation.transcripts.iloc[0].to_dict()


@st.composite
def transcripts(draw):
    """(chrom, strand, exons, cds or None) with exons that do not touch."""
    edges = sorted(draw(st.sets(st.integers(0, 300), min_size=2, max_size=12)))
    edges = edges[: len(edges) // 2 * 2]
    cds = draw(st.none() | st.tuples(st.integers(edges[0], edges[-1]), st.integers(edges[0], edges[-1])))
    cds = tuple(sorted(cds)) if cds and cds[0] != cds[1] else None
    exons = list(zip(edges[::2], edges[1::2], strict=True))
    if cds and not any(low < end and start < high for start, end in exons for low, high in [cds]):
        cds = None
    elif cds:
        inside = [(max(start, cds[0]), min(end, cds[1])) for start, end in exons if start < cds[1] and cds[0] < end]
        cds = (inside[0][0], inside[-1][1])
    return draw(st.sampled_from(["chr1", "chrX"])), draw(st.sampled_from("+-")), exons, cds


def coding_parts(exons, cds):
    return [(max(a, cds[0]), min(b, cds[1])) for a, b in exons if a < cds[1] and cds[0] < b] if cds else []


def as_gtf(items):
    for i, (chrom, strand, exons, cds) in enumerate(items):
        for kind, parts in (("exon", exons), ("CDS", coding_parts(exons, cds))):
            for a, b in parts:
                yield f'{chrom}\tx\t{kind}\t{a + 1}\t{b}\t.\t{strand}\t.\tgene_id "g{i}"; transcript_id "t{i}";'


def as_gff3(items):
    for i, (chrom, strand, exons, cds) in enumerate(items):
        span = f"{exons[0][0] + 1}\t{exons[-1][1]}\t.\t{strand}\t."
        yield f"{chrom}\tx\tgene\t{span}\tID=gene:g{i}"
        yield f"{chrom}\tx\tmRNA\t{span}\tID=transcript:t{i};Parent=gene:g{i}"
        for kind, parts in (("exon", exons), ("CDS", coding_parts(exons, cds))):
            for a, b in parts:
                yield f"{chrom}\tx\t{kind}\t{a + 1}\t{b}\t.\t{strand}\t.\tParent=transcript:t{i}"


def as_bed12(items):
    for i, (chrom, strand, exons, cds) in enumerate(items):
        start, end = exons[0][0], exons[-1][1]
        sizes = "".join(f"{b - a}," for a, b in exons)
        starts = "".join(f"{a - start}," for a, _ in exons)
        thick = cds or (start, start)
        yield f"{chrom}\t{start}\t{end}\tt{i}\t0\t{strand}\t{thick[0]}\t{thick[1]}\t0\t{len(exons)}\t{sizes}\t{starts}"


@settings(max_examples=40, deadline=None)
@given(items=st.lists(transcripts(), min_size=1, max_size=4), shuffle=st.randoms(use_true_random=False))
def test_all_formats_read_as_the_same_transcripts_in_any_order_of_lines(tmp_path_factory, items, shuffle):
    folder = tmp_path_factory.mktemp("formats")
    for writer, header in ((as_gtf, "#!genome x\n"), (as_gff3, "##gff-version 3\n"), (as_bed12, "track name=x\n")):
        lines = list(writer(items))
        shuffle.shuffle(lines)
        path = folder / writer.__name__
        path.write_bytes(gzip.compress((header + "\r\n".join(lines)).encode()))
        table = read_annotation(path).transcripts
        assert list(table.columns) == TRANSCRIPT_COLUMNS
        assert table["start"].tolist() == sorted(table["start"][table["chrom"] == "chr1"]) + sorted(
            table["start"][table["chrom"] == "chrX"]
        )
        rows = table.set_index("transcript_id")
        for i, (chrom, strand, exons, cds) in enumerate(items):
            row = rows.loc[f"t{i}"]
            assert (row["chrom"], row["strand"]) == (chrom, strand)
            assert row["exons"].tolist() == [list(exon) for exon in exons]
            assert (row["start"], row["end"]) == (exons[0][0], exons[-1][1])
            assert (np.isnan(row["cds_start"]) and cds is None) or (row["cds_start"], row["cds_end"]) == cds
            assert row["tss_known"] and row["start_codon_known"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), min_size=1, max_size=10))
def test_merged_intervals_cover_the_same_bases_with_gaps_between(spans):
    spans = np.array([(start, start + width) for start, width in spans])
    merged = merge_touching(spans)
    assert {i for a, b in spans for i in range(a, b)} == {i for a, b in merged for i in range(a, b)}
    assert (merged[1:, 0] > merged[:-1, 1]).all()


def test_gtf_of_ensembl_with_stop_codon_outside_the_cds_and_incomplete_ends(tmp_path):
    ids = 'gene_id "G"; transcript_id "T"; gene_name "ABC";'
    annotation = read(
        tmp_path,
        gff(
            ("gene", 1, 300, "-", 'gene_id "G"; gene_name "ABC";'),
            ("transcript", 1, 300, "-", ids + ' tag "basic"; tag "mRNA_start_NF";'),
            ("exon", 201, 300, "-", ids),
            ("CDS", 201, 250, "-", ids),
            ("exon", 1, 100, "-", ids),
            ("CDS", 54, 100, "-", ids),
            ("stop_codon", 51, 53, "-", ids),
            ("five_prime_utr", 251, 300, "-", ids),
            ("Selenocysteine", 60, 62, "-", ids),
        ),
    )
    assert annotation.format == "gtf"
    row = only(annotation)
    assert (row["gene_id"], row["gene_name"], row["cds_start"], row["cds_end"]) == ("G", "ABC", 50, 250)
    assert row["exons"].tolist() == [[0, 100], [200, 300]]
    assert not row["tss_known"]
    assert row["start_codon_known"]


def test_gtf_of_refseq_reuses_names_of_transcripts_and_leaves_some_empty(tmp_path):
    annotation = read(
        tmp_path,
        gff(
            ("exon", 1, 10, "+", 'gene_id "A"; transcript_id "unknown_transcript_1"; gene "a";'),
            ("exon", 51, 60, "+", 'gene_id "B"; transcript_id "unknown_transcript_1"; gene "b";'),
            ("gene", 91, 99, "+", 'gene_id "C"; transcript_id "";'),
            ("CDS", 91, 96, "+", 'gene_id "C"; transcript_id ""; note "to; gene_id "x";'),
            ("gene", 201, 210, "+", 'gene_id "LONE"; transcript_id "";'),
        ),
    )
    assert exons_of(annotation) == {
        "unknown_transcript_1": [[0, 10]],
        "unknown_transcript_1#2": [[50, 60]],
        "C": [[90, 96]],
        "LONE": [],
    }
    assert annotation.transcripts["gene_name"].tolist() == ["a", "b", "C", "LONE"]
    assert annotation.notes == ("1 transcripts without exon rows: they give a TSS but no introns",)


def test_gtf_of_lrg_has_coding_regions_that_span_introns(tmp_path):
    ids = 'gene_id "G"; transcript_id "T";'
    rows = [("transcript", 1, 300, "+", ids), ("exon", 1, 100, "+", ids), ("exon", 201, 300, "+", ids)]
    row = only(read(tmp_path, gff(*rows, ("coding_region", 51, 250, "+", ids))))
    assert (row["cds_start"], row["cds_end"]) == (50, 250)
    assert row["exons"].tolist() == [[0, 100], [200, 300]]


def test_gff3_of_ensembl_and_refseq_by_their_parent_chains(tmp_path):
    annotation = read(
        tmp_path,
        "##gff-version 3\n"
        + gff(
            ("exon", 1, 10, "+", "Parent=transcript:T1,transcript:T2"),
            ("gene", 1, 90, "+", "ID=gene:G;Name=A%2CB;gene_id=ENSG1"),
            ("mRNA", 1, 60, "+", "ID=transcript:T1;Parent=gene:G"),
            ("mRNA", 1, 90, "+", "ID=transcript:T2;Parent=gene:G;tag=basic,cds_start_NF"),
            ("exon", 51, 60, "+", "Parent=transcript:T1"),
            ("exon", 81, 90, "+", "Parent=transcript:T2"),
            ("pseudogene", 101, 190, "-", "ID=gene-P;Name=PSI;gene=PSI"),
            ("exon", 101, 110, "-", "ID=id-P;Parent=gene-P"),
            ("gene", 201, 290, "-", "ID=gene-MIR;gene=MIR"),
            ("primary_transcript", 201, 290, "-", "ID=rna-P;Parent=gene-MIR;partial=true;end_range=290,."),
            ("exon", 201, 290, "-", "ID=e;Parent=rna-P"),
            ("miRNA", 211, 230, "-", "ID=rna-M;Parent=rna-P"),
            ("exon", 211, 230, "-", "Parent=rna-M"),
        )
        + "###\n##FASTA\n>chr1\nACGT\n",
    )
    assert annotation.format == "gff3"
    assert exons_of(annotation) == {
        "T1": [[0, 10], [50, 60]], "T2": [[0, 10], [80, 90]], "P": [[100, 110]], "P#2": [[200, 290]],
    }  # fmt: skip
    rows = annotation.transcripts.set_index("transcript_id")
    assert rows["gene_name"].tolist() == ["A,B", "A,B", "PSI", "MIR"]
    assert rows["gene_id"].tolist() == ["ENSG1", "ENSG1", "P", "MIR"]
    assert rows["tss_known"].tolist() == [True, True, True, False]
    assert rows["start_codon_known"].tolist() == [True, False, True, True]


def test_gff3_genes_without_mrna_and_cds_without_genes(tmp_path):
    annotation = read(
        tmp_path,
        gff(
            ("gene", 1, 50, "+", "ID=YAL1;Name=YAL1"),
            ("CDS", 1, 20, "+", "Parent=YAL1;Name=x"),
            ("intron", 21, 30, "+", "Parent=YAL1"),
            ("CDS", 31, 50, "+", "Parent=YAL1"),
            ("gene", 101, 150, "-", "ID=LONE;Name=lone"),
            ("CDS", 201, 230, "+", "ID=cds1;locus_tag=B0001"),
            ("CDS", 251, 260, "+", "ID=cds1;locus_tag=B0001"),
            ("gene", 301, 400, "-", "ID=T;locus_tag=tag"),
            ("CDS", 302, 350, "-", "Parent=T"),
            ("mRNA", 301, 400, "-", "ID=T-RNA;Parent=T"),
            ("exon", 301, 400, "-", "Parent=T-RNA"),
        ),
    )
    assert exons_of(annotation) == {
        "YAL1": [[0, 20], [30, 50]], "LONE": [], "cds1": [[200, 230], [250, 260]], "T-RNA": [[300, 400]],
    }  # fmt: skip
    rows = annotation.transcripts.set_index("transcript_id")
    assert rows.loc["LONE", ["start", "end"]].tolist() == [100, 150]
    assert rows.loc["cds1", "gene_name"] == "B0001"
    assert rows.loc["T-RNA", ["cds_start", "cds_end", "gene_name"]].tolist() == [301, 350, "tag"]
    assert "1 transcripts are known by their exon or CDS rows alone: no row declares them" in annotation.notes


def test_gtf_of_utrs_alone_and_of_coding_regions_alone(tmp_path):
    row = only(read(tmp_path, gff(("UTR", 11, 20, "+", IDS), ("UTR", 31, 40, "+", IDS))))
    assert (row["start"], row["end"], len(row["exons"])) == (10, 40, 0)
    row = only(read(tmp_path, gff(("coding_region", 11, 20, "+", IDS))))
    assert (row["start"], row["end"], len(row["exons"]), row["cds_start"], row["cds_end"]) == (10, 20, 0, 10, 20)


def test_trans_spliced_transcripts_are_left_out_and_counted(tmp_path):
    fine = ("exon", 1, 10, "+", "Parent=fine")
    strands = [("exon", 21, 30, "+", "Parent=mod"), ("exon", 5, 9, "-", "Parent=mod")]
    said = [("mRNA", 1, 90, "+", "ID=rps12;exception=trans-splicing"), ("exon", 1, 9, "+", "Parent=rps12")]
    annotation = read(tmp_path, gff(fine, *strands, *said))
    assert list(exons_of(annotation)) == ["fine"]
    assert any(note.startswith("2 transcripts left out: trans-spliced") for note in annotation.notes)


def test_transcripts_told_by_utrs_alone_have_no_exons(tmp_path):
    utrs = [("five_prime_UTR", 81, 90, "-", "Parent=T"), ("three_prime_UTR", 1, 9, "-", "Parent=T")]
    rows = [("mRNA", 1, 90, "-", "ID=T"), *utrs]
    row = only(read(tmp_path, gff(*rows)))
    assert (row["start"], row["end"], len(row["exons"])) == (0, 90, 0)
    row = only(read(tmp_path, gff(*rows, ("CDS", 10, 30, "-", "Parent=T"), ("CDS", 41, 80, "-", "Parent=T"))))
    assert row["exons"].tolist() == [[0, 30], [40, 90]]


def test_bed12_names_touching_blocks_and_lines_without_a_strand(tmp_path):
    annotation = read(
        tmp_path,
        "browser hide all\n# x\n"
        "chr1 0 60 SYM|NM_1 0 - 10 20 0 3 10,10,10 0,10,50\n"
        "chr1 0 60 SYM|NM_1 0 . 0 0 0 1 60 0 further\n",
    )
    assert annotation.format == "bed12"
    assert exons_of(annotation) == {"SYM|NM_1": [[0, 20], [50, 60]], "SYM|NM_1#2": [[0, 60]]}
    assert annotation.transcripts["gene_name"].tolist() == ["SYM", "SYM"]
    assert annotation.notes == ("1 transcripts have no strand: no site is taken from them",)


def test_bed_of_fewer_columns_holds_intervals_not_transcripts(tmp_path):
    annotation = read(tmp_path, "chr1\t5\t9\nchr1\t1\t2\tx\t3.5\t-\n")
    assert annotation.format == "bed6"
    assert annotation.transcripts.empty
    assert annotation.features["strand"].tolist() == [".", "-"]
    assert annotation.features["score"].tolist()[1] == 3.5
    with pytest.raises(ValueError, match=r"a.txt: expected transcripts .* \(BED6\)"):
        annotation.require_transcripts()


MALFORMED = {
    "": "a file without data",
    "# only\n": "a file without data",
    "hello world\n": "line 1: expected a line of GTF, GFF3 or BED, got 'hello world'",
    ">chr1\nACGT\n": "line 1: expected a line of GTF",
    "a\0b\n": "line 1: expected text, got a binary file",
    gff(("exon", 5, 4, "+", IDS)): "line 1: expected 1 <= start <= end, got 5 and 4",
    gff(("exon", 0, 4, "+", IDS)): "line 1: expected 1 <= start <= end, got 0 and 4",
    gff(("exon", 1, 4, "x", IDS)): "line 1: expected strand [+] - . or [?], got 'x'",
    gff(("exon", 1, 4, "+", IDS), ("exon", "1e3", 4, "+", IDS)): "line 2: expected the start .* '1e3'",
    gff(("exon", 1, 4, "+", IDS)) + "chr1\tx\n": "line 2: expected 9 columns separated by tabs, got 2",
    gff(("exon", 1, 4, "+", 'exon_id "E";')): 'line 1: expected gene_id "..." or transcript_id',
    gff(("transcript", 1, 4, "+", IDS), ("transcript", 1, 4, "+", IDS)): "line 2: .* 'T' as on .*line 1",
    gff(("repeat", 1, 4, "+", IDS)): r"expected exon, CDS, transcript or gene rows, got repeat \(1\)",
    gff(("region", 1, 4, "+", "ID=r")): r"expected exon, CDS, transcript or gene rows, got region \(1\)",
    gff(("gene", 1, 4, "+", "ID=g"), ("gene", 7, 9, "+", "ID=g")): "line 2: expected every ID once, got 'g'",
    gff(("mRNA", 1, 4, "+", "ID=a;Parent=b"), ("mRNA", 1, 4, "+", "ID=b;Parent=a")): "line [12]: .*the circle",
    gff(("exon", 1, 4, "+", "ID=e;exception=trans-splicing")): "expected transcripts, .*1 transcripts left out",
    "chr1\t5\n": "expected a line of GTF",
    "chr1\t5\t4\n": "line 1: expected 0 <= start <= end, got 5 and 4",
    "chr1\t5\t9\tn\tx\t+\n": "line 1: expected a number in column 5, got 'x'",
    "chr1\t5\t9\tn\t0\tplus\n": "line 1: expected strand [+] - or [.] in column 6, got 'plus'",
    "chr1\t5\t9\nchr1\t5\n": "line 2: expected the BED columns chrom, start, end",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t1\n": "expected 3 to 9 or 12 BED columns, got 10",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t1\t9\t0\nchr1\t0\t9\n": "line 2: expected 12 columns",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t2\t9\t0\n": "line 1: expected as many blocks as blockCount says, got 2, 1 sizes",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t1\t8\t0\n": "line 1: expected blocks that ascend and fill 0..9",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t1\t8\t1\n": "line 1: expected blocks that ascend and fill 0..9",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t2\t5,5\t0,4\n": "line 1: expected blocks that ascend and fill 0..9",
    "chr1\t0\t9\tn\t0\t+\t0\t0\t0\t1\tx\t0\n": "line 1: expected blockSizes as whole numbers",
    "chr1\t0\t9\tn\t0\t+\t2\t10\t0\t1\t9\t0\n": "line 1: expected the thick part inside 0..9, got 2..10",
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.items(), ids=range(len(MALFORMED)))
def test_malformed_files_are_refused_by_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"a.txt.*{message}"):
        read(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match=r"no.gtf: expected a readable file"):
        read_annotation(tmp_path / "no.gtf")
    with pytest.raises(ValueError, match="expected a readable file"):
        read_annotation(tmp_path)
    packed = gzip.compress(gff(*[("exon", i, i + 5, "+", IDS) for i in range(1, 2000, 7)]).encode())
    path = tmp_path / "cut.gtf.gz"
    path.write_bytes(packed[:-9])
    with pytest.raises(ValueError, match=r"cut.gtf.gz: expected complete gzip data"):
        read_annotation(path)
    path.write_bytes(packed[:40] + b"\xff\xff" + packed[42:])
    with pytest.raises(ValueError, match=r"cut.gtf.gz: expected "):
        read_annotation(path)
    (tmp_path / "empty.bed").write_text("track x\n")
    with pytest.raises(ValueError, match=r"empty.bed: .*without any"):
        read_bed_features(tmp_path / "empty.bed")


def test_formats_of_real_files(shared_data):
    data = shared_data / "data"
    for name, expected in {
        "human/lrg_annotation.gtf.gz": "gtf",
        "human/Homo_sapiens.GRCh38.91_chr9_1_1000000.gtf.gz": "gtf",
        "human/hg38_protein_coding_transcripts.bed12.gz": "bed12",
        "other_species/korf_1pct_athaliana.gff3.gz": "gff3",
        "other_species/sacCer3.S288C_R64-2-1_ncbi.gff3.gz": "gff3",
        "other_species/ce10_WS220_rnaseq_introns.bed.gz": "bed6",
    }.items():
        assert annotation_format(data / name) == expected


def test_equal_names_win_over_aliases():
    match = match_chromosomes(["chr1", "1", "chrM"], ["1", "MT", "chr1"])
    assert match.names == {"chr1": "chr1", "1": "1", "chrM": "MT"}
    assert match.unmatched == ()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("chr1", "1"), ("1", "Chr1"), ("chrM", "MT"), ("chrMT", "M"), ("Mito", "chrM"), ("chrX", "X"), ("chrI", "I"),
        ("chrXVI", "NC_001148.4"), ("NC_000001.11", "chr1"), ("NC_000023.10", "X"), ("NC_000024.10", "chrY"),
        ("NC_000085.7", "chr19"), ("NC_003284.9", "chrX"), ("NC_012920.1", "chrM"), ("2L", "chr2L"),
        ("chrUn_KI270302v1", "KI270302.1"), ("chr1_KI270706v1_random", "KI270706.1"), ("NC_000001.11", "NC_000001.11"),
    ],
)  # fmt: skip
def test_aliases(name, other):
    assert match_chromosomes([name, "only here"], [other, "only there"]).names == {name: other}
    assert match_chromosomes([other], [name]).names == {other: name}


@pytest.mark.parametrize(("name", "other"), [("chr1", "2"), ("chrX", "10"), ("chr1", "chr10"), ("chr", "1")])
def test_different_chromosomes_do_not_match(name, other):
    with pytest.raises(ValueError, match=f"no chromosome name matches; names in a.gtf: {name}; names in g.fa: {other}"):
        match_chromosomes([name], [other], what="a.gtf", where="g.fa")


def test_names_that_could_mean_two_contigs_are_refused():
    with pytest.raises(ValueError, match=r"'NC_000001.11' could stand for any of chr1, 1; names in"):
        match_chromosomes(["NC_000001.11"], ["chr1", "1"])
    with pytest.raises(ValueError, match="both 'chr1' and '1' stand for 'Chr1'; names in"):
        match_chromosomes(["chr1", "1"], ["Chr1"])


def test_accessions_of_two_assemblies_are_refused():
    with pytest.raises(ValueError, match=r"expected one assembly, got NC_000002.11 and NC_000002.12"):
        match_chromosomes(["NC_000001.10", "NC_000002.11"], ["NC_000002.12"])


def test_every_accession_stands_for_one_chromosome_and_species_are_whole():
    chromosomes = list(REFSEQ_CHROMOSOMES.values())
    assert len(REFSEQ_CHROMOSOMES) == 25 + 22 + 17 + 7
    assert chromosomes.count("M") == 4
    assert REFSEQ_CHROMOSOMES["NC_000022"] == "22"
    assert REFSEQ_CHROMOSOMES["NC_000087"] == "Y"
    assert REFSEQ_CHROMOSOMES["NC_001136"] == "IV"
    assert REFSEQ_CHROMOSOMES["NC_003283"] == "V"
    assert chromosome_of("NC_099999.1") == "nc_099999.1"


def test_organelles_by_name():
    assert not any(map(is_nuclear, ["chrM", "MT", "Mito", "chrC", "Pt", "NC_012920.1", "mitochondrion_genome"]))
    assert all(map(is_nuclear, ["chr1", "chrX", "2L", "LRG_1", "MT1", "chrUn_KI270302v1"]))
