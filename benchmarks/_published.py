"""The published arrangement in plain torch, on the same weights: what the track is measured against.

The whole network runs (encoder, backbone, decoder), every Mamba layer projects the sequence and its mirror image
separately (in and out), and the scan is the chunked einsum formulation of Mamba-2, one direction at a time. On a GPU
the two directions are two `Mamba2` modules of mamba-ssm with the same weights, as the authors run them.
"""

import importlib.util

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


def library_module(layer: BiMamba2, direction):
    """mamba-ssm's own module with the weights of one direction."""
    from ldarnet.model.ssd import fused

    if not fused.is_available():  # makes mamba_ssm importable where its Mamba-1 extension was not built
        raise SystemExit("the published arrangement on a GPU needs the package mamba-ssm")
    from mamba_ssm.modules.mamba2 import Mamba2

    width = layer.in_proj.in_features
    module = Mamba2(
        width,
        d_state=layer.d_state,
        d_conv=layer.num_taps,
        expand=layer.d_inner // width,
        headdim=layer.head_dim,
        use_mem_eff_path=importlib.util.find_spec("causal_conv1d") is not None,
    )
    weights = {
        "in_proj.weight": layer.in_proj.weight,
        "conv1d.weight": layer.conv_weight[direction][:, None],
        "conv1d.bias": layer.conv_bias[direction],
        "dt_bias": layer.dt_bias[direction],
        "A_log": layer.A_log[direction],
        "D": layer.D[direction],
        "norm.weight": layer.norm_weight[direction],
        "out_proj.weight": layer.out_proj.weight,
    }
    module.load_state_dict({name: weight.detach() for name, weight in weights.items()})
    return module.to(layer.in_proj.weight.device)


class LibraryPair(torch.nn.Module):
    """A layer as the authors run it on a GPU: one module per direction, averaged."""

    def __init__(self, layer: BiMamba2):
        super().__init__()
        self.scale = layer.scale
        forward, reverse = (library_module(layer, direction) for direction in range(2))
        reverse.in_proj, reverse.out_proj = forward.in_proj, forward.out_proj  # tied, as there
        self.directions = torch.nn.ModuleList([forward, reverse])

    def forward(self, x, valid, *, leaky_padding=False):
        """[B, L, D] -> [B, L, D]; padding leaks into the second direction, as it does there."""
        if valid is not None:
            x = x * valid[..., None]
        forward, reverse = self.directions
        return self.scale * (forward(x) + reverse(x.flip(1)).flip(1))


class PublishedArrangement(LDARNet):
    """The same weights, run the published way; `boundaries` is the full forward pass."""

    @classmethod
    def of(cls, model: LDARNet) -> "PublishedArrangement":
        """Take over a loaded model."""
        model.__class__ = cls
        on_gpu = next(model.parameters()).is_cuda
        for module in list(model.modules()):
            mixer = getattr(module, "mixer", None)
            if isinstance(mixer, BiMamba2):
                if on_gpu:
                    module.mixer = LibraryPair(mixer)
                else:
                    mixer.forward = published_forward.__get__(mixer)
        return model

    def boundaries(self, input_ids, valid=None, *, max_stages=None, span=None):
        """Everything is computed; the routing is taken out at the end."""
        with use_backend("chunked"):  # no compiled kernels anywhere
            return Boundaries(self(input_ids, valid).routing)
