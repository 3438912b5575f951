"""How far the track is from what this CPU could do at best.

    python benchmarks/floor.py [--models default ldarnet-2m ldarnet-110m] [--runs 3]

The floor is the larger of two times. Multiply-adds of what must run (`ldarnet.compute`: encoder and router of stage 0,
scans as the recurrence that defines them; queries of a last attention layer and the router for reported bases only)
over the rate of register tiles on data in the first-level cache, all cores at once. And bytes that the layers hand over
(float32) over the bandwidth of copying arrays larger than the caches. Both rates are measured here. The track is timed
in this process, on random bases, model loaded and kernels compiled. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from halo import OneContig

from ldarnet.boundaries import DEFAULT_BATCH_TOKENS, BatchRunner, TrackSettings, default_settings
from ldarnet.checkpoint import load_model
from ldarnet.compute import num_pairs, work_of
from ldarnet.config import PRESETS, parse_stack
from ldarnet.genome import plan_batches
from ldarnet.model.bfloat16_tiles import HAS_PAIRS, multiply_pairs
from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.tiles import multiply

BASES = {"default": 600_000, "ldarnet-2m": 200_000, "ldarnet-110m": 24_576}
ROWS, COLUMNS, INNER = 16, 64, 64


@kernel()
def _float32(first, last, a, b, out):
    for _ in range(first, last):
        multiply(out, COLUMNS, ROWS, COLUMNS, a, INNER, 1, b, COLUMNS, INNER, np.float32(0))


@kernel()
def _bfloat16(first, last, a, b, out):
    half = INNER // 2
    for _ in range(first, last):
        multiply_pairs(out, COLUMNS, ROWS, COLUMNS, a, half, 1, b, COLUMNS, half, np.float32(0))


def multiply_rate(dtype):
    """Multiply-adds per second of all cores."""
    product = _float32 if dtype == "float32" else _bfloat16
    spaces = [np.zeros((3, INNER * COLUMNS), dtype=np.float32) for _ in range(torch.get_num_threads())]

    def each(first, last, times):
        for number in range(first, last):
            product(0, times, *(row.ctypes.data for row in spaces[number]))

    run_in_pieces(each, len(spaces), 10)
    times, rates = 40_000, []
    for _ in range(5):
        start = time.perf_counter()
        run_in_pieces(each, len(spaces), times)
        rates.append(len(spaces) * times * ROWS * COLUMNS * INNER / (time.perf_counter() - start))
    return statistics.median(rates)


def bandwidth():
    """Bytes read and written per second by copies, all cores."""
    source, target = torch.ones(64 << 20), torch.empty(64 << 20)
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        rates.append(2 * source.nbytes / (time.perf_counter() - start))
    return statistics.median(rates)


def must_run(config, window, halo):
    """Multiply-adds and bytes per reported base."""
    core = window - 2 * halo
    parts = work_of(config, window, [window] * config.num_stages)
    products = sum(part.total for part in parts if part.part == "encoder 0")
    products += sum(part.total for part in parts if part.part == "router 0") * core / window
    width, layers = config.d_model[0], parse_stack(config.layout[0])
    if layers[-1].mixer == "attention":
        pairs = num_pairs(window, config.attention_window[0], causal=config.is_causal)
        for_queries = 2 * width * width * window + 2 * width * pairs  # query and output projection, scores and sums
        products -= for_queries * (1 - core / window)
    inner = config.expand * width
    heads = inner // config.head_dim
    numbers = 0
    for layer in layers:
        if layer.mixer == "attention":
            numbers += 3 * width + 2 * 3 * width + 2 * width
        else:
            numbers += 3 * width + 10 * inner + 8 * config.d_state + 4 * heads
    return products / core, 4 * numbers * window / core


def track_rate(model, num_bases, dtype, num_runs):
    window, halo = default_settings(model)
    genome = OneContig(np.random.default_rng(0).integers(0, 4, num_bases).astype(np.uint8))
    settings = TrackSettings(window_bp=window, halo_bp=halo, dtype=dtype)
    batches = list(plan_batches(genome.contigs, window, halo, DEFAULT_BATCH_TOKENS))
    runner = BatchRunner(model, genome, settings)
    runner.run(batches[0])
    rates = []
    for _ in range(num_runs):
        start = time.perf_counter()
        for batch in batches:
            runner.run(batch)
        rates.append(num_bases / (time.perf_counter() - start))
    return statistics.median(rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(BASES), choices=list(BASES))
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    dtypes = ["float32", "bfloat16"] if HAS_PAIRS else ["float32"]
    rates, bytes_per_second = {dtype: multiply_rate(dtype) for dtype in dtypes}, bandwidth()
    told = ", ".join(f"{rate / 1e9:.0f} G multiply-adds/s in {dtype}" for dtype, rate in rates.items())
    print(f"{torch.get_num_threads()} cores: {told}; copies {bytes_per_second / 1e9:.1f} GB/s")
    print(f"{'model':<14}{'dtype':<10}{'by products':>14}{'by bytes':>12}{'track':>12}{'times floor':>13}")
    rows = []
    for name in args.models:
        model = load_model(name, random_weights=name in PRESETS)
        products, num_bytes = must_run(model.config, *default_settings(model))
        for dtype in dtypes:
            by_products, by_bytes = rates[dtype] / products, bytes_per_second / num_bytes
            track = track_rate(model, BASES[name], dtype, args.runs)
            gap = min(by_products, by_bytes) / track
            print(
                f"{name:<14}{dtype:<10}{by_products:>14,.0f}{by_bytes:>12,.0f}{track:>12,.0f}{gap:>13.1f}", flush=True
            )
            row = {"name": f"floor {name}", "device": "cpu", "dtype": dtype, "unit": "bases/s"}
            rows.append(row | {"by_products": by_products, "by_bytes": by_bytes, "ours": track, "ratio": gap})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
