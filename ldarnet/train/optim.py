"""AdamW, its learning rates and its schedule, as published (ICML-LDARNet@f247d59; H-Net, arXiv:2507.07955)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from ldarnet.config import ModelConfig

RateRule = Literal["published", "hnet", "flat"]
DecayShape = Literal["inverse-sqrt", "one-minus-sqrt", "linear"]

HNET_REFERENCE_RATIO = 4.6
"""Bytes per token of a BPE vocabulary: H-Net's N_GPT, which makes its multipliers comparable to a BPE model's."""


def decays(name: str) -> bool:
    """Whether weight decay acts on a parameter: not on biases, norms, A_log, D and dt_bias."""
    own = name.rpartition(".")[2]
    return not (own.endswith("bias") or own in ("A_log", "D") or "norm" in name)


def stage_of(name: str) -> int:
    """The stage a parameter belongs to: one for every `inner` in its name; a widening vector feeds the next stage."""
    parts = name.split(".")
    return parts.count("inner") + (parts[-1] == "widening")


def rate_multipliers(config: ModelConfig, tokens_per_chunk: Sequence[float], rule: RateRule) -> list[float]:
    """Learning-rate multiplier of every stage, outermost first, the backbone last.

    With N the product of the chunk lengths from a stage inwards and d its width: "published" sqrt(N) * d_back / d;
    "hnet" sqrt(4.6 * N / N of stage 0 * d_back / d), eq. 11 there; "flat" 1.
    """
    if len(tokens_per_chunk) != config.num_stages:
        raise ValueError(f"tokens_per_chunk: expected {config.num_stages} values, got {list(tokens_per_chunk)}")
    inward = [math.prod(tokens_per_chunk[stage:]) for stage in range(config.num_stages + 1)]
    widths = [config.d_model[-1] / width for width in config.d_model]
    if rule == "flat":
        return [1.0] * len(inward)
    if rule == "published":
        return [math.sqrt(n) * w for n, w in zip(inward, widths, strict=True)]
    return [math.sqrt(HNET_REFERENCE_RATIO * n / inward[0] * w) for n, w in zip(inward, widths, strict=True)]


def make_optimizer(
    model: nn.Module,
    multipliers: Sequence[float],
    *,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, grouped by stage and by whether they decay.

    Every group holds its `multiplier`; `set_rate` turns it into a learning rate.
    """
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((stage_of(name), decays(name)), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": params, "multiplier": multipliers[stage], "weight_decay": weight_decay if decay else 0.0}
            for (stage, decay), params in sorted(groups.items())
        ],
        betas=betas,
        eps=eps,
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]


def schedule(step: int, num_steps: int, warmup_steps: int, decay_steps: int, floor: float, shape: DecayShape) -> float:
    """Learning rate of step 0.. as a share of the peak: linear warm-up, stable, then decay towards `floor`.

    "inverse-sqrt" is the published decay, which has lost half the rate at its fourth step; "one-minus-sqrt" and
    "linear" reach the floor at the last step.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    k = step - (num_steps - decay_steps) + 1  # 1 at the first step of the decay
    if k <= 0:
        return 1.0
    if shape == "inverse-sqrt":
        return floor + (1 - floor) / math.sqrt(k)
    progress = k / decay_steps
    return floor + (1 - floor) * (1 - (math.sqrt(progress) if shape == "one-minus-sqrt" else progress))


class MovingAverage:
    """Exponential moving average of a model's weights, in float32."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: p.detach().float().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move a little towards the model's weights."""
        current = [p.detach().float() for _, p in model.named_parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1 - self.decay)
