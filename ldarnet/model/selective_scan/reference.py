"""The Mamba-1 recurrence (selective scan), one base at a time: the truth the other backend is held to.

Shapes, here and in every backend:
    x   [batch, length, direction, channel]       inputs
    dt  [batch, length, direction, channel]       step sizes, >= 0; 0 = the state passes this base unchanged
    A   [direction, channel, state]               decay rates, < 0
    B,C [batch, length, direction, state]         input and output maps, shared by the channels of a direction
    D   [direction, channel]                      skip weights
    y   [batch, length, direction, channel]       outputs
Direction 0 runs left to right, direction 1 right to left; each starts from a zero state. Unlike in Mamba-2, every
channel has step sizes of its own, and every number of its state a decay rate of its own.

Source: Gu & Dao 2023 (arXiv:2312.00752), section 3, with the discretisation of its code.
"""

import torch
from torch import Tensor


def selective_scan_reference(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y, in the dtype of x; the state is kept in at least float32."""
    outputs = []
    for d in range(x.shape[2]):
        inputs = (x[:, :, d], dt[:, :, d], A[d], B[:, :, d], C[:, :, d], D[d])
        outputs.append(_one_direction(*inputs, right_to_left=d == 1))
    return torch.stack(outputs, dim=2)


def _one_direction(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *, right_to_left: bool) -> Tensor:
    batch, length, num_channels = x.shape
    wide = torch.promote_types(x.dtype, torch.float32)
    A, D = A.to(wide), D.to(wide)
    state = torch.zeros((batch, num_channels, A.shape[-1]), dtype=wide, device=x.device)
    outputs: list[Tensor] = [x] * length
    for t in reversed(range(length)) if right_to_left else range(length):
        u, step = x[:, t].to(wide), dt[:, t].to(wide)
        decay = torch.exp(step[..., None] * A)
        state = decay * state + (step * u)[..., None] * B[:, t, None].to(wide)
        outputs[t] = (state * C[:, t, None].to(wide)).sum(-1) + D * u
    return torch.stack(outputs, dim=1).to(x.dtype)
