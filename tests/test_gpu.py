"""On an NVIDIA GPU the model says what it says on a CPU: tracks, losses, gradients."""

import numpy as np
import pytest
import torch

from ldarnet.boundaries import boundary_track
from ldarnet.checkpoint import load_model, random_model
from ldarnet.config import PRESETS
from ldarnet.train.losses import total_loss
from tests.command_line import letters, write_fasta

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
DEVICE = "cuda"
MODELS = ["default", "dnahnet-small", "hnet-small", "dnachunker-small"]


@pytest.fixture
def fasta(tmp_path):
    return write_fasta(tmp_path / "x.fa", a=letters(1, 5000), b=letters(2, 700) + "N" * 900 + letters(3, 40), c="A")


def tracks(fasta, device, **options):
    model = load_model(options.pop("model"), device=device)
    return boundary_track(fasta, model=model, **options).data


@pytest.mark.parametrize("strand", ["+", "both-mean"])
@pytest.mark.parametrize("model", MODELS)
def test_a_track_in_float32(fasta, model, strand):
    want, got = (tracks(fasta, device, model=model, strand=strand) for device in ("cpu", DEVICE))
    for chrom, values in want.items():
        np.testing.assert_allclose(got[chrom], values, atol=5e-4, equal_nan=True)  # four decimals


@pytest.mark.parametrize("model", MODELS)
def test_a_track_in_bfloat16(fasta, model):
    want, got = (
        tracks(fasta, device, model=model, dtype=dtype)["a"][1:]
        for device, dtype in (("cpu", "float32"), (DEVICE, "bfloat16"))
    )
    assert np.abs(want - got).max() < 0.1
    assert ((want > 0.5) == (got > 0.5)).mean() > 0.98


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["ldarnet-nano", "ldarnet-2m"])
def test_losses_and_gradients(name, dtype):
    torch.manual_seed(0)
    state = random_model(PRESETS[name]).state_dict()
    ids = torch.randint(0, 4, (2, 512))
    chosen = torch.rand(ids.shape) < 0.15
    inputs, labels = torch.where(chosen, 5, ids), torch.where(chosen, ids, -100)
    losses, gradients = [], []
    for device, kind in (("cpu", "float32"), (DEVICE, dtype)):
        model = random_model(PRESETS[name])
        model.load_state_dict(state)
        model.to(device).train()
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=kind == "bfloat16"):
            out = model(inputs.to(device))
        loss = total_loss(out.logits, labels.to(device), out.routing, [4.0])
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([p.grad.float().cpu().flatten() for p in model.parameters() if p.grad is not None]))
    want, got = gradients
    limit = {"float32": 2e-3, "bfloat16": 0.1}[dtype]
    assert losses[1] == pytest.approx(losses[0], rel=limit / 10)
    assert float((got - want).norm() / want.norm()) < limit
