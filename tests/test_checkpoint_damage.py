"""Files that are no models, and models cut short or altered: a refusal that says so, never another exception."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from ldarnet.checkpoint import load_model
from ldarnet.own_format import FORMAT, save_model
from ldarnet.provenance import CheckpointError
from tests.model_files import TINY, published_payload, refused, rewrite, same, tiny_model


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


def test_what_is_no_model_file(tmp_path):
    for name, data, message in [
        ("empty.pt", b"", "is empty"),
        ("text.safetensors", b">chr1\nACGT\n", "is no model file: expected safetensors, or a .pt file"),
        ("short.pt", b"PK", "is no model file"),
        ("zip.pt", b"PK\x05\x06" + bytes(18), "is no model file"),
        ("pickle.pt", b"\x80\x04N.", "is a bare pickle.*refused"),
        ("huge.safetensors", (1 << 62).to_bytes(8, "little") + b"{}", "is not a complete safetensors file"),
        ("large.safetensors", (90_000_000).to_bytes(8, "little") + b"{}", "is not a complete safetensors file"),
        ("brackets.safetensors", (90_001).to_bytes(8, "little") + b"{" + b'"a":{' * 18_000, "is not a complete"),
    ]:
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, message)
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "folder.pt", "is a folder; expected a .safetensors or .pt file")
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "is not a regular file")


def test_names_that_no_file_can_have(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*: File name too long"):
        load_model("x" * 5000)
    with pytest.raises(CheckpointError, match="no such file"):
        load_model("a\0b.pt")


GOOD = {"format": FORMAT, "config": TINY.to_json(), "notes": "{}"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "another model family: its metadata says format None, expected 'ldarnet-1'"),
        ({"format": "pt"}, "another model family: its metadata says format 'pt'"),
        ({"format": FORMAT}, "the model configuration is not JSON"),
        (GOOD | {"config": "{}"}, "keys missing from the model configuration: attention_window, d_inter"),
        (GOOD | {"config": "[" * 10_000}, "nested too deeply"),
        (GOOD | {"notes": "[1]"}, r"expected notes that are a JSON object of texts, got '\[1\]'"),
        (GOOD | {"notes": '{"a": 1}'}, "expected notes that are a JSON object of texts"),
        (GOOD | {"notes": "[" * 10_000}, "expected notes that are a JSON object of texts"),
        (GOOD | {"config": json.dumps(json.loads(TINY.to_json()) | {"layout": ["m1"]})}, "expected 1 values"),
        (GOOD | {"sha256": "0" * 64}, "is damaged .wrong checksum."),
        (GOOD, r"1 unknown tensors, the first is 'surprise'"),
    ],
)
def test_safetensors_files_of_others(tiny, tmp_path, metadata, message):
    state = dict(tiny.state_dict()) | {"surprise": torch.ones(1)}
    safetensors.torch.save_file(state, tmp_path / "t.safetensors", metadata)
    refused(tmp_path / "t.safetensors", message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head.weight": None}, "1 tensors missing, the first is 'head.weight'"),
        ({"head.weight": torch.ones(7, 33)}, r"'head.weight' has shape \(7, 33\), .* calls for \(7, 32\)"),
        ({"head.weight": torch.full((7, 32), torch.nan)}, "'head.weight' holds values that are not finite"),
        ({"head.weight": torch.ones(7, 32).bool()}, "floating-point numbers, got bool"),
    ],
)
def test_safetensors_files_with_wrong_tensors(tiny, tmp_path, change, message):
    state = {name: tensor for name, tensor in (tiny.state_dict() | change).items() if tensor is not None}
    safetensors.torch.save_file(state, tmp_path / "t.safetensors", GOOD)
    refused(tmp_path / "t.safetensors", message)


def four_bit_numbers():
    if not hasattr(torch, "float4_e2m1fn_x2"):
        pytest.skip("this torch does not know them")
    return torch.zeros(7, 16, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)


def test_numbers_of_four_bits_are_refused_by_name(tiny, tmp_path):
    message = "head.weight': expected numbers that can be read as float32, got float4_e2m1fn_x2"
    state = tiny.state_dict() | {"head.weight": four_bit_numbers()}
    safetensors.torch.save_file(state, tmp_path / "t.safetensors", GOOD)
    refused(tmp_path / "t.safetensors", message)
    payload = published_payload(tiny)
    payload["model"]["lm_head.weight"] = four_bit_numbers()
    torch.save(payload, tmp_path / "t.pt")
    refused(tmp_path / "t.pt", message)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_refused_by_name(tiny, tmp_path, layout):
    payload = published_payload(tiny)
    rows = [torch.zeros(2), torch.zeros(3)]
    payload["model"]["lm_head.weight"] = torch.nested.nested_tensor(rows, layout=layout)
    torch.save(payload, tmp_path / "t.pt")
    refused(tmp_path / "t.pt", "lm_head.weight': expected a plain tensor of floating-point .*, got float32, nested")


def test_a_plain_stack_has_no_cuts(tmp_path):
    plain = replace(
        TINY,
        layout=("M1",),
        d_model=(64,),
        d_intermediate=(64,),
        num_heads=(2,),
        rotary_dim=(2,),
        attention_window=(1,),
    )
    metadata = GOOD | {"config": plain.to_json()}
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "t.safetensors", metadata)
    refused(tmp_path / "t.safetensors", "expected at least one stage")


def test_half_precision_weights_are_read(tiny, tmp_path):
    half = {name: tensor.bfloat16() for name, tensor in tiny.state_dict().items()}
    safetensors.torch.save_file(half, tmp_path / "t.safetensors", GOOD)
    loaded = load_model(tmp_path / "t.safetensors").state_dict()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in half.items())


def outcome(path, original):
    """Refused, or the model that was saved; anything else fails the test."""
    try:
        loaded = load_model(path)
    except CheckpointError as error:
        assert len(str(error)) < 1000
        return "refused"
    assert same(loaded, original)
    return "equal"


@pytest.fixture(params=["safetensors", "pt"])
def intact(request, tiny, tmp_path):
    """(bytes of a model file, where to put damaged ones, the model in it)"""
    path = tmp_path / f"t.{request.param}"
    if request.param == "pt":
        torch.save(published_payload(tiny), path)
    else:
        save_model(tiny, path, {"licence": "CC0"})
    return path.read_bytes(), path, load_model(path)


def test_truncation_anywhere(intact):
    data, path, _ = intact
    generator = np.random.default_rng(1)
    lengths = [*range(40), *generator.integers(40, len(data), 80), *range(len(data) - 40, len(data))]
    for length in map(int, lengths):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            load_model(path)


def test_flipped_bytes_anywhere(intact):
    data, path, original = intact
    generator = np.random.default_rng(2)
    edges = [*range(64), *generator.integers(0, 6000, 100), *generator.integers(len(data) - 6000, len(data), 100)]
    outcomes = []
    for position in map(int, [*edges, *generator.integers(0, len(data), 60)]):
        damaged = bytearray(data)
        damaged[position] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        outcomes.append(outcome(path, original))
    assert outcomes.count("refused") > len(outcomes) / 3


def test_a_flipped_bit_in_a_weight_is_noticed(intact):
    data, path, _ = intact
    head = data.index(load_model(path).head.weight.detach().numpy().tobytes())
    path.write_bytes(data[:head] + bytes([data[head] ^ 1]) + data[head + 1 :])
    refused(path, "is damaged .wrong checksum")


def test_damaged_pickles_with_good_checksums(tiny, tmp_path):
    """Whatever the opcodes say: a refusal or some model, and no other exception."""
    torch.save(published_payload(tiny), tmp_path / "p.pt")
    generator = np.random.default_rng(3)
    num_refused = 0
    for _ in range(250):

        def damage(data):
            damaged = bytearray(data)
            for position in generator.integers(0, len(data), int(generator.integers(1, 4))):
                damaged[position] = generator.integers(256)
            return bytes(damaged)

        rewrite(tmp_path / "p.pt", tmp_path / "q.pt", damage)
        try:
            load_model(tmp_path / "q.pt")
        except CheckpointError:
            num_refused += 1
    assert num_refused > 100
