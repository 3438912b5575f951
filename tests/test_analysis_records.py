"""Placing an annotation on a genome and on records cut from it."""

import pytest

from ldarnet.genome import Contig
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.placing import on_genome
from ldarnet_analysis.records import lift_sites, lift_to_records, read_records, records_in_names
from ldarnet_analysis.splicing import splice_sites
from tests.made_up_transcripts import annotation_of, records_of, rows, transcript


def test_an_annotation_takes_the_names_of_the_genome_and_loses_what_it_lacks():
    annotation = annotation_of(
        transcript("a", "+", [(0, 10)], chrom="1"),
        transcript("m", "-", [(0, 10)], chrom="MT"),
        transcript("s", "-", [(0, 10)], chrom="scaffold7"),
    )
    dropped = Dropped()
    placed = on_genome(annotation, [Contig("chrM", 10), Contig("chr1", 10)], dropped=dropped)
    assert rows(placed.transcripts, "transcript_id", "chrom") == {("a", "chr1"), ("m", "chrM")}
    assert ("transcripts on contigs that the genome lacks", 1) in dropped.counts
    with pytest.raises(ValueError, match=r"names in a.gtf: 1, MT, scaffold7; names in the genome: chr2"):
        on_genome(annotation, [Contig("chr2", 10)])


def test_records_beyond_their_contig_are_refused_by_name_or_counted():
    annotation = annotation_of(transcript("in", "+", [(0, 10)]), transcript("out", "+", [(5, 11)]))
    contigs = [Contig("chr1", 10)]
    with pytest.raises(ValueError, match=r"'out' lies at 5-11 of chr1, which has 10 bases \(1 such"):
        on_genome(annotation, contigs)
    dropped = Dropped()
    assert on_genome(annotation, contigs, partial=True, dropped=dropped).transcripts["transcript_id"].tolist() == ["in"]
    assert ("transcripts that reach beyond the end of their contig", 1) in dropped.counts
    with pytest.raises(ValueError, match=r"nothing of a.gtf lies on the genome; dropped 2: transcripts that reach"):
        on_genome(annotation, [Contig("chr1", 9)], partial=True)


def test_a_transcript_across_the_edge_of_a_record_is_cut_off_there():
    annotation = annotation_of(transcript("t", "-", [(100, 120), (150, 170), (190, 200)], cds=(110, 195)))
    records = records_of(("left", "1", 90, 160, "+"), ("right", "1", 160, 200, "-"), ("far", "1", 300, 400, "+"))
    lifted = lift_to_records(annotation, records).transcripts.set_index("chrom")
    left, right = lifted.loc["left"], lifted.loc["right"]
    assert (left["strand"], left["start"], left["end"], left["exons"].tolist()) == ("-", 10, 70, [[10, 30], [60, 70]])
    assert (left["cds_start"], left["cds_end"], left["tss_known"], left["start_codon_known"]) == (20, 70, False, False)
    assert (right["strand"], right["start"], right["end"], right["exons"].tolist()) == ("+", 0, 40, [[0, 10], [30, 40]])
    assert (right["cds_start"], right["cds_end"], right["tss_known"], right["start_codon_known"]) == (5, 40, True, True)
    assert sorted(lifted["transcript_id"]) == ["t", "t#2"]


def test_sites_keep_the_locus_of_the_chromosome_on_every_record_they_lie_on():
    annotation = annotation_of(transcript("t", "+", [(0, 10), (60, 70)]), transcript("u", "+", [(65, 80), (160, 170)]))
    records = records_of(("A", "chr1", 0, 65, "+"), ("B", "chr1", 60, 100, "-"))
    dropped = Dropped()
    lifted = lift_sites(splice_sites(annotation), records, dropped)
    assert rows(lifted, "site_id", "chrom", "cut", "strand", "locus") == {
        ("donor:chr1:10:+@A", "A", 10, "+", "chr1:0-170:+"),
        ("acceptor:chr1:60:+@A", "A", 60, "+", "chr1:0-170:+"),
        ("acceptor:chr1:60:+@B", "B", 40, "-", "chr1:0-170:+"),
        ("donor:chr1:80:+@B", "B", 20, "-", "chr1:0-170:+"),
    }
    assert dropped.counts[0] == ("sites outside all records", 1)


def test_a_record_that_stands_for_two_places_has_their_common_sites_once():
    both = [transcript(name, "+", [(5, 10), (60, 70)], chrom=name) for name in ("chrX", "chrY")]
    dropped = Dropped()
    records = records_of(("PAR", "X", 5, 70, "+"), ("PAR", "Y", 5, 70, "+"))
    assert rows(lift_sites(splice_sites(annotation_of(*both)), records, dropped), "class", "cut") == {
        ("donor", 5), ("acceptor", 55),
    }  # fmt: skip
    assert dropped.counts[1] == ("sites that a record has from another place too", 2)


def test_refused_records():
    annotation = annotation_of(transcript("t", "+", [(0, 10)]))
    for records, message in [
        (records_of(("A", "chr1", 5, 5, "+")), "0 <= start < end and strand"),
        (records_of(("A", "chr1", 5, 8, "x")), "0 <= start < end and strand"),
        (records_of(("A", "chr1", 50, 80, "+")), "no transcript of a.gtf lies on the 1 records; dropped 1"),
        (records_of(("A", "chr9", 5, 8, "+")), "names in the records: chr9; names in the annotation: chr1"),
        (records_of(("A", "chr1", 5, 8, "+")).drop(columns="contig"), r"missing: \['contig'\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            lift_to_records(annotation, records)


def test_records_are_read_from_names_with_a_span():
    found = records_in_names([Contig("chr17:1-1,000", 1000), Contig("HLA:A:5-6", 2), Contig("chr2", 7)])
    assert found.to_numpy().tolist() == [
        ["chr17:1-1,000", "chr17", 0, 1000, "+"], ["HLA:A:5-6", "HLA:A", 4, 6, "+"], ["chr2", "chr2", 0, 7, "+"],
    ]  # fmt: skip
    with pytest.raises(ValueError, match="chr1:1-10: expected 10 bases, got 9"):
        records_in_names([Contig("chr1:1-10", 9)])


HEADER = "contig\tchrom\tstart\tend\tstrand\n"


def test_records_are_read_from_a_file(tmp_path):
    path = tmp_path / "r.tsv"
    path.write_text(f"# cut out\n{HEADER}\nA#1\t1\t5\t70\t+\nNA\tNA\t0\t9\t-\n")
    found = read_records(path)
    assert rows(found, *found.columns) == {("A#1", "1", 5, 70, "+"), ("NA", "NA", 0, 9, "-")}
    assert found["start"].dtype == found["end"].dtype == "int64"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "A\t1\t1,000\t2000\t+\n", "line 2: expected the start as a whole number, got '1,000'"),
        (HEADER + "A\t1\t0\t5\t+\nB\t\t0\t9\t+\n", "line 3: expected contig, chrom, start, end, strand, none of them"),
        (HEADER + "A\t1\t0\t9\n", "line 2: expected contig, chrom, start, end, strand, none of them empty"),
        (HEADER + "A\t1\t9\t9\t+\n", "line 2: expected a record with 0 <= start < end"),
        (HEADER + "A\t1\t0\t9\t.\n", "line 2: expected a record with 0 <= start < end and strand"),
        ("contig\tstart\n", "line 1: expected the columns contig, chrom, start, end, strand, got contig, start"),
        (HEADER, "expected a header line and records, got none"),
    ],
)
def test_broken_files_of_records_say_where(tmp_path, text, message):
    path = tmp_path / "r.tsv"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_records(path)
    assert str(error.value).startswith(str(path)) and message in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "message"), [("start", "1,000", "start as a whole"), ("chrom", float("nan"), "as chrom")]
)
def test_tables_of_records_with_other_values_are_refused(column, value, message):
    annotation = annotation_of(transcript("t", "+", [(0, 30)]))
    table = records_of(("A", "chr1", 0, 9, "+"), ("B", "chr1", 10, 19, "+")).astype(object)
    table.loc[1, column] = value
    with pytest.raises(ValueError, match=f"record 2: expected .*{message}"):
        lift_to_records(annotation, table)
