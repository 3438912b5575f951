"""The recurrence on NVIDIA GPUs: mamba-ssm's Triton kernels, both directions in one call.

Only `ops.triton.ssd_combined` is used, which is pure Triton. The package imports its compiled Mamba-1 extension
without asking, so where that was not built an empty stand-in takes its place and no CUDA compiler is needed.
"""

import importlib.util
import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=1)
def _kernel() -> Any:  # noqa: ANN401 - a function of an untyped package
    if importlib.util.find_spec("mamba_ssm") is None:
        return None
    if importlib.util.find_spec("selective_scan_cuda") is None:
        sys.modules.setdefault("selective_scan_cuda", ModuleType("selective_scan_cuda"))
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    return mamba_chunk_scan_combined


def is_available() -> bool:
    """Whether a CUDA device and the mamba-ssm package are there."""
    return torch.cuda.is_available() and _kernel() is not None


def ssd_fused(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y of the recurrence; shapes as in `reference`. Directions become extra heads and groups."""
    num_heads = x.shape[3]
    if x.shape[2] == 2:
        x, dt, B, C = (torch.cat([t[:, :, :1], t[:, :, 1:].flip(1)], dim=2) for t in (x, dt, B, C))
    y = _kernel()(
        x.flatten(2, 3),
        dt.flatten(2, 3),
        A.flatten(),
        B.to(x.dtype),
        C.to(x.dtype),
        chunk_size=256,
        D=D.flatten(),
    ).unflatten(2, (-1, num_heads))
    if y.shape[2] == 2:
        y = torch.cat([y[:, :, :1], y[:, :, 1:].flip(1)], dim=2)
    return y
