"""A Mamba-2 layer with its norm and residual sum in three passes over memory: for tracks, on CPUs, in float32."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.model.bfloat16_tiles import paired
from ldarnet.model.cpu_precision import native_bfloat16
from ldarnet.model.jit import run_in_pieces
from ldarnet.model.mixers import NORM_EPS, BiMamba2, RMSNorm
from ldarnet.model.ssd import ssd_scan
from ldarnet.model.tiles import BLOCK
from ldarnet.model.whole_layer_kernels import ROWS, enter, leave


def fits(x: Tensor, norm: torch.nn.Module, mixer: torch.nn.Module) -> bool:
    """Whether `whole_layer` serves this layer, given the compiled kernels are in force and no gradient is asked."""
    if torch.is_autocast_enabled("cpu") and not native_bfloat16():
        return False
    if not (isinstance(mixer, BiMamba2) and isinstance(norm, RMSNorm)):
        return False
    if num_new_rows(mixer.num_taps) < 1:  # the convolution reaches over all rows that lie in the cache together
        return False
    sizes = (x.shape[-1], mixer.d_inner, mixer.d_state)
    return mixer.in_proj.weight.dtype == torch.float32 and all(size % BLOCK == 0 for size in sizes)


def whole_layer(x: Tensor, valid: Tensor | None, norm: RMSNorm, mixer: BiMamba2) -> Tensor:
    """x + mixer(norm(x), valid) for the residual stream [B, L, D], padding exact; see `fits`."""
    batch, length, width = x.shape
    inner, num_state, num_heads, directions = mixer.d_inner, mixer.d_state, mixer.num_heads, mixer.num_directions
    num_maps = inner + 2 * num_state
    to_gate, to_maps, to_step = mixer.in_proj.weight.t().split([inner, num_maps, num_heads], dim=1)
    # The columns of a product come in whole tiles.
    projections = (to_gate, to_maps, F.pad(to_step, (0, -num_heads % BLOCK)))
    lengths = torch.full((batch,), length) if valid is None else valid.sum(1)

    z = torch.empty(batch, length, inner)
    sizes = ((inner,), (num_state,), (num_state,), (num_heads,))
    u, B, C, steps = (torch.empty(batch, length, directions, *size) for size in sizes)
    pairs = native_bfloat16()
    as_read = paired if pairs else _as_it_is
    weights = (*map(as_read, projections), mixer.conv_weight.permute(0, 2, 1), mixer.conv_bias, mixer.dt_bias)
    new_rows = num_new_rows(mixer.num_taps)
    arrays = (*_arrays(x, lengths, norm.weight), np.float32(NORM_EPS), pairs, *_arrays(*weights, z, u, B, C, steps))
    run_in_pieces(enter, batch * -(-length // new_rows), *arrays)

    rates, skips = -mixer.A_log.float().exp(), mixer.D.float()
    y = ssd_scan(u.unflatten(-1, (num_heads, -1)), steps, rates, B, C, skips)

    out = torch.empty(batch * length, width)
    rows = _arrays(x.flatten(0, 1), y.flatten(3).flatten(0, 1), z.flatten(0, 1), mixer.norm_weight)
    factors = (np.float32(mixer.scale), np.float32(NORM_EPS), pairs)
    run_in_pieces(leave, -(-batch * length // ROWS), *rows, *factors, *_arrays(as_read(mixer.out_proj.weight.t()), out))
    return out.unflatten(0, (batch, length))


def num_new_rows(num_taps: int) -> int:
    """Bases that one stretch of the first pass finishes: the others it reads for the convolution of these alone."""
    return ROWS - 2 * (num_taps - 1)


def _as_it_is(weight: Tensor) -> Tensor:
    return weight


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]
