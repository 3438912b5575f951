"""Multiply-adds against torch's own counter and against the plain recurrences; models side by side."""

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from ldarnet import compute
from ldarnet.ablations import LAYOUTS, with_letters
from ldarnet.checkpoint import random_model
from ldarnet.cli import app
from ldarnet.compute import chunks_of, num_pairs, per_base, plain_transformer, work_of
from ldarnet.config import PRESETS
from ldarnet.model import chunking
from ldarnet.model.chunking import Tokens
from ldarnet.model.ldarnet import Stack
from ldarnet.model.selective_scan.reference import selective_scan_reference
from ldarnet.model.ssd import use_backend
from ldarnet.model.ssd.reference import ssd_reference
from ldarnet.model_comparison import (
    _windows,
    compare_models,
    find_candidate,
    num_parameters,
    realised_compression,
)
from ldarnet.vocab import decode

from .command_line import letters, save_tiny, write_fasta
from .sibling_models import DISTINCT, tiny_config, tiny_model

SMALL = ("ldarnet-2m", "hnet-small", "dnahnet-small", "dnachunker-small")
RANK = {preset: {"dt_rank": 2} for preset in ("dnachunker", "dnachunker-small")}
"""Of a product of rank 1 the counter sees nothing."""
ABLATED = [
    ("ldarnet-nano", {"cuts": "fixed"}),
    ("ldarnet-nano", {"cuts": "fixed", "cut_every": 1}),
    ("ldarnet-nano", {"cuts": "fixed", "cut_prob": "router"}),
    ("ldarnet-nano", {"cuts": "random", "fusion": "sum"}),
    *(("ldarnet-nano", {"layout": with_letters(("m2t1", ("M2",), "m2"), letters_)}) for letters_ in LAYOUTS),
]


def multiply_adds_seen(run):
    """By torch's counter, which counts two operations for each; it knows matrix products only."""
    with use_backend("reference"), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        result = run()
    return counter.get_total_flops() / 2, result


@pytest.fixture
def torch_s_counting(monkeypatch):
    """The counter takes pairs that a mask hides for computed, and would see the blocks of a fast average."""
    monkeypatch.setattr(compute, "num_pairs", lambda num_tokens, window, causal: num_tokens**2)
    monkeypatch.setattr(chunking, "moving_average", chunking.moving_average_reference)


@pytest.mark.parametrize(("preset", "changes"), [*((preset, RANK.get(preset, {})) for preset in DISTINCT), *ABLATED])
def test_linear_layers_and_attention_are_those_that_torch_counts(preset, changes, torch_s_counting):
    model = tiny_model(preset, **changes)
    ids = torch.randint(0, 4, (1, 24), generator=torch.Generator().manual_seed(0))
    seen, out = multiply_adds_seen(lambda: model(ids))
    num_chunks = [int(routing.cut.sum()) for routing in out.routing]
    assert sum(part.products for part in work_of(model.config, 24, num_chunks)) == seen


@pytest.mark.parametrize("preset", SMALL)
def test_at_full_width_too(preset, torch_s_counting):
    model = random_model(PRESETS[preset])
    with torch.no_grad():
        seen, out = multiply_adds_seen(lambda: model(torch.arange(24)[None] % 4))
    num_chunks = [int(routing.cut.sum()) for routing in out.routing]
    assert sum(part.products for part in work_of(model.config, 24, num_chunks)) == seen


def test_the_transformer_beside_them(torch_s_counting):
    config = plain_transformer(PRESETS["ldarnet-2m"])
    assert (config.layout, config.d_model, config.num_stages) == (("T6",), (128,), 0)
    stack, head = Stack("T6", 0, config), 128 * config.vocab_size * 30
    seen, _ = multiply_adds_seen(lambda: stack(torch.randn(1, 30, 128), Tokens(), "exact"))
    assert sum(part.products for part in work_of(config, 30, ())) == seen + head


@given(num_tokens=st.integers(1, 12), window=st.integers(-1, 14), causal=st.booleans())
def test_pairs_are_those_that_see_each_other(num_tokens, window, causal):
    pairs = itertools.product(range(num_tokens), repeat=2)
    seen = [
        (query, key)
        for query, key in pairs
        if (window < 0 or abs(query - key) <= window) and not (causal and key > query)
    ]
    assert num_pairs(num_tokens, window, causal=causal) == len(seen)


class Multiplications(TorchDispatchMode):
    """Counts products of numbers in elementwise arithmetic."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten.mul.Tensor, torch.ops.aten.addcmul.default):
            self.total += result.numel()
        return result


def multiplications(run, *args):
    with Multiplications() as counter:
        run(*args)
    return counter.total


@pytest.mark.parametrize("directions", [1, 2])
def test_scans_of_mamba_2_are_counted_as_the_recurrence(directions):
    config = tiny_config("hnet-small" if directions == 1 else "ldarnet-nano")
    inner, heads = 2 * 16, 2 * 16 // config.head_dim
    x, dt = torch.randn(1, 9, directions, heads, config.head_dim), torch.rand(1, 9, directions, heads)
    A, B = torch.randn(directions, heads), torch.randn(1, 9, directions, config.d_state)
    counted = multiplications(ssd_reference, x, dt, A, B, B, A)
    assert inner == heads * config.head_dim
    assert compute._mamba2(config, 16, 9).scans == counted


def test_scans_of_mamba_1_are_counted_as_the_recurrence():
    config = tiny_config("dnachunker")
    x, A = torch.rand(1, 9, 2, 32), torch.randn(2, 32, config.d_state)
    B = torch.randn(1, 9, 2, config.d_state)
    counted = multiplications(selective_scan_reference, x, x, A, B, B, A[..., 0])
    assert compute._mamba1(config, 16, 9).scans == counted


@pytest.mark.parametrize(
    ("preset", "count"), [("ldarnet-nano", "_mamba2"), ("hnet-small", "_mamba2"), ("dnachunker", "_mamba1")]
)
def test_convolutions_are_counted(preset, count):
    model = tiny_model(preset)
    mixer = model.stage.encoder.layers[0].mixer
    with use_backend("reference"):
        counted = multiplications(mixer._convolve, torch.randn(1, 9, mixer.conv_weight.shape[1]))
    assert getattr(compute, count)(model.config, 16, 9).filters == counted


@pytest.mark.parametrize("preset", ["ldarnet-nano", "hnet-small", "dnachunker"])
def test_the_router_s_comparison_is_counted(preset):
    model = tiny_model(preset)
    counted = multiplications(model.stage.router, torch.randn(1, 9, 16), None)
    num_chunks = chunks_of(model.config, 9)
    assert {part.part: part for part in work_of(model.config, 9, num_chunks)}["router 0"].filters == counted


@pytest.mark.parametrize(("causal", "directions"), [(True, 1), (False, 2)])
def test_smoothing_is_counted_as_the_recurrence(causal, directions):
    z, p = torch.randn(1, 7, 16), torch.rand(1, 7)
    one_direction = multiplications(chunking.moving_average_reference, z, p)
    config = tiny_config("hnet-small" if causal else "ldarnet-nano")
    (skip,) = (part for part in work_of(config, 30, [7]) if part.part == "skip 0")
    assert skip.scans == directions * one_direction


# Learned against fixed


@pytest.mark.parametrize("preset", PRESETS)
def test_fixed_4_has_the_parameters_of_the_learned_model_and_its_compute_at_equal_chunk_counts(preset):
    learned, fixed, soft = (
        find_candidate(f"{preset}{ablation}").config for ablation in ("+learned-4", "+fixed-4", "+fixed-4-soft")
    )
    assert num_parameters(learned) == num_parameters(fixed) == num_parameters(soft)
    num_chunks = chunks_of(fixed, 4096)
    assert num_chunks[0] == 1024
    works = [work_of(config, 4096, num_chunks) for config in (learned, fixed, soft)]
    assert works[2] == works[0], "soft cuts ask the router too"
    asked = [part for part in works[0] if part.part.startswith("router")]
    assert list(works[1]) == [part for part in works[0] if part not in asked], (
        "hard cuts skip the router, and that alone"
    )
    share = sum(part.total for part in asked) / sum(part.total for part in works[0])
    assert 0 < share < 0.08


def test_fewer_chunks_cost_less_and_no_chunks_the_most():
    costs = [per_base(find_candidate(f"ldarnet-2m+{name}").config, 4096, [4096 / n]) for name, n in
             (("no-chunk", 1), ("fixed-2", 2), ("fixed-4", 4), ("fixed-12", 12))]  # fmt: skip
    assert costs == sorted(costs, reverse=True)


def test_chunk_counts():
    fixed, two_stages = find_candidate("ldarnet-2m+fixed-4").config, PRESETS["dnahnet-small"]
    assert chunks_of(fixed, 10) == [3]
    assert chunks_of(fixed, 10, [2.0]) == [3], "a grid stays where it is"
    assert chunks_of(two_stages, 96) == [24, 6]
    assert chunks_of(two_stages, 96, [3, 2]) == [32, 16]
    assert chunks_of(replace(PRESETS["ldarnet-2m"], cuts="random", cut_every=8), 96) == [12]
    with pytest.raises(ValueError, match=r"expected 2 values, one per stage, got \[3\]"):
        chunks_of(two_stages, 96, [3])
    with pytest.raises(ValueError, match="tokens per chunk: expected 1 or more"):
        chunks_of(two_stages, 96, [3, 0.5])
    with pytest.raises(ValueError, match="num_chunks: expected 2 numbers"):
        work_of(two_stages, 96, [32])


# On sequence


@pytest.fixture
def genome(tmp_path):
    return str(write_fasta(tmp_path / "x.fa", a=letters(1, 640) + "N" * 128 + letters(2, 100), b=letters(3, 200)))


def test_realised_compression_is_tokens_by_chunks(genome):
    fixed = tiny_model("dnahnet-small", cuts="fixed", cut_every=4)
    found = realised_compression(fixed, genome)
    assert found.num_bases == (10 + 1 + 3) * 64, "windows of N are left out, and ends shorter than a window"
    assert found.tokens_per_chunk == (4, 4)
    inside = realised_compression(fixed, genome, regions="b:8-150")
    assert inside.num_bases == 2 * 64
    few = realised_compression(fixed, genome, max_bases=200)
    assert few.num_bases in (2 * 64, 3 * 64)


@pytest.mark.parametrize("max_bases", [8, 20, 50, 1000])
def test_windows_lie_at_equal_distances_and_are_not_listed(tmp_path, max_bases):
    """Those of a plain list of all windows, though none is made."""
    texts = {"a": letters(1, 41), "b": letters(2, 7), "c": letters(3, 100), "d": letters(4, 16)}
    path = write_fasta(tmp_path / "x.fa", **texts)
    places = [text[low : low + 8] for text in texts.values() for low in range(0, len(text) - 7, 8)]
    step = max(1, len(places) / (max_bases // 8))
    expected = [places[int(i * step)] for i in range(min(max_bases // 8, len(places)))]
    assert [decode(ids) for ids in _windows(str(path), None, 8, max_bases)] == expected
    long = write_fasta(tmp_path / "long.fa", a="ACGTACGT" * 100_000)
    drawn = _windows(str(long), None, 8, 8)
    tracemalloc.start()
    try:
        assert len(list(drawn)) == 1
        assert tracemalloc.get_traced_memory()[1] < 5_000_000, "a list of 100,000 windows takes more"
    finally:
        tracemalloc.stop()


def test_realised_compression_counts_the_cuts_of_the_model(genome):
    model = tiny_model("ldarnet-nano")
    found = realised_compression(model, genome, regions="a:0-64")
    from ldarnet.genome import open_genome

    with open_genome(genome) as opened, torch.no_grad():
        cut = model(torch.from_numpy(opened.ids("a", 0, 64).astype(np.int64))[None]).routing[0].cut
    assert found.tokens_per_chunk == (64 / int(cut.sum()),)


def test_sequence_too_short_to_measure_on_is_said(tmp_path):
    path = write_fasta(tmp_path / "x.fa", a=letters(1, 63), b="N" * 64)
    with pytest.raises(ValueError, match=r"expected a window of 64 bases .*got 1 windows and none such"):
        realised_compression(tiny_model("ldarnet-nano"), str(path))
    with pytest.raises(ValueError, match="reads bytes of text"):
        realised_compression(tiny_model("hnet-1stage-L"), str(path))


# The command


def run(*arguments):
    return CliRunner().invoke(app, ["model", "compare", *map(str, arguments)])


def test_the_command_shows_the_models_and_where_their_work_is(tmp_path, genome):
    path = save_tiny(tmp_path)
    result = run(path, "ldarnet-2m", "ldarnet-2m+fixed-4", "ldarnet-2m+no-chunk", "--lengths", "64,128")
    assert result.exit_code == 0, result.stderr
    table, split = result.stdout.strip().split("\n\n")
    file, learned, fixed, no_chunk = table.splitlines()[1:]
    assert f"{path.stat().st_size / 1e6:.2f}" in file.split()
    assert learned.split()[:5] == ["ldarnet-2m", "2,011,288", "8.05", "4.02", "-"]
    assert "4.00 (assumed)" in learned
    assert "4.00 (fixed)" in fixed
    assert "1.00 (fixed)" in no_chunk
    numbers = [int(row.split()[-1].replace(",", "")) for row in (learned, fixed, no_chunk)]
    assert numbers[2] > 2 * numbers[1] and numbers[0] == numbers[1] + 8192 + 127  # rounded from 128 x 127 / 128
    header = split.splitlines()[0]
    assert header.index("encoder 0") < header.index("router 0") < header.index("backbone") < header.index("head")


def test_the_command_measures_on_a_fasta(tmp_path, genome):
    path = write_fasta(tmp_path / "long.fa", a=letters(1, 2048))
    result = run("ldarnet-nano+fixed-4", "ldarnet-nano+learned-4", "--fasta", path, "--lengths", "512")
    assert result.exit_code == 0, result.stderr
    assert "4.00 (2,048 bases)" in result.stdout
    assert "(2,048 bases, untrained)" in result.stdout


def test_what_is_aimed_at_is_assumed_until_measured():
    (row,) = compare_models([find_candidate("ldarnet-2m+learned-8")], lengths=[4096])
    assert row.tokens_per_chunk == (8,)
    result = run("dnahnet-small", "--tokens-per-chunk", "3,2")
    assert "3.00, 2.00 (assumed)" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["ldarnet-2m+fixd-4"], 1, "no ablation 'fixd-4'; the nearest is 'fixed-4'"),
        (["nothing"], 1, "no model 'nothing'"),
        (["ldarnet-2m", "--tokens-per-chunk", "3,2"], 1, "tokens per chunk: expected 1 values, one per stage"),
        (["ldarnet-2m", "--lengths", "0"], 2, "expected numbers from 1"),
        (["ldarnet-2m", "--lengths", "x"], 2, "expected numbers with commas"),
        (["ldarnet-2m", "--regions", "a"], 2, "goes with --fasta"),
        (["ldarnet-2m", "--fasta", "x.fa", "--tokens-per-chunk", "3"], 2, "--fasta measures it"),
    ],
)
def test_bad_input(arguments, exit_code, message):
    result = run(*arguments)
    assert result.exit_code == exit_code
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_tokenizer_overwrites_no_input(tmp_path):
    fasta = write_fasta(tmp_path / "x.fa", chr=letters(3, 3000))
    config = tmp_path / "run.toml"
    config.write_text('[[genome]]\nfasta = "x.fa"\n')
    for inputs, source in ((("--config", config), config), (("--config", config), fasta), (("--fasta", fasta), fasta)):
        before = source.read_bytes()
        command = ["model", "tokens", *map(str, inputs), "--out", str(source), "--tokens", "30", "--bases", "20000"]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 1
        assert f"{source} is " in done.stderr and "would be overwritten" in done.stderr
        assert source.read_bytes() == before
