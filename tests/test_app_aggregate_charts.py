"""Charts of the aggregate page, as the figures that they are."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet_analysis.heatmap_figure import MAX_LINES, mean_lines
from ldarnet_analysis.primary import TestRow as Row
from ldarnet_analysis.primary import tests_table as table_of
from ldarnet_analysis.style import LOOKS, RUNGS, SITES
from ldarnet_app.charts.aggregate_style import colour_of, dash_of, symbol_of
from ldarnet_app.charts.forest_chart import forest_chart
from ldarnet_app.charts.heatmap_chart import heatmap_chart, line_bounds
from ldarnet_app.charts.profile_chart import CLOSE_BP, profile_chart
from ldarnet_app.theme import DARK, LIGHT

OFFSETS = np.arange(-50, 51)


def profile(rung, *, lo=0.1, hi=0.3, n_loci=30):
    columns = {"rung": rung, "signal": "raw", "offset": OFFSETS, "mean": 0.2, "lo": lo, "hi": hi, "n_sites": 60}
    return pd.DataFrame(columns | {"n_loci": n_loci, "class": "donor"})


def drawn(figure):
    return [trace for trace in figure.data if trace.fill is None]


def bands(figure):
    return [trace for trace in figure.data if trace.fill == "toself"]


def test_profiles_have_a_line_and_a_band_far_and_near():
    profiles = pd.concat([profile(SITES), profile("gc")])
    figure = profile_chart(profiles, LIGHT, signal="raw", rungs=["gc"], title="donor", window=(-3, 3))
    assert [trace.name for trace in drawn(figure) if trace.showlegend] == [
        "sites (60 sites, 30 loci)",
        "GC-matched (60 controls, 30 loci)",
    ]
    assert [len(trace.x) for trace in drawn(figure)] == [101, 2 * CLOSE_BP + 1] * 2
    assert len(bands(figure)) == 4
    assert bands(figure)[0].y.max() == 0.3 and bands(figure)[0].y.min() == 0.1


def test_profiles_without_an_interval_have_no_band_and_say_so():
    profiles = profile(SITES, lo=np.nan, hi=np.nan, n_loci=17)
    figure = profile_chart(profiles, LIGHT, signal="raw", rungs=["gc"], title="donor")
    assert not bands(figure)
    assert [trace.name for trace in drawn(figure) if trace.showlegend] == ["sites (60 sites, 17 loci: no interval)"]


def test_bands_leave_gaps_open():
    profiles = profile(SITES, lo=np.where(np.abs(OFFSETS) < 2, np.nan, 0.1))
    first, second = bands(profile_chart(profiles, LIGHT, signal="raw", rungs=[], title=""))[:2]
    assert first.x.max() == -2 and second.x.min() == 2


def ladder(*rows):
    return table_of(Row("donor", **row) for row in rows)


TESTED = {"rung": "gc", "signal": "raw", "effect": 0.1, "lo": 0.05, "hi": 0.15, "p": 0.01, "n_loci": 40}
UNTESTED = {"rung": "planted", "signal": "raw", "status": "needs model", "reason": "pass <b>--model</b> " + "x " * 60}


def written(figure):
    return [(note.text, note.hovertext) for note in figure.layout.annotations]


def marks(figure):
    return [trace for trace in figure.data if trace.x[0] is not None]


def test_the_ladder_is_in_order_and_says_why_a_rung_is_not_tested():
    primary = TESTED | {"rung": "same-kmer", "q": 0.02}
    figure = forest_chart(ladder(UNTESTED, primary, TESTED), LIGHT, signal="raw", title="donor")
    assert figure.layout.yaxis.ticktext == ("GC-matched", "same k-mer", "motif planted")
    assert [(mark.x[0], mark.y[0]) for mark in marks(figure)] == [(0.1, 0), (0.1, 1)]
    assert marks(figure)[0].error_x.array[0] == pytest.approx(0.05)
    texts = [text for text, _ in written(figure)]
    assert "(0.01)" in texts and "0.02" in texts
    text, full = next(note for note in written(figure) if note[1])
    assert text.startswith("needs model: pass &lt;b&gt;") and text.endswith("…")
    assert full.count("x ") >= 59


def test_a_part_of_the_sites_has_open_marks_beside_the_filled_ones():
    explored = ladder(TESTED | {"effect": 0.3, "lo": 0.2, "hi": 0.4, "n_loci": 21})
    figure = forest_chart(ladder(TESTED), LIGHT, signal="raw", title="donor", explored=explored)
    filled, opened = marks(figure)
    assert (filled.marker.symbol, opened.marker.symbol) == ("square", "square-open")
    assert filled.y[0] < 0 < opened.y[0]
    assert figure.layout.showlegend
    assert {"40", "21"} <= {text for text, _ in written(figure)}


def test_a_ladder_of_nothing_is_refused():
    with pytest.raises(ValueError, match="expected tests on signal residual"):
        forest_chart(ladder(TESTED), LIGHT, signal="residual", title="")


@given(st.integers(1, 3 * MAX_LINES + 7))
def test_lines_are_the_means_of_the_rows_within_their_bounds(num_rows):
    matrix = np.arange(num_rows, dtype=np.float32)[:, None]
    bounds = line_bounds(num_rows)
    means = [matrix[first:last].mean() for first, last in pairwise(bounds)]
    np.testing.assert_allclose(mean_lines(matrix, MAX_LINES)[:, 0], means, rtol=1e-6)


def test_heatmaps_have_one_point_for_each_line_that_names_its_rows():
    matrix = np.linspace(0, 1, 2 * MAX_LINES * 3, dtype=np.float32).reshape(2 * MAX_LINES, 3)
    names = [f"<{i}>" for i in range(len(matrix))]
    figure = heatmap_chart(matrix, np.array([-1, 0, 1]), names, LIGHT, signal="raw", title="")
    image, points = figure.data
    assert image.z.shape == (MAX_LINES, 3) and (image.zmin, image.zmax) == (0, 1)
    assert set(points.x) == {0} and list(points.y) == list(range(MAX_LINES))
    assert points.text[0] == "2 rows, &lt;0&gt; to &lt;1&gt;"
    assert figure.layout.yaxis.range == (MAX_LINES - 0.5, -0.5)


def test_residuals_are_coloured_alike_on_both_sides_of_zero():
    figure = heatmap_chart(
        np.array([[-0.2, 0.1]], dtype=np.float32), np.array([0, 1]), ["a"], DARK, signal="residual", title=""
    )
    assert figure.data[0].zmin == -figure.data[0].zmax == pytest.approx(-0.2, abs=0.002)


def test_a_heatmap_of_nothing_is_refused():
    with pytest.raises(ValueError, match="some rows"):
        heatmap_chart(np.zeros((0, 2), dtype=np.float32), np.array([0, 1]), [], LIGHT, signal="raw", title="")


def luminance(colour):
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_rung_can_be_told_from_the_paper_and_from_the_others(theme):
    looks = [(colour_of(rung, theme), dash_of(rung), symbol_of(rung)) for rung in LOOKS]
    assert len({dash for _, dash, _ in looks}) == len(looks) == len(set(looks))
    assert len({symbol_of(rung) for rung in RUNGS}) == len(RUNGS)
    paper = luminance(theme.paper)
    for rung in LOOKS:
        low, high = sorted((luminance(colour_of(rung, theme)), paper))
        assert (high + 0.05) / (low + 0.05) > 2, rung
