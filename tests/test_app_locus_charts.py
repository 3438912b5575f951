"""The locus chart's parts: chunks, letters, genes, and what a flip does to them."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("plotly")
pytest.importorskip("pybigtools")

from hypothesis import given
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet.tracks import CUT_THRESHOLD, open_writer
from ldarnet_app.charts.genes import MAX_LANES, genes_of, label_of, lanes_of
from ldarnet_app.charts.letters import LEAST_HEIGHT, MAX_BLOCKS, MAX_LETTERS, letter_shapes
from ldarnet_app.charts.locus_rows import Rows
from ldarnet_app.charts.locus_sites import site_traces
from ldarnet_app.charts.ribbon import block_shapes, chunks_of, length_labels, tick_shapes
from ldarnet_app.sources.genes import Model
from ldarnet_app.theme import BASE_COLOURS, LIGHT

probabilities = st.lists(st.sampled_from([0.1, 0.5, 0.6, 0.9, float("nan")]), min_size=2, max_size=40)


@given(probabilities)
def test_chunks_are_those_of_the_bed_of_the_same_track(tmp_path_factory, values):
    values = np.array([float("nan"), *values], dtype=np.float32)
    path = tmp_path_factory.getbasetemp() / "chunks.bed"
    if np.isnan(values).all():
        return
    with open_writer(path, [Contig("c", len(values))]) as writer:
        writer.write("c", 0, values)
        writer.commit()
    expected = pd.read_csv(path, sep="\t", header=None)[[1, 2]].to_numpy()
    chunks = chunks_of(values > CUT_THRESHOLD, ~np.isnan(values), 0, len(values))
    np.testing.assert_array_equal(np.column_stack([chunks.starts, chunks.ends]), expected)
    assert chunks.is_whole.all()


@given(probabilities, st.integers(1, 20), st.integers(1, 20))
def test_a_window_holds_the_chunks_of_the_whole_and_tells_those_it_cuts(values, skip, width):
    values = np.array([float("nan"), *values], dtype=np.float32)
    is_cut, has_value = values > CUT_THRESHOLD, ~np.isnan(values)
    start = min(skip, len(values) - 1)
    end = min(start + width, len(values))
    whole = chunks_of(is_cut, has_value, 0, len(values))
    part = chunks_of(is_cut[start:end], has_value[start:end], start, len(values))
    known = set(zip(whole.starts.tolist(), whole.ends.tolist(), strict=True))
    for low, high, is_whole in zip(part.starts.tolist(), part.ends.tolist(), part.is_whole.tolist(), strict=True):
        if is_whole and has_value[start] | (low > start) and high < end:
            assert (low, high) in known
        else:
            assert any(left <= low and high <= right for left, right in known)
    bases = np.arange(start, end)
    assert ((part.lengths_at(bases) > 0) == has_value[start:end]).all()


def test_a_chunk_cut_off_by_the_window_says_so():
    is_cut = np.array([False, False, True, False, False, True])
    chunks = chunks_of(is_cut, np.ones(6, dtype=bool), 100, 1_000)
    assert chunks.starts.tolist() == [100, 102, 105]
    assert chunks.is_whole.tolist() == [False, True, False]
    (labels,) = length_labels(chunks, 0.05, LIGHT, "y")
    assert labels.text == ("2+", "3", "1+")


def test_lengths_are_written_where_they_fit():
    chunks = chunks_of(np.array([True, False, True] + [False] * 97), np.ones(100, dtype=bool), 0, 100)
    (labels,) = length_labels(chunks, 1.0, LIGHT, "y")
    assert (labels.text, labels.x.tolist()) == (("98",), [51.0])
    assert length_labels(chunks, 50.0, LIGHT, "y") == []


def test_blocks_alternate_and_ticks_stand_at_cuts():
    chunks = chunks_of(np.array([True, False, True, True]), np.ones(4, dtype=bool), 10, 14)
    first, second = block_shapes(chunks, LIGHT, "y3")
    assert re.findall(r"M(\d+),.*?H(\d+)", first["path"]) == [("10", "12"), ("13", "14")]
    assert re.findall(r"M(\d+),.*?H(\d+)", second["path"]) == [("12", "13")]
    (ticks,) = tick_shapes(np.array([10, 12]), "#000000", 0.1, "y3")
    assert re.findall(r"M(\d+),", ticks["path"]) == ["10", "12"]
    assert tick_shapes(np.array([], dtype=int), "#000000", 0.1, "y3") == []


def _boxes(shape):
    """Left, right and top of each letter of a shape."""
    letters = re.split(r"(?<=Z)(?=M)", shape["path"])
    found = []
    for letter in letters:
        points = np.array(re.findall(r"([\d.]+) ([\d.]+)", letter), dtype=float)
        found.append((points[:, 0].min(), points[:, 0].max(), points[:, 1].max()))
    return found


def test_letters_stand_on_their_base_and_are_as_high_as_its_cut_is_probable():
    shapes = letter_shapes(vocab.encode("TNT"), 1_000, np.array([1.0, np.nan, 0.5]), LIGHT, "y2", flipped=False)
    by_name = {shape["name"]: shape for shape in shapes}
    assert by_name["base T"]["fillcolor"] == BASE_COLOURS["T"]
    (left, right, top), (_, _, half) = _boxes(by_name["base T"])
    assert (left, right) == pytest.approx((1_000.06, 1_000.94))
    assert top == 1
    assert half == pytest.approx(LEAST_HEIGHT + (1 - LEAST_HEIGHT) / 2)
    assert _boxes(by_name["base N"])[0][2] == pytest.approx(LEAST_HEIGHT)


def test_flipped_letters_are_mirrored_complements_on_the_same_bases():
    ids, p = vocab.encode("C"), np.array([1.0])
    (forward,) = letter_shapes(vocab.encode("G"), 5, p, LIGHT, "y", flipped=False)
    (flipped,) = letter_shapes(ids, 5, p, LIGHT, "y", flipped=True)
    assert flipped["name"] == "base G"
    pattern = r"([\d.]+) ([\d.]+)"
    there = np.array(re.findall(pattern, forward["path"]), dtype=float)
    back = np.array(re.findall(pattern, flipped["path"]), dtype=float)
    # about the middle of base 5, so that an axis that runs backwards shows a G that can be read
    np.testing.assert_allclose(there[:, 0] + back[:, 0], 11, atol=0.011)
    np.testing.assert_array_equal(there[:, 1], back[:, 1])


@pytest.mark.parametrize(("num_bases", "is_block"), [(MAX_LETTERS, False), (MAX_LETTERS + 1, True)])
def test_many_letters_become_blocks(num_bases, is_block):
    (shape,) = letter_shapes(np.full(num_bases, vocab.A), 0, np.ones(num_bases), LIGHT, "y", flipped=False)
    assert (shape["path"].count("M") == num_bases) == is_block  # an A has a hole, and so two outlines


def test_too_many_letters_are_not_drawn():
    num_bases = MAX_BLOCKS + 1
    assert letter_shapes(np.zeros(num_bases, dtype=np.uint8), 0, np.ones(num_bases), LIGHT, "y", flipped=False) == []


def _model(start, end, gene="A", name="A.1", strand="+", exons=None, cds=(0, 0)):
    return Model(name, gene, "c", strand, start, end, np.array(exons or [[start, end]]), cds)


spans = st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 3_000)), min_size=1, max_size=30)


@given(spans)
def test_lanes_hold_genes_side_by_side_and_count_the_rest(found):
    models = [_model(start, start + length) for start, length in found]
    genes = lanes_of(models, 0, 12_000, 12_000 / 900, flipped=False)
    assert len(genes.lanes) + genes.num_left_out == len(models)
    assert 1 <= genes.num_lanes <= MAX_LANES
    for lane in range(genes.num_lanes):
        there = sorted((each.model.start, each.model.end) for each in genes.lanes if each.lane == lane)
        assert all(left[1] <= right[0] for left, right in pairwise(there))


def test_wide_windows_show_a_gene_once_with_the_union_of_its_exons():
    models = [
        _model(0, 100, exons=[[0, 10], [50, 100]], cds=(5, 60)),
        _model(5, 200, name="A.2", exons=[[5, 20], [150, 200]]),
        _model(300, 400, gene="B", name="B.1"),
    ]
    first, second = genes_of(models)
    assert (first.name, first.start, first.end, first.cds) == ("A", 0, 200, (5, 60))
    assert first.exons.tolist() == [[0, 20], [50, 100], [150, 200]]
    assert second.name == "B"
    assert len(lanes_of(models, 0, 1_000_000, 1_000, flipped=False).lanes) == 2


def test_arrows_point_the_way_a_gene_is_read_as_displayed():
    assert label_of(_model(0, 9), flipped=False) == "A.1 →"
    assert label_of(_model(0, 9), flipped=True) == "← A.1"
    assert label_of(_model(0, 9, strand="-"), flipped=False) == "← A.1"
    assert label_of(_model(0, 9, strand="."), flipped=True) == "A.1"
    assert label_of(_model(0, 9, gene="TP53", name="NM_1"), flipped=False) == "TP53 NM_1 →"


@pytest.mark.parametrize("flipped", [False, True])
def test_sites_stand_at_their_cut_and_point_with_their_strand(flipped):
    columns = {"site_id": ["<a>", "b"], "cut": [5, 9], "strand": ["+", "-"], "class": "donor", "gene": "G"}
    (trace,) = site_traces(pd.DataFrame(columns), [("donor", "#000000")], "y2", flipped=flipped)
    assert list(trace.x) == [5, 9]
    symbols = ["triangle-right", "triangle-left"]
    assert list(trace.marker.symbol) == (symbols[::-1] if flipped else symbols)
    assert "&lt;a&gt;" in trace.text[0]


@given(st.lists(st.tuples(st.integers(5, 200), st.integers(0, 20)), min_size=1, max_size=8))
def test_rows_fill_the_figure_from_the_top_without_overlap(sizes):
    rows = Rows()
    for height, gap in sizes:
        rows.add(height, gap)
    domains = [rows.domain(row) for row in range(1, len(sizes) + 1)]
    assert domains[0][1] == 1
    assert domains[-1][0] == pytest.approx(0, abs=1e-9)
    for (height, _), (low, high) in zip(sizes, domains, strict=True):
        assert (high - low) * rows.plot_px == pytest.approx(height)
    assert all(above[0] >= below[1] - 1e-9 for above, below in pairwise(domains))
