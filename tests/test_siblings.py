"""Laws that every preset keeps: shapes, cuts, causality, independence of batch neighbours, gradients, steps."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.checkpoint import random_model
from ldarnet.config import PRESETS
from ldarnet.model import LDARNet, stepping
from ldarnet.model.stepping import Stepper
from tests.sibling_models import CAUSAL, DISTINCT, moved, tiny_model

LENGTH = 40
cached_model = functools.cache(tiny_model)

sequences = st.lists(st.integers(0, 4), min_size=1, max_size=LENGTH)
every_preset = pytest.mark.parametrize("preset", DISTINCT)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Waking threads takes longer than what they would do here."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def batch(rows):
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), vocab.PAD)
    for row, sequence in zip(ids, rows, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return ids, torch.arange(length) < torch.tensor([[len(row)] for row in rows])


@torch.no_grad()
def run(preset, rows):
    return cached_model(preset)(*batch(rows))


@pytest.mark.parametrize(
    ("preset", "millions"),
    [
        ("hnet-1stage-L", 679.4),
        ("hnet-1stage-XL", 1270.8),
        ("hnet-2stage-L", 874.3),
        ("hnet-2stage-XL", 1603.5),
        ("hnet-2stage-XL-code", 1654.1),
    ],
)
def test_published_sizes_of_h_net(preset, millions):
    with torch.device("meta"):
        assert LDARNet(PRESETS[preset]).num_parameters() / 1e6 == pytest.approx(millions, abs=0.05)


def test_published_size_of_dnachunker():
    with torch.device("meta"):
        model = LDARNet(PRESETS["dnachunker"])
    assert model.num_parameters() == pytest.approx(171.6e6, rel=0.01)
    assert sum(p.numel() for p in model.stage.inner.inner.parameters()) == pytest.approx(147.5e6, rel=0.01)


@pytest.mark.parametrize("preset", ["hnet-small", "dnahnet-small", "dnachunker-small"])
def test_small_presets_fit_a_megabyte_in_float16(preset):
    with torch.device("meta"):
        assert 2 * LDARNet(PRESETS[preset]).num_parameters() < 950_000


@every_preset
@settings(max_examples=5, deadline=None)
@given(rows=st.lists(sequences, min_size=1, max_size=3))
def test_shapes_and_cuts(preset, rows):
    out, config = run(preset, rows), PRESETS[preset]
    num_rows, length = len(rows), max(map(len, rows))
    assert out.logits.shape == (num_rows, length, config.vocab_size)
    assert len(out.routing) == len(out.chunk_hidden_state) == config.num_stages
    lengths = torch.tensor([len(row) for row in rows])
    for routing, inner in zip(out.routing, out.chunk_hidden_state, strict=True):
        num_tokens = routing.prob.shape[1]
        assert num_tokens == max(lengths)
        assert routing.cut.shape == routing.prob.shape == (num_rows, num_tokens)
        assert 0 <= routing.prob.min() <= routing.prob.max() <= 1
        assert routing.cut[:, 0].all(), "a sequence starts with a chunk"
        is_token = torch.arange(num_tokens) < lengths[:, None]
        assert not routing.cut[~is_token].any(), "no cuts in padding"
        assert torch.equal(routing.cut[is_token], routing.prob[is_token] > 0.5)
        lengths = routing.cut.sum(1)
        assert inner.shape[:2] == (num_rows, max(lengths))


@every_preset
@settings(max_examples=5, deadline=None)
@given(rows=st.lists(sequences, min_size=2, max_size=4))
def test_batch_neighbours_do_not_matter(preset, rows):
    together = run(preset, rows)
    for i, row in enumerate(rows):
        alone = run(preset, [row])
        assert torch.allclose(together.logits[i, : len(row)], alone.logits[0], atol=1e-4)
        for a, b in zip(alone.routing, together.routing, strict=True):
            num_tokens = a.prob.shape[1]
            assert torch.allclose(a.prob[0], b.prob[i, :num_tokens], atol=1e-4)
            assert torch.equal(a.cut[0], b.cut[i, :num_tokens])


@every_preset
@settings(max_examples=5, deadline=None)
@given(row=st.lists(st.integers(0, 3), min_size=2, max_size=LENGTH), data=st.data())
def test_a_causal_model_does_not_look_ahead(preset, row, data):
    t = data.draw(st.integers(1, len(row) - 1))
    changed = [*row[:t], (row[t] + 1) % 4, *row[t + 1 :]]
    before, after = run(preset, [row]), run(preset, [changed])
    is_same = torch.allclose(before.logits[:, :t], after.logits[:, :t], atol=1e-5)
    assert is_same == PRESETS[preset].is_causal
    if is_same:
        num_tokens = t
        for a, b in zip(before.routing, after.routing, strict=True):
            assert torch.allclose(a.prob[:, :num_tokens], b.prob[:, :num_tokens], atol=1e-5)
            num_tokens = int(a.cut[:, :num_tokens].sum())


@every_preset
def test_boundaries_are_those_of_the_whole_model(preset):
    rows = [[0, 1, 2, 3, 3, 2, 4, 1] * 5, [3, 3, 1, 0, 2] * 3]
    model = cached_model(preset)
    with torch.no_grad():
        alone, whole = model.boundaries(*batch(rows)).routing, model(*batch(rows)).routing
    for a, b in zip(alone, whole, strict=True):
        assert torch.equal(a.prob, b.prob)
        assert torch.equal(a.cut, b.cut)


@every_preset
def test_every_weight_learns(preset):
    model = tiny_model(preset)
    ids = torch.randint(0, 4, (3, LENGTH), generator=torch.Generator().manual_seed(0))
    if not model.config.is_causal:
        ids[:, ::7] = vocab.MASK
    out = model(ids)
    (out.logits.square().mean() + sum(r.raw_prob.mean() for r in out.routing)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


VARIANTS = [(preset, {}) for preset in CAUSAL] + [
    ("dnahnet-small", {"smoothing": "bases"}),
    ("dnahnet-small", {"cuts": "fixed", "cut_every": 3}),
    ("hnet-small", {"router": "symmetric", "attention_window": (0, 3), "d_conv": 1}),
    ("hnet-small", {"router": "current", "mlp": "gelu", "block_norm": "layer", "rotary_dim": (0, 0)}),
]


@pytest.mark.parametrize(("preset", "changes"), VARIANTS)
def test_step_by_step_equals_all_at_once(preset, changes, monkeypatch):
    monkeypatch.setattr(stepping, "FIRST_CAPACITY", 3)
    model = tiny_model(preset, **changes)
    ids = torch.randint(0, 4, (3, 40), generator=torch.Generator().manual_seed(1))
    ids[-1] = 0  # one letter throughout: its chunks are unlike those of its neighbours
    with torch.no_grad():
        out = model(ids)
    stepper = Stepper(model, len(ids))
    steps = [stepper.step(column) for column in ids.unbind(1)]
    assert torch.allclose(torch.stack([s.logits for s in steps], dim=1), out.logits, atol=1e-4)
    assert len({tuple(row) for row in out.routing[0].cut.tolist()}) > 1 or changes.get("cuts") == "fixed"
    reached = torch.ones_like(ids, dtype=torch.bool)
    for stage, routing in enumerate(out.routing):
        prob = torch.stack([s.prob[stage] for s in steps], dim=1)
        cut = torch.stack([s.cut[stage] for s in steps], dim=1)
        assert torch.equal(prob.isnan(), ~reached)
        for row in range(len(ids)):
            num_tokens = int(reached[row].sum())
            assert torch.allclose(prob[row][reached[row]], routing.prob[row, :num_tokens], atol=1e-4)
            assert torch.equal(cut[row][reached[row]], routing.cut[row, :num_tokens])
        reached = cut


def test_step_by_step_at_widths_of_the_compiled_kernels():
    model = moved(random_model(PRESETS["dnahnet-small"]), 0.05)
    ids = torch.randint(0, 4, (3, 40), generator=torch.Generator().manual_seed(1))
    stepper = Stepper(model, 3)
    logits = torch.stack([stepper.step(column).logits for column in ids.unbind(1)], dim=1)
    with torch.no_grad():
        assert torch.allclose(logits, model(ids).logits, atol=1e-4)
        assert torch.equal(model(ids[:, :25]).routing[0].cut, model(ids).routing[0].cut[:, :25])
    assert torch.allclose(logits, model(ids).logits, atol=1e-4)


def test_reading_a_prompt_is_stepping_through_it():
    model, ids = cached_model("hnet-small"), torch.arange(24).reshape(2, 12) % 4
    with torch.no_grad():
        assert torch.allclose(Stepper(model, 2).read(ids).logits, model(ids).logits[:, -1], atol=1e-5)


def test_what_cannot_be_stepped():
    with pytest.raises(ValueError, match="takes a causal model, and this one fills in hidden letters"):
        Stepper(cached_model("ldarnet-nano"), 1)
    with pytest.raises(ValueError, match="batch_size: expected 1 or more, got 0"):
        Stepper(cached_model("hnet-small"), 0)
    stepper = Stepper(cached_model("hnet-small"), 2)
    with pytest.raises(ValueError, match=r"ids: expected whole numbers \[2\], got torch.int64 \(3,\)"):
        stepper.step(torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"ids: expected \[2, length >= 1\], got \(2, 0\)"):
        stepper.read(torch.zeros(2, 0, dtype=torch.long))
