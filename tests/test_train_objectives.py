"""What a model learns from and is measured by: masked letters or the next, ratios per stage, cuts forced or not."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ldarnet import vocab
from ldarnet.checkpoint import random_model
from ldarnet.config import ModelConfig
from ldarnet.model.ldarnet import Output
from ldarnet.model.router import Routing
from ldarnet.train.baselines import Reach, count_words, fit_tables
from ldarnet.train.corpus import Stretch
from ldarnet.train.cut_summary import CutCounts
from ldarnet.train.draws import Windows
from ldarnet.train.examples import make_examples, next_letters
from ldarnet.train.heldout import HeldOut, evaluate, summarize_cuts
from ldarnet.train.losses import cut_shares, letter_loss, ratio_loss
from ldarnet.train.masking import mask_letters
from ldarnet.train.settings import TrainSettings
from ldarnet.train.soft_mask import REPEAT

CAUSAL = ModelConfig(
    layout=("m1", ("T1", ("T1",), "t1"), "m1"),
    d_model=(32, 32, 64),
    d_intermediate=(0, 64, 64),
    num_heads=(2, 2, 2),
    rotary_dim=(16, 16, 16),
    attention_window=(15, 15, -1),
    d_state=8,
    objective="causal",
    router="previous",
)
WINDOW_BP = 32


def random_ids(num, seed=0, least=0, most=3):
    return np.random.Generator(np.random.PCG64(seed)).integers(least, most + 1, num, dtype=np.uint8)


def windows(num=6, seed=0, **letters):
    ids = random_ids(num * WINDOW_BP, seed, **letters).reshape(num, WINDOW_BP)
    return Windows(ids, np.arange(10, 10 + num))


def test_the_next_letter_is_asked_for():
    ids = vocab.encode("ACGTNNA")[None]
    assert next_letters(ids).tolist() == [[vocab.C, vocab.G, vocab.T, -100, -100, vocab.A, -100]]
    assert next_letters(np.array([[vocab.T, vocab.PAD, vocab.MASK]], np.uint8)).tolist() == [[-100] * 3]
    assert next_letters(vocab.encode("A")[None]).tolist() == [[-100]]


@pytest.mark.parametrize("weights", [None, torch.ones(2, 3), torch.zeros(2, 3)])
def test_a_batch_without_labels_teaches_nothing_and_breaks_nothing(weights):
    """A small micro-batch may have no masked letter; its draws are fixed, so that a run would stop there for good."""
    logits = torch.randn(2, 3, 7, requires_grad=True)
    loss = letter_loss(logits, torch.full((2, 3), -100), weights)
    loss.backward()
    assert float(loss.detach()) == 0 and not logits.grad.any()


def test_causal_loss_by_hand():
    """A C G N: two letters are foretold, C at probability 1/2 and G at 1/4; what stands elsewhere does not matter."""
    probability = torch.full((1, 4, 7), 1e-9)
    probability[0, 0] = torch.tensor([0.25, 0.5, 0.25, 0, 0, 0, 0]) + 1e-9
    probability[0, 1, :4] = 0.25
    labels = torch.from_numpy(next_letters(vocab.encode("ACGN")[None]))
    want = (math.log(2) + math.log(4)) / 2
    assert float(letter_loss(probability.log(), labels)) == pytest.approx(want, rel=1e-5)
    # Each with a weight of its own: that of C, which stands where C is foretold, is three times that of G.
    weights = torch.tensor([[3.0, 1, 9, 9]])
    want = (3 * math.log(2) + math.log(4)) / 4
    assert float(letter_loss(probability.log(), labels, weights)) == pytest.approx(want, rel=1e-5)


def test_losses_without_weights_or_forced_cuts_are_those_known_before_to_the_bit():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 50, 7, generator=generator).requires_grad_()
    labels = torch.randint(0, 4, (3, 50), generator=generator)
    labels[:, ::3] = -100
    plain = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    ours = letter_loss(logits, labels)
    assert torch.equal(ours, plain)
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, plain)))
    for valid in (None, torch.arange(50)[None] < torch.tensor([[50], [31], [9]])):
        prob = torch.rand(3, 50, generator=generator).requires_grad_()
        cut = prob > 0.5 if valid is None else (prob > 0.5) & valid
        known = torch.ones_like(cut) if valid is None else valid
        share, mean = cut.sum() / known.sum(), (prob * known).sum() / known.sum()
        plain = 4 / 3 * (3 * share * mean + (1 - share) * (1 - mean))
        ours = ratio_loss(Routing(prob, cut, valid), 4)
        assert torch.equal(ours, plain)
        assert torch.equal(*(torch.autograd.grad(loss, prob)[0] for loss in (ours, plain)))


def test_equal_weights_weigh_nothing():
    generator = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(2, 20, 7, generator=generator), torch.randint(0, 4, (2, 20), generator=generator)
    labels[0, :7] = -100
    weighed = letter_loss(logits, labels, torch.full((2, 20), 0.3))
    assert float(weighed) == pytest.approx(float(letter_loss(logits, labels)), rel=1e-6)


def test_forced_cuts_count_where_asked_for_only():
    unforced = torch.tensor([[1.0, 0.2, 0.9, 0.1, 0.3, 0.2]])
    valid = torch.tensor([[True] * 5 + [False]])
    forced = torch.tensor([[False, False, True, True, False, False]])
    prob = torch.where(forced, 1.0, unforced)
    routing = Routing(prob, (prob > 0.5) & valid, valid, unforced)
    assert [float(x) for x in cut_shares(routing)] == pytest.approx([1 / 3, 1.5 / 3])
    assert [float(x) for x in cut_shares(routing, with_forced=True)] == pytest.approx([3 / 5, 3.5 / 5])
    for with_forced in (False, True):
        share, mean = (float(x) for x in cut_shares(routing, with_forced=with_forced))
        want = 3 / 2 * (2 * share * mean + (1 - share) * (1 - mean))
        assert float(ratio_loss(routing, 3, with_forced=with_forced)) == pytest.approx(want)
    counts = CutCounts()
    counts.add([routing._replace(valid=None)])
    assert counts.summary().cut_share == pytest.approx([1 / 4])
    assert counts.summary().chunk_lengths[:4] == (0, 1, 0, 1)  # bases 0-1 and 2-5


def test_shares_of_a_later_stage_leave_padding_out():
    """The tokens of a later stage are chunks, of which sequences have different numbers."""
    prob = torch.tensor([[1.0, 0.9, 0.1, 0.1], [1.0, 0.1, 0.99, 0.99]])
    valid = torch.tensor([[True] * 4, [True, True, False, False]])
    shares = cut_shares(Routing(prob, (prob > 0.5) & valid, valid))
    assert float(shares.cut) == pytest.approx(3 / 6)
    assert float(shares.prob) == pytest.approx((1 + 0.9 + 0.1 + 0.1 + 1 + 0.1) / 6)


@given(st.integers(0, 1000), st.sampled_from([0.15, 0.5]))
def test_masked_examples_are_the_masked_letters(seed, share):
    given_windows = windows(seed=seed, most=vocab.N)
    masked = mask_letters(given_windows.ids, given_windows.draws, seed, share)
    made = make_examples(given_windows, "masked", seed=seed, mask_share=share)
    np.testing.assert_array_equal(made.inputs, masked.inputs)
    np.testing.assert_array_equal(made.labels, masked.labels)
    assert made.weights is None


@pytest.mark.parametrize("objective", ["masked", "causal"])
def test_the_repeat_bit_changes_weights_only(objective):
    plain = windows(most=vocab.N)
    is_repeat = random_ids(plain.ids.size, 1, most=1).astype(bool).reshape(plain.ids.shape)
    marked = plain._replace(ids=plain.ids | np.where(is_repeat, REPEAT, np.uint8(0)))
    without = make_examples(plain, objective, seed=2, mask_share=0.3)
    made = make_examples(marked, objective, seed=2, mask_share=0.3, repeat_weight=0.1)
    np.testing.assert_array_equal(made.inputs, without.inputs)
    np.testing.assert_array_equal(made.labels, without.labels)
    assert made.weights.dtype == np.float32
    shift = 1 if objective == "causal" else 0
    for row, position in zip(*np.nonzero(made.labels >= 0), strict=True):
        letter = position + shift
        assert made.labels[row, position] == plain.ids[row, letter]
        assert made.weights[row, position] == pytest.approx(0.1 if is_repeat[row, letter] else 1)


def causal_windows(num=3, **options):
    ids = random_ids(num * WINDOW_BP, 4)
    ids[[3, 40, 41]] = vocab.N
    return HeldOut.tile([Stretch("a", 0, len(ids), ids)], WINDOW_BP, objective="causal", **options)


@pytest.fixture(scope="module")
def tables():
    return fit_tables(count_words([random_ids(4_000, 9)], Reach(5, 5)), "causal")


@pytest.mark.parametrize("strand", ["+", "-"])
def test_causal_scores_are_those_of_base_after_base(tables, strand):
    model, held_out = random_model(CAUSAL, seed=1), causal_windows()
    assert [table.name for table in tables] == ["composition", "markov5"]
    result = evaluate(model, held_out, tables, batch_tokens=2 * WINDOW_BP, strand=strand)
    ids = held_out.ids if strand == "+" else vocab.reverse_complement(held_out.ids)
    for i, window in enumerate(ids):
        positions = [t for t in range(1, WINDOW_BP) if window[t] <= vocab.T]
        assert result.num_hidden[i] == len(positions)
        loss, table_loss = 0.0, 0.0
        for t in positions:
            with torch.no_grad():  # nothing but the bases before it
                logits = model(torch.from_numpy(window[None, :t].copy())).logits[0, -1]
            loss -= float(logits.log_softmax(-1)[window[t]])
            table_loss -= tables[1].log_prob(window[: t + 1], np.array([t]))[0, window[t]]
        assert result.model.loss[i] == pytest.approx(loss, rel=1e-4)
        assert result.tables["markov5"].loss[i] == pytest.approx(table_loss)


def test_a_model_that_knows_the_next_base_loses_nothing():
    """Logits at a base are about the one behind it."""
    ids = np.tile(vocab.encode("ACGTTGCA"), 40)
    held_out = HeldOut.tile([Stretch("a", 0, len(ids), ids)], WINDOW_BP, objective="causal")

    class Knows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, given):
            routing = Routing(torch.ones(given.shape), torch.ones(given.shape, dtype=torch.bool), None)
            return Output(50 * F.one_hot(given.roll(-1, 1), 7).float(), None, None, (routing,), ())

    result = evaluate(Knows(), held_out, fit_tables([ids], "causal"))
    assert result.mean_loss(result.model) < 1e-6
    assert result.masked_accuracy(result.model) == 1
    assert result.num_hidden.tolist() == [WINDOW_BP - 1] * len(held_out.ids)
    assert result.mean_loss(result.tables["composition"]) > 1.3


def test_a_window_of_a_single_base_has_nothing_to_foretell():
    held_out = HeldOut.tile([Stretch("a", 0, 4, random_ids(4))], 1, objective="causal")
    with pytest.raises(ValueError, match="expected letters A, C, G, T to guess, got none in 4 windows"):
        evaluate(random_model(CAUSAL), held_out)


def test_both_stages_are_summarized():
    summary = summarize_cuts(random_model(CAUSAL, seed=2), causal_windows())
    assert len(summary.cut_share) == 2
    assert all(0 < share <= 1 for share in summary.cut_share)
    assert summary.bases_per_chunk == pytest.approx(1 / math.prod(summary.cut_share))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"ratio_weights": (0.1, 0.2)},
            r"ratio_weights: expected 1 values, one per stage, or none, got 2 \[0.1, 0.2\]",
        ),
        ({"repeat_weight": 0.0}, "repeat_weight: expected above 0, got 0.0"),
        ({"repeat_weight": 0.5, "shards": ("a.fa",)}, "repeat_weight: expected 1 with shards"),
        (
            {"preset": "hnet-2stage-L", "tokens_per_chunk": (3.0, 3.0)},
            "preset hnet-2stage-L: expected a model of bases to train, got one of bytes",
        ),
    ],
)
def test_settings_that_cannot_be_meant(values, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings(**values)
