"""The Mamba-2 scan. One file per backend; `reference` is the recurrence in plain sight and the truth for the rest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

from ldarnet.model.ssd.chunked import ssd_chunked
from ldarnet.model.ssd.reference import ssd_reference

__all__ = ["BACKENDS", "active_backend", "ssd_scan", "use_backend"]

_chosen: ContextVar[str | None] = ContextVar("ssd_backend", default=None)


def _compiled(*args: Tensor) -> Tensor:
    from ldarnet.model.ssd.compiled import ssd_compiled  # numba: half a second that a GPU run need not pay

    return ssd_compiled(*args)


def _fused(*args: Tensor) -> Tensor:
    from ldarnet.model.ssd.fused import ssd_fused

    return ssd_fused(*args)


BACKENDS: dict[str, Callable[..., Tensor]] = {
    "reference": ssd_reference,
    "chunked": ssd_chunked,
    "compiled": _compiled,
    "fused": _fused,
}


def default_backend(device_type: str) -> str:
    """The fastest backend for tensors on a device: compiled on CPU, fused on CUDA where mamba-ssm is installed."""
    if device_type == "cpu":
        return "compiled"
    if device_type == "cuda":
        from ldarnet.model.ssd.fused import is_available

        return "fused" if is_available() else "chunked"
    return "chunked"


def active_backend(device_type: str) -> str:
    """The backend in force: the one chosen by `use_backend`, else the default for the device."""
    return _chosen.get() or default_backend(device_type)


def ssd_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Outputs of the bidirectional recurrence by the backend in force; shapes as in `reference`."""
    return BACKENDS[active_backend(x.device.type)](x, dt, A, B, C, D)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the block every scan uses the named backend; ValueError names those there are."""
    if name not in BACKENDS:
        raise ValueError(f"unknown scan backend {name!r}; there are {', '.join(BACKENDS)}")
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)
