"""Sizes of the presets, and weights before training as the published code makes them."""

import math

import pytest
import torch
from torch.nn import functional as F

from ldarnet.checkpoint import load_model, random_model
from ldarnet.config import PRESETS
from ldarnet.model import LDARNet

SMALL = "ldarnet-2m"


@pytest.fixture(scope="module")
def small():
    return random_model(PRESETS[SMALL], seed=3).requires_grad_(False)


@pytest.mark.parametrize(("preset", "count"), [("ldarnet-110m", 110_687_296), ("ldarnet-2m", 2_011_288)])
def test_parameter_counts(preset, count):
    with torch.device("meta"):
        assert LDARNet(PRESETS[preset]).num_parameters() == count


@pytest.mark.parametrize(
    # residual additions: one a layer, two with a SwiGLU; the backbone counts those of the stage around it too
    ("preset", "outer", "backbone"),
    [("ldarnet-110m", 4 + 4, 4 + 4 + 2 * 10), ("ldarnet-2m", 4 + 3, 4 + 3 + 2 * 6)],
)
def test_standard_deviations_asked_for(preset, outer, backbone, monkeypatch):
    asked = {}
    monkeypatch.setattr(torch.nn.init, "normal_", lambda tensor, mean=0.0, std=1.0: asked.update({id(tensor): std}))
    with torch.device("meta"):
        model = LDARNet(PRESETS[preset])
    std_of = {name: asked[id(p)] for name, p in model.named_parameters() if id(p) in asked}
    for name, std in std_of.items():
        num_additions = 1
        if "out_proj" in name or "fc2" in name:
            num_additions = backbone if ".inner." in name else outer
        assert std == pytest.approx(0.02 / math.sqrt(num_additions), rel=1e-12), name
    written = {n for n, p in model.named_parameters() if p.dim() == 2 and n.endswith(".weight") and "norm" not in n}
    assert set(std_of) == {n for n in written if "router" not in n and "residual" not in n}


def test_weights_have_the_standard_deviation_asked_for(small):
    checked = 0
    for name, parameter in small.state_dict().items():
        if parameter.numel() < 4000 or not name.endswith(("proj.weight", "qkv.weight", "fc1.weight", "fc2.weight")):
            continue
        num_additions = 1
        if "out_proj" in name or "fc2" in name:
            num_additions = 19 if ".inner." in name else 7
        want = 0.02 / math.sqrt(num_additions)
        assert float(parameter.std()) == pytest.approx(want, rel=0.05), name
        assert abs(float(parameter.mean())) < 5 * want / math.sqrt(parameter.numel()), name
        checked += 1
    assert checked == 2 * 13 - 1 + 1 + 2 * 6  # in_proj and out_proj, qkv and out_proj, fc1 and fc2
    for parameter in (small.embedding.weight, small.head.weight):
        assert float(parameter.std()) == pytest.approx(0.02, rel=0.15)


def test_router_and_skip_connection_start_as_stated(small):
    stage = small.stage
    assert torch.equal(stage.router.query.weight, torch.eye(64))
    assert torch.equal(stage.router.key.weight, torch.eye(64))
    assert not stage.residual.weight.any()
    assert stage.residual.bias.all(), "the bias keeps the default of a linear layer"
    assert float(stage.residual.bias.abs().max()) <= 1 / math.sqrt(64)
    assert float(stage.residual.bias.std()) == pytest.approx(1 / math.sqrt(3 * 64), rel=0.3)
    assert stage.widening.shape == (64,)
    assert not stage.widening.any()


def test_scan_parameters_keep_the_defaults_of_mamba2(small):
    mixers = [m for m in small.modules() if type(m).__name__ == "BiMamba2"]
    assert len(mixers) == 12
    decay = torch.cat([m.A_log.exp().flatten() for m in mixers])
    step = torch.cat([F.softplus(m.dt_bias).flatten() for m in mixers])
    assert 1 <= float(decay.min()) < 4 < 13 < float(decay.max()) <= 16
    assert 1e-3 * (1 - 1e-4) <= float(step.min()) < 2e-3 < 5e-2 < float(step.max()) <= 1e-1 * (1 + 1e-4)
    for mixer in mixers:
        assert torch.all(mixer.D == 1)
        assert torch.all(mixer.norm_weight == 1)
        assert 0.45 < float(mixer.conv_weight.abs().max()) <= 0.5  # one over the root of four taps
        assert 0.4 < float(mixer.conv_bias.abs().max()) <= 0.5
        assert not torch.equal(mixer.A_log[0], mixer.A_log[1]), "the directions draw their own"


def test_same_seed_same_model_and_nobody_elses_random_numbers():
    before = torch.get_rng_state()
    first = random_model(PRESETS[SMALL], seed=1)
    loaded = load_model("default")
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.num_parameters() > 0
    torch.rand(3)
    again, other = random_model(PRESETS[SMALL], seed=1), random_model(PRESETS[SMALL], seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    assert first.provenance == again.provenance
    assert first.provenance.sha256 != other.provenance.sha256
    assert first.provenance.source == "random weights, seed 1"
    assert not first.training
