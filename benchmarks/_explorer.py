"""An explorer on made-up genomes in a browser: what its measurements and its pictures share."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from ldarnet.genome import Contig
from ldarnet.tracks import open_writer
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.rendering import browser_path

CHART = ".js-plotly-plot .main-svg"
CONTIG = "synthetic1"
BLOCK_BP = 1 << 20
LINE_BP = 60
WAVE_BP, GAP_BP, GAP_STEP_BP = 20_000, 30_000, 700_000
GENE_BP, GENE_STEP_BP, EXON_BP, NUM_EXONS = 30_000, 40_000, 200, 8
# The title of the chart, which is drawn with the rest of it.
TITLE = (
    "[...document.querySelectorAll('.js-plotly-plot svg text')]"
    ".map(t => t.textContent).find(t => /^\\S+:[0-9]+-/.test(t))"
)
PRESS = (
    "async (name) => {"
    f" const title = () => {TITLE};"
    " const old = title(), begin = performance.now();"
    " [...document.querySelectorAll('button p')].find(p => p.innerText.trim() === name).closest('button').click();"
    " while (title() === old || title() === undefined) {"
    "   if (performance.now() - begin > 30000) return null;"
    "   await new Promise(requestAnimationFrame);"
    " }"
    " await new Promise(requestAnimationFrame);"
    " return (performance.now() - begin) / 1000;"
    "}"
)


def made_up_inputs(folder, num_bases):
    """A genome of one contig, a track of waves and gaps, and a gene every 40 kb."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    fasta, track, genes = folder / "genome.fa", folder / "probs.bw", folder / "genes.bed"
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with fasta.open("wb") as file:
        file.write(f">{CONTIG}\n".encode())
        for _ in range(0, num_bases, LINE_BP * 10_000):
            lines = np.full((10_000, LINE_BP + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE_BP] = letters[rng.integers(0, 4, (10_000, LINE_BP), dtype=np.uint8)]
            file.write(lines.tobytes())
    length_bp = -(-num_bases // (LINE_BP * 10_000)) * LINE_BP * 10_000
    with open_writer(track, [Contig(CONTIG, length_bp)]) as writer:
        for start in range(0, length_bp, BLOCK_BP):
            places = np.arange(start, min(start + BLOCK_BP, length_bp))
            values = rng.beta(0.4, 1.2, places.size) * (0.6 + 0.4 * np.sin(places / WAVE_BP))
            values[places % GAP_STEP_BP < GAP_BP] = np.nan
            writer.write(CONTIG, start, values.round(4).astype(np.float32))
        writer.commit()
    starts = np.arange(GENE_STEP_BP // 4, length_bp - GENE_BP, GENE_STEP_BP)
    offsets = np.linspace(0, GENE_BP - EXON_BP, NUM_EXONS).astype(int)
    sizes, exons = ",".join([str(EXON_BP)] * NUM_EXONS), ",".join(map(str, offsets))
    with genes.open("w") as file:
        for number, start in enumerate(starts):
            strand, end = "+-"[number % 2], start + GENE_BP
            columns = [CONTIG, start, end, f"GENE{number}", 0, strand, start, start, 0, NUM_EXONS, sizes, exons]
            file.write("\t".join(map(str, columns)) + "\n")
    return Inputs((TrackFile("probs", track, "+"),), fasta, genes)


@contextmanager
def started_browser():
    """Chromium; ValueError where there is none."""
    path = browser_path()
    if path is None:
        raise ValueError("expected Chromium or Chrome on this machine, found none")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_locus(page, url, locus):
    """Go there, and wait until it is drawn."""
    page.goto(f"{url}/?locus={locus}")
    page.wait_for_function(f"() => ({TITLE} || '') === {json.dumps(locus)}")


def press(page, name):
    """Press the button of this label; seconds until the chart shows another locus, None after 30."""
    return page.evaluate(PRESS, name)


def memory_mb(pid):
    """Memory of a process now, and at its peak. Linux only."""
    status = Path(f"/proc/{pid}/status").read_text()
    return tuple(int(status.split(f"{name}:")[1].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
