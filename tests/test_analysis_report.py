"""The report: one page without a network, hostile names as text, every test with its words."""

import base64
import hashlib
import html
import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ldarnet_analysis import report
from ldarnet_analysis.figures import class_figure, figure_bytes, provenance_of
from ldarnet_analysis.html_text import Cell, table, text
from ldarnet_analysis.result_tables import read_results
from ldarnet_analysis.screen_images import short_svg
from ldarnet_analysis.style import LOOKS, RUNGS, TWO_COLUMNS
from ldarnet_analysis.verdicts import RULE, headline, verdict
from tests import synthetic_results as synthetic

HOSTILE = '<script>alert("1")</script>'
RUN = synthetic.RUN | {"notes": [f"gene {HOSTILE} & co: no control"], "settings": {HOSTILE: "javascript:alert(2)"}}
MAX_BYTES_PER_CLASS = 450_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Tags with their attributes, and the text outside of style and script."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words, self.inside = [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("report") / "results"
    return synthetic.write_results(where, classes=("donor", "GC-box"), renamed={"GC-box": HOSTILE}, run=RUN)


@pytest.fixture(scope="module")
def path(folder):
    return report.write_report(folder)


@pytest.fixture(scope="module")
def source(path):
    return path.read_text()


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def small(tmp_path, run=RUN, **options):
    """Results of a class that is quick to draw."""
    options = {"classes": ("GC-box",), "matrices": False, "optional": False} | options
    return read_results(synthetic.write_results(tmp_path, run=run, **options))


def test_the_page_needs_nothing_else(folder, page):
    assert {each.name for each in folder.glob("*.html")} == {"report.html"}
    targets = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "srcset", "action") if name in attrs]
    assert targets and all(each.startswith(("data:image/", "#")) for each in targets)
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "form"}
    anchors = {each for each in targets if each.startswith("#")}
    assert anchors == {f"#{attrs['id']}" for tag, attrs in page.tags if tag == "section"}


def test_only_its_own_style_and_script_may_run(source, page):
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "http" not in inside and "@import" not in inside and "url(" not in inside
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_hostile_names_are_shown_and_not_obeyed(source, page):
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert HOSTILE not in source
    assert page.text.count(HOSTILE) > 5 and f"gene {HOSTILE} & co" in page.text
    assert ("h2", {}) in page.tags and f">{html.escape(HOSTILE)}</h2>" in source
    assert text('\0<a b="c">\x1b') == "&lt;a b=&quot;c&quot;&gt;"


def test_every_test_is_shown_with_its_words_or_its_reason(folder, page):
    tests = read_results(folder)["tests"]
    assert (tests["status"] != "ok").sum() > 5
    for test in tests.itertuples():
        assert verdict(test) in page.text
        assert test.status == "ok" or f"could not be tested: {test.status} ({test.reason})" in page.text
    for cls in ("donor", HOSTILE):
        assert headline(tests, cls) in page.text
    assert RULE in page.text


@pytest.mark.parametrize("number", [1, 2])
def test_every_rung_is_a_row_in_the_section_of_its_class(source, number):
    section = source.partition(f'<section id="class-{number}">')[2].partition("</section>")[0]
    (tests,) = re.findall(r"<summary>Tests of.*?</table>", section)
    for rung in RUNGS:
        assert tests.count(f">{LOOKS[rung].label}</td>") == 2, "raw and residual"


def test_a_class_without_sites_has_its_section(tmp_path):
    results = small(tmp_path)
    rows = synthetic.tests_table()
    rows[rows["class"].isin(["GC-box", "Inr"])].to_csv(tmp_path / "tests.tsv", sep="\t", index=False, na_rep="nan")
    results = read_results(tmp_path)
    assert results.classes == ["GC-box", "Inr"]
    assert (
        "Inr. The pre-registered test could not be made: no sites (no site in this class)."
        in Page(report.report_html(results)).text
    )


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({}, "Which tracks were read is not recorded."),
        ({"inputs": {"track": {"name": "p.bw"}}}, "Sites on both strands read p.bw (strand not recorded)."),
        (
            {"inputs": {"track": {"name": "p.bw"}}, "track_sidecar": {"settings": {"strand": "both-mean"}}},
            "Sites on both strands read p.bw (the mean of both strands).",
        ),
        (
            {"inputs": {"track": {"name": "p.bw"}}, "track_sidecar": {"settings": {"strand": "+"}}},
            "Sites on both strands read p.bw (of the + strand alone).",
        ),
        (
            {"inputs": {"track": {"name": "p.bw"}, "track_minus": {"name": "m.bw"}}},
            "Sites on + read p.bw, sites on − read m.bw.",
        ),
        ({"inputs": ["p.bw"], "track_sidecar": "none"}, "Which tracks were read is not recorded."),
    ],
)
def test_it_says_which_tracks_were_read(tmp_path, monkeypatch, run, words):
    monkeypatch.setattr("ldarnet_analysis.report_sections.class_figure", lambda *_: None)
    monkeypatch.setattr("ldarnet_analysis.report_sections.overview_figure", lambda *_: None)
    shown = Page(report.report_html(small(tmp_path, run))).text
    assert shown.count(words) == 2, "where inputs are listed, and in the methods"


def test_inputs_and_command_are_those_of_the_run(page):
    assert "ldarnet align --track probs.bw --fasta g.fa --annotation 'a b.gtf'" in page.text
    assert "9f" * 32 in page.text and "1c" * 32 in page.text and "20261121" not in page.text
    assert "Random seed" not in page.text, "not in this run's settings"


def test_where_files_lay_on_a_machine_is_left_out(tmp_path):
    command = ["/opt/tools/bin/ldarnet", "align", "--track", "/data/me/p.bw", "--fasta=~/g.fa", "--sites", "../s.bed"]
    results = small(tmp_path, RUN | {"command": [*command, "--model", "owner/name", "--out", "res/x"]})
    assert results.command == [
        *("ldarnet", "align", "--track", "p.bw", "--fasta=g.fa", "--sites", "s.bed"),
        *("--model", "owner/name", "--out", "res/x"),
    ]
    for shown in (report.report_html(results), str(provenance_of(results))):
        assert "p.bw" in shown and "/opt/tools" not in shown and "/data/me" not in shown


def test_numbers_sort_by_value_and_are_set_right():
    made = table(["name", "effect"], [("b", Cell("−0.5", -0.5)), ("a", Cell("", float("nan")))], "x")
    assert '<td class="number" data-sort="-0.5">−0.5</td>' in made and 'data-sort=""' in made
    assert made.count('class="number"') == 3, "two cells and their heading"
    assert table(["name"], [], "nothing").count("<tr>") == 1


def test_a_report_is_small(folder, path):
    assert path.stat().st_size < MAX_BYTES_PER_CLASS * len(read_results(folder).classes)


def test_the_same_tables_give_the_same_bytes(folder, source):
    assert report.report_html(read_results(folder)) == source


def test_optional_tables_may_be_missing(tmp_path):
    page = Page(report.report_html(small(tmp_path)))
    assert "Density over annotation" not in page.text and "Methods" in page.text


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("tests.tsv", "raw", "cooked", "expected as signal one of raw, residual, cut-rate, got 'cooked'"),
        ("tests.tsv", "needs model", "fine", "expected as status one of"),
        ("tests.tsv", "effect", "size", "missing: effect"),
        ("profiles.tsv", "-200", "here", "row 1: expected a number as offset, got 'here'"),
        ("run.json", "{", "[", "expected JSON"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, old, new, message):
    small(tmp_path, classes=("TATA-box",))
    broken = tmp_path / name
    broken.write_text(broken.read_text().replace(old, new, 1))
    with pytest.raises(ValueError) as error:
        report.write_report(tmp_path)
    assert str(broken) in str(error.value) and message in str(error.value)
    assert not list(tmp_path.glob("*.html*"))


def test_a_missing_table_is_named(tmp_path):
    small(tmp_path)
    (tmp_path / "pairs.tsv").unlink()
    with pytest.raises(ValueError, match=r"expected the table pairs\.tsv in"):
        read_results(tmp_path)


def test_the_matrix_of_a_hostile_class_is_found_in_its_folder(folder):
    results = read_results(folder)
    assert results.matrix(HOSTILE).matrix.shape == (synthetic.SIZES["GC-box"][0], 401)
    assert results.matrix("../../etc/passwd") is None


def test_pairs_without_and_with_controls_are_counted(page):
    assert "caliper (2), window (1)" in page.text and "1,165" in page.text


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_browser_shows_it_on_a_phone_and_sorts_its_tables(browser, path):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()} and not said
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "tables scroll inside the page"
    heading = page.locator("#class-1 .scroll th button", has_text="sites cut").first
    heading.scroll_into_view_if_needed()
    for direction, sign in (("ascending", 1), ("descending", -1)):
        heading.click()
        values = heading.evaluate(
            "(button) => [...button.closest('table').tBodies[0].rows].map((row) => +row.cells[1].dataset.sort)"
        )
        assert values == sorted(values, key=lambda value: sign * value)
        assert heading.evaluate("(button) => button.parentElement.getAttribute('aria-sort')") == direction
    page.close()


@pytest.mark.parametrize("name", ["panel", "forest"])
def test_the_short_figures_of_the_page_look_like_the_long_ones(browser, folder, name):
    svg = figure_bytes(class_figure(read_results(folder), "donor", name, TWO_COLUMNS), "svg", {})
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    shots = []
    for each in (svg, short_svg(svg)):
        source = f"data:image/svg+xml;base64,{base64.b64encode(each).decode()}"
        page.set_content(f'<img style="width: 980px" src="{source}">')
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            shots.append(np.asarray(shot.convert("L")).astype(int))
    page.close()
    assert shots[0].std() > 10, "something is drawn"
    assert np.abs(shots[0] - shots[1]).mean() < 0.3 and (np.abs(shots[0] - shots[1]) > 100).mean() < 1e-4


def test_in_print_all_is_open_but_what_stands_there_twice(browser, path):
    page = browser.new_page()
    page.goto(path.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('details')].every((each) => each.open)")
    assert not page.locator("#found details").is_visible() and page.locator("#class-1 details").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()
