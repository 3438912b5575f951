"""Model configurations: every valid one survives its JSON, every damaged one is refused by name, at once."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.config import MAX_LAYERS, PRESETS, ModelConfig, num_stages, parse_stack

BASE = json.loads(PRESETS["ldarnet-2m"].to_json())

stacks = st.lists(
    st.tuples(st.sampled_from("mMtT"), st.integers(1, 12)).map(lambda pair: f"{pair[0]}{pair[1]}"),
    min_size=1,
    max_size=4,
).map("".join)


@st.composite
def configs(draw):
    layout = (draw(stacks),)
    depth = draw(st.integers(1, 4))
    for _ in range(depth - 1):
        layout = (draw(stacks), layout, draw(stacks))
    one_each = st.lists(st.integers(1, 8), min_size=depth, max_size=depth)
    widths = sorted(64 * n for n in draw(one_each))
    return ModelConfig(
        layout=layout,
        d_model=tuple(widths),
        d_intermediate=tuple(100 * n for n in draw(one_each)),
        num_heads=tuple(w // 32 for w in widths),
        rotary_dim=tuple(2 * n for n in draw(one_each)),
        attention_window=tuple(n - 2 for n in draw(one_each)),
        d_state=draw(st.integers(1, 256)),
        d_conv=draw(st.integers(1, 8)),
        expand=draw(st.integers(1, 4)),
        head_dim=draw(st.sampled_from([16, 32, 64])),
        fusion=draw(st.sampled_from(["mean", "sum"])),
        vocab_size=draw(st.integers(7, 256)),
        context_bp=draw(st.integers(1, 1 << 20)),
    )


@given(configs())
def test_json_round_trip(config):
    text = config.to_json()
    assert ModelConfig.from_json(text) == config
    assert ModelConfig.from_json(text).to_json() == text
    assert config.num_stages == len(config.d_model) - 1


def test_a_stack_is_read_left_to_right():
    layers = parse_stack("m2T1M1")
    assert [(layer.mixer, layer.has_mlp) for layer in layers] == [
        ("mamba", False),
        ("mamba", False),
        ("attention", True),
        ("mamba", True),
    ]
    assert num_stages(("m1", ("m1", ("M1",), "m1"), "m1")) == 2


@pytest.mark.parametrize("text", ["", "m", "3", "m0", "m-1", "x3", "m3 t1", "m1.5", "m٣", "m3\n", None, 3, ["m3"]])
def test_bad_stacks(text):
    with pytest.raises(ValueError, match="expected a stack such as 'm3t1'"):
        parse_stack(text)


@pytest.mark.parametrize("key", ["layout", "d_model", "d_intermediate", "num_heads", "rotary_dim", "attention_window"])
def test_missing_keys_are_named(key):
    with pytest.raises(ValueError, match=f"keys missing from the model configuration: {key}$"):
        ModelConfig.from_json(json.dumps({name: value for name, value in BASE.items() if name != key}))


def test_unknown_keys_are_named():
    with pytest.raises(ValueError, match=r"unknown keys in the model configuration: \['colour', 'taste'\]"):
        ModelConfig.from_json(json.dumps(BASE | {"taste": 1, "colour": 2}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[1]", "expected a model configuration object, got list"),
        ("null", "expected a model configuration object, got NoneType"),
        ("[" * 10_000, "nested too deeply"),
        ("1" * 10_000, "is not JSON"),
    ],
)
def test_what_is_no_configuration(text, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_json(text)


def deep(levels):
    layout = ["m1"]
    for _ in range(levels):
        layout = ["m1", layout, "m1"]
    return layout


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("layout", 3, r"layout: expected \[backbone\] or \[encoder, inner, decoder\], got 3"),
        ("layout", [], r"layout: expected .*, got \[\]"),
        ("layout", ["m1", "m1"], "layout: expected"),
        ("layout", ["m1", "m1", "m1"], r"layout: expected \[backbone\].*, got 'm1'"),
        ("layout", [["m1"]], "expected a stack"),
        ("layout", deep(9), "at most 8 stages inside one another"),
        ("layout", deep(100), "at most 8 stages inside one another"),
        ("layout", ["m1", ["M1000000000"], "m1"], "expected a stack such as"),
        ("layout", ["m1", ["M999999999"], "m1"], r"at most 1000 layers in a stack, got 999,999,999 in 'M999999999'"),
        ("layout", ["m1", ["m1" * 500_000], "m1"], "at most 1000 layers in a stack, got 500,000"),
        ("layout", ["m500", [f"m{MAX_LAYERS}"], "m1"], "at most 1000 layers in all, got 1,501"),
        ("d_model", 64, "d_model: expected whole numbers, one per stage, got 64"),
        ("d_model", [64], r"d_model: expected 2 values, one per stage and one for the backbone, got 1 values \[64\]"),
        ("d_model", [64.0, 128], r"d_model: expected whole numbers, one per stage, got \[64.0, 128\]"),
        ("d_model", [True, 128], r"d_model: expected whole numbers, one per stage, got \[True, 128\]"),
        ("d_model", ["64", 128], "d_model: expected whole numbers"),
        ("d_model", [128, 64], "d_model: expected positive widths that never shrink inwards"),
        ("d_model", [0, 64], "d_model: expected positive widths"),
        ("d_model", [-64, 64], "d_model: expected positive widths"),
        ("d_model", [64, 10**9], "d_model: expected at most 65,536, got 1000000000"),
        ("d_model", [64] * 100_000, "d_model: expected 2 values"),
        ("d_model", [65, 128], r"stage 0: .* is not a multiple of head_dim 64"),
        ("d_intermediate", [0, 0], "stage 1: has an upper-case layer but d_intermediate 0"),
        ("d_intermediate", [0, 10**9], "d_intermediate: expected at most 65,536"),
        ("num_heads", [3, 4], "stage 0: width 64 does not divide into 3 attention heads"),
        ("num_heads", [0, 4], "stage 0: width 64 does not divide into 0 attention heads"),
        ("rotary_dim", [31, 32], "stage 0: rotary_dim 31 must be even"),
        ("rotary_dim", [64, 32], "rotary_dim 64 must be even and at most 32"),
        ("attention_window", [-2, -1], "stage 0: attention_window -2 is below -1"),
        ("d_state", 0, "d_state: expected a whole number from 1 to 65,536, got 0"),
        ("d_state", 1.0, "d_state: .*, got 1.0"),
        ("expand", True, "expand: .*, got True"),
        ("head_dim", 10**9, "head_dim: .*, got 1000000000"),
        ("d_conv", None, "d_conv: .*, got None"),
        ("vocab_size", 6, "vocab_size: expected 7 or more, got 6"),
        ("context_bp", 10**12, "context_bp: expected a whole number from 1 to 2,147,483,648, got 1000000000000"),
        ("context_bp", [512], r"context_bp: .*, got \[512\]"),
        ("fusion", "gated", "fusion: expected 'mean' or 'sum', got 'gated'"),
        ("fusion", ["mean"], "fusion: expected 'mean' or 'sum', got"),
    ],
)
def test_wrong_values_are_named_at_once(key, value, message):
    began = time.perf_counter()
    with pytest.raises(ValueError, match=message) as caught:
        ModelConfig.from_json(json.dumps(BASE | {key: value}))
    assert len(str(caught.value)) < 200
    assert time.perf_counter() - began < 1


def test_files_of_models_without_sibling_options_stay_the_same():
    stored = json.loads(PRESETS["ldarnet-nano"].to_json())
    assert not stored.keys() & {"objective", "mamba", "router", "vocabulary", "skip", "dt_rank"}
    assert json.loads(PRESETS["dnachunker"].to_json())["mamba"] == "mamba1"


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_survive_their_json(preset):
    assert ModelConfig.from_json(PRESETS[preset].to_json()) == PRESETS[preset]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "both"}, "objective: expected 'masked' or 'causal', got 'both'"),
        ({"router": "next"}, "router: expected one of symmetric, previous, current, got 'next'"),
        ({"objective": "causal", "mamba": "mamba1"}, "mamba 'mamba1': its layers read both directions"),
        ({"objective": "causal", "chunking": "mean"}, "chunking 'mean': the mean of a chunk knows its later tokens"),
        ({"objective": "causal", "rotary_position": "centre"}, "rotary_position 'centre': it tells where a chunk will"),
        ({"objective": "causal", "forced_cuts": "mask"}, r"forced_cuts 'mask': a causal model sees no \[MASK\]"),
        ({"objective": "causal", "skip": "unmasked"}, r"skip 'unmasked': a causal model sees no \[MASK\]"),
        ({"vocabulary": "bytes", "vocab_size": 256}, r"vocabulary 'bytes': there is no \[MASK\] among bytes"),
        ({"vocabulary": "bytes", "objective": "causal"}, "vocab_size: expected 256 or more, got 7"),
        ({"dt_rank": 4}, "dt_rank 4: only Mamba-1 has one"),
        ({"dt_rank": -1}, "dt_rank: expected a whole number from 0 to 65,536, got -1"),
        ({"cuts": "fixed", "forced_cuts": "mask"}, "forced_cuts 'mask': fixed cuts stay where they are"),
    ],
)
def test_options_that_contradict_each_other(changes, message):
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_json(json.dumps(BASE | changes))
