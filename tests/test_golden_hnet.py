"""Agreement with the published causal H-Net: logits, cuts of both stages, losses, gradients, and step by step."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ldarnet.checkpoint import load_model
from ldarnet.model.ssd import use_backend
from ldarnet.model.stepping import Stepper
from ldarnet.published_names import tensor_sources
from ldarnet.train.losses import RATIO_WEIGHT, ratio_loss

TARGETS = {"hnet_causal_two_stage": (3.0, 2.0), "hnet_causal_one_stage": (4.0,)}
BACKENDS = ("compiled", "chunked")


@pytest.fixture(params=TARGETS)
def golden(request, golden_dir):
    """(model, golden arrays, targets of its ratio losses)"""
    folder = golden_dir
    if not (folder / f"{request.param}.pt").is_file():
        folder = request.getfixturevalue("shared_data") / "golden"
    with np.load(folder / f"{request.param}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return load_model(folder / f"{request.param}.pt"), arrays, TARGETS[request.param]


def tokens(arrays):
    return torch.from_numpy(arrays["input_ids"].astype(np.int64))


@pytest.mark.parametrize("backend", BACKENDS)
def test_logits_cuts_losses_and_every_gradient(golden, backend):
    model, arrays, targets = golden
    ids = tokens(arrays)
    with use_backend(backend):
        out = model(ids)
        nll = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        # The published ratio loss counts the padding of a batch's chunks as tokens; ours does not.
        ratios = torch.stack([ratio_loss(r._replace(valid=None), n) for r, n in zip(out.routing, targets, strict=True)])
        loss = nll + RATIO_WEIGHT * ratios.sum()
        loss.backward()
    assert np.abs(out.logits.detach().numpy() - arrays["logits"]).max() < 1e-4
    assert len(out.routing) == sum(name.startswith("boundary_prob_") for name in arrays) == len(targets)
    for stage, routing in enumerate(out.routing):
        difference = np.abs(routing.prob.detach().numpy() - arrays[f"boundary_prob_{stage}"])
        assert difference[slice(None) if routing.valid is None else routing.valid.numpy()].max() < 1e-4
        np.testing.assert_array_equal(routing.cut.numpy(), arrays[f"boundary_mask_{stage}"])
    assert nll.item() == pytest.approx(float(arrays["nll"]), abs=1e-5)
    assert ratios.tolist() == pytest.approx(arrays["ratio_loss"].tolist(), abs=1e-5)
    assert loss.item() == pytest.approx(float(arrays["loss"]), abs=1e-5)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norms = {source.names[0]: float(gradients[ours].norm()) for ours, source in tensor_sources(model.config).items()}
    want = {name.removeprefix("gradnorm/"): float(arrays[name]) for name in arrays if name.startswith("gradnorm/")}
    assert norms == pytest.approx(want, rel=1e-3)


def test_one_token_at_a_time(golden):
    model, arrays, _ = golden
    stepper = Stepper(model, len(arrays["input_ids"]))
    steps = [stepper.step(column) for column in tokens(arrays)[:, :80].unbind(1)]
    logits = torch.stack([step.logits for step in steps], dim=1).numpy()
    assert np.abs(logits - arrays["logits"][:, :80]).max() < 1e-4
    cuts = torch.stack([step.cut[0] for step in steps], dim=1).numpy()
    np.testing.assert_array_equal(cuts, arrays["boundary_mask_0"][:, :80])
