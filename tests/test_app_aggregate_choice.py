"""The address of the aggregate page: it brings a view back, and nothing in it is believed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet_analysis.result_tables import read_results
from ldarnet_app.aggregate_choice import KEYS, Choice, choice_from_query
from ldarnet_app.aggregate_subset import Subset
from tests.aggregate_results import write_results

BOUNDS = st.none() | st.integers(-1000, 1000).map(lambda number: number / 8)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return read_results(write_results(tmp_path_factory.mktemp("analysis") / "results"))


@settings(deadline=None)
@given(
    site_class=st.sampled_from(["donor", "few"]),
    signal=st.sampled_from(["raw", "residual", "cut-rate"]),
    rungs=st.sets(st.sampled_from(["random", "gc", "same-kmer"])),
    rows=st.sampled_from(["sites", "gc"]),
    strand=st.sampled_from([None, "+", "-"]),
    score=st.none() | st.tuples(BOUNDS, BOUNDS).filter(any),
    chroms=st.none() | st.sets(st.sampled_from(["chr1", "chr,2"]), min_size=1),
)
def test_addresses_bring_choices_back(results, site_class, signal, rungs, rows, strand, score, chroms):
    subset = Subset(strand, score, frozenset(chroms) if chroms else None)
    choice = Choice(site_class, signal, tuple(sorted(rungs)), rows, subset)
    query = choice.to_query()
    assert set(query) <= set(KEYS)
    assert choice_from_query(query, results) == choice


def test_an_address_without_anything_is_the_first_class_with_its_usual_controls(results):
    assert choice_from_query({}, results) == Choice("donor", "raw", ("same-kmer",))


def test_genes_are_not_carried():
    assert Choice("donor", subset=Subset(genes=frozenset(["tp53"]))).to_query() == Choice("donor").to_query()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"class": "../../etc/passwd"}, "class: expected one of donor, few, got '../../etc/passwd'"),
        ({"class": "donor\x00"}, "class: expected one of donor, few"),
        ({"class": "x" * 10_000}, "…'$"),
        ({"signal": "p"}, "signal: expected one of raw, residual, cut-rate, got 'p'"),
        ({"rungs": "gc,/etc/passwd"}, "rungs: expected one of random, gc, same-kmer, got '/etc/passwd'"),
        ({"rungs": "planted"}, "rungs: expected one of"),
        ({"rows": "../sites"}, "rows: expected one of sites, random, gc, same-kmer"),
        ({"rows": "planted"}, "rows: expected one of sites, random, gc, same-kmer"),
        ({"strand": "+"}, "strand: expected one of plus, minus, got '\\+'"),
        ({"score": "5"}, "score: expected lowest:highest, got '5'"),
        ({"score": "nan:1"}, "score: expected lowest:highest"),
        ({"score": "a:b"}, "score: expected lowest:highest"),
        ({"chrom": "chr1,chr7"}, "chrom: expected contigs with sites of the class, got 'chr7'"),
    ],
)
def test_crafted_addresses_say_what_was_expected(results, query, message):
    with pytest.raises(ValueError, match=message):
        choice_from_query(query, results)


def test_scores_of_a_class_without_any_are_told(results):
    tables = dict(results.tables)
    tables["sites"] = tables["sites"].assign(score=float("nan"))
    with pytest.raises(ValueError, match="no site of the class has one, got '1:2'"):
        choice_from_query({"score": "1:2"}, replace(results, tables=tables))
