"""Training speed against the published arrangement in plain torch, on the same weights and batches.

    python benchmarks/train.py [--models ldarnet-nano ldarnet-2m ldarnet-110m] [--device cpu] [--dtype float32]

A step is forward, loss, backward, clipping and AdamW on one batch of made-up bases. Before anything is timed, the loss
and the norm of the gradient of both sides are compared. Steps of the two sides alternate; medians are shown. On a GPU
the published side is built of mamba-ssm's own modules, as its authors run it.
"""

import argparse
import json
import statistics
import time
from contextlib import nullcontext
from functools import partial

import torch
from _published import PublishedArrangement

from ldarnet.checkpoint import load_model
from ldarnet.model.ssd import use_backend
from ldarnet.train.losses import total_loss
from ldarnet.train.optim import make_optimizer, rate_multipliers, set_rate

SHAPES = {"ldarnet-nano": (16, 512), "ldarnet-2m": (4, 1024), "ldarnet-110m": (1, 1024)}
GPU_SHAPES = {"ldarnet-nano": (128, 512), "ldarnet-2m": (128, 1024), "ldarnet-110m": (8, 4096)}
TARGET = 4.0


class Side:
    """A model with its optimiser, stepping through given batches."""

    def __init__(self, name, device, dtype, published):
        model = load_model(name, random_weights=True, device=device)
        self.model = PublishedArrangement.of(model) if published else model
        self.model.train()
        # No compiled kernels anywhere on the published side.
        self.kernels = partial(use_backend, "chunked") if published else nullcontext
        self.device, self.dtype = torch.device(device), dtype
        multipliers = rate_multipliers(self.model.config, [TARGET], "published")
        self.optimizer = make_optimizer(self.model, multipliers, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
        set_rate(self.optimizer, 1e-4)

    def step(self, inputs, labels):
        """Loss, norm of the gradient, seconds."""
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        with self.kernels(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            out = self.model(inputs)
        loss = total_loss(out.logits, labels, out.routing, [TARGET])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        values = float(loss.detach()), float(norm)  # waits for the device
        return *values, time.perf_counter() - start


def batch(shape, device, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 4, shape, generator=generator)
    chosen = torch.rand(shape, generator=generator) < 0.15
    return torch.where(chosen, 5, ids).to(device), torch.where(chosen, ids, -100).to(device)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    tolerance = 1e-4 if args.dtype == "float32" else 3e-2
    print(f"{'model':<14}{'batch':>12}{'ours':>12}{'published':>12}{'ratio':>8}   loss and gradient differ by")
    rows = []
    for name in args.models:
        shape = (SHAPES if args.device == "cpu" else GPU_SHAPES)[name]
        sides = [Side(name, args.device, args.dtype, published) for published in (False, True)]
        (loss, norm, _), (want_loss, want_norm, _) = (side.step(*batch(shape, args.device, 0)) for side in sides)
        worst = max(abs(loss / want_loss - 1), abs(norm / want_norm - 1))
        if not worst < tolerance:
            raise SystemExit(f"{name}: the two sides differ by {worst:.1e}; nothing was timed")
        seconds = [[], []]
        for run in range(args.runs):
            for side, times in zip(sides, seconds, strict=True):
                times.append(side.step(*batch(shape, args.device, run + 1))[2])
        ours, baseline = (shape[0] * shape[1] / statistics.median(times) for times in seconds)
        size = f"{shape[0]} x {shape[1]}"
        print(f"{name:<14}{size:>12}{ours:>12,.0f}{baseline:>12,.0f}{ours / baseline:>7.1f}x   {worst:.0e}", flush=True)
        row = {"name": f"train {name}", "device": args.device, "dtype": args.dtype, "ours": ours}
        rows.append(row | {"baseline": baseline, "ratio": ours / baseline, "unit": "tokens/s"})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
