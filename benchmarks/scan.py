"""The Mamba-2 recurrence alone on this CPU: ours, one plain compiled loop, and chunked einsums in torch.

    python benchmarks/scan.py [--runs 5] [--threads 2]

Both directions, float32. The plain loop is the recurrence as written down, compiled by numba with the same switches:
one state, one base after the other, a piece of the work per thread. Outputs (and gradients) of all sides are compared
before anything is timed; runs alternate; medians are shown, in bases of one layer (both directions) per second. In
rows of bfloat16 ours takes bfloat16 products, the others stay float32.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch

from ldarnet.model.bfloat16_tiles import HAS_PAIRS
from ldarnet.model.jit import kernel, run_in_pieces
from ldarnet.model.ssd import BACKENDS

# name: batch, length, heads, head dimension, state
SHAPES = {
    "d=64 N=32": (8, 1024, 2, 64, 32),
    "d=64 N=128": (8, 1024, 2, 64, 128),
    "d=512 N=128": (2, 1024, 16, 64, 128),
}


@kernel()
def plain_loop(first, last, x, dt, A, B, C, D, y):
    """Scans first..last-1: one direction of one head of one sequence each."""
    _, length, num_dir, num_heads, dim = x.shape
    num_state = B.shape[3]
    state = np.empty((dim, num_state), dtype=np.float32)
    for scan in range(first, last):
        b, d, h = scan // (num_dir * num_heads), scan // num_heads % num_dir, scan % num_heads
        state[:] = 0
        for step in range(length):
            t = step if d == 0 else length - 1 - step
            decay = np.exp(dt[b, t, d, h] * A[d, h])
            for p in range(dim):
                u = dt[b, t, d, h] * x[b, t, d, h, p]
                out = np.float32(0)
                for n in range(num_state):
                    state[p, n] = decay * state[p, n] + u * B[b, t, d, n]
                    out += state[p, n] * C[b, t, d, n]
                y[b, t, d, h, p] = out + D[d, h] * x[b, t, d, h, p]


def plain(*tensors):
    arrays = [tensor.detach().numpy() for tensor in tensors]
    y = np.empty_like(arrays[0])
    run_in_pieces(plain_loop, y.shape[0] * y.shape[2] * y.shape[3], *arrays, y)
    return torch.from_numpy(y)


def inputs(shape):
    batch, length, heads, dim, state = shape
    generator = torch.Generator().manual_seed(0)

    def normal(*size):
        return torch.randn(*size, generator=generator)

    x, dt = normal(batch, length, 2, heads, dim), torch.nn.functional.softplus(normal(batch, length, 2, heads) - 3)
    B, C = normal(batch, length, 2, state), normal(batch, length, 2, state)
    return x, dt, -torch.exp(normal(2, heads)), B, C, normal(2, heads)


def forward(name, tensors):
    if name == "bfloat16":
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return BACKENDS["compiled"](*tensors)
    with torch.no_grad():
        return (plain if name == "loop" else BACKENDS[name])(*tensors)


def both_ways(name, tensors):
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    y = BACKENDS[name](*leaves)
    return torch.cat([grad.flatten() for grad in torch.autograd.grad(y.square().sum(), leaves)])


def compare(work, names, tensors):
    """Largest difference from the first side, relative to its largest value; that of bfloat16 is its rounding."""
    results = [work(name, tensors) for name in names]
    worst = max(float((r - results[0]).abs().max() / results[0].abs().max()) for r in results[1:])
    if not worst < (2e-2 if "bfloat16" in names else 1e-4):
        raise SystemExit(f"{', '.join(names)}: outputs differ by {worst:.1e}; nothing was timed")
    return worst


def median_seconds(work, names, tensors, num_runs):
    seconds = {name: [] for name in names}
    for _ in range(num_runs):
        for name in names:
            started = time.perf_counter()
            work(name, tensors)
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    print(f"{args.threads} threads, torch {torch.__version__}, float32; thousands of bases per second")
    print(
        f"{'shape':<14}{'direction':<20}{'ours':>8}{'loop':>8}{'chunked':>9}{'/ loop':>8}{'/ chunked':>11}{'differ':>9}"
    )
    for label, shape in SHAPES.items():
        tensors = inputs(shape)
        sides = (
            ("forward", forward, ("compiled", "loop", "chunked")),
            ("forward+backward", both_ways, ("compiled", "chunked")),
            ("forward, bfloat16", forward, ("bfloat16", "loop", "chunked")),
        )[: 3 if HAS_PAIRS else 2]
        for direction, work, names in sides:
            worst = compare(work, names, tensors)
            seconds = median_seconds(work, names, tensors, args.runs)
            rate = {name: shape[0] * shape[1] / seconds[name] / 1e3 for name in names}
            ours = rate[names[0]]
            ratio = {name: ours / rate[name] for name in names}
            loop = (f"{rate['loop']:8.0f}", f"{ratio['loop']:8.1f}") if "loop" in names else (f"{'-':>8}",) * 2
            print(
                f"{label:<14}{direction:<20}{ours:8.0f}{loop[0]}{rate['chunked']:9.0f}"
                f"{loop[1]}{ratio['chunked']:11.1f}{worst:9.0e}"
            )
            for name in names[1:]:
                dtype = "bfloat16" if "bfloat16" in names else "float32"
                row = {"name": f"scan {direction} {label} against {name}", "device": "cpu", "dtype": dtype}
                row |= {"ours": round(ours, 1), "baseline": round(rate[name], 1)}
                rows.append(row | {"ratio": round(ratio[name], 2), "unit": "1000 bases/s"})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
