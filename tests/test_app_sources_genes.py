"""The gene index: the fast reader agrees with the careful one, and windows and names find what is there."""

import gzip
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome import Contig
from ldarnet_analysis.annotations import read_annotation
from ldarnet_app.sources import gene_loading
from ldarnet_app.sources.bed12_index import UnusualBed, read_bed12_columns
from ldarnet_app.sources.genes import GeneIndex, TranscriptColumns, columns_of, gene_index

CONTIGS = (Contig("chr1", 10_000), Contig("chr2", 10_000))


def _bed12(chrom, strand, blocks, name, thick=None):
    start, end = blocks[0][0], blocks[-1][1]
    thick = thick or (start, start)
    sizes = ",".join(str(right - left) for left, right in blocks) + ","
    starts = ",".join(str(left - start) for left, _ in blocks)
    fields = [chrom, start, end, name, 0, strand, *thick, 0, len(blocks), sizes, starts]
    return "\t".join(map(str, fields)) + "\n"


@st.composite
def transcripts(draw):
    edges = sorted(draw(st.lists(st.integers(0, 9_999), min_size=2, max_size=8, unique=True)))
    edges = edges[: len(edges) // 2 * 2]
    if draw(st.booleans()) and len(edges) >= 4:
        edges[2] = edges[1]  # blocks that touch are one exon
    blocks = list(zip(edges[::2], edges[1::2], strict=True))
    thick = (blocks[0][0], blocks[-1][1]) if draw(st.booleans()) else None
    name = draw(st.sampled_from(["A", "B|x", "B|y", "A#2", "gène"]))
    return _bed12(draw(st.sampled_from(["chr1", "chr2", "chr10"])), draw(st.sampled_from("+-.")), blocks, name, thick)


lines = st.lists(transcripts(), min_size=1, max_size=12)


def _written(folder, text, name="genes.bed"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


@settings(max_examples=60, deadline=None)
@given(lines)
def test_the_fast_reader_of_bed12_agrees_with_the_careful_one(tmp_path_factory, text):
    path = _written(tmp_path_factory.getbasetemp(), "".join(text))
    slow = columns_of(read_annotation(path))
    fast = TranscriptColumns(*read_bed12_columns(path))
    assert fast.chroms == slow.chroms
    assert (list(fast.name), list(fast.gene)) == (slow.name, slow.gene)
    for field in ("chrom", "start", "end", "strand", "first_exon", "exons"):
        np.testing.assert_array_equal(getattr(fast, field), getattr(slow, field))
    is_coding = fast.cds[:, 0] < fast.cds[:, 1]
    np.testing.assert_array_equal(fast.cds[is_coding], slow.cds[is_coding])
    assert (slow.cds[~is_coding] == 0).all()


GOOD = _bed12("chr1", "+", [(10, 20), (30, 40)], "A")


@pytest.mark.parametrize(
    "line",
    [
        "track name=genes\n" + GOOD,
        GOOD.replace("\t2\t", "\t3\t"),
        GOOD.replace("10,10,", "10,9,"),
        GOOD.replace("10,10,", "10,x,"),
        GOOD.replace("10,10,", "10,,"),
        GOOD.replace("0,20", "20,0"),
        GOOD.replace("\t+\t", "\t*\t"),
        GOOD.replace("\tA\t", "\t\t"),
        GOOD.replace("\t10\t10\t", "\t5\t15\t"),
        GOOD.replace("\t", " "),
    ],
)
def test_whatever_is_unusual_is_left_to_the_careful_reader(tmp_path, line):
    with pytest.raises(UnusualBed):
        read_bed12_columns(_written(tmp_path, line))


def test_a_header_line_does_not_keep_genes_from_being_read(tmp_path):
    index = gene_index(_written(tmp_path, "track name=genes\n" + GOOD), CONTIGS)
    assert index.names == ["A"]


def test_a_malformed_line_is_named(tmp_path):
    path = _written(tmp_path, GOOD + GOOD.replace("0,20", "20,0"))
    with pytest.raises(ValueError, match=r"genes\.bed, line 2: expected blocks that ascend"):
        gene_index(path, CONTIGS)


def test_gzip_is_told_by_content(tmp_path):
    path = tmp_path / "genes.bed"
    path.write_bytes(gzip.compress(GOOD.encode()))
    assert gene_index(path, CONTIGS).names == ["A"]


@settings(max_examples=60, deadline=None)
@given(lines, st.integers(0, 9_990), st.integers(1, 5_000))
def test_a_window_holds_what_shares_a_base_with_it(tmp_path_factory, text, start, span):
    path = _written(tmp_path_factory.getbasetemp(), "".join(text))
    columns = columns_of(read_annotation(path))
    if not set(columns.chroms) & {"chr1", "chr2"}:
        return
    index, end = GeneIndex(columns, CONTIGS), start + span
    for contig in CONTIGS:
        found = index.overlapping(contig.name, start, end)
        chroms = [columns.chroms[k] for k in columns.chrom.tolist()]
        rows = zip(chroms, columns.start, columns.end, columns.name, strict=True)
        expected = [row[1:] for row in rows if row[0] == contig.name and row[1] < end and row[2] > start]
        assert [(model.start, model.end, model.name) for model in found] == expected


def test_contigs_go_by_other_names_and_by_spans_of_their_chromosome(tmp_path):
    path = _written(tmp_path, _bed12("1", "-", [(110, 120), (130, 140)], "A", (115, 135)))
    (model,) = gene_index(path, (Contig("chr1:101-200", 100),)).overlapping("chr1:101-200", 0, 100)
    assert (model.chrom, model.start, model.end, model.cds) == ("chr1:101-200", 10, 40, (15, 35))
    assert model.exons.tolist() == [[10, 20], [30, 40]]


def test_no_common_chromosome_is_an_error_with_both_lists(tmp_path):
    with pytest.raises(ValueError, match="names in the FASTA file: plasmid; names in the annotation: chr1"):
        gene_index(_written(tmp_path, GOOD), (Contig("plasmid", 100),))


def test_genes_go_by_name_in_any_case_and_by_transcript(tmp_path):
    text = _bed12("chr2", "+", [(10, 20)], "Brca|t1") + _bed12("chr2", "+", [(30, 50)], "Brca|t2")
    index = gene_index(_written(tmp_path, text), CONTIGS)
    assert [model.start for model in index.gene("bRCA ")] == [10, 30]
    assert [model.start for model in index.gene("Brca|T2")] == [10, 30]
    assert index.gene("Brcb") == []
    assert index.near("Brcb") == ["Brca"]
    assert index.near("br") == ["Brca"]
    assert index.near("zzzzzzz") == []


def test_genes_outside_the_genome_are_no_names(tmp_path):
    text = GOOD + _bed12("chr7", "+", [(10, 20)], "elsewhere")
    assert gene_index(_written(tmp_path, text), CONTIGS).names == ["A"]


def test_intervals_without_exons_are_blocks(tmp_path):
    path = _written(tmp_path, "chr1\t10\t50\tpeak\t0\t-\nchr1\t60\t70\n")
    first, second = gene_index(path, CONTIGS).overlapping("chr1", 0, 100)
    assert (first.name, first.strand, first.exons.tolist()) == ("peak", "-", [[10, 50]])
    assert second.name == "chr1:60-70"


def test_a_long_annotation_is_read_beside_the_page(tmp_path, monkeypatch):
    go_on = threading.Event()

    def slow_index(annotation, contigs):
        assert go_on.wait(10)
        return gene_index(annotation, contigs)

    monkeypatch.setattr(gene_loading, "gene_index", slow_index)
    path = _written(tmp_path, GOOD)
    assert gene_loading.genes_within(path, CONTIGS, 0.0) is None
    assert gene_loading.genes_within(path, CONTIGS, 0.01) is None
    go_on.set()
    index = gene_loading.genes_within(path, CONTIGS, 10.0)
    assert index is not None
    assert index.names == ["A"]


def test_a_broken_annotation_is_read_once_until_it_changes(tmp_path, monkeypatch):
    """The page asks again and again while it waits; the failure must be what it gets, not another wait."""
    calls = []

    def counted(annotation, contigs):
        calls.append(annotation)
        return gene_index(annotation, contigs)

    monkeypatch.setattr(gene_loading, "gene_index", counted)
    path = _written(tmp_path, "no\tannotation\n")
    for _ in range(3):
        with pytest.raises(ValueError, match="expected a line of GTF, GFF3 or BED"):
            gene_loading.genes_within(path, CONTIGS, 10.0)
    assert len(calls) == 1
    path = _written(tmp_path, GOOD)
    assert gene_loading.genes_within(path, CONTIGS, 10.0).names == ["A"]


def test_the_error_of_an_annotation_reaches_every_asker(tmp_path):
    path = _written(tmp_path, "nonsense\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="expected a line of GTF, GFF3 or BED"):
            gene_loading.genes_within(path, CONTIGS, 10.0)
