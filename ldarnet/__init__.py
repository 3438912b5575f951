"""LDARNet: a DNA language model that learns where to cut its own input.

`load_model` and `boundary_track` are imported on first use, so that `import ldarnet` stays free of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ldarnet.boundaries import boundary_track
    from ldarnet.checkpoint import load_model

__version__ = "0.1.0"
__all__ = ["__version__", "boundary_track", "load_model"]

_LAZY = {"load_model": "ldarnet.checkpoint", "boundary_track": "ldarnet.boundaries"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'ldarnet' has no attribute {name!r}")
