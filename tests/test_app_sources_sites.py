"""Sites of an analysis in the order in which a reader goes through them."""

import pytest

from ldarnet_analysis.sites import make_sites, write_sites
from ldarnet_app.sources.sites import site_index

CLASSES = ["donor", "acceptor", "donor", "donor", "TATA-box"]


@pytest.fixture
def index(tmp_path):
    sites = make_sites(
        chrom=["chr1", "chr1", "chr1", "chr2", "chr1"],
        cut=[100, 200, 300, 50, 200],
        strand=["+", "-", "+", "-", "+"],
        site_class=CLASSES,
        gene=["A", "A", "B", "C", ""],
    )
    write_sites(sites, tmp_path / "sites.tsv")
    return site_index(tmp_path)


def test_a_window_holds_the_sites_on_both_its_edges(index):
    assert index.between("chr1", 100, 200)["cut"].tolist() == [100, 200, 200]
    assert index.between("chr1", 101, 199).empty
    assert index.between("chrM", 0, 10_000).empty


@pytest.mark.parametrize(
    ("cut", "forward", "site_class", "expected"),
    [
        (0, True, None, 100),
        (100, True, None, 200),
        (200, True, None, 300),
        (300, True, None, None),
        (100, False, None, None),
        (300, False, None, 200),
        (100, True, "donor", 300),
        (300, False, "donor", 100),
        (0, True, "acceptor", 200),
    ],
)
def test_next_and_previous_site(index, cut, forward, site_class, expected):
    site = index.beside("chr1", cut, forward=forward, site_class=site_class)
    assert (site.cut if site else None) == expected


def test_sites_of_another_contig_are_not_next(index):
    assert index.beside("chr2", 50, forward=True) is None
    assert index.beside("chrM", 0, forward=True) is None


def test_a_site_goes_by_its_id(index):
    site = index.named("donor:chr2:50:-")
    assert (site.chrom, site.cut, site.strand, site.site_class, site.gene) == ("chr2", 50, "-", "donor", "C")
    assert index.named("donor:chr2:51:-") is None
    assert index.first().cut == 100
    assert index.classes == ("TATA-box", "acceptor", "donor")
    assert len(index.ids(3)) == 3


def test_a_folder_without_sites_is_told_by_its_file(tmp_path):
    with pytest.raises(OSError, match=r"sites\.tsv"):
        site_index(tmp_path)
