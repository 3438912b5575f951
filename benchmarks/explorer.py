"""The explorer in a browser on this machine: first page, redraw at three scales, memory, many sessions at once.

    python benchmarks/explorer.py [--sizes 65 100] [--sessions 8] [--seconds 60]

Made-up genomes of one contig, with a value at nearly every base and a gene every 40 kb. A redraw is timed in the page,
from the press of a button until the chart of the next locus is drawn; browser and server share the machine.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from _explorer import CHART, CONTIG, PRESS, made_up_inputs, memory_mb, open_locus, press, started_browser

from ldarnet_app.checks import check_inputs
from ldarnet_app.server import running_server

SCALES = {"base": 400, "gene": 40_000, "megabase": 1_000_000}
MOVES = [*["Right"] * 8, "In", "Out", "Left", "In", "Out", "Left"]
ASKED = {"first page": 5.0, "redraw": 1.0, "memory": 600.0, "sessions": 3.0}
# Every session presses a button as soon as the chart of the one before is drawn.
LOOP = (
    "async (seconds) => {"
    f" const press = {PRESS}, times = [], names = ['Right', 'In', 'Right', 'Out'];"
    " const end = performance.now() + 1000 * seconds;"
    " for (let k = 0; performance.now() < end; k++) times.push(await press(names[k % 4]));"
    " const errors = document.querySelectorAll('[data-testid=stException], [data-testid=stAlertContentError]');"
    " return {times, errors: errors.length};"
    "}"
)


def measure_one(browser, inputs, rows, size):
    """First page, redraw at every scale, memory."""
    began = time.monotonic()
    check_inputs(inputs)
    print(f"\n{size} Mb: files checked in {time.monotonic() - began:.1f} s", flush=True)
    with running_server(inputs) as (process, url):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        began = time.monotonic()
        page.goto(url)
        page.locator(CHART).first.wait_for()
        add(rows, f"first page, {size} Mb", time.monotonic() - began, ASKED["first page"], "s")
        for scale, span_bp in SCALES.items():
            start = size * 500_000
            open_locus(page, url, f"{CONTIG}:{start}-{start + span_bp}")
            times = [press(page, move) for move in MOVES]
            add(rows, f"redraw at {scale} scale, median, {size} Mb", median(times), ASKED["redraw"], "s")
        now, peak = memory_mb(process.pid)
        add(rows, f"memory of the server, {size} Mb", now, ASKED["memory"], "MB")
        print(f"  (its peak: {peak:.0f} MB)")
        page.close()


def measure_sessions(browser, inputs, rows, num_sessions, seconds):
    """Many people at once, each pressing buttons all the time."""
    with running_server(inputs) as (process, url):
        pages = []
        for number in range(num_sessions):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            span_bp = list(SCALES.values())[number % len(SCALES)]
            start = 1_000_000 + 3_000_000 * number
            open_locus(page, url, f"{CONTIG}:{start}-{start + span_bp}")
            page.evaluate(f"(seconds) => {{ window.done = ({LOOP})(seconds); }}", seconds)
            pages.append(page)
        results = [page.evaluate("() => window.done") for page in pages]
        times = [each for result in results for each in result["times"] if each is not None]
        num_errors = sum(result["errors"] + result["times"].count(None) for result in results)
        add(rows, f"redraw, median, {num_sessions} sessions for {seconds} s", median(times), ASKED["sessions"], "s")
        print(f"  ({len(times):,} redraws, {num_errors} errors, slowest {max(times):.1f} s)")
        add(rows, f"memory of the server, {num_sessions} sessions", memory_mb(process.pid)[0], ASKED["memory"], "MB")
        if num_errors:
            raise SystemExit(f"{num_errors} errors in {num_sessions} sessions")


def add(rows, name, ours, asked, unit):
    print(f"{name:<48} {ours:8.2f} {unit:<3} (asked: {asked:g})", flush=True)
    rows.append({"name": name, "device": "cpu", "dtype": "float32", "ours": ours, "baseline": asked})
    rows[-1] |= {"ratio": ours / asked, "unit": unit}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[65, 100], help="Mb")
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=60)
    args = parser.parse_args()
    rows = []
    print(f"{os.cpu_count()} cores, load of the last minute {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name, started_browser() as browser:
        for size in args.sizes:
            inputs = made_up_inputs(Path(name) / str(size), size * 1_000_000)
            measure_one(browser, inputs, rows, size)
        measure_sessions(browser, inputs, rows, args.sessions, args.seconds)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
