"""What a reader types leads to the place that it names."""

import pytest

pytest.importorskip("pybigtools")

from ldarnet.genome import Contig
from ldarnet_app.locus_search import SITE_SPAN_BP, NotFound, Places, found
from ldarnet_app.sources.genes import gene_index
from ldarnet_app.sources.sites import site_index
from ldarnet_app.view import View, view_of_locus
from tests.locus_inputs import CONTIGS, write_inputs

VIEW = View("chr2", 0, 100, flipped=True, overlaid=True)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    inputs = write_inputs(tmp_path_factory.mktemp("search"))
    return Places(CONTIGS, gene_index(inputs.annotation, CONTIGS), site_index(inputs.results))


@pytest.mark.parametrize(
    ("text", "locus"),
    [
        ("fwd", "chr1:799-3201"),
        (" REV ", "chr1:4899-6101"),
        ("acceptor:chr1:5100:-", "chr1:5050-5150"),
        ("chr1:5,000-6,000", "chr1:5000-6000"),
        ("chr2", "chr2:0-300"),
    ],
)
def test_genes_sites_and_loci(places, text, locus):
    view, note = found(text, VIEW, places)
    assert (view.locus, note) == (locus, "")
    assert (view.flipped, view.overlaid) == (True, True)


def test_a_site_is_seen_even_from_a_wide_view(places):
    view, _ = found("acceptor:chr1:5100:-", View("chr1", 0, 1_000_000), places)
    assert view.span_bp == SITE_SPAN_BP


def test_a_contig_without_its_chr_is_found():
    assert found("1:10-60", VIEW, Places(CONTIGS, None, None)).view.locus == "chr1:10-60"
    assert view_of_locus("2", CONTIGS).locus == "chr2:0-300"
    with pytest.raises(ValueError, match="no contig 'chr99'"):
        view_of_locus("chr99", CONTIGS)


def test_a_site_on_a_contig_that_the_genome_lacks_is_told(places):
    with pytest.raises(ValueError, match="lies on chr1, which the genome does not have"):
        found("acceptor:chr1:5100:-", View("chr2", 0, 100), places._replace(contigs=CONTIGS[1:]))


def test_of_copies_far_apart_the_first_is_shown(tmp_path):
    contigs = (Contig("chr1", 20_000_000),)
    rows = [(10_000, 10_100), (10_050, 10_200), (9_990_000, 9_990_100)]
    text = "".join(f"chr1\t{a}\t{b}\tY_RNA|{i}\t0\t+\t{a}\t{a}\t0\t1\t{b - a},\t0,\n" for i, (a, b) in enumerate(rows))
    (tmp_path / "genes.bed").write_text(text)
    view, note = found(
        "Y_RNA", View("chr1", 0, 100), Places(contigs, gene_index(tmp_path / "genes.bed", contigs), None)
    )
    assert view.start < 10_000 and 10_200 < view.end < 11_000
    assert note == "Y_RNA: the first of 2 places on chr1."


def test_genes_that_differ_in_case_only_are_told_apart(tmp_path):
    text = "".join(
        f"{chrom}\t{at}\t{at + 50}\t{name}|t\t0\t+\t{at}\t{at}\t0\t1\t50,\t0,\n"
        for chrom, at, name in (("chr1", 100, "dl"), ("chr2", 200, "Dl"))
    )
    (tmp_path / "genes.bed").write_text(text)
    places = Places(CONTIGS, gene_index(tmp_path / "genes.bed", CONTIGS), None)
    assert found("dl", VIEW, places).view.chrom == "chr1"
    assert found("Dl", VIEW, places).view.chrom == "chr2"


def test_names_like_it_are_suggested(places):
    with pytest.raises(NotFound, match="no gene, contig or site 'FDW'") as error:
        found("FDW", VIEW, places)
    assert error.value.suggestions == ("FWD",)
    with pytest.raises(NotFound, match="no gene has a name like it"):
        found("zzzzz", VIEW, places)


def test_without_annotation_and_results_loci_are_left():
    places = Places(CONTIGS, None, None)
    assert found("chr1:10-60", VIEW, places).view.locus == "chr1:10-60"
    with pytest.raises(NotFound, match="no contig or site 'FWD'"):
        found("FWD", VIEW, places)


def test_a_locus_past_the_edge_has_a_note(places):
    assert "12,000 bases" in found("chr1:11000-13000", VIEW, places).note
