"""Lists of contig names as messages print them."""

from collections.abc import Sequence

MAX_NAMES = 8


def list_names(names: Sequence[str]) -> str:
    """At most `MAX_NAMES` names separated by commas, and how many more there are."""
    shown = ", ".join(names[:MAX_NAMES])
    num_more = len(names) - MAX_NAMES
    return f"{shown} and {num_more:,} more" if num_more > 0 else shown
