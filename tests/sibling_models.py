"""Every preset, small enough to run in a test."""

import re
from dataclasses import replace

import torch

from ldarnet.checkpoint import random_model
from ldarnet.config import PRESETS


def shrunk(layout):
    """The same letters, at most two of each."""
    return tuple(
        re.sub(r"\d+", lambda count: str(min(2, int(count[0]))), part) if isinstance(part, str) else shrunk(part)
        for part in layout
    )


def tiny_config(preset):
    config = PRESETS[preset]
    widest = config.d_model[-1] > config.d_model[0]
    depth = len(config.d_model)
    return replace(
        config,
        layout=shrunk(config.layout),
        d_model=(*(16,) * (depth - 1), 32 if widest else 16),
        d_intermediate=tuple(min(width, 32) for width in config.d_intermediate),
        num_heads=(2,) * depth,
        rotary_dim=(4,) * depth,
        attention_window=tuple(min(window, 7) for window in config.attention_window),
        d_state=4,
        head_dim=16,
        context_bp=64,
    )


def moved(model, scale=0.15):
    """Weights far from their start, so that routers cut and every path carries signal."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * scale)
    return model


def tiny_model(preset, **changes):
    return moved(random_model(replace(tiny_config(preset), **changes)))


DISTINCT = list({tiny_config(name): name for name in PRESETS}.values())
"""One preset of each tiny shape."""
CAUSAL = [name for name in DISTINCT if PRESETS[name].is_causal]
