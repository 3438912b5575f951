"""Sampling: temperature and top-p by hand, letters that may come, the same seed the same letters."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ldarnet import vocab
from ldarnet.checkpoint import save_model
from ldarnet.cli import app
from ldarnet.generate import continuations
from ldarnet.model.sampling import letter_probs, sample
from tests.sibling_models import tiny_model

LOGITS = torch.log(torch.tensor([0.1, 0.4, 0.2, 0.3]))


@pytest.fixture(scope="module")
def model():
    return tiny_model("dnahnet-small")


@pytest.mark.parametrize(
    ("temperature", "top_p", "want"),
    [
        (1, 1, [0.1, 0.4, 0.2, 0.3]),
        (0, 1, [0, 1, 0, 0]),
        (0.5, 1, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
        (1, 0.39, [0, 1, 0, 0]),
        (1, 0.41, [0, 4 / 7, 0, 3 / 7]),
        (1, 0.69, [0, 4 / 7, 0, 3 / 7]),
        (1, 0.71, [0, 4 / 9, 2 / 9, 3 / 9]),
    ],
)
def test_letter_probabilities(temperature, top_p, want):
    assert letter_probs(LOGITS, temperature=temperature, top_p=top_p).tolist() == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("temperature", [1e-310, 1e-300, 5e-324])
def test_a_temperature_near_zero_is_the_likeliest_letter(temperature):
    assert letter_probs(LOGITS, temperature=temperature).tolist() == [0, 1, 0, 0]
    assert letter_probs(-LOGITS - 5, temperature=temperature, top_p=0.5).tolist() == [1, 0, 0, 0]


@given(
    logits=st.lists(st.floats(-20, 20), min_size=2, max_size=9),
    temperature=st.floats(0.05, 20),
    top_p=st.floats(0.01, 1),
)
def test_the_smallest_set_that_suffices(logits, temperature, top_p):
    whole = letter_probs(torch.tensor(logits), temperature=temperature)
    kept = letter_probs(torch.tensor(logits), temperature=temperature, top_p=top_p)
    assert float(kept.sum()) == pytest.approx(1)
    share = float(whole[kept > 0].sum())
    assert share >= top_p - 1e-9
    assert share - float(whole[kept > 0].min()) < top_p + 1e-9, "one letter fewer would not have been enough"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -1}, "temperature: expected 0 or more, got -1"),
        ({"temperature": float("nan")}, "temperature: expected 0 or more, got nan"),
        ({"top_p": 0}, "top_p: expected a share above 0 and at most 1, got 0"),
        ({"top_p": 1.5}, "top_p: expected a share above 0"),
        ({"num_letters": 0}, "num_letters: expected 1 or more, got 0"),
        ({"prompt": ""}, "prompt: expected one base or more, got none"),
        ({"prompt": "ACGT!"}, "expected nucleotide letters .* got '!'"),
    ],
)
def test_bad_requests(model, changes, message):
    with pytest.raises(ValueError, match=message):
        continuations(model, **{"prompt": "ACGT", "num_letters": 3} | changes)


def test_only_bases_follow_and_the_seed_decides():
    model = tiny_model("dnahnet-small")
    with torch.no_grad():
        model.head.weight[vocab.N :] *= 50  # what is no base may not be drawn, however likely
    texts = continuations(model, "ACGTN", 40, num_sequences=3, seed=1)
    assert all(text.startswith("ACGTN") and len(text) == 45 and set(text[5:]) <= set("ACGT") for text in texts)
    assert len(set(texts)) == 3
    assert continuations(model, "ACGTN", 40, num_sequences=3, seed=1) == texts
    assert continuations(model, "ACGTN", 40, num_sequences=3, seed=2) != texts


def test_temperature_zero_is_the_likeliest_letter_each_time(model):
    (text,) = continuations(model, "ACG", 12, temperature=0)
    ids = torch.from_numpy(vocab.encode(text))[None]
    with torch.no_grad():
        likeliest = model(ids).logits[0, 2:-1, :4].argmax(-1)
    assert torch.equal(likeliest, ids[0, 3:].long())


def test_a_text_ends_where_the_model_says_so():
    model = tiny_model("hnet-1stage-L")
    state = {"num": 0}

    def head(hidden):
        state["num"] += 1
        logits = torch.zeros(len(hidden), 256)
        logits[0, ord("a") if state["num"] < 6 else vocab.TEXT_END] = 50
        logits[1, ord("b")] = 50
        logits[:, vocab.TEXT_START] = 99
        return logits

    model.head.forward = head
    assert continuations(model, "Hi", 5, num_sequences=2) == ["Hiaaa", "Hibbbbb"]
    drawn = torch.stack(list(sample(model, torch.tensor([[vocab.TEXT_START]] * 2), 3)), dim=1)
    assert drawn.tolist() == [[vocab.TEXT_END] * 3, [ord("b")] * 3]


def test_the_command(model, tmp_path):
    save_model(model, tmp_path / "m.safetensors")
    save_model(tiny_model("ldarnet-nano"), tmp_path / "masked.safetensors")
    arguments = ["model", "generate", "--prompt", "ATG", "--length", "9", "--num-sequences", "2", "--model"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "m.safetensors")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line[:10] for line in lines[::2]] == [">made-up-1", ">made-up-2"]
    assert all(line.startswith("ATG") and len(line) == 12 for line in lines[1::2])
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "masked.safetensors")])
    assert done.exit_code == 1
    assert "takes a causal model, and this one fills in hidden letters" in done.output
