"""How CPU kernels are compiled: once per machine where a cache folder can be written, else once per process."""

from collections.abc import Callable
from typing import Any

from numba import njit

# Sums may be reordered (that is what lets them use the vector units); NaN and infinity keep their meaning.
_FAST_MATH = {"reassoc", "contract", "nsz", "arcp"}


def kernel(*, parallel: bool = False, inline: bool = False, strict: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile a function of numpy arrays. `parallel` runs its prange loops on all threads.

    `strict` keeps every float operation as written. Where sums may be reordered, the compiler is free to order them
    otherwise in code kept on disk than in code just compiled, and it does: a first run would differ from the next.
    """
    options: dict[str, Any] = {
        "parallel": parallel,
        "inline": "always" if inline else "never",
        "fastmath": False if strict else _FAST_MATH,
        "error_model": "numpy",
    }

    def compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - a numba dispatcher
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder it may keep compiled code in
            return njit(**options)(function)

    return compiled
