"""Under exact padding a sequence's output does not depend on what it is batched with."""

import pytest
import torch

from ldarnet import vocab
from ldarnet.checkpoint import load_model, random_model
from ldarnet.config import ModelConfig

TWO_STAGE = ModelConfig(
    layout=("m2t1", ("m1", ("T1M1",), "m1"), "m1"),
    d_model=(64, 64, 96),
    d_intermediate=(0, 0, 128),
    num_heads=(2, 2, 3),
    rotary_dim=(32, 32, 32),
    attention_window=(31, 31, -1),
    d_state=16,
    head_dim=32,
)


def moved(model):
    """Random weights far from their start, so that routers cut and every path carries signal."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(params=["two stages", "golden weights"])
def model(request, golden_dir):
    if request.param == "two stages":
        return moved(random_model(TWO_STAGE))
    return load_model(golden_dir / "ldarnet_m1t1_T2_m1.pt")


def batch(sequences, length):
    ids = torch.full((len(sequences), length), vocab.PAD)
    valid = torch.zeros(len(sequences), length, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        valid[row, : len(sequence)] = True
    return ids, valid


@pytest.fixture
def sequences():
    generator = torch.Generator().manual_seed(1)
    lengths = (97, 160, 1, 2, 33, 160)
    made = [torch.randint(0, 4, (n,), generator=generator) for n in lengths]
    made[-1] = torch.zeros(160, dtype=torch.long)  # poly-A: few cuts, so chunk counts differ widely
    return made


def largest_differences(model, one, sequences, row, length):
    alone = model(one[None])
    together = model(*batch(sequences, length))
    n = len(one)
    worst = {
        name: float((getattr(alone, name)[0] - getattr(together, name)[row, :n]).abs().max())
        for name in ("logits", "last_hidden_state", "encoder_output")
    }
    for stage, (a, t) in enumerate(zip(alone.routing, together.routing, strict=True)):
        num_tokens = a.prob.shape[1]
        worst[f"probability, stage {stage}"] = float((a.prob[0] - t.prob[row, :num_tokens]).abs().max())
        assert torch.equal(a.cut[0], t.cut[row, :num_tokens])
        assert not t.cut[row, num_tokens:].any()
    return worst


@torch.no_grad()
def test_alone_padded_and_among_others(model, sequences):
    counts = {int(model(s[None]).routing[0].cut.sum()) for s in sequences}
    assert len(counts) > 3, "the sequences should differ in their number of chunks"
    for row, one in enumerate(sequences):
        for name, worst in largest_differences(model, one, [one], 0, 200).items():
            assert worst < 1e-5, f"{name} of sequence {row} moved by {worst:.1e} when padded"
        for name, worst in largest_differences(model, one, sequences, row, 160).items():
            print(f"  sequence {row} ({len(one)} bases), {name}: {worst:.1e}")
            assert worst < 1e-5, f"{name} of sequence {row} moved by {worst:.1e} among others"


@torch.no_grad()
def test_published_padding_leaks(model, sequences):
    """The flaw that exact padding mends is real: this test fails if both modes are the same."""
    model.padding = "published"
    moved_by = [largest_differences(model, s, [s], 0, 200)["logits"] for s in sequences[:2]]
    assert min(moved_by) > 1e-5


@torch.no_grad()
def test_exact_equals_published_without_padding(model, sequences):
    one = sequences[0]
    exact = model(one[None])
    model.padding = "published"
    published = model(one[None])
    assert torch.equal(exact.logits, published.logits)
    assert torch.equal(exact.routing[0].prob, published.routing[0].prob)


def test_gradients_do_not_leak_either(model, sequences):
    def gradient(ids, valid):
        model.zero_grad()
        out = model(ids, valid)
        out.logits[0, :33].square().sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    one = sequences[4]
    alone = gradient(*batch([one], 33))
    padded = gradient(*batch([one], 90))
    assert torch.allclose(alone, padded, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))


def test_left_padding_is_refused(model):
    ids, valid = torch.zeros(1, 4, dtype=torch.long), torch.tensor([[False, True, True, True]])
    with pytest.raises(ValueError, match="padding on the right"):
        model(ids, valid)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(4, dtype=torch.long), r"\[batch, length >= 1\]"),
        (torch.zeros(1, 0, dtype=torch.long), r"\[batch, length >= 1\]"),
        (torch.zeros(1, 4), "whole numbers"),
        (torch.tensor([[0, 7]]), r"expected 0\.\.6, got 0\.\.7"),
    ],
)
def test_bad_ids_are_refused(model, ids, message):
    with pytest.raises(ValueError, match=message):
        model(ids)
