"""Parts of the sites: chosen as asked, and computed as the analysis computes the whole."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet_analysis.heatmaps import load_matrix, save_matrix
from ldarnet_app.aggregate_subset import (
    MAX_GENES_BYTES,
    Subset,
    chosen_places,
    explored_profile,
    explored_test,
    is_chosen,
    parse_genes,
)
from ldarnet_app.sources.results import read_analysis, read_places, stamp_of, stored_rungs
from tests.aggregate_results import ENTRIES, OFFSETS, sites_of, write_results

NUMBERS = ["effect", "lo", "hi", "n_sites", "n_loci"]
SIGNALS = ("raw", "residual", "cut-rate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("analysis") / "results")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "results")


def test_all_sites_give_the_numbers_of_the_analysis(folder):
    stamp = stamp_of(folder)
    results = read_analysis(folder, stamp)
    for entry in ENTRIES:
        for signal in SIGNALS:
            for rung in ("sites", "random", "gc", "same-kmer"):
                stored = results.of_class("profiles", entry.name)
                stored = stored[(stored["rung"] == rung) & (stored["signal"] == signal)]
                again = explored_profile(folder, stamp, entry.name, rung, signal, Subset())
                columns = ["offset", "mean", "lo", "hi", "n_sites", "n_loci"]
                np.testing.assert_allclose(again[columns], stored[columns], rtol=1e-12)
                if rung == "sites":
                    continue
                stored = results.of_class("tests", entry.name)
                stored = stored[(stored["rung"] == rung) & (stored["signal"] == signal)]
                again = explored_test(folder, stamp, entry.name, rung, signal, Subset())
                np.testing.assert_allclose(again[NUMBERS].astype(float), stored[NUMBERS], rtol=1e-12)
                assert list(again["status"]) == list(stored["status"])
                assert list(again["reason"]) == list(stored["reason"])


@settings(max_examples=25, deadline=None)
@given(
    genes=st.sets(st.integers(0, 39), min_size=1),
    strand=st.sampled_from([None, "+", "-"]),
    signal=st.sampled_from(["raw", "residual"]),
)
def test_effects_of_parts_are_means_of_paired_differences(folder, genes, strand, signal):
    subset = Subset(strand=strand, genes=frozenset(f"gene{number}" for number in genes))
    found = explored_test(folder, stamp_of(folder), "donor", "gc", signal, subset).iloc[0]
    end = "" if signal == "raw" else ".residual"
    own = load_matrix(folder / "matrices" / f"donor.sites{end}.npz")
    controls = load_matrix(folder / "matrices" / f"donor.gc{end}.npz")
    inside = np.abs(OFFSETS) <= 3
    diffs = []
    for i, site in sites_of("donor").iterrows():
        if int(site["gene"].removeprefix("Gene")) in genes and strand in (None, site["strand"]):
            at = [j for j, name in enumerate(controls.site_ids) if name.endswith(f":{site['site_id']}")]
            if at:
                of_controls = [np.nanmean(controls.matrix[j, inside]) for j in at]
                diffs.append(np.nanmean(own.matrix[i, inside]) - np.mean(of_controls))
    assert found["n_sites"] == len(diffs)
    if diffs:
        assert found["effect"] == pytest.approx(np.mean(diffs), abs=1e-6)


def test_an_exploration_has_no_p(folder):
    found = explored_test(folder, stamp_of(folder), "donor", "gc", "raw", Subset(strand="+")).iloc[0]
    assert found["status"] == "ok" and found["lo"] < found["effect"] < found["hi"]
    assert found[["p", "q", "mde"]].isna().all()


def test_no_interval_under_20_loci(folder):
    genes = frozenset(f"gene{number}" for number in range(20, 39))
    stamp = stamp_of(folder)
    found = explored_test(folder, stamp, "donor", "gc", "raw", Subset(genes=genes)).iloc[0]
    assert found["status"] == "too few loci" and "19 loci, at least 20 needed" in found["reason"]
    assert np.isfinite(found["effect"]) and np.isnan(found["lo"])
    drawn = explored_profile(folder, stamp, "donor", "sites", "raw", Subset(genes=genes))
    assert drawn["mean"].notna().all() and drawn["lo"].isna().all()


def test_refused_controls_stay_refused(folder):
    found = explored_test(folder, stamp_of(folder), "donor", "random", "raw", Subset(strand="-")).iloc[0]
    assert found["status"] == "unbalanced" and found["reason"] == "|SMD| of gc is 0.4"


def test_a_part_without_sites_is_empty_and_says_so(folder):
    stamp, nobody = stamp_of(folder), Subset(genes=frozenset(["none"]))
    assert explored_profile(folder, stamp, "donor", "gc", "raw", nobody).empty
    assert explored_test(folder, stamp, "donor", "gc", "raw", nobody).iloc[0]["status"] == "no sites"


def test_designed_controls_have_no_matrix(folder):
    stamp = stamp_of(folder)
    assert stored_rungs(read_analysis(folder, stamp), "donor", "raw") == ["sites", "random", "gc", "same-kmer"]
    assert explored_test(folder, stamp, "donor", "planted", "raw", Subset()) is None
    assert explored_profile(folder, stamp, "donor", "planted", "raw", Subset()) is None


def test_rows_of_controls_stand_where_the_control_is(folder):
    places = chosen_places(folder, stamp_of(folder), "donor", "gc", "cut-rate", Subset(strand="-"))
    first = places.table.iloc[0]
    assert first["row_id"] == "gc:0:donor:11" and first["site_id"] == "donor:11"
    assert first["cut"] == sites_of("donor")["cut"][11] + 40 and first["locus"] == "locus3"
    assert set(np.unique(places.matrix[~np.isnan(places.matrix)])) == {0, 1}


def test_scores_have_open_bounds_and_sites_without_one_are_out():
    sites = pd.DataFrame({"score": [1.0, 2.0, np.nan, 3.0]})
    assert list(is_chosen(sites, Subset(score=(2.0, None)))) == [False, True, False, True]
    assert list(is_chosen(sites, Subset(score=(None, 2.0)))) == [True, True, False, False]
    assert list(is_chosen(sites, Subset())) == [True] * 4


@given(
    st.lists(st.text("abcXYZ0123-._", min_size=1, max_size=9), min_size=1), st.sampled_from(["\n", ",", " ; ", "\r\n"])
)
def test_gene_lists_are_read_whatever_stands_between(names, between):
    assert parse_genes(between.join(names)) == {name.casefold() for name in names}


def test_gene_lists_may_be_files_with_comments():
    assert parse_genes(b"\xef\xbb\xbf# my genes\nBRCA1\r\n\r\ntp53\n") == {"brca1", "tp53"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  \n,;", "at least one gene name"),
        ("# only this", "at least one gene name"),
        (b"\x89PNG\xff\xfe", "expected plain text"),
        ("a\x00b", "printable"),
        ("x" * 101, "at most 100"),
        ("x " * (MAX_GENES_BYTES // 2 + 1), "at most 1,000,000 bytes, got 1,000,002"),
    ],
)
def test_lists_that_are_none_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_genes(text)


def refusal(folder, rung="sites"):
    with pytest.raises(ValueError) as caught:
        read_places(folder, stamp_of(folder), "donor", rung, "raw")
    return str(caught.value)


def test_damaged_matrices_are_named(copy):
    path = copy / "matrices" / "donor.sites.npz"
    path.write_bytes(path.read_bytes()[:500])
    assert "donor.sites.npz" in refusal(copy)


def test_matrices_of_something_else_are_named(copy):
    shutil.copy(copy / "matrices" / "few.sites.npz", copy / "matrices" / "donor.sites.npz")
    assert "donor.sites.npz: expected a matrix of class 'donor', got one of 'few'" in refusal(copy)


@pytest.mark.parametrize("rung", ["sites", "gc"])
def test_rows_that_the_tables_do_not_have_are_named(copy, rung):
    path = copy / "matrices" / f"donor.{rung}.npz"
    saved = load_matrix(path)
    ids = saved.site_ids.astype(object)
    ids[3] = "stranger"
    save_matrix(path, saved.matrix, OFFSETS, ids, {})
    assert f"donor.{rung}.npz" in refusal(copy, rung) and "'stranger'" in refusal(copy, rung)


def test_sites_listed_twice_are_named(copy):
    table = pd.read_csv(copy / "sites.tsv", sep="\t", dtype=str, keep_default_na=False)
    pd.concat([table, table.head(1)]).to_csv(copy / "sites.tsv", sep="\t", index=False)
    with pytest.raises(ValueError, match=r"sites\.tsv: expected every site_id once, got 'donor:0' again"):
        read_analysis(copy, stamp_of(copy))


def test_classes_that_share_their_files_are_refused(copy):
    text = (copy / "tests.tsv").read_text()
    (copy / "tests.tsv").write_text(text.replace("few\t", "d/1\t", 1).replace("few\t", "d_1\t", 1))
    with pytest.raises(ValueError, match="'d/1' and 'd_1' would both have files called d_1"):
        read_analysis(copy, stamp_of(copy))


def test_a_run_without_windows_is_named(copy):
    (copy / "run.json").write_text(json.dumps({"panel": [{"name": "donor"}]}))
    for signal, what in (("raw", "test_window"), ("cut-rate", "cut_at")):
        with pytest.raises(ValueError, match=rf"run\.json: expected {what} of donor"):
            explored_test(copy, stamp_of(copy), "donor", "gc", signal, Subset())


def test_results_written_again_are_read_again(copy):
    before = explored_profile(copy, stamp_of(copy), "donor", "sites", "raw", Subset())
    write_results(copy, seed=1)
    after = explored_profile(copy, stamp_of(copy), "donor", "sites", "raw", Subset())
    assert not np.allclose(before["mean"], after["mean"])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="gone, which is not there"):
        stamp_of(tmp_path / "gone")
