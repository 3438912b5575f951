"""The explorer as a person meets it: in a browser, page by page."""

from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("streamlit")
pytest.importorskip("playwright")

from playwright.sync_api import sync_playwright

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.rendering import browser_path
from ldarnet_app.server import running_server
from tests import explorer_files, synthetic_results
from tests.command_line import letters

pytestmark = pytest.mark.skipif(browser_path() is None, reason="Chromium or Chrome is not installed")
CHART = ".js-plotly-plot .main-svg"
TIMEOUT_MS = 30_000


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    return Inputs(
        (TrackFile("probs", explorer_files.write_track(folder / "probs.bw"), "+"),),
        explorer_files.write_genome(folder),
        explorer_files.write_genes(folder / "genes.gtf"),
        synthetic_results.write_results(folder / "results"),
    )


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as started:
        # the sandbox needs rights that containers do not give
        opened = started.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def url(inputs):
    with running_server(inputs) as (_, address):
        yield address


@pytest.fixture
def page(browser, url):
    """A page that fails its test where a script or a request to another machine went wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    outside, errors = [], []
    hosts = (url, url.replace("http", "ws"), "data:", "blob:")
    opened.on("request", lambda request: None if request.url.startswith(hosts) else outside.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert outside == [] and errors == []


def go_to(page, address, text=None):
    page.goto(address)
    page.locator(CHART).first.wait_for()
    if text:
        page.get_by_text(text, exact=True).first.wait_for()
    settled(page)


def settled(page):
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def query_of(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def span_of(address):
    """Start and end of the locus of an address."""
    locus = parse_qs(urlsplit(address).query).get("locus", ["none:0-0"])[0]
    start, end = locus.rpartition(":")[2].split("-")
    return int(start), int(end)


def contains(span, other):
    return span[0] <= other[0] and other[1] <= span[1]


def download(page, name):
    """The content of a download that a button of the open menu starts."""
    with page.expect_download() as started:
        page.get_by_role("button", name=name, exact=True).click()
    return started.value.suggested_filename, started.value.path().read_bytes()


def test_a_gene_is_found_read_and_turned(page, url, inputs):
    go_to(page, url)
    box = page.get_by_role("combobox").first
    box.click()
    box.fill("ABC1")
    box.press("Enter")
    page.wait_for_url(lambda address: contains(span_of(address), explorer_files.GENE))
    settled(page)

    go_to(page, f"{url}/?locus=chrA:1500-1540", "chrA:1500-1540")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    area = plot.bounding_box()
    # above base 1510: a quarter of the way, plus half a base
    page.mouse.move(area["x"] + area["width"] * 10 / 40, area["y"] + area["height"] / 2)
    label = page.locator(".js-plotly-plot .hovertext").first
    label.wait_for()
    text = label.text_content()
    value = explorer_files.values_of("chrA")[1510]
    with open_genome(inputs.fasta) as genome:
        base = vocab.decode(genome.ids("chrA", 1510, 1511))
    assert f"1510 {base}" in text.replace(",", "") and f"{value:.3f}" in text

    page.get_by_role("button", name="Flip").click()
    page.wait_for_url(lambda address: "flip=1" in address)
    settled(page)
    assert query_of(page)["locus"] == "chrA:1500-1540"

    page.keyboard.press("ArrowRight")  # to the reader's right is towards smaller numbers now
    page.wait_for_url(lambda address: "1500-1540" not in address)
    start, end = span_of(page.url)
    assert start < 1500 and end - start == 40


def test_figure_and_table_are_downloaded_as_seen(page, url, inputs):
    go_to(page, f"{url}/?locus=chrA:3990-4030", "chrA:3990-4030")
    page.get_by_text("Download and share").click()
    link = page.locator("pre, code").filter(has_text=url).first.text_content()
    assert link.startswith(f"{url}/?locus=chrA:3990-4030")
    name, svg = download(page, "SVG")
    assert name == "chrA_3990-4030.svg"
    assert "chrA:3990-4030" in "".join(ElementTree.fromstring(svg).itertext())
    name, tsv = download(page, "tsv")
    assert name == "chrA_3990-4030.tsv"
    table = pd.read_csv(pd.io.common.BytesIO(tsv), sep="\t")
    np.testing.assert_allclose(table["p"], explorer_files.values_of("chrA")[3990:4030], atol=1e-6)
    assert table["p"].isna().sum() == 30  # the gap begins at 4000
    assert table["start"].tolist() == list(range(3990, 4030))


@pytest.mark.slow
def test_a_bad_address_gets_a_message_and_the_start(page, url):
    go_to(page, f"{url}/?locus=/etc/passwd")
    page.get_by_text("does not name a view").first.wait_for()
    settled(page)
    assert query_of(page)["locus"].startswith("chrA:")


def test_the_aggregate_page_draws_the_results(page, url):
    go_to(page, f"{url}/aggregate")
    page.get_by_text("donor: mean profile, raw").first.wait_for()
    page.get_by_text("1,168 sites").first.wait_for()


@pytest.mark.slow
def test_the_sequence_page_runs_the_model_on_two_kilobases(page, url, inputs, tmp_path):
    import ldarnet

    sequence = letters(9, 2000)
    page.goto(f"{url}/sequence")
    area = page.get_by_role("textbox").first
    area.wait_for()
    area.fill(sequence)
    page.get_by_role("button", name="Run", exact=True).click()
    page.set_default_timeout(120_000)
    page.locator(CHART).first.wait_for()
    settled(page)
    page.get_by_text("Download and share").first.click()
    _, tsv = download(page, "tsv")
    table = pd.read_csv(pd.io.common.BytesIO(tsv), sep="\t")
    fasta = tmp_path / "s.fa"
    fasta.write_text(f">s\n{sequence}\n")
    track = ldarnet.boundary_track(fasta, model="default")
    np.testing.assert_allclose(table["p"], track.values("s", 0, 2000), atol=1e-4)
