"""Which device a model runs on."""

import torch


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
