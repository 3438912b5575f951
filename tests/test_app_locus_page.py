"""The locus page as Streamlit draws it, without a browser."""

import pytest

pytest.importorskip("streamlit")
pytest.importorskip("pybigtools")

import json

from streamlit.testing.v1 import AppTest

from ldarnet_app.inputs import Inputs
from tests.locus_inputs import values, write_inputs


def _script(text):
    from ldarnet_app.inputs import Inputs
    from ldarnet_app.pages.locus import locus_page

    locus_page(Inputs.from_json(text))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("page"))


def _open(inputs, **query):
    app = AppTest.from_function(_script, args=(inputs.to_json(),), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    _has_no_error(app)
    return app


def _has_no_error(app):
    assert not app.exception, app.exception
    assert not app.error, app.error


def _button(app, label):
    return next(each for each in app.button if each.label == label)


def _press(app, label):
    _button(app, label).click().run()
    _has_no_error(app)
    return _locus(app)


def _locus(app):
    """Where the page is; its address, its box and its chart say the same."""
    locus = app.query_params["locus"]
    assert app.selectbox[0].value == locus
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert any(locus in note["text"] for note in figure["layout"]["annotations"])
    return locus


def _said(app):
    return " ".join(each.value.replace("\\", "") for each in app.warning)


def test_the_page_starts_at_the_first_site(inputs):
    app = _open(inputs)
    assert _locus(app) == "chr1:1300-1700"
    assert any("0-based and half-open" in each.value for each in app.caption)


def test_buttons_move_zoom_and_flip(inputs):
    app = _open(inputs, locus="chr1:1000-1100")
    assert _press(app, "Right") == "chr1:1025-1125"
    assert _press(app, "Far left") == "chr1:925-1025"
    assert _press(app, "In") == "chr1:950-1000"
    assert _press(app, "Out") == "chr1:925-1025"
    assert _press(app, "4 kb") == "chr1:0-4000"
    assert _button(app, "Left").disabled
    assert _press(app, "Flip") == "chr1:0-4000"
    assert app.query_params["flip"] == "1"
    assert _button(app, "Right").disabled
    assert _press(app, "Left") == "chr1:1000-5000"


def test_next_and_previous_site_go_through_all_even_at_the_edge(inputs):
    app = _open(inputs, locus="chr1:1000-1400")
    assert [_press(app, "Next") for _ in range(4)] == [
        "chr1:1300-1700",
        "chr1:1800-2200",
        "chr1:4900-5300",
        "chr1:11600-12000",
    ]
    assert _button(app, "Next").disabled
    assert _press(app, "Previous") == "chr1:4900-5300"
    app.selectbox[1].set_value("donor").run()
    assert _press(app, "Previous") == "chr1:1300-1700"


def test_the_box_finds_genes(inputs):
    app = _open(inputs, locus="chr1:1000-1100")
    app.selectbox[0].set_value("REV").run()
    _has_no_error(app)
    assert _locus(app) == "chr1:4899-6101"


def test_what_is_not_found_is_said_once_with_names_like_it(inputs):
    app = _open(inputs, locus="chr1:1000-1100")
    app.session_state["locus message"] = ("no gene 'FDW'", ("FWD",))
    app.run()
    assert "no gene 'FDW'" in _said(app)
    assert _press(app, "FWD") == "chr1:799-3201"
    assert not app.warning


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"locus": "../../etc/passwd"}, "no contig '../../etc/passwd'; the contigs are chr1, chr2"),
        ({"locus": "chr1:50-10"}, "expected start < end"),
        ({"locus": "chr1:99999-100000"}, "which has 12,000 bases"),
        ({"locus": "chr1:0-100", "tracks": "/etc/passwd"}, "no track '/etc/passwd'"),
        ({"locus": "![](http://evil.example/x.png):1-2"}, "no contig '![](http://evil.example/x.png)'"),
        ({"locus": "chr1:0-100", "ranges": "plus:b:a"}, "expected track:low:high"),
    ],
)
def test_a_crafted_address_is_told_and_leads_to_the_start(inputs, query, message):
    app = _open(inputs, **query)
    assert "does not name a view, so this is the start" in _said(app)
    assert message in _said(app)
    assert "![](" not in "".join(each.value for each in app.warning)
    assert _locus(app) == "chr1:1300-1700"


def test_tracks_are_switched_and_ranged_and_the_address_knows(inputs):
    app = _open(inputs, locus="chr1:1000-1100")
    plus, low = app.checkbox[0], app.number_input[0]
    low.set_value(0.25).run()
    _has_no_error(app)
    assert app.query_params["ranges"] == "plus:0.25:1.0"
    plus = app.checkbox[0]
    plus.uncheck().run()
    assert app.query_params["tracks"] == "minus,residual"
    app.checkbox[0].check().run()
    assert "tracks" not in app.query_params
    app.toggle[0].set_value(True).run()
    assert app.query_params["overlay"] == "1"
    app.number_input[0].set_value(2.0).run()
    assert "expected a lowest value below the highest" in _said(app)
    assert app.query_params["ranges"] == "plus:0.25:1.0"


def test_the_page_works_with_a_track_alone(tmp_path):
    app = _open(write_inputs(tmp_path, annotation=False, results=False))
    assert _locus(app) == "chr1:5800-6200"
    assert not app.warning
    assert [each.label for each in app.button if each.label in ("Next", "Previous")] == []


def test_a_broken_annotation_and_missing_sites_leave_the_rest(tmp_path):
    inputs = write_inputs(tmp_path)
    inputs.annotation.write_text("nonsense\n")
    (inputs.results / "sites.tsv").unlink()
    app = _open(inputs, locus="chr1:1000-1100")
    assert "Genes are not shown" in _said(app)
    assert "sites.tsv" in _said(app)
    assert _locus(app) == "chr1:1000-1100"


def test_a_broken_track_is_told_where_the_chart_would_be(tmp_path):
    inputs = write_inputs(tmp_path)
    inputs.tracks[0].path.write_bytes(b"no bigWig")
    app = AppTest.from_function(_script, args=(inputs.to_json(),), default_timeout=60).run()
    assert not app.exception
    assert "expected a bigWig" in app.error[0].value


def test_the_data_of_the_view_are_offered(inputs):
    from ldarnet_app.pages.locus import data_files
    from ldarnet_app.sources.tracks import all_tracks
    from ldarnet_app.view import View

    view = View("chr1", 0, 50, tracks=("plus",))
    files = data_files(inputs, view, all_tracks(inputs))
    assert set(files) == {".tsv", ".bedGraph"}
    lines = files[".tsv"]().decode().splitlines()
    assert lines[0].split("\t") == ["chrom", "start", "end", "strand", "track", "p", "cut"]
    assert lines[1].split("\t") == ["chr1", "0", "1", "+", "plus", "nan", "nan"]
    p = values(0)
    assert lines[2].split("\t") == ["chr1", "1", "2", "+", "plus", f"{p[1]:.6g}", str(int(p[1] > 0.5))]
    assert files[".bedGraph"]().decode().splitlines()[0] == f"chr1\t1\t2\t{p[1]:.6g}"
    assert set(data_files(inputs, View("chr1", 0, 50), all_tracks(inputs))) == {
        ".tsv",
        ".plus.bedGraph",
        ".minus.bedGraph",
        ".residual.bedGraph",
    }
    assert isinstance(inputs, Inputs)
