"""`ldarnet embed`: every base and chunk once, at its own cut, with the state the model gives it."""

import resource
from functools import lru_cache

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ldarnet import embed as embedding
from ldarnet import vocab
from ldarnet.checkpoint import load_model, random_model, save_model
from ldarnet.cli import app
from ldarnet.config import ModelConfig
from ldarnet.embed import write_embeddings
from ldarnet.genome import Contig, Interval, plan_windows
from ldarnet.tracks.atomic import TrackError

TINY = ModelConfig(
    layout=("m1", ("M1",), "m1"),
    d_model=(32, 64),
    d_intermediate=(0, 64),
    num_heads=(2, 2),
    rotary_dim=(16, 16),
    attention_window=(15, -1),
    d_state=8,
    context_bp=128,
)
SEQUENCES = {
    "one": "".join(np.random.default_rng(1).choice(list("ACGT"), 500)),
    "two": "NNNNN" + "".join(np.random.default_rng(2).choice(list("ACGTN"), 95)),
}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    model = random_model(TINY)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(model, path)
    return path


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "x.fa"
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in SEQUENCES.items()))
    return path


def embed(fasta, model_file, **changes):
    """(arrays, summary, what was said)"""
    said = []
    settings = {
        "model": str(model_file),
        "regions": None,
        "levels": ("base", "chunk"),
        "window_bp": None,
        "halo_bp": None,
        "device": "cpu",
        "max_gb": 1.0,
        "random_weights": False,
        "say": said.append,
    }
    out = changes.pop("out", fasta.parent / "e.npz")
    summary = write_embeddings(str(fasta), out, **(settings | changes))
    with np.load(out, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}, summary, said


loaded = lru_cache(maxsize=1)(load_model)


@torch.inference_mode()
def outputs(model_file, ids):
    """(last hidden state, chunk states, positions of the cuts) of one stretch."""
    model, tokens = loaded(model_file), torch.from_numpy(ids)[None]
    out, alone = model(tokens), model.boundaries(tokens)
    assert torch.equal(alone.routing[0].cut, out.routing[0].cut)
    cuts = np.flatnonzero(alone.routing[0].cut[0].numpy())
    return out.last_hidden_state[0].numpy(), out.chunk_hidden_state[0][0].numpy(), cuts


def test_one_window_is_one_pass_of_the_model(fasta, model_file):
    arrays, summary, _ = embed(fasta, model_file, window_bp=500, halo_bp=100)
    assert list(arrays) == [
        f"{c}/{k}" for c in SEQUENCES for k in ("base_cut", "base_hidden", "chunk_cut", "chunk_hidden")
    ]
    for name, sequence in SEQUENCES.items():
        ids = vocab.encode(sequence)
        hidden, chunk_hidden, cuts = outputs(model_file, ids)
        known = np.flatnonzero(ids != vocab.N)
        assert 10 < len(cuts) < len(sequence)
        np.testing.assert_array_equal(arrays[f"{name}/base_cut"], known)
        np.testing.assert_array_equal(arrays[f"{name}/base_hidden"], hidden[known])
        np.testing.assert_array_equal(arrays[f"{name}/chunk_cut"], cuts)
        np.testing.assert_array_equal(arrays[f"{name}/chunk_hidden"], chunk_hidden)
        assert arrays[f"{name}/base_hidden"].shape == (len(known), 32)
        assert arrays[f"{name}/chunk_hidden"].shape == (len(cuts), 64)
    assert {str(a.dtype) for n, a in arrays.items() if n.endswith("_cut")} == {"int64"}
    assert {str(a.dtype) for n, a in arrays.items() if n.endswith("_hidden")} == {"float32"}
    assert summary.num_arrays == 8
    assert summary.num_bases == sum(len(arrays[f"{c}/base_cut"]) for c in SEQUENCES)
    assert summary.num_chunks == sum(len(arrays[f"{c}/chunk_cut"]) for c in SEQUENCES)


@pytest.mark.parametrize(("window_bp", "halo_bp"), [(128, 32), (60, 1), (101, 40), (499, 3)])
def test_several_windows_hold_every_base_and_chunk_once(fasta, model_file, window_bp, halo_bp):
    arrays, _, _ = embed(fasta, model_file, window_bp=window_bp, halo_bp=halo_bp)
    for name, sequence in SEQUENCES.items():
        ids = vocab.encode(sequence)
        base_cut, chunk_cut = arrays[f"{name}/base_cut"], arrays[f"{name}/chunk_cut"]
        np.testing.assert_array_equal(base_cut, np.flatnonzero(ids != vocab.N))
        assert np.all(np.diff(chunk_cut) > 0)
        expected = []
        for window in plan_windows(Contig(name, len(sequence)), window_bp, halo_bp):
            hidden, chunk_hidden, cuts = outputs(model_file, ids[window.start : window.end])
            inside = (cuts + window.start >= window.core_start) & (cuts + window.start < window.core_end)
            expected.extend(cuts[inside] + window.start)
            rows = np.isin(chunk_cut, cuts[inside] + window.start)
            np.testing.assert_array_equal(arrays[f"{name}/chunk_hidden"][rows], chunk_hidden[inside])
            rows = (base_cut >= window.core_start) & (base_cut < window.core_end)
            np.testing.assert_array_equal(arrays[f"{name}/base_hidden"][rows], hidden[base_cut[rows] - window.start])
        np.testing.assert_array_equal(chunk_cut, expected)


def test_the_start_of_a_window_is_no_chunk(tmp_path, model_file):
    """Poly-A has no cut but the one the model puts before its first token, in every window anew."""
    (tmp_path / "a.fa").write_text(f">a\n{'A' * 400}\n")
    hidden_starts = [w.start for w in plan_windows(Contig("a", 400), 40, 1) if w.start > 0]
    assert len(hidden_starts) == 10
    for length in (40, 400 - hidden_starts[-1]):
        assert outputs(model_file, vocab.encode("A" * length))[2].tolist() == [0]
    arrays, _, _ = embed(tmp_path / "a.fa", model_file, window_bp=40, halo_bp=1)
    assert arrays["a/chunk_cut"].tolist() == [0]
    assert arrays["a/base_cut"].tolist() == list(range(400))


def test_regions_are_cut_out_of_the_whole(fasta, model_file, tmp_path):
    whole, _, _ = embed(fasta, model_file)
    bed = tmp_path / "r.bed"
    bed.write_text("two\t0\t40\none\t90\t100\none\t300\t301\none\t102\t230\n")
    parts, summary, _ = embed(fasta, model_file, regions=str(bed))
    assert {name.rpartition("/")[0] for name in parts} == {"two:0-40", "one:90-100", "one:300-301", "one:102-230"}
    for name, array in parts.items():
        place, _, kind = name.rpartition("/")
        chrom, _, span = place.partition(":")
        start, end = map(int, span.split("-"))
        cut = whole[f"{chrom}/{kind.split('_')[0]}_cut"]
        np.testing.assert_array_equal(array, whole[f"{chrom}/{kind}"][(cut >= start) & (cut < end)])
    assert summary.num_arrays == 16


def test_merged_regions_are_told_with_the_names_their_arrays_have(fasta, model_file, tmp_path):
    bed = tmp_path / "r.bed"
    bed.write_text("one\t90\t100\none\t100\t130\none\t95\t120\ntwo\t10\t40\n")
    arrays, _, said = embed(fasta, model_file, regions=str(bed))
    assert {name.rpartition("/")[0] for name in arrays} == {"one:90-130", "two:10-40"}
    assert any(
        f"{bed}: 2 overlapping or touching regions were merged" in text and "(one:90-130, two:10-40)" in text
        for text in said
    )
    bed.write_text("one\t90\t100\ntwo\t10\t40\n")
    assert not any("merged" in text for text in embed(fasta, model_file, regions=str(bed))[2])


def test_iupac_codes_are_told(tmp_path, model_file):
    (tmp_path / "i.fa").write_text(">a\nACGTRYACGT\n>b\nACGTKKKKKK\n")
    assert "i.fa: 8 IUPAC codes are read as N" in embed(tmp_path / "i.fa", model_file)[2]
    assert "i.fa: 2 IUPAC codes are read as N" in embed(tmp_path / "i.fa", model_file, regions="a:0-9")[2]


def test_regions_are_not_compared_with_every_contig(tmp_path, model_file, monkeypatch):
    compared = []

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(other)
            return str.__eq__(self, other)

    (tmp_path / "s.fa").write_text("".join(f">s{i}\nACGT\n" for i in range(40)))
    monkeypatch.setattr(embedding, "_wanted", lambda *_: [Interval(Name(f"s{i}"), 0, 4) for i in range(40)])
    arrays, _, _ = embed(tmp_path / "s.fa", model_file, levels=("base",))
    assert len(arrays) == 80
    assert len(compared) < 40 * 10


@pytest.mark.parametrize("level", ["base", "chunk"])
def test_one_level_only(fasta, model_file, level):
    arrays, summary, _ = embed(fasta, model_file, levels=(level,))
    both, _, _ = embed(fasta, model_file)
    assert list(arrays) == [name for name in both if f"/{level}_" in name]
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, both[name])
    assert (summary.num_bases == 0) == (level == "chunk")


def test_contigs_whose_names_are_awkward(tmp_path, model_file):
    names = ["file", "a/b", "allow_pickle", "../up", "x:1-2", "base_cut"]
    (tmp_path / "n.fa").write_text("".join(f">{n}\nACGTACGTAC\n" for n in names))
    arrays, summary, _ = embed(tmp_path / "n.fa", model_file)
    assert {name.rpartition("/")[0] for name in arrays} == set(names)
    assert summary.num_bases == 60


def test_too_much_is_refused_before_it_is_computed(fasta, model_file, tmp_path):
    for max_gb in (1e-6, float("nan"), -1.0):
        with pytest.raises(
            ValueError, match=r"about 0.00013 GB of hidden states for 600 bases, more than --max-gb .*--regions"
        ):
            embed(fasta, model_file, max_gb=max_gb)
    assert [p.name for p in tmp_path.iterdir()] == ["x.fa"]
    embed(fasta, model_file, max_gb=1e-6, regions="one:0-3", levels=("base",))


def test_nothing_to_embed_is_an_error(tmp_path, model_file):
    (tmp_path / "n.fa").write_text(f">n\n{'N' * 50}\n")
    with pytest.raises(TrackError, match="holds neither a base other than N nor the start of a chunk"):
        embed(tmp_path / "n.fa", model_file, levels=("base",))
    assert [p.name for p in tmp_path.iterdir()] == ["n.fa"]


def test_inputs_are_not_overwritten(fasta, model_file, tmp_path):
    link = tmp_path / "link.npz"
    link.symlink_to(fasta)
    before = fasta.read_bytes()
    with pytest.raises(TrackError, match=r"x\.fa is --fasta and would be overwritten"):
        embed(fasta, model_file, out=link)
    assert fasta.read_bytes() == before


def test_a_full_disk_leaves_nothing(fasta, model_file, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(TrackError, match=r"cannot write .*e\.npz: File too large"):
            embed(fasta, model_file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p.name for p in tmp_path.iterdir()] == ["x.fa"]


def test_the_command(fasta, model_file, tmp_path):
    out = tmp_path / "e.npz"
    done = CliRunner().invoke(
        app, ["embed", "--fasta", str(fasta), "--out", str(out), "--model", str(model_file), "--regions", "one:10-20"]
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    with np.load(out, allow_pickle=False) as file:
        num_chunks = len(file["one:10-20/chunk_cut"])
    assert f"{out}: 10 bases and {num_chunks} chunks in 4 arrays" in done.stderr
    again = out.read_bytes()
    CliRunner().invoke(
        app, ["embed", "--fasta", str(fasta), "--out", str(out), "--model", str(model_file), "--regions", "one:10-20"]
    )
    assert out.read_bytes() == again


def test_a_preset_with_random_weights(fasta):
    arrays, _, _ = embed(fasta, "ldarnet-2m", random_weights=True, regions="one:0-100")
    assert arrays["one:0-100/base_hidden"].shape == (100, 64)
    assert arrays["one:0-100/chunk_hidden"].shape[1] == 128


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "{tmp}/e.txt"], "e.txt: expected a name ending in .npz"),
        (["--out", "{tmp}/no/e.npz"], "folder {tmp}/no does not exist"),
        (["--out", "{tmp}/e.npz", "--model", "ldarnet-2m"], "no weights are shipped for ldarnet-2m"),
        (["--out", "{tmp}/e.npz", "--regions", "three:1-2"], "contigs in the FASTA: one, two"),
        (["--out", "{tmp}/e.npz", "--window", "10", "--halo", "5"], "a window must be longer than two halos"),
        (["--out", "{tmp}/e.npz", "--device", "cuda:77"], "--device cuda:77"),
    ],
)
def test_bad_requests_end_with_a_message(fasta, model_file, tmp_path, arguments, message):
    given = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    if "--model" not in given:
        given += ["--model", str(model_file)]
    done = CliRunner().invoke(app, ["embed", "--fasta", str(fasta), *given])
    assert done.exit_code == (2 if "--window" in arguments else 1)
    assert message.replace("{tmp}", str(tmp_path)) in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["x.fa"]
