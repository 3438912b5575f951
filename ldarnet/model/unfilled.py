"""Modules without numbers: shapes only, for weights that are put in afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def unfilled() -> Iterator[None]:
    """Parameters made inside take no memory, and filling them with numbers does nothing.

    On the meta device alone torch would load its compiler, one second's worth, to fill what is not there.
    """
    with torch.device("meta"), _NothingToFill():
        yield


class _NothingToFill(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - whatever torch hands over
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else given["tensor"]
        if func is torch.eye and "out" in given:  # nn.init.eye_
            return given["out"]
        return func(*args, **given)
