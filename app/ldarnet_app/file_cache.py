"""Values computed from a file, kept until the file changes. Shared by all sessions of a server."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def per_file(maxsize: int) -> Callable[[Callable[Concatenate[Path, P], R]], Callable[Concatenate[Path, P], R]]:
    """Decorator: keep the last `maxsize` results of function(path, *args), by path, its size and modification time.

    Arguments must be hashable, results must not be changed by their users. Two threads that miss at once both compute.
    """

    def wrap(function: Callable[Concatenate[Path, P], R]) -> Callable[Concatenate[Path, P], R]:
        kept: OrderedDict[object, R] = OrderedDict()
        lock = Lock()

        def cached(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
            stat = path.stat()
            key = (path, stat.st_mtime_ns, stat.st_size, args, tuple(sorted(kwargs.items())))
            with lock:
                if key in kept:
                    kept.move_to_end(key)
                    return kept[key]
            value = function(path, *args, **kwargs)
            with lock:
                kept[key] = value
                while len(kept) > maxsize:
                    kept.popitem(last=False)
            return value

        return cached

    return wrap
