"""Model files of our own: exact round trips, what a loaded model gives, and the commands."""

import os
import resource
import stat

import pytest
import safetensors
import torch
from typer.testing import CliRunner

import ldarnet
from ldarnet.checkpoint import load_model
from ldarnet.cli import app
from ldarnet.own_format import FORMAT, save_model
from ldarnet.provenance import CheckpointError
from ldarnet.tracks.atomic import TrackError
from tests.model_files import IDS, same, tiny_model


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


@pytest.fixture
def saved(tiny, tmp_path):
    save_model(tiny, tmp_path / "tiny.safetensors", {"licence": "CC0"})
    return tmp_path / "tiny.safetensors"


def test_round_trip_is_exact(tiny, saved):
    loaded = load_model(saved)
    assert same(loaded, tiny)
    assert torch.equal(loaded(IDS).logits, tiny(IDS).logits)
    assert loaded.provenance.notes == {"licence": "CC0"}
    assert (loaded.provenance.name, loaded.provenance.source) == ("tiny", str(saved))
    assert all(p.requires_grad and p.is_leaf for p in loaded.parameters())


def test_the_same_model_gives_the_same_bytes(tiny, saved, tmp_path):
    for i in range(20):
        save_model(tiny, tmp_path / f"{i}.safetensors", {"licence": "CC0"})
        assert (tmp_path / f"{i}.safetensors").read_bytes() == saved.read_bytes()
    with safetensors.safe_open(saved, framework="pt") as file:
        assert file.metadata()["format"] == FORMAT


def test_a_loaded_model_does_not_follow_its_file(tiny, saved):
    loaded = load_model(saved)
    with saved.open("r+b") as file:
        file.truncate(0)
    assert same(loaded, tiny)


@pytest.mark.parametrize("low_bytes", [0x80, 0x4B50])
def test_a_header_length_that_looks_like_another_format(tiny, tmp_path, low_bytes):
    """The first bytes of the file are the header's length: 0x80 opens a pickle too, 0x4b50 is "PK"."""
    path = tmp_path / "t.safetensors"
    modulus = 0x100 if low_bytes < 0x100 else 0x10000
    save_model(tiny, path, {"padding": ""})
    header_bytes = int.from_bytes(path.read_bytes()[:8], "little")
    save_model(tiny, path, {"padding": "x" * ((low_bytes - header_bytes) % modulus)})
    assert int.from_bytes(path.read_bytes()[:8], "little") % modulus == low_bytes
    assert same(load_model(path), tiny)


def test_permissions_are_those_of_a_new_file(tiny, tmp_path):
    before = os.umask(0o027)
    try:
        save_model(tiny, tmp_path / "t.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t.safetensors").stat().st_mode) == 0o640


@pytest.mark.parametrize("part_that_fits", [0.0, 0.01, 0.5, 0.999])
def test_a_full_disk_leaves_nothing(tiny, saved, tmp_path, part_that_fits):
    target = tmp_path / "new.safetensors"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(saved.stat().st_size * part_that_fits), before[1]))
    try:
        with pytest.raises(TrackError, match=r"cannot write .*new\.safetensors: File too large"):
            save_model(tiny, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == [saved]


def test_what_a_model_gives(saved):
    model = ldarnet.load_model(saved, device="cpu", padding="published")
    assert (model.training, model.padding) == (False, "published")
    assert ldarnet.load_model(str(saved)).padding == "exact"
    ids = torch.cat([IDS, IDS.flip(1)])
    valid = torch.ones_like(ids, dtype=torch.bool)
    valid[1, 250:] = False
    out = model(ids, valid)
    assert out.logits.shape == (2, 300, 7)
    assert out.last_hidden_state.shape == out.encoder_output.shape == (2, 300, 32)
    assert len(out.routing) == 1
    assert out.routing[0].prob.shape == out.routing[0].cut.shape == (2, 300)
    assert (out.routing[0].prob.dtype, out.routing[0].cut.dtype) == (torch.float32, torch.bool)
    alone = model.boundaries(ids, valid)
    assert torch.equal(alone.routing[0].prob, out.routing[0].prob)
    assert torch.equal(alone.routing[0].cut, out.routing[0].cut)
    assert not hasattr(alone, "logits")


def test_bad_arguments(saved):
    for device in ("cuda:99", "gpu", "meta", ""):
        with pytest.raises(ValueError, match="--device"):
            load_model(saved, device=device)
    with pytest.raises(ValueError, match="padding: expected 'exact' or 'published', got 'left'"):
        load_model(saved, padding="left")
    with pytest.raises(CheckpointError, match=r"no weights are shipped for ldarnet-110m; pass --random-weights"):
        load_model("ldarnet-110m")
    with pytest.raises(
        CheckpointError, match=r"random weights need a preset \(ldarnet-110m, ldarnet-2m, .*\), got 'x'"
    ):
        load_model("x", random_weights=True)
    assert load_model("ldarnet-2m", random_weights=True, device="auto").provenance.name == "ldarnet-2m-random"


def run(*arguments):
    return CliRunner().invoke(app, ["model", *map(str, arguments)])


def test_model_info(saved):
    done = run("info", saved)
    assert done.exit_code == 0
    facts = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if not line.startswith("note"))
    model = load_model(saved)
    assert facts["name"] == "tiny"
    assert facts["sha256"] == model.provenance.sha256
    assert facts["parameters"] == f"{model.num_parameters():,}"
    assert facts["layout"] == '["m1t1", ["M1"], "m1"]'
    assert facts["context"] == "256 bases"
    assert "note licence CC0" in done.stdout


def test_a_name_can_neither_pose_as_facts_nor_steer_a_terminal(tiny, tmp_path):
    path = tmp_path / "t\x1b[31m.safetensors"
    save_model(tiny, path, {"name": "a\x1b[2Jb\nlicence      MIT\u202ex"})
    assert load_model(path).provenance.name == "a?[2Jb?licence      MIT?x"
    done = run("info", path)
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout and "\nlicence" not in done.stdout
    save_model(tiny, path)
    assert load_model(path).provenance.name == "t?[31m"


def test_notes_can_neither_pose_as_facts_nor_steer_a_terminal(tiny, tmp_path):
    save_model(tiny, tmp_path / "t.safetensors", {"sha256": "f" * 64, "x": "a\x1b[2Jb\nname y"})
    lines = run("info", tmp_path / "t.safetensors").stdout.splitlines()
    assert [line for line in lines if line.startswith("sha256")] != [f"sha256       {'f' * 64}"]
    assert f"note sha256  {'f' * 64}" in lines
    assert any(line.endswith("a?[2Jb?name y") for line in lines)


def test_model_convert(golden_dir, tmp_path):
    source, out = golden_dir / "ldarnet_two_stage.pt", tmp_path / "out.safetensors"
    notes = ("--note", "licence=CC0", "--note", "path=a=b", "--note", "name=two", "--context", "512")
    first = run("convert", source, out, *notes)
    assert first.exit_code == 0, first.stderr
    model = load_model(out)
    assert f"{model.num_parameters():,} parameters, {out.stat().st_size:,} bytes" in first.stderr
    assert model.config.context_bp == 512
    assert model.provenance.name == "two"
    assert model.provenance.notes == {"licence": "CC0", "path": "a=b"}
    before = out.read_bytes()
    assert run("convert", source, out, *notes).exit_code == 0
    assert out.read_bytes() == before
    assert run("convert", out, out, "--note", "licence=MIT").exit_code == 0
    assert load_model(out).provenance.notes == {"licence": "MIT", "path": "a=b"}
    assert same(load_model(out), model)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("info", "nowhere/model.pt"), 1, "error: no such file: nowhere/model.pt"),
        (("info", "ldarnet-2m"), 1, "error: no weights are shipped for ldarnet-2m"),
        (("convert", "default", "{tmp}/x.pt"), 1, "expected a name ending in .safetensors"),
        (("convert", "default", "{tmp}/no/x.safetensors"), 1, "folder {tmp}/no does not exist"),
        (("convert", "default", "{tmp}/f.safetensors"), 1, "it is a folder; expected the name of a file"),
        (("convert", "default", "{tmp}/x.safetensors", "--note", "nothing"), 2, "expected KEY=TEXT, got 'nothing'"),
        (("convert", "default", "{tmp}/x.safetensors", "--context", "1"), 2, "--context"),
    ],
)
def test_commands_that_cannot_work(tmp_path, arguments, status, message):
    (tmp_path / "f.safetensors").mkdir()
    done = run(*(a.replace("{tmp}", str(tmp_path)) for a in arguments))
    assert done.exit_code == status
    assert message.replace("{tmp}", str(tmp_path)) in " ".join(done.stderr.replace("│", "").split())
    assert [p.name for p in tmp_path.iterdir()] == ["f.safetensors"]
