"""The published arrangement in plain torch, on the same weights: what the track is measured against.

The whole network runs (encoder, backbone, decoder), every Mamba layer projects the sequence and its mirror image
separately (in and out), and the scan is the chunked einsum formulation of Mamba-2, one direction at a time.
"""

import torch
from torch.nn import functional as F

from ldarnet.model import Boundaries, LDARNet
from ldarnet.model.mixers import NORM_EPS, BiMamba2
from ldarnet.model.ssd import use_backend

BLOCK = 64


def chunked_einsum(x, dt, A, B, C, D, block=BLOCK):
    """Left-to-right scan [b, l, h, p], the textbook form: four einsums over blocks (arXiv:2405.21060, listing 1)."""
    length = x.shape[1]
    pad = -length % block
    X, dtp = F.pad(x * dt[..., None], (0, 0, 0, 0, 0, pad)), F.pad(dt * A, (0, 0, 0, pad))
    Bp, Cp = F.pad(B, (0, 0, 0, pad)), F.pad(C, (0, 0, 0, pad))
    X, Bc, Cc = (t.unflatten(1, (-1, block)) for t in (X, Bp, Cp))  # [b, c, l, h, p], [b, c, l, n]
    cum = dtp.unflatten(1, (-1, block)).permute(0, 3, 1, 2).cumsum(-1)  # [b, h, c, l]
    causal = torch.ones(block, block, dtype=torch.bool).tril()
    L = (cum[..., :, None] - cum[..., None, :]).masked_fill(~causal, -torch.inf).exp()  # [b, h, c, l, s]
    scores = torch.einsum("bcln,bcsn->bcls", Cc, Bc)
    diagonal = torch.einsum("bhcls,bcshp->bclhp", L * scores[:, None], X)
    to_end = (cum[..., -1:] - cum).exp()
    states = torch.einsum("bcln,bhcl,bclhp->bchpn", Bc, to_end, X)
    carry, entering = torch.zeros_like(states[:, 0]), []
    for c in range(states.shape[1]):
        entering.append(carry)
        carry = cum[:, :, c, -1].exp()[..., None, None] * carry + states[:, c]
    off_diagonal = torch.einsum("bcln,bchpn,bhcl->bclhp", Cc, torch.stack(entering, 1), cum.exp())
    return (diagonal + off_diagonal).flatten(1, 2)[:, :length] + D[:, None] * x


def one_direction(layer: BiMamba2, x, direction, length_mask):
    """A whole Mamba-2 module, as the published code runs it for one direction."""
    sizes = [layer.d_inner, layer.d_inner + 2 * layer.d_state, layer.num_heads]
    z, xBC, dt = layer.in_proj(x).split(sizes, dim=-1)
    weight = layer.conv_weight[direction][:, None]
    taps = weight.shape[-1]
    conv = F.conv1d(xBC.transpose(1, 2), weight, layer.conv_bias[direction], padding=taps - 1, groups=weight.shape[0])
    xBC = F.silu(conv[..., : x.shape[1]].transpose(1, 2))
    u, B, C = xBC.split([layer.d_inner, layer.d_state, layer.d_state], dim=-1)
    steps = F.softplus(dt + layer.dt_bias[direction])
    if length_mask is not None:
        steps = steps * length_mask[..., None]
    u = u.unflatten(-1, (-1, layer.head_dim))
    y = chunked_einsum(u, steps, -layer.A_log[direction].exp(), B, C, layer.D[direction]).flatten(-2)
    y = F.rms_norm(y * F.silu(z), y.shape[-1:], layer.norm_weight[direction], NORM_EPS)
    return layer.out_proj(y)


def published_forward(layer: BiMamba2, x, valid, *, leaky_padding=False):
    """Two passes, each with its own projections, averaged."""
    mask = None if valid is None else valid.to(x.dtype)
    if mask is not None:
        x = x * mask[..., None]
    forward = one_direction(layer, x, 0, mask)
    reverse = one_direction(layer, x.flip(1), 1, None if mask is None or leaky_padding else mask.flip(1)).flip(1)
    y = layer.scale * (forward + reverse)
    return y if mask is None else y * mask[..., None]


class PublishedArrangement(LDARNet):
    """The same weights, run the published way; `boundaries` is the full forward pass."""

    @classmethod
    def of(cls, model: LDARNet) -> "PublishedArrangement":
        """Take over a loaded model."""
        model.__class__ = cls
        for module in model.modules():
            if isinstance(module, BiMamba2):
                module.forward = published_forward.__get__(module)
        return model

    def boundaries(self, input_ids, valid=None, *, max_stages=None, span=None):
        """Everything is computed; the routing is taken out at the end."""
        with use_backend("chunked"):  # no compiled kernels anywhere
            return Boundaries(self(input_ids, valid).routing)
