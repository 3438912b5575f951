"""The recurrence as matrix products over blocks of bases: plain torch, any device, differentiable.

Inside a block every output is a masked, decayed product of C and B; between blocks only the state travels.
Source: Dao & Gu 2024 (arXiv:2405.21060), section 6.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 64


def ssd_chunked(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *, block: int = BLOCK) -> Tensor:
    """Outputs y of the recurrence; shapes as in `reference`."""
    length = x.shape[1]
    if x.shape[2] == 2:
        # Direction 1 runs right to left: turn it round, scan both left to right, turn it back.
        x, dt, B, C = (torch.cat([t[:, :, :1], t[:, :, 1:].flip(1)], dim=2) for t in (x, dt, B, C))
    y = _left_to_right(x, dt, A, B, C, block) + D[:, :, None] * x
    y = y[:, :length]
    if y.shape[2] == 2:
        y = torch.cat([y[:, :, :1], y[:, :, 1:].flip(1)], dim=2)
    return y.to(x.dtype)


def _left_to_right(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, block: int) -> Tensor:
    length = x.shape[1]
    pad = -length % block

    def blocks(t: Tensor) -> Tensor:
        """[batch, length, ...] -> [batch, block number, base in block, ...]; added bases have dt = 0."""
        t = F.pad(t, [0, 0] * (t.dim() - 2) + [0, pad])
        return t.unflatten(1, (-1, block))

    log_decay = blocks(dt.float() * A).cumsum(2)  # [b, n, t, direction, head]
    xdt, Bb, Cb = blocks(x.float() * dt.float()[..., None]), blocks(B.float()), blocks(C.float())
    # Within a block: base t reads base s <= t, decayed by exp(sum over s+1..t).
    t_minus_s = log_decay[:, :, :, None] - log_decay[:, :, None]  # [b, n, t, s, direction, head]
    causal = torch.ones(block, block, dtype=torch.bool, device=x.device).tril()
    decay = t_minus_s.masked_fill(~causal[:, :, None, None], -torch.inf).exp()
    CB = torch.einsum("bntds,bnuds->bntud", Cb, Bb)
    y = torch.einsum("bntudh,bnudhp->bntdhp", CB[..., None] * decay, xdt)
    # Between blocks: the state at the end of each block, carried forward.
    to_end = (log_decay[:, :, -1:] - log_decay).exp()
    added = torch.einsum("bntdh,bntdhp,bntds->bndhps", to_end, xdt, Bb)
    whole = log_decay[:, :, -1].exp()[..., None, None]
    state, entering = torch.zeros_like(added[:, 0]), []
    for n in range(added.shape[1]):
        entering.append(state)
        state = whole[:, n] * state + added[:, n]
    from_start = torch.einsum("bntds,bndhps->bntdhp", Cb, torch.stack(entering, dim=1))
    y = y + log_decay.exp()[..., None] * from_start
    return y.flatten(1, 2)[:, :length]
