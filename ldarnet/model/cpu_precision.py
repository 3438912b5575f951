"""Whether the CPU kernels multiply bfloat16 numbers."""

import torch


def native_bfloat16() -> bool | None:
    """True within `torch.autocast("cpu", torch.bfloat16)` where the CPU has the instruction, else None.

    None, not False: kernels leave out at compile time what their processor could not compile. Sums stay float32, and
    with them everything that is not a product of matrices. Without the instruction autocast is torch's own.
    """
    if not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return None
    if torch.is_grad_enabled():
        return None
    return True if multiplies_bfloat16() else None


def multiplies_bfloat16() -> bool:
    """Whether this CPU has an instruction for it (AVX512-BF16)."""
    from ldarnet.model.bfloat16_tiles import HAS_PAIRS  # numba, which most uses of autocast do not pay for

    return HAS_PAIRS
