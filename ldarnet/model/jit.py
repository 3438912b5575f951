"""How CPU kernels are compiled, and how they use several cores.

Kernels are compiled for one thread each and run side by side on pieces of their work by Python threads. numba's own
`parallel=True` is not used: code it keeps on disk may order sums otherwise than code it has just compiled, so that the
first run on a machine would differ in the last bits from the next, and its threads and torch's wait for each other.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from numba import njit

# Sums may be reordered (that is what lets them use the vector units); NaN and infinity keep their meaning.
MAX_THREADS = 1024
_FAST_MATH = {"reassoc", "contract", "nsz", "arcp"}


def kernel(*, inline: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile a function of numpy arrays, kept on disk where a cache folder can be written.

    What other kernels call is to be `inline`, unless its sums have a fixed order: compiled on its own it is optimised
    once more inside its caller, and whether a process runs the one or the other copy depends on what the disk held.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "inline": "always" if inline else "never",
        "fastmath": _FAST_MATH,
        "error_model": "numpy",
    }

    def compiled(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - a numba dispatcher
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder it may keep compiled code in
            return njit(**options)(function)

    return compiled


def run_in_pieces(function: Callable[..., None], num_items: int, *args: Any) -> None:  # noqa: ANN401
    """Call function(first, last, *args) for pieces of range(num_items), on as many threads as torch may use.

    Items must be independent: a result may not depend on how they are divided.
    """
    num_pieces = max(1, min(torch.get_num_threads(), num_items))
    edges = [num_items * i // num_pieces for i in range(num_pieces + 1)]
    own, *rest = pairwise(edges)
    others = [_pool().submit(function, *piece, *args) for piece in rest]
    function(*own, *args)
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    # Threads are started as they are needed; the default, 32, would leave the cores of a large machine idle.
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="ldarnet-kernel")
