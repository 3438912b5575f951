"""Small model files for the tests of checkpoints."""

import zipfile

import pytest
import torch

from ldarnet.checkpoint import load_model, random_model
from ldarnet.config import ModelConfig
from ldarnet.provenance import CheckpointError
from ldarnet.published import tensor_sources

TINY = ModelConfig(
    layout=("m1t1", ("M1",), "m1"),
    d_model=(32, 64),
    d_intermediate=(0, 64),
    num_heads=(2, 2),
    rotary_dim=(16, 16),
    attention_window=(15, -1),
    d_state=8,
    context_bp=256,
)
IDS = torch.arange(300)[None] * 7 % 5


def tiny_model():
    model = random_model(TINY)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def published_payload(model):
    """The model as the published code would save it: one entry per direction, shared weights twice."""
    state = {}
    for ours, source in tensor_sources(model.config).items():
        tensor = model.state_dict()[ours]
        for i, name in enumerate(source.names):
            part = tensor[i] if source.stacked else tensor
            state[name] = (part.unsqueeze(1) if ours.endswith("conv_weight") else part).clone()
    c = model.config
    config = {
        "arch_layout": ["m1t1", ["M1"], "m1"],
        "d_model": list(c.d_model),
        "d_intermediate": list(c.d_intermediate),
        "vocab_size": c.vocab_size,
        "ssm_cfg": {"d_conv": c.d_conv, "expand": c.expand, "d_state": c.d_state, "chunk_size": 256},
        "attn_cfg": {
            "num_heads": list(c.num_heads),
            "rotary_emb_dim": list(c.rotary_dim),
            "window_size": list(c.attention_window),
        },
        "tie_embeddings": False,
        "mode": "mlm",
        "pad_token_id": 6,
        "mask_token_id": 5,
    }
    return {"model": state, "config": config, "step": 7, "args": {"lr": 5e-4}}


def rewrite(source, target, change):
    """The archive with its pickle changed and all checksums right."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name.endswith("/data.pkl") else data)


def same(a, b):
    if a.config != b.config:
        return False
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


def refused(path, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
