"""What a reader types leads to the place that it names."""

import pytest

pytest.importorskip("pybigtools")

from ldarnet_app.locus_search import SITE_SPAN_BP, NotFound, Places, found
from ldarnet_app.sources.genes import gene_index
from ldarnet_app.sources.sites import site_index
from ldarnet_app.view import View
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
