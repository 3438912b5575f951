"""The figure and the table of a view are those of the files, on both strands and at every scale."""

import re

import numpy as np
import pytest

pytest.importorskip("plotly")
pytest.importorskip("pybigtools")

from ldarnet import vocab
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.locus_figure import TABLE_COLUMNS, locus_figure, locus_table
from ldarnet_app.theme import DARK, LIGHT
from ldarnet_app.view import ValueRange, View
from tests.locus_inputs import CONTIGS, bases, values, write_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("locus"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("bare"), annotation=False, results=False)


def _curves(figure, label):
    return [trace for trace in figure.data if trace.name == label and trace.y is not None]


def _names(figure):
    """What stands beside the rows, from the top down."""
    axes = [axis for axis in figure.to_dict()["layout"].items() if axis[0].startswith("yaxis")]
    axes.sort(key=lambda axis: -axis[1]["domain"][1])
    return [axis.get("title", {}).get("text") or tuple(axis["ticktext"]) for _, axis in axes]


def test_a_base_is_at_its_cut_with_its_letter_value_and_chunk(inputs):
    figure = locus_figure(inputs, View("chr1", 1_400, 1_500), LIGHT)
    (curve,) = _curves(figure, "plus")
    p = values(0)
    np.testing.assert_array_equal(curve.x, np.arange(1_400, 1_500))
    np.testing.assert_array_equal(curve.y, p[1_400:1_500])
    cut = int(np.flatnonzero(p[1_401:1_480] > 0.5)[0]) + 1_401
    following = int(np.flatnonzero(p[cut + 1 :] > 0.5)[0]) + 1
    letter, chunk = curve.customdata[cut - 1_400]
    assert letter == vocab.LETTERS[bases("chr1")[cut]]
    assert chunk == f"cut, chunk of {following} bp"
    for part in ("%{x:,d}", "%{y:.4f}", "%{customdata[0]}", "%{customdata[1]}"):
        assert part in curve.hovertemplate


def test_a_flip_turns_the_axis_and_complements_letters_but_moves_no_cut(inputs):
    view = View("chr1", 1_400, 1_440)
    forward = locus_figure(inputs, view, LIGHT)
    flipped = locus_figure(inputs, View("chr1", 1_400, 1_440, flipped=True), LIGHT)
    assert list(forward.layout.xaxis.range) == [1_400, 1_440]
    assert list(flipped.layout.xaxis.range) == [1_440, 1_400]
    there, back = _curves(forward, "plus")[0], _curves(flipped, "plus")[0]
    np.testing.assert_array_equal(there.x, back.x)
    np.testing.assert_array_equal(there.y, back.y)
    pairs = set(zip([each[0] for each in there.customdata], [each[0] for each in back.customdata], strict=True))
    assert pairs <= {("A", "T"), ("T", "A"), ("C", "G"), ("G", "C")}
    ticks = [shape.path for shape in forward.layout.shapes if shape.path and "H" not in shape.path and not shape.name]
    assert ticks == [
        shape.path for shape in flipped.layout.shapes if shape.path and "H" not in shape.path and not shape.name
    ]
    assert "reverse complement" in flipped.layout.annotations[-1].text


def test_rows_stand_in_order_and_only_where_there_is_something(inputs, bare):
    assert _names(locus_figure(inputs, View("chr1", 1_450, 1_550), LIGHT)) == [
        "plus (+)",
        ("chunks", "cuts"),
        "minus (-)",
        ("chunks", "cuts"),
        "residual",
        ("sequence",),
        ("donor",),
        ("genes",),
    ]
    figure = locus_figure(bare, View("chr1", 0, 12_000), DARK)
    assert _names(figure) == ["plus (+)", "minus (-)"]
    assert figure.layout.paper_bgcolor == DARK.paper


def test_overlaid_tracks_of_one_kind_share_a_panel(inputs):
    figure = locus_figure(inputs, View("chr1", 1_450, 1_550, overlaid=True), LIGHT)
    assert _names(figure)[:4] == ["p", ("plus (+)", "cuts"), ("minus (-)", "cuts"), "residual"]
    plus, minus = _curves(figure, "plus")[0], _curves(figure, "minus")[0]
    assert plus.yaxis == minus.yaxis
    assert plus.line.color != minus.line.color
    assert plus.showlegend
    assert minus.showlegend


def test_tracks_are_switched_off_and_keep_their_colour(inputs):
    both = locus_figure(inputs, View("chr1", 0, 100), LIGHT)
    one = locus_figure(inputs, View("chr1", 0, 100, tracks=("minus",)), LIGHT)
    assert _curves(one, "plus") == []
    assert _curves(one, "minus")[0].line.color == _curves(both, "minus")[0].line.color
    none = locus_figure(inputs, View("chr2", 0, 100, tracks=()), LIGHT)
    assert _names(none) == [("sequence",), ("genes",)]


def test_a_track_has_its_own_range_or_the_readers(inputs):
    view = View("chr1", 1_450, 1_550, ranges=(ValueRange("plus", 0.2, 0.8),))
    layout = locus_figure(inputs, view, LIGHT).to_dict()["layout"]
    axes = [axis for name, axis in layout.items() if name.startswith("yaxis") and "title" in axis]
    ranges = {axis["title"]["text"]: list(axis["range"]) for axis in axes}
    assert ranges["plus (+)"] == [0.2, 0.8]
    assert ranges["minus (-)"] == [0, 1]
    low, high = ranges["residual"]
    assert low == -high
    assert 0.4 < high < 0.7


def test_gaps_stay_gaps(inputs):
    figure = locus_figure(inputs, View("chr1", 7_950, 8_150), LIGHT)
    (curve,) = _curves(figure, "plus")
    np.testing.assert_array_equal(np.isnan(np.asarray(curve.y, dtype=float)), np.isnan(values(0)[7_950:8_150]))
    assert not curve.connectgaps
    fill = next(trace for trace in figure.data if trace.fill)
    x, y = np.asarray(fill.x), np.asarray(fill.y, dtype=float)
    # down to 0 at the edges of the gap, so that nothing is filled across it
    assert (x.min(), x.max()) == (7_950, 8_149)
    assert not ((x > 7_999) & (x < 8_100)).any()
    for edge in (7_999, 8_100):
        assert set(y[x == edge].tolist()) == {0.0, float(values(0)[edge])}
    nothing = locus_figure(inputs, View("chr1", 8_010, 8_060), LIGHT)
    assert any("no values here" in note.text for note in nothing.layout.annotations)


def test_lone_values_are_seen(tmp_path, bare):
    from ldarnet.tracks import open_writer

    sparse = np.full(CONTIGS[0].length_bp, np.nan, dtype=np.float32)
    sparse[[600, 620]] = 0.7
    with open_writer(tmp_path / "sparse.bw", CONTIGS) as writer:
        writer.write("chr1", 0, sparse)
        writer.commit()
    inputs = Inputs((TrackFile("sparse", tmp_path / "sparse.bw"),), bare.fasta)
    (curve,) = _curves(locus_figure(inputs, View("chr1", 500, 900), LIGHT), "sparse")
    assert "markers" in curve.mode
    assert np.flatnonzero(curve.marker.size).tolist() == [100, 120]


@pytest.mark.parametrize("span_bp", [100, 4_000, 12_000])
def test_no_scale_draws_too_much(inputs, span_bp):
    figure = locus_figure(inputs, View("chr1", 0, span_bp), LIGHT)
    assert max(len(trace.x) for trace in figure.data) <= 4_010
    assert len(figure.data) <= 20
    assert len(figure.layout.shapes) <= 25


def test_names_from_files_are_no_markup(tmp_path):
    inputs = write_inputs(tmp_path)
    inputs.annotation.write_text(inputs.annotation.read_text().replace("REV", "<img src=x>"))
    renamed = Inputs((TrackFile("<b>%{x}</b>", inputs.tracks[0].path),), inputs.fasta, inputs.annotation)
    text = locus_figure(renamed, View("chr1", 4_900, 6_100), LIGHT).to_json()
    assert "<img" not in re.sub(r"\\u003c", "<", text)
    assert "<b>%{x}" not in re.sub(r"\\u003c", "<", text)


def test_the_table_has_a_row_per_base_and_track(inputs):
    table = locus_table(inputs, View("chr1", 0, 100, tracks=("plus", "residual")))
    assert list(table.columns) == TABLE_COLUMNS
    plus, residual = (table[table["track"] == label] for label in ("plus", "residual"))
    assert plus["start"].tolist() == list(range(100))
    assert plus["end"].tolist() == list(range(1, 101))
    assert set(plus["strand"]) == {"+"}
    np.testing.assert_array_equal(plus["p"], values(0)[:100])
    assert plus["cut"].isna().tolist() == [True] + [False] * 99
    assert (plus["cut"].fillna(0) == (values(0)[:100] > 0.5)).all()
    assert set(residual["strand"]) == {"."}
    assert residual["cut"].isna().all()


def test_the_table_of_a_wide_view_has_bins(inputs):
    table = locus_table(inputs, View("chr1", 0, 12_000, tracks=("plus",)))
    assert table["end"].iloc[-1] == 12_000
    assert (table["start"].iloc[1:].to_numpy() == table["end"].iloc[:-1].to_numpy()).all()
    p = values(0)
    for row in table.sample(20, random_state=0).itertuples():
        if np.isnan(p[row.start : row.end]).all():
            assert np.isnan(row.p)
        else:
            assert row.p == pytest.approx(np.nanmean(p[row.start : row.end]), rel=1e-5)
            assert row.cut == (np.nanmax(p[row.start : row.end]) > 0.5)


def test_no_track_shown_is_an_empty_table_with_columns(inputs):
    assert list(locus_table(inputs, View("chr1", 0, 100, tracks=())).columns) == TABLE_COLUMNS


def test_splice_sites_of_both_strands_come_from_the_annotation(tmp_path):
    inputs = write_inputs(tmp_path, results=False)
    figure = locus_figure(inputs, View("chr1", 900, 6_100), LIGHT)
    found = {}
    for trace in figure.data:
        for text in trace.text or ():
            match = re.search(r"(donor|acceptor):chr1:(\d+):(.)", text)
            if match:
                found[match[1], match[3]] = int(match[2])
    # FWD: exons 1000-1500 and 2000-3000; REV: exons 5000-5100 and 5900-6000, read from the right
    assert found == {("donor", "+"): 1_500, ("acceptor", "+"): 2_000, ("donor", "-"): 5_900, ("acceptor", "-"): 5_100}


def test_sites_of_the_results_stand_for_those_of_the_annotation(inputs):
    figure = locus_figure(inputs, View("chr1", 900, 6_100), LIGHT)
    texts = [text for trace in figure.data for text in (trace.text or ()) if "donor:" in text]
    assert len(texts) == 1


def test_an_unknown_contig_is_refused(inputs):
    with pytest.raises(ValueError, match=r"expected a contig of genome\.fa, got 'chr9'"):
        locus_figure(inputs, View("chr9", 0, 100), LIGHT)
