"""Published H-Net files: bare tables of tensors, named by a preset or a configuration beside them."""

import json

import pytest
import torch
from typer.testing import CliRunner

from ldarnet import config as configurations
from ldarnet.checkpoint import convert_model, describe, load_model, save_model
from ldarnet.cli import app
from ldarnet.published_names import tensor_sources
from tests.model_files import refused, same
from tests.sibling_models import tiny_config, tiny_model

NAME = "hnet-2stage-L"


@pytest.fixture(scope="module")
def model():
    return tiny_model(NAME)


@pytest.fixture
def presets(monkeypatch, model):
    """The published presets, at sizes that fit a test."""
    for name in [name for name, config in configurations.PRESETS.items() if config.vocabulary == "bytes"]:
        monkeypatch.setitem(configurations.PRESETS, name, tiny_config(name))
    monkeypatch.setitem(configurations.PRESETS, NAME, model.config)


def table(model, dtype=torch.bfloat16):
    """The weights as their authors publish them."""
    state = {}
    for ours, source in tensor_sources(model.config).items():
        tensor = model.state_dict()[ours]
        tensor = tensor[0] if source.stacked else tensor
        tensor = tensor.unsqueeze(1) if ours.endswith("conv_weight") else tensor
        state[source.names[0]] = tensor.to(torch.float32 if "residual" in ours else dtype)
    return state


def published_json(config):
    return {
        "arch_layout": config.layout,
        "d_model": config.d_model,
        "d_intermediate": config.d_intermediate,
        "vocab_size": config.vocab_size,
        "ssm_cfg": {"chunk_size": 256, "d_conv": config.d_conv, "expand": config.expand, "d_state": config.d_state},
        "attn_cfg": {
            "num_heads": config.num_heads,
            "rotary_emb_dim": config.rotary_dim,
            "window_size": config.attention_window,
        },
        "tie_embeddings": False,
    }


def test_a_bare_table_is_the_preset_with_its_names(model, presets, tmp_path):
    torch.save(table(model, torch.float32), tmp_path / "anything.pt")
    loaded = load_model(tmp_path / "anything.pt")
    assert same(loaded, model)
    assert loaded.config.vocabulary == "bytes"
    convert_model(str(tmp_path / "anything.pt"), tmp_path / "ours.safetensors", context_bp=None, notes={})
    assert same(load_model(tmp_path / "ours.safetensors"), model)


def test_bfloat16_weights_are_read_as_float32(model, presets, tmp_path):
    torch.save(table(model), tmp_path / "p.pt")
    weight = load_model(tmp_path / "p.pt").head.weight
    assert torch.equal(weight, model.head.weight.bfloat16().float())


def test_a_configuration_beside_the_file_comes_first(tmp_path):
    model = tiny_model("hnet-1stage-L", head_dim=64, d_model=(32, 64), rotary_dim=(2, 4))
    torch.save(table(model, torch.float32), tmp_path / "p.pt")
    (tmp_path / "p.json").write_text(json.dumps(published_json(model.config)))
    loaded = load_model(tmp_path / "p.pt")
    assert loaded.config.rotary_dim == (2, 4)
    ids = torch.arange(30)[None] % 256
    assert torch.equal(loaded(ids).logits, model(ids).logits)


def test_other_names_are_refused_with_the_first_of_them(model, presets, tmp_path):
    state = table(model)
    moved = state.pop("backbone.encoder.layers.0.mixer.D")
    state["backbone.encoder.layers.0.mixer.fwd.D"] = moved
    torch.save(state, tmp_path / "p.pt")
    refused(
        tmp_path / "p.pt",
        "no preset has these tensors; the nearest, hnet-2stage-L, differs: 1 tensors missing, the first is "
        "'backbone.encoder.layers.0.mixer.D'; 1 tensors that the configuration does not call for, the first is "
        "'backbone.encoder.layers.0.mixer.fwd.D'. Put the model's configuration beside it, as p.json",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "its configuration p.json cannot be read"),
        ("[1]", "its configuration p.json: expected a JSON object"),
        ('{"arch_layout": ["m1", ["T1"], "m1"]}', "config lacks 'ssm_cfg'"),
        ('{"mode": "causal"}', r"got mode 'causal'"),
        ('{"tie_embeddings": true}', "got tie_embeddings true"),
    ],
)
def test_configurations_that_are_none(model, tmp_path, text, message):
    torch.save(table(model), tmp_path / "p.pt")
    (tmp_path / "p.json").write_text(text)
    refused(tmp_path / "p.pt", message)


def test_float16_storage(tmp_path):
    model = tiny_model("dnahnet-small")
    save_model(model, tmp_path / "m.safetensors")
    done = CliRunner().invoke(
        app, ["model", "convert", str(tmp_path / "m.safetensors"), str(tmp_path / "h.safetensors"), "--half"]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "h.safetensors").stat().st_size < 0.7 * (tmp_path / "m.safetensors").stat().st_size
    loaded = load_model(tmp_path / "h.safetensors")
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, model.state_dict()[name].half().float())
    with torch.no_grad():
        model.head.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"'head.weight' has weights that are no finite numbers in torch.float16"):
        save_model(model, tmp_path / "x.safetensors", dtype=torch.float16)
    assert not (tmp_path / "x.safetensors").exists()


def test_a_description_says_what_is_unlike_ldarnet():
    assert describe(tiny_model("dnahnet-small"))["unlike LDARNet"] == "objective causal, router previous"
    assert "unlike LDARNet" not in describe(tiny_model("ldarnet-nano"))
    assert describe(tiny_model("hnet-1stage-L"))["context"] == "64 bytes"
