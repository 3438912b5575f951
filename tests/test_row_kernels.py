"""Norms, projections and the router's comparison of tracks on CPUs, against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from ldarnet.model.bfloat16_tiles import HAS_PAIRS
from ldarnet.model.mixers import NORM_EPS, RMSNorm
from ldarnet.model.router import Router
from ldarnet.model.row_kernels import ROWS, add_projected, cut_probabilities, norm_and_project

LENGTHS = [1, 2, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS - 1, 200]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("comparison", ["symmetric", "previous", "current"])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_router(length, comparison):
    router, norm = Router(48, comparison), RMSNorm(48)
    with torch.no_grad():
        for weight in (*router.parameters(), *norm.parameters()):
            weight.add_(torch.randn_like(weight) * 0.3)
        x = torch.randn(3, length, 48)
        x[0, length // 2] = 0  # a vector without direction
        normed = F.rms_norm(x, (48,), norm.weight, NORM_EPS)
        got = cut_probabilities(x, norm.weight, router.query.weight, router.key.weight, comparison)
        torch.testing.assert_close(got, router.probabilities(normed), atol=2e-6, rtol=0)


@pytest.mark.parametrize("rows", [(1,), (5, 7), (2, ROWS), (ROWS + 3,)])
def test_norm_and_project(rows):
    x, norm_weight, weight = torch.randn(*rows, 32), torch.rand(32), torch.randn(80, 32)
    want = F.linear(F.rms_norm(x, (32,), norm_weight, NORM_EPS), weight)
    torch.testing.assert_close(norm_and_project(x, norm_weight, weight), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rows", [(1,), (5, 7), (2, ROWS), (ROWS + 3,)])
def test_add_projected(rows):
    x, y, weight = torch.randn(*rows, 32), torch.randn(*rows, 48), torch.randn(32, 48)
    torch.testing.assert_close(add_projected(x, y, weight), x + F.linear(y, weight), atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not HAS_PAIRS, reason="this CPU has no AVX512-BF16")
def test_with_bfloat16_products():
    x, norm_weight, weight = torch.randn(70, 32), torch.rand(32), torch.randn(32, 32)
    rounded = weight.bfloat16().float()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        projected, added = norm_and_project(x, norm_weight, weight), add_projected(x, x, weight)
    normed = F.rms_norm(x, (32,), norm_weight, NORM_EPS).bfloat16().float()
    # Factors next to the middle of two bfloat16 numbers may be rounded the other way.
    torch.testing.assert_close(projected, F.linear(normed, rounded), atol=0.03, rtol=0)
    torch.testing.assert_close(added, x + F.linear(x.bfloat16().float(), rounded), atol=1e-5, rtol=1e-5)
