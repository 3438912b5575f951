"""Which device a model runs on, and how numbers get there and back."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def pick_device(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:1" or "mps"; ValueError where it is not there."""
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device: expected auto, cpu, cuda, cuda:N or mps, got {name!r}") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"--device {name}: {torch.cuda.device_count()} CUDA devices are available here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: not available here")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"--device: expected auto, cpu, cuda, cuda:N or mps, got {name!r}")
    return device


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; a GPU takes it from page-locked memory, so that nobody waits for the copy."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensors: list[Tensor]) -> Callable[[], list[np.ndarray]]:
    """Copies to the host, begun now; what is returned waits for them."""
    if not tensors or tensors[0].device.type != "cuda":
        return lambda: [tensor.cpu().numpy() for tensor in tensors]
    copies = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) for t in tensors]
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(tensors[0].device))

    def arrays() -> list[np.ndarray]:
        copied.synchronize()
        return [copy.numpy() for copy in copies]

    return arrays
