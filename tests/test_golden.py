"""Agreement with tensors computed by the published code.

Those tensors went through float16 attention (see published_arithmetic.py), where a difference of 1e-7 upstream can
move a value by a whole float16 step. How far that carries is measured, not assumed: the model runs with its own
weights and, several times, with every weight moved by a random rounding error of float32 (1.2e-7 relative). What these
runs differ by under float16 attention is the noise of the golden file itself. The tolerance of each quantity is the
one stated in golden/README.md plus twice its noise.
"""

import numpy as np
import pytest
import torch

from ldarnet.checkpoint import load_model
from ldarnet.model import attention
from ldarnet.published import tensor_sources
from ldarnet.train.losses import letter_loss, ratio_loss, total_loss
from tests.published_arithmetic import float16_attention

SHIPPED = ["ldarnet_m1t1_T2_m1", "ldarnet_two_stage"]
ELSEWHERE = ["ldarnet_m3t1_M3_m2"]
NUM_MOVED = 8
EPSILON = torch.finfo(torch.float32).eps
TARGET = 4.0


def run(model, arrays):
    """Everything the golden files hold, as {name: array}, at valid positions."""
    model.zero_grad()
    out = model(torch.from_numpy(arrays["input_ids"]), torch.from_numpy(arrays["valid"]))
    labels = torch.from_numpy(arrays["labels"])
    targets = [TARGET] * len(out.routing)
    loss = total_loss(out.logits, labels, out.routing, targets)
    loss.backward()
    got = {
        "logits": out.logits,
        "last_hidden_state": out.last_hidden_state,
        "encoder_output": out.encoder_output,
        "mlm_loss": letter_loss(out.logits, labels),
        "ratio_loss": torch.stack([ratio_loss(r, TARGET) for r in out.routing]),
        "loss": loss,
    }
    for stage, routing in enumerate(out.routing):
        got[f"boundary_prob_{stage}"], got[f"boundary_mask_{stage}"] = routing.prob, routing.cut
        got[f"valid_{stage}"] = torch.ones_like(routing.cut) if routing.valid is None else routing.valid
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    for ours, source in tensor_sources(model.config).items():
        parts = list(grads[ours]) if source.stacked else [grads[ours]]
        for published, part in zip(source.names, parts, strict=False):
            got[f"grad/{published}"] = part
            got[f"gradnorm/{published}"] = part.norm()
    return {name: value.detach().numpy() for name, value in got.items()}


@pytest.fixture(scope="module", params=SHIPPED + ELSEWHERE)
def golden(request, golden_dir):
    """(golden arrays, ours under float16 attention: from the weights as they are, then from moved weights)."""
    folder = golden_dir
    if request.param in ELSEWHERE:
        folder = request.getfixturevalue("shared_data") / "golden"
    with np.load(folder / f"{request.param}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    model = load_model(folder / f"{request.param}.pt", padding="published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "windowed_attention", float16_attention)
        runs = [run(model, arrays)]
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        generator = torch.Generator().manual_seed(0)
        for _ in range(NUM_MOVED):
            for name, tensor in model.state_dict().items():
                error = EPSILON * torch.randn(tensor.shape, generator=generator)
                tensor.copy_(weights[name] * (1 + error))
            runs.append(run(model, arrays))
    return arrays, runs


def agree(golden, name, tolerance, *, where=None, relative=False):
    arrays, runs = golden
    want = np.asarray(arrays[name], dtype=np.float64)
    scale = np.abs(want) if relative else 1.0
    ours, *moved = [run[name].reshape(want.shape) for run in runs]
    pick = slice(None) if where is None else where
    noise = max(np.max(np.atleast_1d(np.abs(other - ours) / scale)[pick]) for other in moved)
    worst = np.max(np.atleast_1d(np.abs(ours - want) / scale)[pick])
    print(f"  {name}: difference {worst:.1e}, float16 noise {noise:.1e}")
    assert worst <= tolerance + 2 * noise
    return worst


def test_probabilities_and_cuts(golden):
    arrays, (ours, *_) = golden
    num_stages = sum(name.startswith("boundary_prob_") for name in arrays)
    assert num_stages == sum(name.startswith("boundary_prob_") for name in ours)
    for stage in range(num_stages):
        assert agree(golden, f"boundary_prob_{stage}", 1e-4, where=ours[f"valid_{stage}"]) < 1e-4
        np.testing.assert_array_equal(ours[f"boundary_mask_{stage}"], arrays[f"boundary_mask_{stage}"])


def test_logits_and_hidden_states(golden):
    valid = golden[0]["valid"]
    for name in ("logits", "last_hidden_state", "encoder_output"):
        agree(golden, name, 1e-4, where=valid)
    median = np.median(np.abs(golden[1][0]["logits"] - golden[0]["logits"])[valid])
    assert median < 1e-4


def test_without_attention_upstream_agreement_is_tight(golden_dir):
    """The outer encoder of the two-stage model has no attention: float16 does not reach it."""
    with np.load(golden_dir / "ldarnet_two_stage.npz") as file:
        arrays = {name: file[name] for name in file.files}
    model = load_model(golden_dir / "ldarnet_two_stage.pt", padding="published")
    out = model(torch.from_numpy(arrays["input_ids"]), torch.from_numpy(arrays["valid"]))
    valid = arrays["valid"]
    assert np.abs(out.encoder_output.detach().numpy() - arrays["encoder_output"])[valid].max() < 1e-5
    assert np.abs(out.routing[0].prob.detach().numpy() - arrays["boundary_prob_0"])[valid].max() < 1e-6


def test_losses(golden):
    for name in ("mlm_loss", "ratio_loss", "loss"):
        agree(golden, name, 1e-5)


def test_every_gradient(golden):
    arrays, (ours, *_) = golden
    norms = [name for name in arrays if name.startswith("gradnorm/")]
    assert set(norms) <= set(ours)
    worst = max(agree(golden, name, 1e-3, relative=True) for name in norms)
    print(f"  {len(norms)} gradient norms, largest relative difference {worst:.1e}")
    for name in arrays:
        if name.startswith("grad/"):
            largest = np.abs(arrays[name]).max()
            difference = np.abs(ours[name].reshape(arrays[name].shape) - arrays[name]).max()
            assert difference < 5e-3 * largest, name


@pytest.mark.parametrize("name", SHIPPED)
def test_float32_attention_stays_close(name, golden_dir):
    """As the library runs, without float16: probabilities within 1e-4 and the same cuts all the same."""
    with np.load(golden_dir / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    model = load_model(golden_dir / f"{name}.pt", padding="published")
    out = model(torch.from_numpy(arrays["input_ids"]), torch.from_numpy(arrays["valid"]))
    for stage, routing in enumerate(out.routing):
        real = slice(None) if routing.valid is None else routing.valid.numpy()
        assert np.abs(routing.prob.detach().numpy() - arrays[f"boundary_prob_{stage}"])[real].max() < 1e-4
        np.testing.assert_array_equal(routing.cut.numpy(), arrays[f"boundary_mask_{stage}"])
    assert np.abs(out.logits.detach().numpy() - arrays["logits"])[arrays["valid"]].max() < 2e-3


def test_trained_weights_on_real_bases(shared_data, monkeypatch):
    model = load_model(shared_data / "checkpoints" / "seed-nano.pt", padding="published")
    with np.load(shared_data / "golden" / "seed_nano_chr20_8200000_2048.npz") as file:
        ids, logits, prob, cut = (file[n] for n in ("input_ids", "logits", "boundary_prob_0", "boundary_mask_0"))
    with torch.no_grad():
        plain = model(torch.from_numpy(ids))
    # With gradients on, layers go step by step, and the step of attention can be put in.
    monkeypatch.setattr(attention, "windowed_attention", float16_attention)
    out = model(torch.from_numpy(ids))
    difference = np.abs(out.routing[0].prob.detach().numpy() - prob)
    print(f"  probability: {difference.max():.1e} at most, {np.mean(difference < 1e-4):.2%} of bases within 1e-4")
    assert np.mean(difference < 1e-4) > 0.995
    assert np.abs(out.logits.detach().numpy() - logits).max() < 5e-4
    np.testing.assert_array_equal(out.routing[0].cut.numpy(), cut)
    # Without float16 the cuts are the same, at p up to 3e-4 away.
    assert np.abs(plain.routing[0].prob.numpy() - prob).max() < 5e-4
    np.testing.assert_array_equal(plain.routing[0].cut.numpy(), cut)


def test_boundaries_equal_forward(golden_dir):
    with np.load(golden_dir / "ldarnet_two_stage.npz") as file:
        ids, valid = torch.from_numpy(file["input_ids"]), torch.from_numpy(file["valid"])
    model = load_model(golden_dir / "ldarnet_two_stage.pt")
    for alone, full in zip(model.boundaries(ids, valid).routing, model(ids, valid).routing, strict=True):
        assert torch.equal(alone.prob, full.prob)
        assert torch.equal(alone.cut, full.cut)
    assert len(model.boundaries(ids, valid, max_stages=1).routing) == 1
