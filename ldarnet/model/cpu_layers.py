"""The compiled CPU kernels as torch functions with gradients: float32, shapes as in `cpu_kernels`."""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ldarnet.model import cpu_gradients, cpu_kernels
from ldarnet.model.jit import run_in_pieces


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor, sizes: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """SiLU of the depthwise convolution, each direction: [B, L, C] -> three tensors [B, L, dir, size].

    `weight` [dir, C, taps] and `bias` [dir, C]; `sizes` divide the channels into what the scan calls x, B and C.
    """
    u, b, c = _ConvSilu.apply(x, weight, bias, sizes)
    return u, b, c


def gated_norm(y: Tensor, z: Tensor, weight: Tensor, scale: float, eps: float) -> Tensor:
    """scale * sum over directions of rms_norm(y * silu(z)) * weight: [B, L, 2, D], [B, L, D] -> [B, L, D]."""
    out: Tensor = _GatedNorm.apply(y, z, weight, scale, eps)
    return out


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) * weight over the last axis of [B, L, D]."""
    out: Tensor = _RMSNorm.apply(x, weight, eps)
    return out


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


class _ConvSilu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor, sizes: tuple[int, int, int]
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, weight, bias)
        outputs = tuple(torch.empty((*x.shape[:2], weight.shape[0], size)) for size in sizes)
        arrays = (_array(x), _array(weight.permute(0, 2, 1)), _array(bias), *(o.numpy() for o in outputs))
        run_in_pieces(cpu_kernels.conv_silu, x.shape[0] * x.shape[1], *arrays)
        return outputs

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors  # type: ignore[attr-defined]
        num_sequences, taps = x.shape[0], weight.permute(0, 2, 1)
        dx = torch.zeros(x.shape)
        dweight, dbias = torch.zeros((num_sequences, *taps.shape)), torch.zeros((num_sequences, *bias.shape))
        arrays = (_array(x), _array(taps), _array(bias), *(_array(g) for g in grads))
        outputs = (dx.numpy(), dweight.numpy(), dbias.numpy())
        run_in_pieces(cpu_gradients.conv_silu_gradient, num_sequences, *arrays, *outputs)
        return dx, dweight.sum(0).permute(0, 2, 1), dbias.sum(0), None


class _GatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, y: Tensor, z: Tensor, weight: Tensor, scale: float, eps: float) -> Tensor:
        ctx.save_for_backward(y, z, weight)
        ctx.constants = np.float32(scale), np.float32(eps)  # type: ignore[attr-defined]
        out = torch.empty((*z.shape[:2], y.shape[-1]))
        arrays = (_array(y), _array(z), _array(weight), np.float32(scale), np.float32(eps), out.numpy())
        run_in_pieces(cpu_kernels.gated_norm, y.shape[0] * y.shape[1], *arrays)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        y, z, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        dy, dz, dweight = torch.empty(y.shape), torch.empty(z.shape), torch.zeros((y.shape[0], *weight.shape))
        arrays = (_array(y), _array(z), _array(weight), *ctx.constants, _array(grads[0]))  # type: ignore[attr-defined]
        outputs = (dy.numpy(), dz.numpy(), dweight.numpy())
        run_in_pieces(cpu_gradients.gated_norm_gradient, y.shape[0], *arrays, *outputs)
        return dy, dz, dweight.sum(0), None, None


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.eps = np.float32(eps)  # type: ignore[attr-defined]
        out = torch.empty(x.shape)
        arrays = (_array(x), _array(weight), np.float32(eps), out.numpy())
        run_in_pieces(cpu_kernels.rms_norm, x.shape[0] * x.shape[1], *arrays)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        dx, dweight = torch.empty(x.shape), torch.zeros((x.shape[0], *weight.shape))
        arrays = (_array(x), _array(weight), ctx.eps, _array(grads[0]))  # type: ignore[attr-defined]
        run_in_pieces(cpu_gradients.rms_norm_gradient, x.shape[0], *arrays, dx.numpy(), dweight.numpy())
        return dx, dweight.sum(0), None
