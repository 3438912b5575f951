"""Tables and figures of the sequence page: every mark lies where its cut or base lies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet_app.charts.effects_chart import effects_figure
from ldarnet_app.charts.sequence_chart import sequence_figure
from ldarnet_app.charts.sequence_edit_chart import edit_figure, edit_table
from ldarnet_app.charts.sequence_table import base_table, chunk_table
from ldarnet_app.edits import Edit, align, apply_edits
from ldarnet_app.mutations import EffectMap
from ldarnet_app.theme import DARK, LIGHT

SEQUENCE = "ACGTNNACGTAC"
VALUES = np.array([np.nan, 0.9, 0.5, 0.2, np.nan, np.nan, 0.3, 0.6, 0.1, 0.1, 0.8, 0.1], dtype=np.float32)


def trace(figure, name):
    return next(each for each in figure.data if each.name == name)


def test_chunks_start_at_cuts_and_end_at_n():
    assert chunk_table(VALUES).to_numpy().tolist() == [[0, 1], [1, 4], [6, 7], [7, 10], [10, 12]]
    table = base_table(SEQUENCE, VALUES)
    assert table["chunk_bp"].tolist() == [1, 3, 3, 3, 0, 0, 1, 3, 3, 3, 2, 2]
    assert table["cut"].tolist() == [i in (1, 7, 10) for i in range(12)]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_ticks_lie_at_cuts_and_the_curve_has_gaps(theme):
    figure = sequence_figure(base_table(SEQUENCE, VALUES), chunk_table(VALUES), 0, 12, theme, title="<b>x")
    assert list(trace(figure, "hard cuts").x) == [1, 7, 10]
    curve = trace(figure, "p")
    assert list(curve.x) == list(range(12))
    assert np.isnan(curve.y[[0, 4, 5]]).all()
    assert curve.connectgaps is False
    assert figure.layout.paper_bgcolor == theme.paper
    assert "<b>" not in figure.layout.title.text
    ribbon = trace(figure, "chunks")
    assert list(zip(ribbon.base, ribbon.x, ribbon.text, strict=True))[1] == (1, 3, "3")


def test_chunks_cut_off_by_the_view_keep_their_length():
    figure = sequence_figure(base_table(SEQUENCE, VALUES), chunk_table(VALUES), 2, 9, LIGHT, title="")
    ribbon = trace(figure, "chunks")
    assert list(zip(ribbon.base, ribbon.x, ribbon.text, strict=True)) == [(2, 2, "3"), (6, 1, "1"), (7, 2, "3")]


@given(st.integers(1, 40), st.data())
def test_chunks_cover_exactly_the_bases_with_values(length, data):
    values = np.array(data.draw(st.lists(st.sampled_from([np.nan, 0.2, 0.7]), min_size=length, max_size=length)))
    values[0] = np.nan
    covered = np.zeros(length, dtype=bool)
    for start, end in chunk_table(values.astype(np.float32)).to_numpy():
        assert not covered[start:end].any()
        covered[start:end] = True
    expected = ~np.isnan(values)
    expected[0] = length > 1 and expected[1]
    assert covered.tolist() == expected.tolist()


def edited_table():
    edits = [Edit(2, 4, ""), Edit(8, 8, "TT"), Edit(10, 11, "C")]
    after_sequence = apply_edits(SEQUENCE, edits)
    after = np.where([base == "N" for base in after_sequence], np.nan, 0.7).astype(np.float32)
    after[0] = np.nan
    alignment = align(len(SEQUENCE), edits)
    return edit_table(
        base_table(SEQUENCE, VALUES), base_table(after_sequence, after), alignment.before, alignment.after
    )


def test_edits_are_aligned_column_by_column():
    table = edited_table()
    assert "".join(table["base_before"]) == "ACGTNNAC--GTAC"
    assert "".join(table["base_after"]) == "AC--NNACTTGTCC"
    assert table["position_before"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, -1, -1, 8, 9, 10, 11]
    assert table["position_after"].tolist() == [0, 1, -1, -1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert np.isnan(table["difference"][[0, 2, 3, 4, 5, 8, 9]]).all()
    assert table["difference"][1] == pytest.approx(-0.2, abs=1e-6)


def test_edit_figure_marks_edits_and_labels_the_positions_before():
    figure = edit_figure(edited_table(), 0, 14, LIGHT, title="")
    marked = {(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"}
    assert marked == {(2, 4), (8, 10), (12, 13)}
    ticks = dict(zip(figure.layout.xaxis.ticktext, figure.layout.xaxis.tickvals, strict=True))
    assert (ticks["7"], ticks["8"]) == (7, 10)
    assert list(trace(figure, "hard cuts before").x) == [1, 7, 12]
    before = trace(figure, "chunks")
    # The chunk of bases 7 to 9 reaches over the two inserted columns, and is 3 bases long.
    assert (7, 5, "3") in list(zip(before.base, before.x, before.text, strict=True))


def test_effect_cells_lie_on_their_base_and_the_reference_is_marked():
    total = np.arange(12, dtype=np.float32).reshape(3, 4)
    effects = EffectMap(5, "NAC", total, -total)
    figure = effects_figure(effects, VALUES, DARK, title="")
    first, second = (each for each in figure.data if each.type == "heatmap")
    assert list(first.x) == [5.5, 6.5, 7.5]
    assert list(first.y) == list("ACGT")
    assert first.z[3][0] == 3
    assert (second.zmin, second.zmax) == (-11, 11)
    reference = trace(figure, "reference")
    assert list(zip(reference.x, reference.y, strict=True)) == [(6.5, "A"), (7.5, "C")]
    assert "A6T" in first.hovertext[3][1]
