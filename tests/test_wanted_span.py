"""What the routers say of some cuts is what they say of them among all, though less is computed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ldarnet import stitch, vocab
from ldarnet.config import ModelConfig
from ldarnet.model import LDARNet
from ldarnet.model.ssd import use_backend
from tests.test_train_objectives_runs import CAUSAL, GUARDED

LENGTH = 75
SHAPE = {"d_model": [32, 64], "d_intermediate": [64, 64], "num_heads": [2, 2], "rotary_dim": [16, 16], "d_state": 16}
MODELS = {
    "ends in attention": {"layout": ["m1t1", ["M1"], "m1"], "attention_window": [9, -1], **SHAPE},
    "attends everywhere": {"layout": ["t1T1", ["M1"], "m1"], "attention_window": [-1, -1], **SHAPE},
    "ends in Mamba": {"layout": ["t1m1", ["M1"], "m1"], "attention_window": [9, -1], **SHAPE},
    "causal, two stages": CAUSAL | {"head_dim": 16},
    "guards masks, Mamba-1": GUARDED | {"head_dim": 16},
    "cuts in a grid": {"layout": ["m1t1", ["M1"], "m1"], "attention_window": [9, -1], **SHAPE}
    | {"cuts": "fixed", "cut_every": 4},
}


def model_of(name):
    torch.manual_seed(3)
    options = {key: _hashable(value) for key, value in MODELS[name].items()}
    return LDARNet(ModelConfig(**options)).eval()


def _hashable(value):
    return tuple(_hashable(each) for each in value) if isinstance(value, list) else value


def bases(rows=3):
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (rows, LENGTH)).astype(np.uint8))
    ids[0, 20:24] = vocab.MASK
    valid = torch.ones(rows, LENGTH, dtype=torch.bool)
    valid[1, 50:] = False
    ids[1, 50:] = vocab.PAD
    return ids, valid


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_within_the_span(name, backend):
    model, (ids, valid) = model_of(name), bases()
    with torch.inference_mode(), use_backend(backend):
        for rows, mask in ((ids, valid), (ids[:1], None)):
            whole = model.boundaries(rows, mask, max_stages=1).routing[0]
            for first, last in ((0, LENGTH), (0, 1), (17, 40), (48, LENGTH), (LENGTH - 1, LENGTH)):
                (part,) = model.boundaries(rows, mask, max_stages=1, span=(first, last)).routing
                assert part.prob.shape == whole.prob.shape
                inside = slice(first, last)
                torch.testing.assert_close(part.raw_prob[:, inside], whole.raw_prob[:, inside], atol=2e-6, rtol=0)
                torch.testing.assert_close(part.prob[:, inside], whole.prob[:, inside], atol=2e-6, rtol=0)
                assert torch.equal(part.cut[:, inside], whole.cut[:, inside])


def test_what_was_not_asked_for_is_no_number():
    (part,) = model_of("ends in attention").boundaries(*bases(), max_stages=1, span=(30, 40)).routing
    known = torch.zeros(LENGTH, dtype=torch.bool)
    known[30:40] = True
    assert part.prob.isnan().any(0).equal(~known)
    assert not part.cut[:, ~known].any()


def test_inner_stages_need_every_cut():
    model, (ids, valid) = model_of("causal, two stages"), bases()
    whole = model.boundaries(ids, valid, max_stages=2).routing
    asked = model.boundaries(ids, valid, max_stages=2, span=(30, 40)).routing
    for a, b in zip(whole, asked, strict=True):
        assert torch.equal(a.prob, b.prob)


@given(st.integers(1, 60), st.data())
def test_a_span_lies_where_the_turned_values_do(length, data):
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first + 1, length))
    low, high = stitch.span_on_reverse_complement((first, last), length)
    assert 1 <= low <= high <= length
    turned = np.full(length, np.nan, dtype=np.float32)
    turned[low:high] = 1
    expected = np.zeros(length, dtype=bool)
    expected[max(first, 1) : last] = True  # cut 0 has no value on either strand
    got = ~np.isnan(stitch.from_reverse_complement(turned))
    assert np.array_equal(got, expected)
