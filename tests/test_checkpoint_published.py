"""Checkpoints of the published code: converted exactly, refused by name where they are damaged, never run."""

import argparse
import time
import zipfile
from dataclasses import replace

import pytest
import safetensors
import torch

from ldarnet.checkpoint import convert_model, load_model, random_model
from tests.model_files import IDS, published_payload, refused, rewrite, same, tiny_model


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


def with_context(model, context_bp):
    twin = random_model(replace(model.config, context_bp=context_bp))
    twin.load_state_dict(model.state_dict())
    return twin


@pytest.mark.parametrize("name", ["ldarnet_m1t1_T2_m1", "ldarnet_two_stage"])
def test_conversion_keeps_every_output(golden_dir, tmp_path, name):
    source, out = golden_dir / f"{name}.pt", tmp_path / "converted.safetensors"
    num_parameters = convert_model(str(source), out, context_bp=None, notes={"data": "none"})
    direct, converted = load_model(source), load_model(out)
    assert same(direct, converted)
    a, b = direct(IDS), converted(IDS)
    assert torch.equal(a.logits, b.logits)
    assert all(torch.equal(x.prob, y.prob) for x, y in zip(a.routing, b.routing, strict=True))
    # Each tied weight once: per Mamba layer one in_proj and one out_proj fewer than published.
    published = torch.load(source, weights_only=True)["model"]
    tied = sum(t.numel() for n, t in published.items() if ".bwd.in_proj" in n or ".bwd.out_proj" in n)
    assert tied > 0
    with safetensors.safe_open(out, framework="pt") as file:
        stored = sum(file.get_tensor(n).numel() for n in file.keys())  # noqa: SIM118
    assert stored == num_parameters == sum(t.numel() for t in published.values()) - tied


def test_a_published_file_gives_the_model_it_was_made_of(tiny, tmp_path):
    torch.save(published_payload(tiny), tmp_path / "p.pt")
    loaded = load_model(tmp_path / "p.pt")
    assert same(loaded, with_context(tiny, loaded.config.context_bp))
    assert all(p.requires_grad and p.is_leaf for p in loaded.parameters())


def drop(table, *names):
    for name in names:
        del table[name]


FWD, BWD = (f"backbone.encoder.layers.0.mixer.{d}" for d in ("fwd", "bwd"))
DAMAGE = {
    "tied copies differ": (
        lambda s, c: s[f"{BWD}.in_proj.weight"].add_(1e-6),
        rf"'{FWD}.in_proj.weight' and '{BWD}.in_proj.weight' should be one shared tensor but differ",
    ),
    "missing": (
        lambda s, c: drop(s, "lm_head.weight", f"{FWD}.D"),
        rf"2 tensors missing, the first is '{FWD}.D'",
    ),
    "extra": (
        lambda s, c: s.update({"surprise": torch.ones(1)}),
        "1 tensors that the configuration does not call for, the first is 'surprise'",
    ),
    "shape": (
        lambda s, c: s.update({"lm_head.weight": torch.ones(8, 32)}),
        r"'head.weight' has shape \(8, 32\), the configuration calls for \(7, 32\)",
    ),
    "directions differ in shape": (lambda s, c: s.update({f"{BWD}.D": torch.ones(2)}), "differ in shape"),
    "no dimensions": (
        lambda s, c: s.update({f"{d}.conv1d.weight": torch.tensor(1.0) for d in (FWD, BWD)}),
        r"conv_weight' has shape \(2,\), the configuration calls for \(2, 80, 4\)",
    ),
    "NaN": (lambda s, c: s[f"{FWD}.D"].fill_(torch.nan), rf"'{FWD}.D' holds values that are not finite"),
    "NaN in tied copies": (
        lambda s, c: [s[f"{d}.in_proj.weight"].fill_(torch.inf) for d in (FWD, BWD)],
        "in_proj.weight' holds values that are not finite",
    ),
    "too large for float32": (
        lambda s, c: s.update({"lm_head.weight": torch.full((7, 32), 1e300, dtype=torch.float64)}),
        "'lm_head.weight' holds values that are not finite",
    ),
    "integers": (
        lambda s, c: s.update({"lm_head.weight": torch.ones(7, 32, dtype=torch.int64)}),
        "'lm_head.weight': expected a plain tensor of floating-point numbers, got int64",
    ),
    "sparse": (
        lambda s, c: s.update({"lm_head.weight": torch.ones(7, 32).to_sparse()}),
        "'lm_head.weight': expected a plain tensor of floating-point numbers, got float32, torch.sparse_coo",
    ),
    "no memory behind it": (
        lambda s, c: s.update({"lm_head.weight": torch.ones(1).expand(10**6, 10**6)}),
        r"a file of [\d,]+ bytes claims to hold [\d,]+ bytes of tensors",
    ),
    "names that are no names": (lambda s, c: s.update({3: torch.ones(1)}), "'model' is not a table of named tensors"),
    "values that are no tensors": (lambda s, c: s.update(x=[1]), "'model' is not a table of named tensors"),
    "10**9 layers": (lambda s, c: c.update(arch_layout=["m1", ["M999999999"], "m1"]), "at most 1000 layers"),
    "vast widths": (lambda s, c: c.update(d_model=[10**9, 10**9]), "d_model: expected at most 65,536"),
    "vast but allowed widths": (
        lambda s, c: c.update(d_model=[32_768, 65_536]),
        "has shape .*, the configuration calls for",
    ),
    "other widths": (lambda s, c: c.update(d_model=[64, 128]), "has shape .*, the configuration calls for"),
    "booleans": (lambda s, c: c.update(d_model=[True, 64]), r"d_model: expected whole numbers.*\[True, 64\]"),
    "floats": (lambda s, c: c["ssm_cfg"].update(d_state=8.0), "d_state: expected a whole number.*got 8.0"),
    "negative": (lambda s, c: c["ssm_cfg"].update(expand=-2), "expand: expected a whole number.*got -2"),
    "text": (lambda s, c: c.update(d_intermediate="ab"), "d_intermediate: expected whole numbers.*got 'ab'"),
    "number for a list": (lambda s, c: c.update(d_model=3), "d_model: expected whole numbers.*got 3"),
    "list for a table": (lambda s, c: c.update(ssm_cfg=[1]), r"expected ssm_cfg to be a table, got \[1\]"),
    "missing key": (lambda s, c: drop(c, "d_model"), "config lacks 'd_model'"),
    "missing inner key": (lambda s, c: drop(c["attn_cfg"], "num_heads"), "config lacks 'num_heads'"),
    "gated": (lambda s, c: c["ssm_cfg"].update(combine="gated"), "fusion: expected 'mean' or 'sum', got 'gated'"),
    "unhashable": (lambda s, c: c["ssm_cfg"].update(combine=["mean"]), "fusion: expected 'mean' or 'sum'"),
    "no stage": (lambda s, c: c.update(arch_layout=["m4"], d_model=[32]), "expected 1 values"),
    "causal": (lambda s, c: c.update(mode="causal"), r"or a causal H-Net \(no mode\), got mode 'causal'"),
    "masked weights as a causal model": (
        lambda s, c: drop(c, "mode"),
        r"24 tensors missing, the first is .*decoder.layers.0.mixer.A_log.; 48 tensors that the config",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_published_files_are_refused_by_name(tiny, tmp_path, case):
    payload = published_payload(tiny)
    damage, message = DAMAGE[case]
    damage(payload["model"], payload["config"])
    torch.save(payload, tmp_path / "p.pt")
    began = time.perf_counter()
    refused(tmp_path / "p.pt", message)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("levels", [9, 10_000])
def test_a_layout_nested_without_end(tiny, tmp_path, levels):
    payload = published_payload(tiny)
    # pickle recurses on nested lists, so the nesting is spelt out in opcodes
    payload["config"]["arch_layout"] = "LAYOUT"
    torch.save(payload, tmp_path / "plain.pt")
    opcodes = b"](X\x02\x00\x00\x00m1" * levels + b"](X\x02\x00\x00\x00m1e" + b"X\x02\x00\x00\x00m1e" * levels
    rewrite(tmp_path / "plain.pt", tmp_path / "p.pt", lambda data: swap_text(data, "LAYOUT", opcodes))
    refused(tmp_path / "p.pt", "at most 8 stages inside one another")


def swap_text(pickle, text, opcodes):
    start = pickle.index(text.encode()) - 5
    end = start + 5 + len(text)
    if pickle[end : end + 1] == b"q":  # where the text is remembered
        end += 2
    return pickle[:start] + opcodes + pickle[end:]


class Exploit:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_is_run(tiny, tmp_path, zipped):
    payload = published_payload(tiny) | {"optimizer": Exploit(tmp_path / "proof")}
    torch.save(payload, tmp_path / "p.pt", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "p.pt", "could run code, so it is refused")
    assert not (tmp_path / "proof").exists()
    torch.load(tmp_path / "p.pt", weights_only=False)
    assert (tmp_path / "proof").exists(), "the file should have been dangerous"


def test_an_instance_of_a_class_is_refused(tiny, tmp_path):
    torch.save(published_payload(tiny) | {"args": argparse.Namespace(lr=1)}, tmp_path / "p.pt")
    refused(tmp_path / "p.pt", "holds Python objects besides tensors.*safetensors")


def test_a_tensor_marked_as_a_folder_is_refused(tiny, tmp_path):
    """torch would fill it with whatever is in memory."""
    torch.save(published_payload(tiny), tmp_path / "p.pt")
    data = bytearray((tmp_path / "p.pt").read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"p/data/3"))
    data[entry + 38] |= 0x10  # external attributes
    (tmp_path / "p.pt").write_bytes(data)
    refused(tmp_path / "p.pt", "packed otherwise")


def test_a_compressed_archive_is_refused(tiny, tmp_path):
    torch.save(published_payload(tiny), tmp_path / "p.pt")
    with (
        zipfile.ZipFile(tmp_path / "p.pt") as old,
        zipfile.ZipFile(tmp_path / "z.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    refused(tmp_path / "z.pt", "as torch.save writes it; this one is packed otherwise")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"weights": torch.ones(1)}, r"expected keys 'model' and 'config', got \['weights'\]"),
        ([torch.ones(1)], "expected keys 'model' and 'config', got list"),
        ({"model": {}, "config": "mlm"}, "expected keys 'model' and 'config'"),
        ({"model": torch.ones(1), "config": {"mode": "mlm"}}, "'model' is not a table of named tensors"),
        ({"model": {}, "config": {}}, "config lacks 'ssm_cfg'"),
    ],
)
def test_tensors_of_something_else(tmp_path, payload, message):
    torch.save(payload, tmp_path / "p.pt")
    refused(tmp_path / "p.pt", message)
