"""The Mamba-1 scan. `reference` is the recurrence in plain sight and the truth for the compiled CPU backend."""

import torch
from torch import Tensor

from ldarnet.model.selective_scan.reference import selective_scan_reference
from ldarnet.model.ssd import active_backend

__all__ = ["selective_scan"]


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs of the recurrence, shapes as in `reference`.

    Compiled on a CPU where that is also the backend of the Mamba-2 scan; else the plain recurrence, which runs
    anywhere but takes one step of torch per base.
    """
    if x.device.type == "cpu" and x.dtype != torch.float64 and active_backend("cpu") == "compiled":
        from ldarnet.model.selective_scan.compiled import selective_scan_compiled  # numba takes half a second

        return selective_scan_compiled(x, dt, A, B, C, D)
    return selective_scan_reference(x, dt, A, B, C, D)
