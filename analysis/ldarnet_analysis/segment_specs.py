"""How segmenters are named on the command line; no heavy import, so that options can be checked with it."""

import re
from pathlib import Path
from typing import NamedTuple

_NUMBERS = {"fixed": (2, 10_000), "kmer": (2, 100), "bpe": (8, 65_536), "entropy": (1, 10)}
_ANNOTATION = ("exon", "CDS", "site")
_NAME = re.compile(r"[\w.+-]{1,40}")
FORMS = (
    "fixed:N, kmer:K, bpe:TOKENS, entropy:ORDER, random, shuffled:NAME, "
    "annotation:exon, annotation:CDS, annotation:site"
)


class SegmenterSpec(NamedTuple):
    """A kind and its number or word, such as fixed and 4."""

    kind: str
    value: str = ""

    @property
    def name(self) -> str:
        """As it was written."""
        return f"{self.kind}:{self.value}" if self.value else self.kind

    @property
    def number(self) -> int:
        """The value of a kind that takes a number."""
        return int(self.value)


class TrackSpec(NamedTuple):
    """A track and the name it goes by."""

    name: str
    path: Path
    is_stage: bool = False


def parse_segmenter(text: str) -> SegmenterSpec:
    """`kind:value`. Raises ValueError with the forms that there are."""
    kind, _, value = text.partition(":")
    if kind in _NUMBERS:
        low, high = _NUMBERS[kind]
        if not value.isascii() or not value.isdecimal() or not low <= int(value) <= high:
            raise ValueError(f"{text!r}: expected {kind}:N with N from {low} to {high}")
        return SegmenterSpec(kind, str(int(value)))
    if (kind == "shuffled" and value) or (kind == "annotation" and value in _ANNOTATION) or text == "random":
        return SegmenterSpec(kind, value)
    raise ValueError(f"{text!r}: expected one of {FORMS}")


def parse_track(text: str, *, is_stage: bool = False) -> TrackSpec:
    """`name=file`, or a file that goes by its own name. Raises ValueError for a name that no file could have."""
    name, equals, path = text.partition("=")
    if not equals or "/" in name:
        name, path = Path(text).name.partition(".")[0], text
    if not _NAME.fullmatch(name) or not path:
        raise ValueError(f"{text!r}: expected NAME=FILE, the name of letters, digits and . + - _ (at most 40)")
    return TrackSpec(name, Path(path), is_stage)
