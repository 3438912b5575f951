"""The aggregate page as Streamlit draws it, without a browser."""

import shutil

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from ldarnet_analysis.result_tables import read_results
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.pages.aggregate_rows import LOCUS_REACH_BP, locus_query
from ldarnet_app.pages.aggregate_tests import filtered
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.results import contig_lengths
from tests import synthetic_results
from tests.aggregate_results import CONTIG_BP, sites_of, write_results, write_track


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("analysis")
    return write_results(folder / "results"), write_track(folder / "track.bw")


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "results")


def draw(results, track=None, **address):
    def script(text):
        from ldarnet_app.inputs import Inputs
        from ldarnet_app.pages.aggregate import aggregate_page

        aggregate_page(Inputs.from_json(text))

    tracks = () if track is None else (TrackFile("probs", track),)
    page = AppTest.from_function(script, args=(Inputs(tracks, "g.fa", None, results).to_json(),), default_timeout=60)
    for key, value in address.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def said(elements):
    return " ".join(element.value.replace("\\", "") for element in elements)


def address(page):
    return {key: value if isinstance(value, str) else value[0] for key, value in dict(page.query_params).items()}


def test_without_results_the_page_says_how_to_make_them():
    page = draw(None)
    assert "ldarnet align" in said(page.info) and "--results" in said(page.info)


def test_a_folder_that_is_gone_is_named(tmp_path):
    assert "gone, which is not there" in said(draw(tmp_path / "gone").error)


@pytest.mark.parametrize("name", ["tests.tsv", "sites.tsv", "run.json"])
def test_missing_and_damaged_tables_are_named(copy, name):
    (copy / name).write_bytes(b"\xff\x00 none of this")
    assert name in said(draw(copy).error)
    (copy / name).unlink()
    assert name in said(draw(copy).error)


def test_a_damaged_matrix_is_named_below_the_figures_that_need_none(made, copy):
    (copy / "matrices" / "donor.sites.npz").write_bytes(b"PK")
    page = draw(copy, made[1])
    assert "donor.sites.npz" in said(page.error)
    assert "at other places with the same k-mer" in said(page.markdown)


def test_results_without_matrices_have_tables_and_figures_still(tmp_path):
    page = draw(synthetic_results.write_results(tmp_path / "results", matrices=False))
    assert not page.error and "no profile matrix" in said(page.info)
    part = draw(tmp_path / "results", strand="plus")
    assert not part.error and "no profile matrix" in said([*part.info, *part.caption])


def test_the_page_draws_all_tests_with_their_reasons(made):
    page = draw(*made)
    assert not page.error and not page.warning
    table = next(each.value for each in page.dataframe if "in words" in each.value.columns)
    stored = read_results(made[0])["tests"]
    assert len(table) == len(stored)
    assert list(table["reason"]) == list(stored["reason"])
    assert table["in words"].str.startswith("could not be tested: needs model").sum() == 6


def test_the_address_follows_the_widgets_and_sets_them(made):
    page = draw(*made)
    assert address(page) == {"class": "donor", "signal": "raw", "rungs": "same-kmer"}
    page.selectbox(key="aggregate class").select("few").run()
    page.segmented_control(key="aggregate signal").set_value("residual").run()
    page.segmented_control(key="aggregate strand few").set_value("-").run()
    page.multiselect(key="aggregate chroms few").set_value(["chr,2"]).run()
    page.number_input(key="aggregate lowest few").set_value(1.5).run()
    page.selectbox(key="aggregate rows few").select("gc").run()
    shown = address(page)
    assert shown["strand"] == "minus" and shown["score"] == "1.5:" and shown["rows"] == "gc"
    again = draw(*made, **shown)
    assert address(again) == shown and not again.error
    assert again.selectbox(key="aggregate class").value == "few"
    assert again.multiselect(key="aggregate chroms few").value == ["chr,2"]
    assert said(again.warning) == said(page.warning)


def test_widgets_can_be_emptied_again(made):
    page = draw(*made, **{"strand": "plus", "score": "1:2", "rows": "gc"})
    page.segmented_control(key="aggregate strand donor").set_value(None).run()
    page.number_input(key="aggregate lowest donor").set_value(None).run()
    page.number_input(key="aggregate highest donor").set_value(None).run()
    page.selectbox(key="aggregate rows donor").select("sites").run()
    assert address(page) == {"class": "donor", "signal": "raw", "rungs": "same-kmer"}
    assert not page.warning


@pytest.mark.parametrize("crafted", [{"class": "../../../etc/passwd"}, {"rows": "/etc/passwd"}, {"score": "1:x"}])
def test_crafted_addresses_are_told_and_replaced(made, crafted):
    page = draw(*made, **crafted)
    key, value = next(iter(crafted.items()))
    assert key in said(page.warning) and value in said(page.warning)
    assert address(page) == {"class": "donor", "signal": "raw", "rungs": "same-kmer"}


def test_a_part_of_the_sites_is_called_exploratory_everywhere(made):
    page = draw(*made, strand="plus")
    assert "Exploratory: computed again for 60 of 120 sites, 40 loci" in said(page.warning).replace("**", "")
    table = next(each.value for each in page.dataframe if "effect" in each.value.columns)
    assert "q" not in table.columns and "p" not in table.columns
    assert "no profile matrix is stored of: motif planted" in said(page.caption)


def test_gene_lists_are_counted_and_wrong_ones_told(made):
    page = draw(*made)
    page.text_area(key="aggregate genes donor").set_value("gene1, GENE2 nosuch").run()
    assert "2 of 3 names are genes of sites of donor; not found: nosuch" in said(page.caption)
    assert "6 of 120 sites, 2 loci" in said(page.warning)
    page.text_area(key="aggregate genes donor").set_value("x" * 200).run()
    assert "gene list: expected names of at most 100" in said(page.error)
    assert not page.warning


def test_a_part_without_sites_says_so(made):
    page = draw(*made, score="900:")
    assert not page.error
    assert "There is no raw profile of these sites" in said(page.info) and "No row is left" in said(page.info)


def test_rows_lead_to_the_locus_page_on_their_strand(made):
    lengths = contig_lengths(made[1])
    first, second = list(sites_of("donor").itertuples())[:2]
    assert locus_query(first, lengths) == {"locus": f"chr1:0-{first.cut + LOCUS_REACH_BP}"}
    assert locus_query(second, lengths) == {"locus": "chr1:0-195", "flip": "1"}
    last = first._replace(cut=CONTIG_BP - 1)
    assert locus_query(last, lengths)["locus"].endswith(f"-{CONTIG_BP}")
    for wrong, message in ((first._replace(chrom="chrX"), "no contig chrX"), (first._replace(cut=10**6), "outside")):
        with pytest.raises(ValueError, match=message):
            locus_query(wrong, lengths)


def test_tests_are_filtered_by_each_column_and_by_q(made):
    tests = read_results(made[0])["tests"]
    assert len(filtered(tests, [], [], [], [], max_q=None)) == len(tests)
    assert set(filtered(tests, ["few"], ["gc"], ["raw"], [], max_q=None)["status"]) == {"too few loci"}
    assert set(filtered(tests, [], [], [], ["needs model"], max_q=None)["rung"]) == {"planted"}
    found = filtered(tests, [], [], [], [], max_q=0.05)
    assert list(zip(found["class"], found["rung"], found["signal"], strict=True)) == [
        ("donor", "same-kmer", "residual")
    ]


def test_text_of_files_is_no_markup():
    assert literal("a *b* [c](http://d) <i> $x$\n\n# e") == r"a \*b\* \[c\]\(http\://d\) \<i\> \$x\$ \# e"
