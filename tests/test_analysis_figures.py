"""Figures: what is drawn, for print and for a page, and what the files say about themselves."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_analysis import figures
from ldarnet_analysis.heatmap_figure import MAX_LINES, mean_lines
from ldarnet_analysis.logos import count_bases, count_site_bases, information_bits
from ldarnet_analysis.panels import panel_figure
from ldarnet_analysis.result_tables import file_name, read_results
from ldarnet_analysis.results import draw_results
from ldarnet_analysis.screen_images import palette_png, short_path, short_svg
from ldarnet_analysis.style import LOOKS, MM_PER_INCH, ONE_COLUMN, PRESETS, RUNGS, SITES, TWO_COLUMNS, signed
from tests import synthetic_results as synthetic

HOSTILE = "../../<script>/a b"
PROFILES, TESTS = synthetic.profiles(), synthetic.tests_table()


def make_axes():
    figure = Figure()
    return figure, figure.subplots()


def texts_of(ax):
    return [text.get_text() for text in (*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels(), ax.xaxis.label)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "deep" / "results"
    synthetic.write_results(folder, classes=("TATA-box",), renamed={"TATA-box": HOSTILE})
    return read_results(folder)


@pytest.fixture(scope="module")
def written(results):
    return figures.write_figures(results)


def test_every_figure_is_written_as_pdf_svg_and_png(results, written):
    stems = {path.with_suffix("").name for path in written}
    assert {path.suffix for path in written} == {".pdf", ".svg", ".png"} and len(written) == 3 * len(stems)
    assert {"primary-tests", "lookup-r2", "density-raw", "density-cut-rate"} <= stems
    assert {f"{file_name(HOSTILE)}.{name}" for name in ("panel", "forest", "balance", "heatmap")} <= stems
    assert all(path.stat().st_size > 1_000 for path in written)


def test_hostile_class_names_stay_in_the_folder_of_figures(results, written):
    assert {path.resolve().parent for path in written} == {(results.folder / "figures").resolve()}
    assert {path.name for path in results.folder.parent.parent.iterdir()} == {"deep"}


@given(st.text(max_size=40))
def test_no_class_name_is_a_path(name):
    made = file_name(name)
    assert not set(made) & set("/\\:\0<>\"'| \n") and len(made) == len(name)


def test_classes_that_would_overwrite_each_other_are_refused(tmp_path):
    both = {"GC-box": "a b", "TATA-box": "a/b"}
    folder = synthetic.write_results(tmp_path, classes=tuple(both), renamed=both, matrices=False)
    with pytest.raises(ValueError, match=r"'a/b' and 'a b' would both be written to files called a_b"):
        figures.write_figures(read_results(folder))


def test_another_width_than_the_presets_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"one-column, two-columns, got 'poster'"):
        draw_results(tmp_path, "poster")


@pytest.mark.parametrize("preset", [ONE_COLUMN, TWO_COLUMNS])
@pytest.mark.parametrize("name", ["panel", "forest", "heatmap"])
def test_figures_are_as_wide_as_their_preset(results, preset, name):
    figure = figures.class_figure(results, HOSTILE, name, preset)
    pdf, svg, png = (figures.figure_bytes(figure, kind, {}) for kind in figures.FORMATS)
    left, _, right, _ = map(float, re.search(rb"/MediaBox \[ ([\d. ]+) \]", pdf)[1].split())
    assert (right - left) / 72 * MM_PER_INCH == pytest.approx(preset.width_mm, abs=0.1)
    assert float(re.search(rb'<svg[^>]* width="([\d.]+)pt"', svg)[1]) / 72 * MM_PER_INCH == pytest.approx(
        preset.width_mm, abs=0.1
    )
    with Image.open(io.BytesIO(png)) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width / 300 * MM_PER_INCH == pytest.approx(preset.width_mm, abs=0.1)
    assert PRESETS[preset.name] is preset


@pytest.mark.parametrize("preset", [ONE_COLUMN, TWO_COLUMNS])
def test_captions_end_before_the_page_does(preset):
    """Minus signs and digits, which are the widest that a caption is made of."""
    tests = TESTS.assign(effect=-0.0056, lo=-0.0062, hi=-0.0051, q=0.0001)
    figure = panel_figure("TATA-box", PROFILES, tests=tests, preset=preset)
    figure.draw_without_rendering()
    page = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and "Residual against" in text.get_text():
            box = text.get_window_extent()
            assert page.x0 <= box.x0 and box.x1 <= page.x1
            return
    raise AssertionError("there is no caption")


def test_fonts_travel_with_the_files_and_text_of_a_pdf_stays_text(written):
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert b"/FontFile2" in content and b"/CIDFontType2" in content and b"/Type3" not in content
        elif path.suffix == ".svg":
            assert b"<text" not in content and b'id="DejaVuSans-' in content


def test_files_say_how_they_were_made_and_when_never(results, written):
    expected = figures.provenance_of(results) | {"figure": f"{HOSTILE} forest"}
    assert set(expected) >= {"command", "versions", "inputs", "figure"} and "seconds" not in expected
    pdf, svg, png = (
        next(path for path in written if path.name == f"{file_name(HOSTILE)}.forest.{kind}") for kind in figures.FORMATS
    )
    with Image.open(png) as image:
        assert json.loads(image.info["Provenance"]) == expected
    description = ElementTree.parse(svg).getroot().find(".//{http://purl.org/dc/elements/1.1/}description")
    assert json.loads(description.text) == expected
    keywords = re.search(rb"/Keywords \((.*?[^\\])\)\s", pdf.read_bytes(), re.DOTALL)[1]
    assert json.loads(keywords.replace(rb"\(", b"(").replace(rb"\)", b")")) == expected
    assert b"Date" not in pdf.read_bytes() and b"<dc:date>" not in svg.read_bytes()


@pytest.mark.parametrize("kind", figures.FORMATS)
def test_the_same_tables_give_the_same_bytes(results, kind):
    made = [figures.figure_bytes(figures.class_figure(results, HOSTILE, "forest"), kind, {}) for _ in range(2)]
    assert made[0] == made[1]


def seen_by(colour, kind):
    """A colour in linear RGB as people without red or green cones see it (Viénot, Brettel and Mollon 1999)."""
    linear = np.array(to_rgb(colour)) ** 2.2
    if kind == "normal":
        return linear
    reds_greens = {"protan": (0.11238, 0.88762), "deutan": (0.29275, 0.70725)}[kind]
    blue = {"protan": (0.00401, -0.00401, 1.0), "deutan": (-0.02234, 0.02234, 1.0)}[kind]
    merged = linear[:2] @ reds_greens
    return np.array([merged, merged, linear @ blue])


@pytest.mark.parametrize("kind", ["normal", "protan", "deutan"])
def test_lines_of_one_panel_differ_for_every_eye(kind):
    drawn = [seen_by(LOOKS[rung].colour, kind) for rung in (SITES, "matched", "same-kmer")]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert np.abs(one - other).max() > 0.1


def test_rungs_differ_without_any_colour():
    assert len({LOOKS[rung].line for rung in LOOKS}) == len(LOOKS)
    assert len({LOOKS[rung].marker for rung in RUNGS}) == len(RUNGS)


@pytest.mark.parametrize(
    ("draw", "table", "options"),
    [
        (figures.draw_profile, PROFILES, {"cls": "donor", "signal": "residual", "rungs": ["same-kmer"]}),
        (figures.draw_forest, TESTS, {"cls": "donor"}),
        (figures.draw_forest, TESTS, {"signal": "raw"}),
        (figures.draw_balance, synthetic.balance(), {"cls": "donor"}),
        (figures.draw_density, synthetic.density(), {"signal": "raw"}),
        (figures.draw_logo, synthetic.logos().query("`class` == 'donor'"), {"span": (-20, 20)}),
        (figures.draw_r2_curve, synthetic.r2(), {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_table_and_an_axis_are_enough(draw, table, options):
    figure, ax = make_axes()
    given = table.copy()
    draw(table, ax, **options)
    assert figure.axes == [ax] and ax.has_data() | bool(ax.patches)
    pd.testing.assert_frame_equal(table, given)
    figure.draw_without_rendering()


def test_axes_of_different_figures_can_be_composed():
    with figures.figure_style():
        figure = Figure(layout="constrained")
        left, right = figure.subplots(1, 2)
        figures.draw_profile(PROFILES, left, cls="donor", rungs=["matched"], span=(-20, 20))
        figures.draw_heatmap(synthetic.matrix("TATA-box"), synthetic.OFFSETS, right)
    assert figures.figure_bytes(figure, "png", {"made": "by hand"}).startswith(b"\x89PNG")


def test_profiles_are_the_table_and_bands_its_intervals():
    _, ax = make_axes()
    figures.draw_profile(PROFILES, ax, cls="donor", rungs=["same-kmer"], span=(-20, 20), window=(-3, 3))
    by_label = {line.get_label(): line for line in ax.lines}
    expected = PROFILES.query("`class` == 'donor' and rung == 'sites' and signal == 'raw' and -20 <= offset <= 20")
    np.testing.assert_array_equal(by_label["sites"].get_xdata(), expected["offset"])
    np.testing.assert_array_equal(by_label["sites"].get_ydata(), expected["mean"])
    assert "same-kmer control" in by_label and len(ax.collections) == 2
    _, ax = make_axes()
    figures.draw_profile(PROFILES, ax, cls="GC-box")
    assert not ax.collections, "too few loci: no band"


def test_what_is_not_there_is_named():
    _, ax = make_axes()
    with pytest.raises(ValueError, match=r"a profile of donor planted raw, got: sites raw, "):
        figures.draw_profile(PROFILES, ax, cls="donor", rungs=["planted"])
    with pytest.raises(ValueError, match=r"no class 'enhancer'"):
        figures.draw_profile(PROFILES, ax, cls="enhancer")
    with pytest.raises(ValueError, match=r"tests of enhancer on signal raw, got tests of: .*donor raw"):
        figures.draw_forest(TESTS, ax, cls="enhancer", signal="raw")
    with pytest.raises(ValueError, match=r"balance of enhancer, got that of: donor, "):
        figures.draw_balance(synthetic.balance(), ax, cls="enhancer")
    with pytest.raises(ValueError, match=r"signal residual, got that of: cut-rate, raw"):
        figures.draw_density(synthetic.density(), ax, signal="residual")
    with pytest.raises(ValueError, match="at least one k"):
        figures.draw_r2_curve(synthetic.r2().head(0), ax)
    with pytest.raises(ValueError, match="out of pdf, svg, png, got 'gif'"):
        figures.figure_bytes(Figure(), "gif", {})


def test_the_ladder_keeps_every_rung_and_says_why_one_was_not_tested():
    _, ax = make_axes()
    figures.draw_forest(TESTS, ax, cls="acceptor")
    shown = " ".join(" ".join(texts_of(ax)).split())
    assert [label.get_text() for label in ax.get_yticklabels()] == [LOOKS[rung].label for rung in RUNGS]
    assert "unbalanced: acceptor gc: |SMD| of gc_upstream" in shown and "needs model" in shown
    primary = TESTS.query("`class` == 'acceptor' and rung == 'same-kmer' and signal == 'residual'").iloc[0]
    assert f"{primary['q']:.2g}" in shown, "the one with q has no brackets"
    assert re.search(r"\(0\.\d+\)|\(1e-04\)", shown), "p outside the family stands in brackets"


def test_a_ladder_of_nothing_tested_can_be_drawn():
    figure = figures.forest_figure(TESTS, "GC-box")
    assert "too few loci: 14 loci, at least 20 needed" in " ".join(" ".join(texts_of(ax)) for ax in figure.axes)


def test_heatmap_columns_are_centred_at_their_offsets():
    _, ax = make_axes()
    image = figures.draw_heatmap(synthetic.matrix("TATA-box"), synthetic.OFFSETS, ax)
    assert tuple(image.get_extent()) == (-200.5, 200.5, synthetic.SIZES["TATA-box"][0], 0)
    assert image.get_clim() == (0, 1)
    low, high = figures.draw_heatmap(synthetic.matrix() - 0.4, synthetic.OFFSETS, ax, signal="residual").get_clim()
    assert low == -high
    with pytest.raises(ValueError, match="consecutive offsets"):
        figures.draw_heatmap(synthetic.matrix(), 2 * synthetic.OFFSETS, ax)
    with pytest.raises(ValueError, match=r"\[sites, 401 offsets\] of some sites, got \[0, 401\]"):
        figures.draw_heatmap(np.empty((0, 401), np.float32), synthetic.OFFSETS, ax)


def test_more_sites_than_lines_are_means_of_neighbours():
    matrix = synthetic.matrix(num_sites=4 * MAX_LINES)
    expected = np.nanmean(matrix.reshape(MAX_LINES, 4, -1), axis=1)
    np.testing.assert_allclose(mean_lines(matrix, MAX_LINES), expected, rtol=1e-5)
    few = matrix[:7]
    assert mean_lines(few, MAX_LINES) is few
    few[3] = np.nan
    assert np.isnan(mean_lines(few, 7)[3]).all()


def test_bases_of_sites_are_counted_on_their_strand_and_none_beyond_the_contig(tmp_path):
    (tmp_path / "g.fa").write_text(">c\nACGTTGCANA\n")
    sites = pd.DataFrame({"chrom": "c", "cut": [2, 10, 4, 0], "strand": ["+", "+", "-", "-"]})
    offsets = np.arange(-3, 4)
    with open_genome(tmp_path / "g.fa") as genome:
        found = count_site_bases(genome, sites, offsets)
    # N and what lies beyond the contig are no base; on - the letters run leftwards, complemented
    read = [" ACGTTG", "A A    ", "GCAACGT", "CGT    "]
    columns = np.array([list(row) for row in read])
    for base in "ACGT":
        np.testing.assert_array_equal(found[base], (columns == base).sum(axis=0))


def test_information_of_a_base_that_never_varies_is_two_bits():
    ids = np.repeat(vocab.encode("A")[None], 50, axis=0)
    assert information_bits(count_bases(ids, np.array([0]))).tolist() == [[2, 0, 0, 0]]
    even = pd.DataFrame({"offset": [0], "A": 5, "C": 5, "G": 5, "T": 5})
    np.testing.assert_allclose(information_bits(even), 0)
    with pytest.raises(ValueError, match="4 shares above 0 that sum to 1"):
        information_bits(even, (0.5, 0.5, 0, 0))


def test_letters_stand_right_of_their_cut():
    _, ax = make_axes()
    table = pd.DataFrame({"offset": [-1, 0], "A": [0, 9], "C": [0, 0], "G": [9, 0], "T": [0, 0]})
    figures.draw_logo(table, ax)
    spans = sorted((patch.get_extents().x0, patch.get_extents().x1) for patch in ax.patches)
    to_data = ax.transData.inverted()
    middles = [to_data.transform(((left + right) / 2, 0))[0] for left, right in spans]
    assert middles == pytest.approx([-0.5, 0.5], abs=0.02)
    assert ax.get_xlim() == (-1, 1)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.0018, 4, "+0.0018"), (-0.25, 2, "−0.25"), (-0.00001, 4, "0.0000"), (0, 0, "0"), (np.nan, 3, "n/a")],
)
def test_signed_numbers(value, digits, text):
    assert signed(value, digits) == text


def points_of(path):
    """End points of the commands of a short path: the slow, plain way to read one."""
    numbers = re.compile(r"-?\d*\.?\d+")
    here, start, points = (0.0, 0.0), (0.0, 0.0), []
    for command, rest in re.findall("([mlqcz])([^mlqcz]*)", path):
        values = [float(each) for each in numbers.findall(rest)]
        width = {"m": 2, "l": 2, "q": 4, "c": 6, "z": 0}[command]
        if command == "z":
            here = start
        for i in range(0, len(values), width or 1):
            group = values[i : i + width]
            points += [(here[0] + x, here[1] + y) for x, y in zip(group[::2], group[1::2], strict=True)]
            here = points[-1]
            start = here if command == "m" else start
    return points


coordinates = st.floats(-600, 600).map(lambda value: round(value, 6))
commands = st.sampled_from(["L", "L", "L", "Q", "C", "z M", "M"])


@settings(max_examples=40)
@given(st.data(), st.sampled_from([4, 110]))
def test_short_paths_go_where_the_long_ones_went(data, num):
    words, expected = [], []
    for command in ["M", *data.draw(st.lists(commands, min_size=num, max_size=num))]:
        group = data.draw(st.tuples(*[coordinates] * {"Q": 4, "C": 6}.get(command, 2)))
        words += [*command.split(), *map(str, group)]
        expected += zip(group[::2], group[1::2], strict=True)
    within = 0.0051 if len(words) <= 300 else 0.051
    np.testing.assert_allclose(points_of(short_path(" ".join(words))), expected, atol=within)


def test_paths_that_cannot_be_read_are_refused():
    with pytest.raises(ValueError, match="expected a path of absolute M, L, Q, C, z, got 'h'"):
        short_path("M 0 0 h 3")


def test_an_svg_for_a_page_is_short_and_whole(results):
    svg = figures.figure_bytes(figures.class_figure(results, HOSTILE, "panel"), "svg", {"figure": "x"})
    short = short_svg(svg)
    assert len(short) < 0.55 * len(svg)
    names = {"{http://www.w3.org/2000/svg}" + tag for tag in ("path", "use", "rect", "clipPath")}
    before, after = (ElementTree.fromstring(each) for each in (svg, short))
    for name in names:
        assert len(after.findall(f".//{name}")) == len(before.findall(f".//{name}"))
    ids = [each.get("id") for each in after.iter() if each.get("id")]
    refers = re.findall(r"href='#([^']*)'|url\(#([^)]*)\)", short.decode())
    assert len(set(ids)) == len(ids) and {a or b for a, b in refers} == set(ids)


def test_a_png_of_few_colours_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 6, (40, 50, 3)).astype(np.uint8) * 51
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="png")
    reduced = palette_png(out.getvalue())
    with Image.open(io.BytesIO(reduced)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), pixels)


def test_controls_of_a_matrix_are_called_by_what_they_share():
    tests = TESTS[TESTS["class"] == "donor"]
    for scored, label in (((), "same k-mer"), (("donor",), "same score")):
        figure = figures.forest_figure(tests, "donor", scored=scored)
        words = " ".join(" ".join(texts_of(ax)) for ax in figure.axes)
        assert {each: each in words for each in ("same k-mer", "same score")} == {
            each: each == label for each in ("same k-mer", "same score")
        }
        figure = panel_figure("donor", PROFILES, tests=tests, by_score=bool(scored))
        legend = " ".join(text.get_text() for text in figure.legends[0].get_texts())
        caption = figure.get_supxlabel()
        assert ("same-score control" in legend and "same-score" in caption) == bool(scored)
        assert ("same-kmer control" in legend and "same-kmer" in caption) == (not scored)
