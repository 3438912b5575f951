"""The pictures of docs/explorer.md: every page, on the demo genome and on a made-up megabase.

ldarnet demo --out demo
ldarnet align --track demo/probs.bw --fasta demo/demo.fa --annotation demo/demo.genes.gtf --out demo/results
python benchmarks/explorer_images.py --demo demo --out docs/images
"""

import argparse
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from _explorer import CHART, CONTIG, made_up_inputs, open_locus, started_browser
from PIL import Image

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.server import running_server

SIZE, TALL = {"width": 1280, "height": 780}, {"width": 1280, "height": 1500}
MEGABASE_MB = 3
SEQUENCE = ("demo1", 1600, 1800)


def take(page, folder, name):
    """A screenshot of what is there once nothing is being computed any more."""
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.wait_for_timeout(1500)
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(folder / f"{name}.png", optimize=True)
    print(f"{folder / name}.png: {(folder / f'{name}.png').stat().st_size:,} bytes", flush=True)


def locus_images(page, url, folder, loci):
    for name, locus in loci.items():
        open_locus(page, url, locus)
        take(page, folder, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--demo", type=Path, required=True, help="folder of `ldarnet demo`, with results/ in it")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    track = TrackFile("probs", args.demo.absolute() / "probs.bw", "+")
    demo = Inputs((track,), args.demo.absolute() / "demo.fa", args.demo.absolute() / "demo.genes.gtf")
    demo = replace(demo, results=args.demo.absolute() / "results")
    with open_genome(demo.fasta) as genome:
        sequence = vocab.decode(genome.ids(*SEQUENCE))
    with started_browser() as browser:
        with running_server(demo) as (_, url):
            page = browser.new_page(viewport=SIZE)
            locus_images(page, url, args.out, {"locus-base": "demo1:1680-1760"})
            page.get_by_text("Download and share").click()
            page.get_by_role("button", name="SVG").wait_for()
            take(page, args.out, "downloads")
            locus_images(page, url, args.out, {"locus-gene": "demo1:1300-4300"})
            page.get_by_role("button", name="Flip").click()
            page.wait_for_url(lambda address: "flip=1" in address)
            page.mouse.move(0, 0)
            take(page, args.out, "locus-gene-flipped")
            page.set_viewport_size(TALL)
            page.goto(f"{url}/aggregate?class=acceptor&rungs=matched")
            page.locator(CHART).first.wait_for()
            take(page, args.out, "aggregate")
            page.goto(f"{url}/sequence?seq={sequence}")
            page.locator(CHART).first.wait_for()
            take(page, args.out, "sequence")
            page.set_viewport_size(SIZE)
            page.goto(f"{url}/about")
            page.get_by_text("probs.bw").first.wait_for()
            take(page, args.out, "about")
            dark = browser.new_page(viewport=SIZE, color_scheme="dark")
            locus_images(dark, url, args.out, {"locus-base-dark": "demo1:1680-1760"})
        with tempfile.TemporaryDirectory() as name:
            inputs = made_up_inputs(Path(name), MEGABASE_MB * 1_000_000)
            with running_server(inputs) as (_, url):
                page = browser.new_page(viewport=SIZE)
                locus_images(page, url, args.out, {"locus-megabase": f"{CONTIG}:1000000-2000000"})


if __name__ == "__main__":
    main()
