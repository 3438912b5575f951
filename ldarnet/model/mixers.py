"""What a layer is made of: norms, Mamba-2 in one or both directions, feed-forward layers.

Letters in shapes: B batch, L length, D width, H heads, P head dim, N state, C channels of (x, B, C).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldarnet.config import ModelConfig
from ldarnet.model.ssd import active_backend, ssd_scan

NORM_EPS = 1e-5


def uses_cpu_kernels(x: Tensor) -> bool:
    """Whether the compiled CPU kernels serve this tensor: float32 with the compiled scan in force."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and active_backend("cpu") == "compiled"


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D] in float32."""
        if uses_cpu_kernels(x) and x.dim() == 3:
            from ldarnet.model.cpu_layers import rms_norm

            return rms_norm(x, self.weight, NORM_EPS)
        return F.rms_norm(x.float(), x.shape[-1:], self.weight.float(), NORM_EPS)


class LayerNorm(nn.LayerNorm):
    """Mean and variance taken out over the last axis, computed in float32."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D] in float32."""
        return F.layer_norm(x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps)


def make_norm(width: int, config: ModelConfig) -> nn.Module:
    """The norm a configuration asks for."""
    return LayerNorm(width) if config.block_norm == "layer" else RMSNorm(width)


class SwiGLU(nn.Module):
    """Gated feed-forward layer; the first half of fc1 is the value, the second the gate."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        hidden = rounded_up(hidden)
        self.fc1 = nn.Linear(width, 2 * hidden, bias=False)
        self.fc2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        value, gate = self.fc1(x).chunk(2, dim=-1)
        return self.fc2(value * F.silu(gate))


class GeluMlp(nn.Module):
    """Two linear layers without biases, a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        hidden = rounded_up(hidden)
        self.fc1 = nn.Linear(width, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        return self.fc2(F.gelu(self.fc1(x)))


def rounded_up(hidden: int) -> int:
    """The width of a feed-forward layer, as a multiple of 128."""
    return math.ceil(hidden / 128) * 128


def make_mlp(width: int, hidden: int, config: ModelConfig) -> nn.Module:
    """The feed-forward layer a configuration asks for."""
    return GeluMlp(width, hidden) if config.mlp == "gelu" else SwiGLU(width, hidden)


class BiMamba2(nn.Module):
    """Mamba-2 read in both directions, the projections shared (ICML-LDARNet@f247d59, BiMamba with tied weights).

    The published arrangement projects the sequence and its mirror image separately and averages two projected
    outputs. Projections act on each base alone, so one projection in and one out give the same result at half the
    cost; convolution, step size, decay, skip and norm stay separate per direction (leading axis of each parameter).
    In a causal model there is one direction, left to right.
    """

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.d_inner = config.expand * width
        self.d_state = config.d_state
        self.head_dim = config.head_dim
        self.num_heads = self.d_inner // config.head_dim
        self.num_taps = config.d_conv
        self.num_directions = num_directions = 1 if config.is_causal else 2
        self.scale = 1 / num_directions if config.fusion == "mean" else 1.0
        num_channels = self.d_inner + 2 * self.d_state
        self.in_proj = nn.Linear(width, self.d_inner + num_channels + self.num_heads, bias=False)
        self.out_proj = nn.Linear(self.d_inner, width, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(num_directions, num_channels, config.d_conv))
        self.conv_bias = nn.Parameter(torch.empty(num_directions, num_channels))
        self.dt_bias = nn.Parameter(torch.empty(num_directions, self.num_heads))
        self.A_log = nn.Parameter(torch.empty(num_directions, self.num_heads))
        self.D = nn.Parameter(torch.empty(num_directions, self.num_heads))
        self.norm_weight = nn.Parameter(torch.empty(num_directions, self.d_inner))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Defaults of Mamba-2: A in U(1, 16), dt log-uniform in [1e-3, 1e-1], D = 1, convolution as nn.Conv1d."""
        if self.dt_bias.is_meta:  # shapes only: nothing to fill
            return
        bound = 1 / math.sqrt(self.num_taps)
        with torch.no_grad():
            self.conv_weight.uniform_(-bound, bound)
            self.conv_bias.uniform_(-bound, bound)
            self.A_log.uniform_(1, 16).log_()
            dt = torch.empty_like(self.dt_bias).uniform_(math.log(1e-3), math.log(1e-1)).exp_().clamp_(min=1e-4)
            self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
            self.D.fill_(1)
            self.norm_weight.fill_(1)

    def forward(self, x: Tensor, valid: Tensor | None, *, leaky_padding: bool = False) -> Tensor:
        """[B, L, D] -> [B, L, D]; `valid` [B, L] marks bases, padding is on the right, None = no padding.

        The right-to-left scan meets the padding first. A step of size zero there leaves its state untouched, so each
        sequence starts at its own last base. `leaky_padding=True` keeps the steps, as the published code does. Left to
        right, padding is met last and needs no care.
        """
        if self.num_directions == 1:
            valid = None
        if valid is not None:
            x = x * valid[..., None]
        z, xBC, dt = self.in_proj(x).split([self.d_inner, self.d_inner + 2 * self.d_state, self.num_heads], dim=-1)
        fast = uses_cpu_kernels(x) and z.dtype == torch.float32
        u, B, C = self._convolve_fast(xBC) if fast else self._convolve(xBC)  # [B, L, direction, channels]
        steps = F.softplus(dt[:, :, None].float() + self.dt_bias.float())  # [B, L, direction, H]
        if valid is not None and not leaky_padding:
            steps = steps * valid[..., None, None]
        y = ssd_scan(u.unflatten(-1, (-1, self.head_dim)), steps, -self.A_log.float().exp(), B, C, self.D.float())
        y = y.flatten(-2)  # [B, L, direction, d_inner]
        combined = self._gate_fast(y, z) if fast else self._gate(y, z)
        return self.out_proj(combined.to(x.dtype))

    def _gate(self, y: Tensor, z: Tensor) -> Tensor:
        """Gate and norm each direction, then combine them: [B, L, direction, d_inner] -> [B, L, d_inner]."""
        y = y * F.silu(z)[:, :, None]
        y = F.rms_norm(y.float(), y.shape[-1:], None, NORM_EPS) * self.norm_weight.float()
        return self.scale * y.sum(2)

    def _gate_fast(self, y: Tensor, z: Tensor) -> Tensor:
        from ldarnet.model.cpu_layers import gated_norm

        return gated_norm(y, z, self.norm_weight, self.scale, NORM_EPS)

    def _convolve_fast(self, x: Tensor) -> tuple[Tensor, ...]:
        from ldarnet.model.cpu_layers import conv_silu

        return conv_silu(x, self.conv_weight, self.conv_bias, (self.d_inner, self.d_state, self.d_state))

    def _convolve(self, x: Tensor) -> tuple[Tensor, ...]:
        """SiLU of the depthwise convolution over a base and those before it in each direction.

        [B, L, C] -> x, B and C of the scan, each [B, L, direction, channels].
        """
        length, taps = x.shape[1], self.num_taps
        padded = F.pad(x, (0, 0, taps - 1, taps - 1))
        weight = self.conv_weight.to(x.dtype)
        outputs = []
        for direction in range(self.num_directions):
            total = self.conv_bias[direction].to(x.dtype)
            for tap in range(taps):
                # The last tap is the base itself; earlier taps lie behind it as seen in the reading direction.
                shift = tap if direction == 0 else 2 * (taps - 1) - tap
                total = torch.addcmul(total, padded[:, shift : shift + length], weight[direction, :, tap])
            outputs.append(total)
        return F.silu(torch.stack(outputs, dim=2)).split([self.d_inner, self.d_state, self.d_state], dim=-1)
