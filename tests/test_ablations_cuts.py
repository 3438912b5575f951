"""Cuts that the router does not choose: soft and hard grids, random ones, tokens of byte pairs."""

import functools
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ldarnet import vocab
from ldarnet.ablations import changes_of
from ldarnet.byte_pairs import as_merges, read_merges
from ldarnet.checkpoint import describe, load_model, random_model
from ldarnet.cli import app
from ldarnet.config import PRESETS
from ldarnet.model import byte_pair_starts as module
from ldarnet.model import ldarnet as forward
from ldarnet.model.byte_pair_starts import byte_pair_starts
from ldarnet.model.chunking import Tokens
from ldarnet.model.placing import RandomPlaces, token_digest
from ldarnet.model.stepping import Stepper
from ldarnet.own_format import save_model
from ldarnet.write_track import RequestError, TrackRequest, write_track

from .command_line import letters, write_fasta
from .sibling_models import tiny_model

MERGES = ("A C", "G T", "AC GT", "A CGT", "AA A", "A A")


@functools.cache
def cached(preset, **changes):
    return tiny_model(preset, **changes)


def some_ids(shape, seed=0):
    return torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def routing_of(model, ids, valid=None):
    return model(ids, valid).routing


# Soft and hard grids


def test_fixed_cuts_start_from_the_weights_of_the_learned_ones():
    learned, fixed = (random_model(replace(PRESETS["ldarnet-nano"], cuts=cuts)) for cuts in ("learned", "fixed"))
    assert learned.num_parameters() == fixed.num_parameters()
    weights = fixed.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in learned.state_dict().items())


def test_soft_cuts_lie_on_the_grid_and_have_the_probability_of_the_router():
    ids, valid = some_ids((2, 21)), torch.arange(21) < torch.tensor([[21], [9]])
    (soft,) = routing_of(cached("ldarnet-nano", cuts="fixed", cut_prob="router"), ids, valid)
    (free,) = routing_of(cached("ldarnet-nano"), ids, valid)
    assert soft.cut[0].nonzero().flatten().tolist() == [0, 4, 8, 12, 16, 20]
    assert soft.cut[1].nonzero().flatten().tolist() == [0, 4, 8], "none on padding"
    assert torch.equal(soft.prob, free.prob)
    assert not torch.equal(soft.cut, free.cut)


def test_confidence_is_that_of_the_decision_which_the_grid_took():
    (soft,) = routing_of(cached("ldarnet-nano", cuts="fixed", cut_prob="router"), some_ids((2, 21)))
    on_grid = torch.arange(21) % 4 == 0
    assert torch.equal(soft.confidence, torch.where(on_grid, soft.prob, 1 - soft.prob))
    assert (soft.confidence[:, 1:] < 0.5).any(), "the router may be of another opinion"


@pytest.mark.parametrize("is_soft", [False, True])
def test_smoothing_takes_the_router_s_probability_or_one(is_soft, monkeypatch):
    seen = []

    def smooth(z, prob, valid, *, causal):
        seen.append(prob)
        return z

    monkeypatch.setattr(forward, "smooth", smooth)
    model = cached("ldarnet-nano", cuts="fixed", cut_prob="router" if is_soft else "certain")
    (routing,) = routing_of(model, some_ids((2, 20)))
    assert torch.equal(seen[0], routing.prob[:, ::4] if is_soft else torch.ones(2, 5))


def test_soft_cuts_compare_as_the_preset_does():
    changes = {"forced_cuts": "none", "cuts": "fixed", "cut_prob": "router"}
    model = tiny_model("dnachunker-small", **changes)
    assert model.stage.router.comparison == "current"
    inner = routing_of(model, some_ids((1, 33)))[1]
    assert inner.cut[0].nonzero().flatten().tolist() == [0, 4, 8], "on the grid of its own tokens"


# Random cuts


def random_cuts(ids, every=4, seed=0, stage=0):
    return RandomPlaces(every, seed, stage)(Tokens(digest=token_digest(ids)), ids[..., None].float())


@pytest.mark.parametrize("every", [1, 2, 4, 12])
def test_random_cuts_have_their_rate_and_no_memory(every):
    cuts = random_cuts(some_ids((40, 1000)), every)
    assert cuts[:, 0].all()
    rate, num = 1 / every, cuts[:, 1:].numel()
    assert cuts[:, 1:].float().mean() == pytest.approx(rate, abs=4 * math.sqrt(rate * (1 - rate) / num) + 1e-12)
    twice = (cuts[:, 1:-1] & cuts[:, 2:]).float().mean()
    assert twice == pytest.approx(rate**2, abs=5 * math.sqrt(rate**2 / num) * (every > 1))


def test_one_letter_over_and_over_is_cut_at_random_too():
    cuts = random_cuts(torch.zeros(1, 4000, dtype=torch.long))
    assert cuts.float().mean() == pytest.approx(0.25, abs=0.03)


@given(row=st.lists(st.integers(0, 6), min_size=2, max_size=60), data=st.data())
def test_random_cuts_depend_on_the_letters_so_far_alone(row, data):
    t = data.draw(st.integers(1, len(row) - 1))
    changed = [*row[:t], (row[t] + 1) % 7, *data.draw(st.lists(st.integers(0, 6), max_size=5))]
    before, after = (random_cuts(torch.tensor([each]), 2) for each in (row, changed))
    assert torch.equal(before[:, :t], after[:, :t])


def test_random_cuts_differ_by_letters_seed_and_stage():
    ids = some_ids((1, 400))
    changed = ids.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 4
    cuts = random_cuts(ids)
    assert torch.equal(cuts, random_cuts(ids))
    for other in (random_cuts(changed), random_cuts(ids, seed=1), random_cuts(ids, stage=1)):
        agreement = (cuts == other)[:, 10:].float().mean()
        assert agreement == pytest.approx(0.25**2 + 0.75**2, abs=0.1), "as of two independent draws"


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=30), min_size=2, max_size=4))
def test_random_cuts_of_two_stages_do_not_depend_on_batch_neighbours(rows):
    model = cached("dnahnet-small", cuts="random", cut_every=2)
    length = max(map(len, rows))
    ids = torch.tensor([row + [vocab.PAD] * (length - len(row)) for row in rows])
    together = routing_of(model, ids, torch.arange(length) < torch.tensor([[len(row)] for row in rows]))
    for i, row in enumerate(rows):
        num_tokens = len(row)
        for alone, all_rows in zip(routing_of(model, torch.tensor([row])), together, strict=True):
            assert torch.equal(alone.cut[0], all_rows.cut[i, :num_tokens])
            assert not all_rows.cut[i, num_tokens:].any()
            num_tokens = int(alone.cut.sum())


# Byte pairs


@functools.cache
def trained(num_tokens=40):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=num_tokens, initial_alphabet=list("ACGT"), show_progress=False)
    tokenizer.train_from_iterator([letters(seed, 300) for seed in range(20)], trainer)
    return tokenizer


def merges_of(tokenizer):
    return tuple(" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"])


@settings(deadline=None)
@given(st.text("ACGT", min_size=1, max_size=80))
def test_tokens_start_where_those_of_the_library_do(text):
    starts = byte_pair_starts(torch.from_numpy(vocab.encode(text))[None], merges_of(trained()))[0]
    lengths = [len(token) for token in trained().encode(text).tokens]
    assert starts.nonzero().flatten().tolist() == np.cumsum([0, *lengths[:-1]]).tolist()


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("ACGTA", [0, 4]),  # ACGT, then A
        ("TACTT", [0, 1, 3, 4]),
        ("AACGT", [0]),  # AC and GT, then ACGT, then the A before it
        ("AC?GT", [0, 3]),  # the hidden letter ends the token of AC
        ("A?CGT", [0, 2, 3]),
        ("??ACG", [0, 2, 4]),
        ("AC??A", [0, 4]),
        ("ACNNA", [0, 4]),
    ],
)
def test_known_tokens(text, starts):
    ids = [vocab.MASK if letter == "?" else vocab.LETTERS.index(letter) for letter in text]
    merges = ("A C", "G T", "AC GT", "A ACGT")
    found = byte_pair_starts(torch.tensor([ids]), merges)[0].nonzero().flatten().tolist()
    assert found == starts


def test_a_token_made_in_two_ways_is_one_token():
    merges = ("A C", "C G", "AC G", "ACG T", "A CG")
    ids = torch.from_numpy(vocab.encode("ACGT"))[None]
    assert byte_pair_starts(ids, merges)[0].tolist() == [True, False, False, False]


def byte_pair_model():
    return cached("ldarnet-nano", cuts="byte-pair", merges=merges_of(trained()))


def test_padding_does_not_change_tokens_whatever_letters_it_holds():
    model, ids = byte_pair_model(), some_ids((1, 40))
    (alone,) = routing_of(model, ids[:, :25])
    (padded,) = routing_of(model, ids.expand(2, -1), torch.arange(40) < torch.tensor([[25], [40]]))
    assert torch.equal(alone.cut[0], padded.cut[0, :25])
    assert not padded.cut[0, 25:].any()
    assert padded.prob.unique().tolist() == [0, 1]


def test_the_tokens_travel_with_the_weights(tmp_path):
    model = byte_pair_model()
    save_model(model, tmp_path / "bpe.safetensors")
    again, ids = load_model(tmp_path / "bpe.safetensors"), some_ids((2, 50))
    assert torch.equal(routing_of(again, ids)[0].cut, routing_of(model, ids)[0].cut)
    assert len(describe(again)["unlike LDARNet"]) < 200, "a page of byte pairs is no fact for people"


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    module._tokenizer.cache_clear()
    with pytest.raises(ValueError, match=r"need the library tokenizers: pip install 'ldarnet\[bpe\]'"):
        byte_pair_starts(some_ids((1, 5)), MERGES[:1])


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        (["AC"], r"got 'AC' \(merge 1\)"),
        (["A C", "AG T"], r"two tokens of ACGT or of earlier merges.* got 'AG T' \(merge 2\)"),
        (["A C", "A  C"], r"got 'A  C' \(merge 2\)"),
        (["A N"], r"got 'A N' \(merge 1\)"),
        ([1], "expected texts such as 'AC G'"),
        ("A C", "expected texts such as 'AC G', got 'A C'"),
    ],
)
def test_merges_are_checked(merges, message):
    with pytest.raises(ValueError, match=message):
        as_merges(merges)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {}}', '{"model": {"merges": 3}}', '{"model": {"merges": []}}'])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"x\.json: .*expected a byte-pair tokenizer"):
        read_merges(path)


def test_a_tokenizer_learned_on_the_run_s_windows_becomes_an_ablation(tmp_path):
    fasta = write_fasta(tmp_path / "x.fa", chr=letters(3, 3000) + "N" * 40)
    out = tmp_path / "bpe.json"
    command = ["model", "tokens", "--fasta", str(fasta), "--out", str(out), "--tokens", "30", "--bases", "20000"]
    assert CliRunner().invoke(app, command).exit_code == 0
    changes = changes_of([f"byte-pair:{out}"], "ldarnet-2m")
    assert changes["model.cuts"] == "byte-pair"
    assert len(changes["model.merges"]) == 26
    first = out.read_bytes()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert out.read_bytes() == first, "the same windows give the same tokens"
    too_few = CliRunner().invoke(app, [*command[:-3], "60000", "--bases", "64"])
    assert too_few.exit_code == 1
    assert "expected 60,000 tokens, got" in too_few.stderr


# What cannot be


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("ldarnet-2m", {"cut_prob": "router"}, "cut_prob 'router': learned cuts have no other probability"),
        ("ldarnet-2m", {"cut_seed": 3}, "cut_seed 3: only random cuts have one"),
        ("ldarnet-2m", {"cuts": "random", "cut_seed": -1}, "cut_seed: expected a whole number from 0"),
        ("ldarnet-2m", {"cuts": "random", "forced_cuts": "mask"}, "forced_cuts 'mask': random cuts stay where"),
        ("ldarnet-2m", {"cuts": "byte-pair"}, "merges: expected some with cuts 'byte-pair' alone, got 0 with"),
        ("ldarnet-2m", {"merges": MERGES[:1]}, "merges: expected some with cuts 'byte-pair' alone, got 1 with"),
        ("hnet-small", {"cuts": "byte-pair", "merges": MERGES[:1]}, "a token's start depends on later letters"),
        (
            "dnachunker-small",
            {"cuts": "byte-pair", "merges": MERGES[:1], "forced_cuts": "none"},
            "tokens are one level of chunks; expected 1 stage, got 2",
        ),
        ("ldarnet-2m", {"cuts": "grid"}, "cuts: expected one of learned, fixed, random, byte-pair, got 'grid'"),
    ],
)
def test_contradictions_are_refused(preset, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(PRESETS[preset], **changes)


@pytest.mark.parametrize("changes", [{"cuts": "random"}, {"cuts": "fixed", "cut_prob": "router"}])
def test_cuts_that_cannot_be_stepped_are_refused(changes):
    with pytest.raises(ValueError, match="takes cuts that are learned, or fixed with probability 1"):
        Stepper(cached("hnet-small", **changes), 1)


@pytest.mark.parametrize("changes", [{"cuts": "random"}, {"cuts": "fixed", "cut_prob": "router"}])
def test_placed_cuts_of_a_causal_model_do_not_look_ahead(changes):
    model, ids = cached("dnahnet-small", **changes), some_ids((1, 40))
    changed = ids.clone()
    changed[0, 20:] = (changed[0, 20:] + 1) % 4
    with torch.no_grad():
        before, after = model(ids).logits, model(changed).logits
    assert torch.allclose(before[:, :20], after[:, :20], atol=1e-5)


def test_chunks_of_soft_cuts_are_no_bed_file(tmp_path):
    file, out = tmp_path / "soft.safetensors", tmp_path / "x.bed"
    save_model(tiny_model("ldarnet-nano", cuts="fixed", cut_prob="router"), file)
    fasta = write_fasta(tmp_path / "x.fa", c=letters(0, 600))
    with pytest.raises(RequestError, match="cuts on a grid whatever its router's probability"):
        write_track(TrackRequest(fasta=str(fasta), outputs=(out,), model=str(file)), say=print)
    assert not out.exists()
