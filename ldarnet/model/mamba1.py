"""Bidirectional Mamba-1, as Caduceus and DNAChunker use it.

Letters in shapes: B batch, L length, D width, N state, R rank of the step sizes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldarnet.config import ModelConfig
from ldarnet.model.mixers import uses_cpu_kernels
from ldarnet.model.selective_scan import selective_scan

NUM_DIRECTIONS = 2


class BiMamba1(nn.Module):
    """Mamba-1 read in both directions, the projections in and out shared (arXiv:2312.00752; Caduceus, 2403.03234).

    Shared projections act on each base alone and are applied once, to the sequence and to the combined outputs. Each
    direction has its own convolution, projections to step sizes, B and C, decay and skip (leading axis of each).
    """

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.d_inner = config.expand * width
        self.d_state = config.d_state
        self.dt_rank = config.dt_rank or math.ceil(width / 16)
        self.num_taps = config.d_conv
        self.scale = 1 / NUM_DIRECTIONS if config.fusion == "mean" else 1.0
        self.in_proj = nn.Linear(width, 2 * self.d_inner, bias=False)
        self.out_proj = nn.Linear(self.d_inner, width, bias=False)
        both = (NUM_DIRECTIONS, self.d_inner)
        self.conv_weight = nn.Parameter(torch.empty(*both, config.d_conv))
        self.conv_bias = nn.Parameter(torch.empty(both))
        self.x_proj = nn.Parameter(torch.empty(NUM_DIRECTIONS, self.dt_rank + 2 * self.d_state, self.d_inner))
        self.dt_proj = nn.Parameter(torch.empty(*both, self.dt_rank))
        self.dt_bias = nn.Parameter(torch.empty(both))
        self.A_log = nn.Parameter(torch.empty(*both, self.d_state))
        self.D = nn.Parameter(torch.empty(both))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Defaults of Mamba-1: A = -1 .. -N, dt log-uniform in [1e-3, 1e-1], D = 1, the rest as torch's own layers."""
        if self.dt_bias.is_meta:  # shapes only: nothing to fill
            return
        with torch.no_grad():
            for parameter, fan_in in (
                *((self.conv_weight, self.num_taps), (self.conv_bias, self.num_taps)),
                *((self.x_proj, self.d_inner), (self.dt_proj, self.dt_rank)),
            ):
                parameter.uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
            self.A_log.copy_(torch.arange(1, self.d_state + 1, dtype=torch.float32).log())
            dt = torch.empty_like(self.dt_bias).uniform_(math.log(1e-3), math.log(1e-1)).exp_().clamp_(min=1e-4)
            self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
            self.D.fill_(1)

    def forward(self, x: Tensor, valid: Tensor | None, *, leaky_padding: bool = False) -> Tensor:
        """[B, L, D] -> [B, L, D]; `valid` [B, L] marks bases, padding is on the right, None = no padding.

        The right-to-left scan meets the padding first. A step of size zero there leaves its state untouched, so each
        sequence starts at its own last base. `leaky_padding=True` keeps the steps, as code that knows of none does.
        """
        if valid is not None:
            x = x * valid[..., None]
        x_inner, z = self.in_proj(x).chunk(2, dim=-1)
        u = self._convolve(x_inner)  # [B, L, direction, d_inner]
        dt, B, C = torch.einsum("bldi,dri->bldr", u, self.x_proj.to(u.dtype)).split(
            [self.dt_rank, self.d_state, self.d_state], dim=-1
        )
        steps = torch.einsum("bldr,dir->bldi", dt, self.dt_proj.to(dt.dtype))
        steps = F.softplus(steps.float() + self.dt_bias.float())
        if valid is not None and not leaky_padding:
            steps = steps * valid[..., None, None]
        y = selective_scan(u, steps, -self.A_log.float().exp(), B, C, self.D.float())
        # The gate belongs to the base, whichever direction it is read in.
        combined = self.scale * y.sum(2) * F.silu(z)
        return self.out_proj(combined.to(x.dtype))

    def _convolve(self, x: Tensor) -> Tensor:
        """SiLU of the depthwise convolution over a base and those before it in each direction: -> [B, L, 2, C]."""
        if uses_cpu_kernels(x):
            from ldarnet.model.cpu_layers import conv_silu

            return conv_silu(x, self.conv_weight, self.conv_bias, (self.d_inner, 0, 0))[0]
        length, taps = x.shape[1], self.num_taps
        padded = F.pad(x, (0, 0, taps - 1, taps - 1))
        weight, bias = self.conv_weight.to(x.dtype), self.conv_bias.to(x.dtype)
        outputs = []
        for direction in range(NUM_DIRECTIONS):
            total = bias[direction]
            for tap in range(taps):
                # The last tap is the base itself; earlier taps lie behind it as seen in the reading direction.
                shift = tap if direction == 0 else 2 * (taps - 1) - tap
                total = torch.addcmul(total, padded[:, shift : shift + length], weight[direction, :, tap])
            outputs.append(total)
        return F.silu(torch.stack(outputs, dim=2))
