"""The table of sites, what filters take from it, and sites that a user brings along."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.given_sites import read_aligned, read_bed_sites
from ldarnet_analysis.loci import loci_of
from ldarnet_analysis.sites import SITE_COLUMNS, check_sites, make_sites, read_sites, write_sites

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), min_size=1, max_size=8
)


def one_site(**changed):
    columns = {"chrom": ["c"], "cut": [5], "strand": ["+"], "site_class": "donor"}
    return make_sites(**{**columns, **changed})


def test_columns_types_and_names_of_a_made_table():
    sites = make_sites(chrom=["b", "a", "a"], cut=[3, 9.0, 4], strand=["+", "-", "+"], site_class="donor")
    assert list(sites.columns) == SITE_COLUMNS
    assert sites["site_id"].tolist() == ["donor:a:4:+", "donor:a:9:-", "donor:b:3:+"]
    assert sites["locus"].tolist() == sites["site_id"].tolist()
    assert sites["cut"].dtype == np.int64
    assert sites["score"].dtype == np.float64
    assert sites["score"].isna().all()
    assert sites["gene"].tolist() == ["", "", ""]


def test_columns_of_another_table_are_taken_by_place_not_by_index():
    other = pd.DataFrame({"chrom": ["x", "y"], "gene": ["g", "h"], "rank": [1, 2]}, index=[7, 3])
    sites = make_sites(
        chrom=other["chrom"], cut=[1, 2], strand="+", site_class="a", gene=other["gene"], locus=other["gene"],
        extra={"rank": other["rank"]},
    )  # fmt: skip
    assert sites[["chrom", "gene", "locus", "rank"]].to_numpy().tolist() == [["x", "g", "g", 1], ["y", "h", "h", 2]]


def test_a_table_without_rows_keeps_its_types():
    sites = make_sites(chrom=[], cut=[], strand=[], site_class="donor")
    assert sites.dtypes.tolist() == one_site().dtypes.tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cut": [-1]}, "cuts of 0 or more"),
        ({"cut": [1.5]}, "whole numbers, got .*1.5"),
        ({"cut": ["x"]}, "whole numbers, got 'x'"),
        ({"strand": ["."]}, "strand [+] or -"),
        ({"chrom": [""]}, "a name in column 'chrom'"),
        ({"chrom": [None]}, "missing value"),
        ({"gene": ["a\tb"]}, "no tab or line break in 'gene'"),
        ({"chrom": ["c", "c"], "cut": [5, 5], "strand": "+"}, "every site_id once"),
    ],
)
def test_refused_sites(changed, message):
    with pytest.raises(ValueError, match=message):
        one_site(**changed)


def test_missing_columns_are_named():
    with pytest.raises(ValueError, match=r"missing: \['locus'\]"):
        check_sites(one_site().drop(columns="locus"))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(TEXT, st.integers(0, 2**40), st.sampled_from("+-"), TEXT, st.floats(allow_infinity=False)),
        min_size=1, max_size=5, unique_by=lambda row: row[:3],
    ),
    suffix=st.sampled_from(["tsv", "tsv.gz"]),
)  # fmt: skip
def test_a_written_table_reads_back(tmp_path_factory, rows, suffix):
    chrom, cut, strand, gene, score = (list(column) for column in zip(*rows, strict=True))
    extra = {"exon_rank": cut, "canonical": [each == "+" for each in strand], "kmer": ["k" + each for each in gene]}
    sites = make_sites(
        chrom=chrom, cut=cut, strand=strand, site_class="x", gene=gene, score=score,
        site_id=[f"s{i}" for i in range(len(rows))], extra={**extra, "p": score},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("sites") / f"sites.{suffix}"
    write_sites(sites, path)
    pd.testing.assert_frame_equal(read_sites(path), sites)


def test_a_file_that_is_no_table_of_sites_is_refused_by_name(tmp_path):
    path = tmp_path / "sites.tsv"
    write_sites(one_site(), path)
    text = path.read_text()
    for damaged, message in [
        (text.splitlines()[0] + "\n", "header line alone"),
        (text.replace("+", "?"), "strand"),
        (text.replace("\t5\t", "\tfive\t"), "'five'"),
        ("", "No columns"),
        ("a,b\n1,2\n", "missing"),
    ]:
        path.write_text(damaged)
        with pytest.raises(ValueError, match=f"sites.tsv: .*{message}"):
            read_sites(path)


def test_what_filters_took_is_told():
    dropped = Dropped()
    sites = dropped.keep(one_site(chrom=["a", "b"], cut=[1, 2], strand="+"), pd.Series([False, True]), "too short")
    assert sites["chrom"].tolist() == ["b"]
    assert dropped.require_some(sites, "sites") is sites
    sites = dropped.keep(sites, pd.Series([False]), "N nearby")
    assert dropped.counts == [("too short", 1), ("N nearby", 1)]
    with pytest.raises(ValueError, match=r"no sites left; dropped 1: too short; 1: N nearby"):
        dropped.require_some(sites, "sites")


def loci_by_chains(rows):
    """Rows joined one by one: a row takes over the locus of every row that it overlaps."""
    locus = list(range(len(rows)))
    for i, (chrom, strand, start, end) in enumerate(rows):
        for j, (other_chrom, other_strand, other_start, other_end) in enumerate(rows[:i]):
            if (chrom, strand) == (other_chrom, other_strand) and start < other_end and other_start < end:
                locus = [locus[i] if each == locus[j] else each for each in locus]
    return locus


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("+-."), st.integers(0, 60), st.integers(1, 12)), max_size=25
    )
)
def test_loci_are_the_chains_of_overlaps(rows):
    rows = [(chrom, strand, start, start + width) for chrom, strand, start, width in rows]
    found = loci_of(pd.DataFrame(rows, columns=["chrom", "strand", "start", "end"])).tolist()
    expected = loci_by_chains(rows)
    for i in range(len(rows)):
        members = [rows[j] for j in range(len(rows)) if expected[j] == expected[i]]
        low, high = min(row[2] for row in members), max(row[3] for row in members)
        assert found[i] == f"{rows[i][0]}:{low}-{high}:{rows[i][1]}"


BED = "chr1\t10\t15\tg1\t7\t+\nchr1\t12\t20\tg2\t.\t+\nchr1\t10\t15\tg3\t0\t-\n"


@pytest.mark.parametrize(("anchor", "cuts"), [("start", [10, 12, 15]), ("end", [15, 20, 10]), ("center", [12, 16, 13])])
def test_anchors_of_intervals_are_those_of_their_strand(tmp_path, anchor, cuts):
    path = tmp_path / "mine.bed"
    path.write_text(BED)
    sites = read_bed_sites(path, anchor, "mine").set_index("gene")
    assert sites.loc[["g1", "g2", "g3"], "cut"].tolist() == cuts
    assert sites.loc["g1", "locus"] == sites.loc["g2", "locus"] == "chr1:10-20:+" != sites.loc["g3", "locus"]
    assert sites.loc["g1", "score"] == 7
    assert np.isnan(sites.loc["g2", "score"])


@given(st.integers(0, 50), st.integers(0, 50), st.sampled_from(["start", "end", "center"]))
@settings(max_examples=30, deadline=None)
def test_an_anchor_is_mirrored_with_its_interval(tmp_path_factory, start, width, anchor):
    path = tmp_path_factory.mktemp("bed") / "two.bed"
    length_bp = 200
    path.write_text(
        f"f\t{start}\t{start + width}\t.\t0\t+\nr\t{length_bp - start - width}\t{length_bp - start}\t.\t0\t-\n"
    )
    forward, mirrored = read_bed_sites(path, anchor, "x")["cut"].tolist()
    assert mirrored == length_bp - forward


def test_intervals_without_a_strand_are_refused_unless_asked_for(tmp_path):
    path = tmp_path / "mine.bed"
    path.write_text("chr1 5 9\nchr1 5 9 again 0 +\nchr1 30 31 x 0 -\n")
    with pytest.raises(ValueError, match="none for 1 of 3 intervals"):
        read_bed_sites(path, "start", "mine")
    dropped = Dropped()
    sites = read_bed_sites(path, "start", "mine", strandless_as_plus=True, dropped=dropped)
    assert list(zip(sites["cut"], sites["strand"], strict=True)) == [(5, "+"), (31, "-")]
    assert dropped.counts == [("sites listed before", 1)]
    with pytest.raises(ValueError, match="expected anchor start, end, center, got 'middle'"):
        read_bed_sites(path, "middle", "mine", strandless_as_plus=True)


def test_aligned_sequences_of_fasta_and_of_text(tmp_path):
    fasta, text = tmp_path / "a.fa.gz", tmp_path / "b.txt"
    fasta.write_bytes(gzip.compress(b">one extra\r\nACGT\r\nAC\r\n>one\nnnGG\n"))
    aligned = read_aligned(fasta, 2)
    assert [tuple(contig) for contig in aligned.contigs] == [("one", 6), ("one#2", 4)]
    assert vocab.decode(aligned.ids("one", 0, 6)) == "ACGTAC"
    assert vocab.decode(aligned.ids("one#2", 0, 4)) == "NNGG"
    text.write_text("ACG GTAAG TT 17 GENE\n\nCC GTAG AAA 3 CAT\n")
    assert read_aligned(text, 3).anchors == (3, 3)
    aligned = read_aligned(text, -2)
    assert aligned.anchors == (8, 7)
    assert [contig.name for contig in aligned.contigs] == ["line1", "line3"]
    assert vocab.decode(aligned.ids("line3", 0, 9)) == "CCGTAGAAA"


@pytest.mark.parametrize(
    ("text", "index", "message"),
    [
        ("", 0, "got none"),
        (">a\n>b\nACGT\n", 0, "line 1: expected a sequence below this name"),
        (">a\nACGT\n>b\nACQT\n", 0, "line 4: expected nucleotide letters .* 'Q'"),
        ("ACGT\nACG\n", 4, "line 2: expected a sequence that has cut 4, got one of 3 bases"),
        ("ACGT\n", -5, "line 1: .* cut -5"),
        ("17 ACGT\n", 0, "line 1: expected nucleotide letters"),
    ],
)
def test_refused_aligned_sequences(tmp_path, text, index, message):
    path = tmp_path / "seqs.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_aligned(path, index)
