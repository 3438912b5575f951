"""Byte pairs of DNA: the joins that a tokenizer has learned, checked, and read from its file (no torch)."""

import json
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short_repr

KNOWN_LETTERS = "ACGT"
MAX_MERGES = 1 << 16


def as_merges(value: object) -> tuple[str, ...]:
    """Merges such as "AC G", each of two known tokens; ValueError naming the first that is none."""
    if not isinstance(value, list | tuple) or not all(isinstance(merge, str) for merge in value):
        raise ValueError(f"merges: expected texts such as 'AC G', got {short_repr(value)}")
    if len(value) > MAX_MERGES:
        raise ValueError(f"merges: expected at most {MAX_MERGES:,}, got {len(value):,}")
    known = set(KNOWN_LETTERS)
    for number, merge in enumerate(value, start=1):
        parts = merge.split(" ")
        if len(parts) != 2 or not known.issuperset(parts):
            raise ValueError(
                f"merges: expected two tokens of {KNOWN_LETTERS} or of earlier merges with a space between, got "
                f"{short_repr(merge)} (merge {number})"
            )
        known.add("".join(parts))
    return tuple(value)


def tokens_of(merges: Sequence[str]) -> list[str]:
    """All tokens, each once: the four letters, then what merges give, in order."""
    return list(dict.fromkeys([*KNOWN_LETTERS, *(merge.replace(" ", "") for merge in merges)]))


def read_merges(path: Path) -> tuple[str, ...]:
    """The merges of a byte-pair tokenizer as `tokenizers` saves it (JSON). Raises ValueError or OSError."""
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError(f"{path}: expected a byte-pair tokenizer in JSON, with model.merges") from None
    try:
        checked = as_merges(merges)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not checked:
        raise ValueError(f"{path}: expected a byte-pair tokenizer with merges, got none")
    return checked
