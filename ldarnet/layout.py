"""Layouts: nested tuples of stacks, outermost stage first.

`("m3t1", ("M10",), "m4")` is an encoder of three Mamba layers and one attention layer, a ten-layer backbone on the
chunks, and a four-layer decoder. Letters: m Mamba, t attention; upper case adds a feed-forward layer after the mixer. A
stage nested inside another gives a second level of chunks.
"""

import re
from dataclasses import dataclass
from reprlib import repr as short_repr
from typing import Any, Literal

Layout = tuple[Any, ...]
"""`(backbone,)` or `(encoder, inner layout, decoder)`, each stack a string such as "m3t1"."""

MAX_LAYERS = 1000
MAX_STAGES = 8
"""Beyond these a layout is taken for a damaged file, before time and memory are spent on it."""

_STACK = re.compile(r"(?:[mMtT][1-9][0-9]{0,8})+")


@dataclass(frozen=True)
class Layer:
    """One residual layer: its mixer, and whether a feed-forward layer follows."""

    mixer: Literal["mamba", "attention"]
    has_mlp: bool


def parse_stack(text: str) -> tuple[Layer, ...]:
    """Layers of a stack string: "m3T1" is three Mamba layers, then attention followed by a feed-forward layer."""
    if not isinstance(text, str) or not _STACK.fullmatch(text):
        raise ValueError(
            f"expected a stack such as 'm3t1' (letters m, M, t, T, each with a count), got {short_repr(text)}"
        )
    if (total := sum(int(count) for count in re.findall(r"\d+", text))) > MAX_LAYERS:
        raise ValueError(f"expected at most {MAX_LAYERS} layers in a stack, got {total:,} in {short_repr(text)}")
    return tuple(
        Layer("mamba" if letter in "mM" else "attention", letter.isupper())
        for letter, count in re.findall(r"([mMtT])(\d+)", text)
        for _ in range(int(count))
    )


def num_stages(layout: Layout) -> int:
    """How many times the layout cuts its input into chunks (0 for a plain stack)."""
    return 0 if len(layout) == 1 else 1 + num_stages(layout[1])


def as_layout(value: object, stage: int = 0) -> Layout:
    """The layout as nested tuples; ValueError where it is none."""
    if stage > MAX_STAGES:
        raise ValueError(f"layout: expected at most {MAX_STAGES} stages inside one another, got more")
    if not isinstance(value, (list, tuple)) or len(value) not in (1, 3):
        raise ValueError(f"layout: expected [backbone] or [encoder, inner, decoder], got {short_repr(value)}")
    parts = list(value)
    for stack in parts[::2]:
        parse_stack(stack)
    if len(parts) == 3:
        parts[1] = as_layout(parts[1], stage + 1)
    return tuple(parts)


def layers_per_stage(layout: Layout) -> list[tuple[Layer, ...]]:
    """The layers of encoder and decoder of every stage, outermost first, then those of the backbone."""
    if len(layout) == 1:
        return [parse_stack(layout[0])]
    return [parse_stack(layout[0]) + parse_stack(layout[2]), *layers_per_stage(layout[1])]
