"""The recurrence on NVIDIA GPUs: mamba-ssm's Triton kernels, both directions in one call.

Only `ops.triton.ssd_combined` is used, which is pure Triton. The package imports its compiled Mamba-1 extension
without asking, so where that was not built an empty stand-in takes its place and no CUDA compiler is needed.
"""

import importlib.util
import os
import sys
import warnings
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=1)
def _kernel() -> Any:  # noqa: ANN401 - a function of an untyped package
    if importlib.util.find_spec("mamba_ssm") is None:
        return None
    # Products of float32 numbers round to TF32 in Triton unless told otherwise; a float32 track is to be float32.
    os.environ.setdefault("TRITON_F32_DEFAULT", "ieee")
    name = "selective_scan_cuda"
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        stand_in = ModuleType(name)
        stand_in.__spec__ = importlib.util.spec_from_loader(name, loader=None)  # others may look for it later
        sys.modules[name] = stand_in
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except Exception as error:  # it imports much that is not needed here, and any of that may not fit
        warnings.warn(
            f"mamba-ssm is installed but cannot be imported ({error}): plain torch runs instead", stacklevel=2
        )
        return None
    return mamba_chunk_scan_combined


def is_available() -> bool:
    """Whether a CUDA device and the mamba-ssm package are there."""
    return torch.cuda.is_available() and _kernel() is not None


def ssd_fused(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y of the recurrence; shapes as in `reference`. Directions become extra heads and groups."""
    num_heads = x.shape[3]
    if x.shape[2] == 2:
        x, dt, B, C = (torch.cat([t[:, :, :1], t[:, :, 1:].flip(1)], dim=2) for t in (x, dt, B, C))
    with torch.cuda.device(x.device):  # Triton launches on the current device, whatever its arguments lie on
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
