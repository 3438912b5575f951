"""Optimiser groups, learning rates and schedule against the published values."""

import math

import pytest
import torch

from ldarnet.checkpoint import random_model
from ldarnet.config import PRESETS, ModelConfig
from ldarnet.train.optim import (
    MovingAverage,
    decays,
    make_optimizer,
    rate_multipliers,
    schedule,
    set_rate,
    stage_of,
)
from ldarnet.train.trainer import part_of

TINY = ModelConfig(
    layout=("m1t1", ("M1",), "m1"),
    d_model=(32, 64),
    d_intermediate=(0, 64),
    num_heads=(2, 2),
    rotary_dim=(8, 8),
    attention_window=(31, -1),
    d_state=8,
    head_dim=16,
    context_bp=64,
)
TWO_STAGE = ModelConfig(
    layout=("m1", ("m1", ("M1",), "m1"), "m1"),
    d_model=(16, 32, 64),
    d_intermediate=(0, 0, 64),
    num_heads=(1, 1, 1),
    rotary_dim=(0, 0, 0),
    attention_window=(-1, -1, -1),
    d_state=8,
    head_dim=16,
    context_bp=64,
)


def test_multipliers_are_those_published():
    assert rate_multipliers(PRESETS["ldarnet-110m"], [4.0], "published") == pytest.approx([3.0, 1.0])
    assert rate_multipliers(PRESETS["ldarnet-2m"], [4.0], "published") == pytest.approx([4.0, 1.0])
    # H-Net's table: one stage, N = 6, widths 1024 and 1536: 2.63 and 0.876.
    hnet = ModelConfig(
        layout=("m4", ("T22",), "m4"),
        d_model=(1024, 1536),
        d_intermediate=(0, 4096),
        num_heads=(16, 16),
        rotary_dim=(32, 48),
        attention_window=(1023, -1),
    )
    assert rate_multipliers(hnet, [6.0], "hnet") == pytest.approx([2.63, 0.876], abs=5e-3)
    two = rate_multipliers(TWO_STAGE, [3.0, 3.0], "hnet")
    assert two[0] / two[1] == pytest.approx(math.sqrt(3 * 2)) and two[1] / two[2] == pytest.approx(math.sqrt(3 * 2))
    assert rate_multipliers(TWO_STAGE, [3.0, 2.0], "flat") == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="tokens_per_chunk: expected 2 values"):
        rate_multipliers(TWO_STAGE, [3.0], "hnet")


def test_every_parameter_is_in_the_right_group():
    model = random_model(TWO_STAGE)
    names = dict(model.named_parameters())
    optimizer = make_optimizer(model, [9.0, 3.0, 1.0], betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
    group_of = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    assert len(group_of) == len(names)
    for name, parameter in names.items():
        group = group_of[id(parameter)]
        assert group["multiplier"] == [9.0, 3.0, 1.0][stage_of(name)]
        assert group["weight_decay"] == (0.01 if decays(name) else 0.0)
    exempt = {name.rpartition(".")[2] for name in names if not decays(name)}
    assert exempt == {"bias", "conv_bias", "dt_bias", "A_log", "D", "norm_weight", "weight"}
    assert all("norm" in name for name in names if name.endswith("weight") and not decays(name))
    assert stage_of("embedding.weight") == 0 and stage_of("stage.router.query.weight") == 0
    assert stage_of("stage.widening") == 1 and stage_of("stage.inner.widening") == 2
    assert stage_of("stage.inner.encoder.layers.0.mixer.D") == 1 and stage_of("stage.inner.inner.norm.weight") == 2
    set_rate(optimizer, 1e-3)
    assert sorted({g["lr"] for g in optimizer.param_groups}) == pytest.approx([1e-3, 3e-3, 9e-3])


def test_parts_cover_the_model():
    assert {part_of(name) for name, _ in random_model(TINY).named_parameters()} == {
        "encoder",
        "router",
        "inner",
        "decoder",
    }


def test_parts_of_inner_stages_are_told_apart():
    names = [name for name, _ in random_model(PRESETS["dnahnet-small"]).named_parameters()]
    parts = {name: part_of(name, 2) for name in names}
    assert set(parts.values()) == {
        *("encoder", "router", "decoder", "encoder 1", "router 1", "decoder 1", "inner"),
    }
    assert parts["stage.router.query.weight"] == "router" and parts["stage.inner.router.query.weight"] == "router 1"
    assert parts["stage.inner.residual.weight"] == "decoder 1" and parts["embedding.weight"] == "encoder"
    assert all(part == "inner" for name, part in parts.items() if name.startswith("stage.inner.inner."))


def test_schedule():
    def rate(step, shape):
        return schedule(step, 1000, 100, 200, 0.05, shape)

    assert rate(0, "inverse-sqrt") == 0.01 and rate(99, "inverse-sqrt") == 1.0 == rate(799, "inverse-sqrt")
    # Facts on the published code: about 53 % at the fourth step of the decay.
    assert rate(803, "inverse-sqrt") == pytest.approx(0.525)
    for shape in ("one-minus-sqrt", "linear"):
        rates = [rate(step, shape) for step in range(800, 1000)]
        assert rates == sorted(rates, reverse=True) and rates[0] < 1
        assert rates[-1] == pytest.approx(0.05)
    assert rate(899, "linear") == pytest.approx(0.05 + 0.95 / 2)


def test_moving_average_is_one():
    model = random_model(TINY)
    average = MovingAverage(model, 0.9)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    average.update(model)
    average.update(model)
    for name, weight in average.weights.items():
        torch.testing.assert_close(weight, start[name] + 1 - 0.9**2)
