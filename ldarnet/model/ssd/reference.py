"""The Mamba-2 recurrence (state-space duality), one base at a time: the truth every other backend is held to.

Shapes, here and in every backend:
    x   [batch, length, direction, head, dim]     inputs
    dt  [batch, length, direction, head]          step sizes, >= 0; 0 = the state passes this base unchanged
    A   [direction, head]                         decay rates, < 0
    B,C [batch, length, direction, state]         input and output maps, shared by the heads of a direction
    D   [direction, head]                         skip weights
    y   [batch, length, direction, head, dim]     outputs
Direction 0 runs left to right, direction 1 right to left; each starts from a zero state.

Source: Dao & Gu 2024 (arXiv:2405.21060), section 2, with the discretisation of mamba_ssm's Mamba2 module.
"""

import torch
from torch import Tensor


def ssd_reference(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs y, in the dtype of x; the state is kept in at least float32."""
    outputs = []
    for d in range(x.shape[2]):
        inputs = (x[:, :, d], dt[:, :, d], B[:, :, d], C[:, :, d], A[d], D[d])
        outputs.append(_one_direction(*inputs, right_to_left=d == 1))
    return torch.stack(outputs, dim=2)


def _one_direction(x: Tensor, dt: Tensor, B: Tensor, C: Tensor, A: Tensor, D: Tensor, *, right_to_left: bool) -> Tensor:
    length = x.shape[1]
    wide = torch.promote_types(x.dtype, torch.float32)
    state = torch.zeros((*x.shape[:1], *x.shape[2:], B.shape[-1]), dtype=wide, device=x.device)
    outputs: list[Tensor] = [x] * length
    for t in reversed(range(length)) if right_to_left else range(length):
        decay = torch.exp(dt[:, t] * A).to(wide)[..., None, None]
        update = (dt[:, t, :, None] * x[:, t]).to(wide)[..., None] * B[:, t, None, None, :].to(wide)
        state = decay * state + update
        outputs[t] = (state * C[:, t, None, None, :].to(wide)).sum(-1) + D[:, None].to(wide) * x[:, t].to(wide)
    return torch.stack(outputs, dim=1).to(x.dtype)
