"""JSON values that every reader of JSON takes."""

import math
from typing import Any


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with null for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
