"""What every small system costs per base beside a plain Transformer: multiply-adds, bases per second, peak memory.

    python benchmarks/compute.py [--presets ldarnet-nano ldarnet-2m] [--lengths 4096 32768 131072] [--device cpu]

The Transformer has the width, heads, feed-forward layers and depth of the system's backbone, and runs it on every base.
One sequence of made-up bases goes through the whole model, weights are random, and cuts lie where the recipe of the
system aims (its routers run all the same): an untrained router cuts at a rate of its own. Multiply-adds are counted
from the configuration. Each pair of model and length has a process of its own, for its memory; the median of --runs
passes is shown. --count-only counts, for every preset.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import torch
from memory import own_peak_mb
from torch import nn

from ldarnet.checkpoint import random_model
from ldarnet.compute import chunks_of, per_base, plain_transformer
from ldarnet.config import PRESETS
from ldarnet.model.chunking import Tokens
from ldarnet.model.ldarnet import Stack, Stage
from ldarnet.model.placing import Grid

SMALL = ["ldarnet-nano", "ldarnet-2m", "hnet-small", "dnahnet-small", "dnachunker-small"]
LENGTHS = [4096, 32_768, 131_072]
RECIPES = Path(__file__).parent / "default_model"
SYSTEM, TRANSFORMER = "system", "transformer"


class PlainTransformer(nn.Module):
    """Embedding, layers and head; no chunks."""

    def __init__(self, preset):
        super().__init__()
        config = plain_transformer(PRESETS[preset])
        self.embedding = nn.Embedding(config.vocab_size, config.d_model[0])
        self.stack = Stack(config.layout[0], 0, config)
        self.head = nn.Linear(config.d_model[0], config.vocab_size, bias=False)

    def forward(self, ids):
        return self.head(self.stack(self.embedding(ids), Tokens(), "exact"))


def targets(preset):
    """Tokens per chunk that the recipe of a preset aims at, one per stage; 4 where there is no recipe."""
    for recipe in sorted(RECIPES.glob("*.toml")):
        settings = tomllib.loads(recipe.read_text())
        if settings["model"]["preset"] == preset and "tokens_per_chunk" in settings["train"]:
            return settings["train"]["tokens_per_chunk"]
    return [4.0] * PRESETS[preset].num_stages


def system(preset):
    """The preset with cuts where its recipe aims; a grid in every stage, and the routers run."""
    config = replace(PRESETS[preset], cuts="fixed", cut_prob="router", forced_cuts="none")
    model = random_model(config)
    stage = model.stage
    for target in targets(preset):
        assert isinstance(stage, Stage)
        stage.placing = Grid(round(target))
        stage = stage.inner
    return model


def multiply_adds(preset, kind, length):
    config = PRESETS[preset]
    if kind == TRANSFORMER:
        return per_base(plain_transformer(config), length, ())
    return per_base(config, length, chunks_of(config, length, targets(preset)))


def child(preset, kind, length, device, runs):
    """In a process of its own: bases per second and peak memory in MB."""
    model = (PlainTransformer(preset) if kind == TRANSFORMER else system(preset)).eval().to(device)
    ids = torch.randint(0, 4, (1, length), generator=torch.Generator().manual_seed(0)).to(device)
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    seconds = []
    with torch.inference_mode():
        model(ids[:, :4096])  # compiles, and starts threads
        for _ in range(runs):
            wait()
            start = time.perf_counter()
            model(ids)
            wait()
            seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() / 1e6 if device.startswith("cuda") else own_peak_mb()
    print(json.dumps([length / statistics.median(seconds), peak]))


def measured(preset, kind, length, device, runs):
    command = [sys.executable, __file__, "--child", preset, kind, str(length), device, str(runs)]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}  # as the command does: compiled kernels use the cores
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def count_only(presets, lengths):
    columns = "".join(f"{length:>14,}{'Transformer':>14}{'ratio':>8}" for length in lengths)
    print(f"{'multiply-adds per base at':<26}{columns}")
    rows = []
    for preset in presets:
        cells = []
        for length in lengths:
            ours, plain = (multiply_adds(preset, kind, length) for kind in (SYSTEM, TRANSFORMER))
            cells.append(f"{ours:>14,.0f}{plain:>14,.0f}{plain / ours:>7.1f}x")
            rows.append(row(f"multiply-adds {preset} {length}", "any", ours, plain, plain / ours, "per base"))
        print(f"{preset:<26}{''.join(cells)}")
    return rows


def row(name, device, ours, baseline, ratio, unit):
    values = {"ours": ours, "baseline": baseline, "ratio": ratio, "unit": unit}
    return {"name": name, "device": device, "dtype": "float32", **values}


def time_all(args):
    print(f"{'model':<36}{'length':>9}{'multiply-adds/base':>20}{'bases/s':>12}{'peak MB':>10}")
    rows = []
    for preset in args.presets:
        for length in args.lengths:
            found = {}
            for kind in (SYSTEM, TRANSFORMER):
                speed, peak = found[kind] = measured(preset, kind, length, args.device, args.runs)
                name = preset if kind == SYSTEM else f"Transformer for {preset}"
                cost = multiply_adds(preset, kind, length)
                print(f"{name:<36}{length:>9,}{cost:>20,.0f}{speed:>12,.0f}{peak:>10,.0f}", flush=True)
            (speed, peak), (plain_speed, plain_peak) = found[SYSTEM], found[TRANSFORMER]
            where = f"{preset} {length}"
            rows.append(row(f"forward {where}", args.device, speed, plain_speed, speed / plain_speed, "bases/s"))
            rows.append(row(f"peak memory {where}", args.device, peak, plain_peak, peak / plain_peak, "MB"))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=list(PRESETS), help="[default: the small ones]")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="bases")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--count-only", action="store_true", help="multiply-adds alone; nothing runs")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        preset, kind, length, device, runs = args.child
        child(preset, kind, int(length), device, int(runs))
        return
    if args.count_only:
        rows = count_only(args.presets or list(PRESETS), args.lengths)
    else:
        args.presets = args.presets or SMALL
        rows = time_all(args)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
