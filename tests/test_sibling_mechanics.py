"""What sets the sibling systems apart, part by part, against plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ldarnet import vocab
from ldarnet.boundaries import boundary_track
from ldarnet.checkpoint import save_model
from ldarnet.model import Routing, attention
from ldarnet.model.chunking import Tokens, make_chunks, smooth, spread
from ldarnet.model.router import Router
from tests.command_line import run
from tests.sibling_models import tiny_model

M = vocab.MASK


@st.composite
def routings(draw):
    """Random cuts of two sequences, the second padded."""
    length = draw(st.integers(2, 20))
    valid = torch.ones(2, length, dtype=torch.bool)
    valid[1, draw(st.integers(1, length)) :] = False
    prob = torch.tensor(draw(st.lists(st.floats(0, 1), min_size=2 * length, max_size=2 * length))).reshape(2, length)
    prob[:, 0] = 1
    return Routing(prob, (prob > 0.5) & valid, valid)


def chunks_of(routing, row):
    """Positions of the tokens of every chunk."""
    chunks = []
    for t in range(int(routing.valid[row].sum())):
        if routing.cut[row, t]:
            chunks.append([])
        chunks[-1].append(t)
    return chunks


@settings(deadline=None)
@given(routing=routings())
def test_mean_of_a_chunk_and_what_is_known_of_it(routing):
    length = routing.prob.shape[1]
    x = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(0))
    has_mask = torch.arange(2 * length).reshape(2, length) % 5 == 2
    starts = torch.arange(length).expand(2, -1) * 2
    tokens = Tokens(routing.valid, has_mask, starts, starts + 2)
    means, firsts = make_chunks(x, routing, "mean"), make_chunks(x, routing)
    inner = tokens.of_chunks(means, routing)
    for row in range(2):
        chunks = chunks_of(routing, row)
        for j, members in enumerate(chunks):
            assert torch.allclose(means.hidden[row, j], x[row, members].mean(0), atol=1e-6)
            assert torch.equal(firsts.hidden[row, j], x[row, members[0]])
            assert bool(inner.has_mask[row, j]) == any(has_mask[row, t] for t in members)
            assert inner.start_bp[row, j] == 2 * members[0]
            assert inner.end_bp[row, j] == 2 * members[-1] + 2
            assert inner.centre_bp[row, j] == members[0] + members[-1] + 0.5
        if inner.valid is not None:
            assert inner.valid[row].tolist() == [j < len(chunks) for j in range(inner.valid.shape[1])]


@settings(deadline=None)
@given(routing=routings(), causal=st.booleans())
def test_smoothing_over_bases(routing, causal):
    """Copy, then move along the bases; each sequence starts from nothing at both of its own ends."""
    num_chunks = int(routing.cut.sum(1).max())
    states = torch.randn(2, num_chunks, 3, generator=torch.Generator().manual_seed(0))
    got = smooth(spread(states, routing), routing.prob, routing.valid, causal=causal)
    for row in range(2):
        chunks = chunks_of(routing, row)
        copied = torch.stack([states[row, j] for j, members in enumerate(chunks) for _ in members])
        gate = routing.prob[row, : len(copied)].clamp(1e-4, 1 - 1e-4)

        def along(order, copied=copied, gate=gate):
            state, found = torch.zeros(3), {}
            for t in order:
                state = gate[t] * copied[t] + (1 - gate[t]) * state
                found[t] = state
            return torch.stack([found[t] for t in range(len(copied))])

        want = along(range(len(copied)))
        if not causal:
            want = (want + along(range(len(copied))[::-1])) / 2
        assert torch.allclose(got[row, : len(copied)], want, atol=1e-5)


@pytest.mark.parametrize("comparison", ["symmetric", "previous", "current"])
def test_who_asks_and_who_answers(comparison):
    router = Router(4, comparison)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        router.query.weight.copy_(torch.randn(4, 4, generator=generator))
        router.key.weight.copy_(torch.randn(4, 4, generator=generator))
    x = torch.randn(1, 6, 4, generator=generator)
    q, k = (x[0] @ part.weight.detach().T for part in (router.query, router.key))
    prob = router(x, None).prob[0].detach()
    for t in range(1, 6):
        previous, current = (F.cosine_similarity(a, b, dim=0) for a, b in ((q[t - 1], k[t]), (q[t], k[t - 1])))
        likeness = {"previous": previous, "current": current, "symmetric": (previous + current) / 2}[comparison]
        assert float(prob[t]) == pytest.approx(float((1 - likeness) / 2), abs=1e-5)


def test_cuts_around_masks():
    ids = torch.tensor([[0, 1, M, 2, 3, M, M, 0, 1, 2, M], [M, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    model = tiny_model("dnachunker-small")
    with torch.no_grad():
        first, second = model(ids).routing
        unmasked = model.boundaries(torch.where(ids == M, 0, ids)).routing[0]
    forced = torch.tensor([[0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]).bool()
    assert first.cut[forced].all()
    assert (first.prob[forced] == 1).all()
    assert torch.equal(first.raw_prob[~forced], first.prob[~forced])
    assert (first.raw_prob[forced][1:-2] < 1).any(), "the router's own word is kept"
    assert torch.equal(unmasked.raw_prob, unmasked.prob)
    # The chunks that hold a [MASK] stand alone in the next stage too, and there alone is forced what holds one.
    is_masked_chunk = [bool(ids[0, t] == M) for t in range(11) if first.cut[0, t]]
    for j, is_masked in enumerate(is_masked_chunk):
        if is_masked:
            assert second.cut[0, j]
            assert j + 1 == len(is_masked_chunk) or second.cut[0, j + 1]
    outer = tiny_model("dnachunker-small", forced_cuts="outer-mask")
    with torch.no_grad():
        assert outer(ids).routing[1].unforced is None


def test_the_skip_is_closed_where_a_letter_is_hidden():
    """With the inner network silenced, nothing but the skip carries a letter past the chunks."""
    model = tiny_model("dnachunker-small", forced_cuts="none")
    with torch.no_grad():
        model.stage.inner.decoder.norm.weight.zero_()
        model.stage.inner.decoder.norm.bias.zero_()
    taken = []
    model.stage.decoder.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    ids = torch.tensor([[0, 1, M, 2, 3, 3, 1, 0, 0, 1, 2, 2, 2, 3, 1, M, 0]])
    with torch.no_grad():
        out = model(ids)
    routing = out.routing[0]._replace(valid=torch.ones_like(ids, dtype=torch.bool))
    seen = set()
    for members in chunks_of(routing, 0):
        is_closed = bool((ids[0, members] == M).any())
        seen.add(is_closed)
        want = torch.zeros_like(out.encoder_output[0, members]) if is_closed else out.encoder_output[0, members]
        assert torch.equal(taken[0][0, members], want)
    assert seen == {True, False}


def test_attention_at_given_positions_depends_on_their_distances():
    layer = attention.LocalAttention(16, 2, 8, -1)
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    index = torch.arange(5).expand(2, -1)
    with torch.no_grad():
        assert torch.allclose(layer(x, None, index), layer(x, None), atol=1e-6)
        assert torch.allclose(layer(x, None, index + 100.5), layer(x, None), atol=1e-5)
        assert not torch.allclose(layer(x, None, 3 * index), layer(x, None), atol=1e-4)


@pytest.mark.parametrize("length", [1, 40, 129])
@pytest.mark.parametrize("window", [-1, 0, 7, 300])
def test_causal_attention_in_blocks(monkeypatch, length, window):
    monkeypatch.setattr(attention, "QUERY_BLOCK", 32)
    monkeypatch.setattr(attention, "FULL_MASK_UP_TO", 50)
    q, k, v = torch.randn(3, 2, 3, length, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    back = torch.arange(length)[:, None] - torch.arange(length)
    mask = (back >= 0) & (back <= (window if window >= 0 else length))
    want = ((q @ k.mT) / 8**0.5).masked_fill(~mask, -torch.inf).softmax(-1) @ v
    assert torch.allclose(attention.windowed_attention(q, k, v, window, None, causal=True), want, atol=1e-5)


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    letters = "".join(np.random.default_rng(0).choice(list("ACGT"), 300))
    (folder / "g.fa").write_text(f">c\n{letters}\n")
    return folder


@pytest.mark.parametrize("preset", ["dnahnet-small", "dnachunker-small"])
def test_a_track_of_each_stage(genome, preset):
    model = tiny_model(preset)
    tracks = [
        boundary_track(genome / "g.fa", model=model, stage=stage, window_bp=300, halo_bp=1).values("c", 0, 300)
        for stage in (0, 1)
    ]
    outer = ~np.isnan(tracks[0])
    assert outer.tolist() == [False] + [True] * 299
    # The outer chunks that start inside the sequence, and only those, are where the inner router has its say.
    np.testing.assert_array_equal(~np.isnan(tracks[1]), np.where(outer, tracks[0], 0) > 0.5)
    ids = torch.from_numpy(vocab.encode((genome / "g.fa").read_text().splitlines()[1]))[None]
    with torch.no_grad():
        inner = model(ids).routing[1].prob[0, 1:].numpy()
    np.testing.assert_allclose(tracks[1][~np.isnan(tracks[1])], inner, atol=1e-5)


def test_commands_refuse_stages_and_alphabets_there_are_not(genome):
    for preset in ("hnet-small", "hnet-1stage-L"):
        save_model(tiny_model(preset), genome / f"{preset}.safetensors")
    arguments = ("--fasta", genome / "g.fa", "--out", genome / "x.bw", "--model")
    done = run(*arguments, genome / "hnet-small.safetensors", "--stage", 1)
    assert (done.exit_code, "--stage 1: the model has 1 stage, counted from 0" in done.stderr) == (1, True)
    done = run(*arguments, genome / "hnet-1stage-L.safetensors")
    assert (done.exit_code, "reads bytes of text, not bases" in done.stderr) == (1, True)
    assert not (genome / "x.bw").exists()
