"""Bases as letters that are really as high as they are drawn: outlines, sharp at any size, one shape per base."""

from typing import Any

import numpy as np

from ldarnet import vocab
from ldarnet_app.theme import BASE_COLOURS, Theme

LEAST_HEIGHT = 0.3
MAX_LETTERS = 200
MAX_BLOCKS = 1_000

# Outlines in the unit square: commands of SVG with x, y pairs, y upwards. Holes are cut by the even-odd rule.
_OUTLINES = {
    "A": "M 0 0 L .37 1 L .63 1 L 1 0 L .76 0 L .68 .24 L .32 .24 L .24 0 Z M .38 .42 L .62 .42 L .5 .79 Z",
    "C": (
        "M .97 .70 C .90 .90 .74 1 .54 1 C .22 1 0 .80 0 .5 C 0 .20 .22 0 .54 0 C .74 0 .90 .10 .97 .30 "
        "L .74 .36 C .70 .23 .64 .18 .54 .18 C .36 .18 .24 .30 .24 .5 C .24 .70 .36 .82 .54 .82 "
        "C .64 .82 .70 .77 .74 .64 Z"
    ),
    "G": (
        "M .98 .70 C .92 .90 .75 1 .54 1 C .22 1 0 .80 0 .5 C 0 .20 .22 0 .54 0 C .72 0 .87 .05 .99 .13 "
        "L .99 .55 L .54 .55 L .54 .38 L .76 .38 L .76 .24 C .70 .20 .62 .18 .53 .18 C .36 .18 .24 .30 .24 .5 "
        "C .24 .70 .36 .82 .53 .82 C .63 .82 .70 .77 .75 .64 Z"
    ),
    "T": "M 0 1 L 1 1 L 1 .82 L .62 .82 L .62 0 L .38 0 L .38 .82 L 0 .82 Z",
    "N": "M 0 0 L 0 1 L .26 1 L .76 .34 L .76 1 L 1 1 L 1 0 L .74 0 L .24 .66 L .24 0 Z",
}
_BLOCK = "M 0 0 L 0 1 L 1 1 L 1 0 Z"


def letter_shapes(
    ids: np.ndarray, start: int, p: np.ndarray, theme: Theme, yref: str, *, flipped: bool
) -> list[dict[str, Any]]:
    """The bases from `start` on as letters up to MAX_LETTERS, as blocks of their colour up to MAX_BLOCKS, else [].

    A letter is LEAST_HEIGHT of its row at p = 0 or without a value and all of it at p = 1; p[i] is that of the cut
    left of base i. `flipped` gives complements, mirrored, for an axis that runs backwards.
    """
    if len(ids) > MAX_BLOCKS:
        return []
    as_letters = len(ids) <= MAX_LETTERS
    heights = LEAST_HEIGHT + (1 - LEAST_HEIGHT) * np.clip(np.nan_to_num(p), 0, 1)
    shown = vocab.COMPLEMENT[ids] if flipped else ids
    margin = 0.06 if as_letters else 0.0
    shapes = []
    for number, letter in enumerate(vocab.LETTERS):
        places = np.flatnonzero(shown == number)
        glyph = _Glyph(_OUTLINES[letter] if as_letters else _BLOCK, 1 - 2 * margin, mirrored=flipped)
        if len(places):
            path = "".join(glyph.path(start + i + margin, float(heights[i])) for i in places.tolist())
            colour = theme.faint if letter == "N" and not as_letters else BASE_COLOURS[letter]
            shapes.append(
                {
                    "type": "path",
                    "path": path,
                    "xref": "x",
                    "yref": yref,
                    "fillcolor": colour,
                    "fillrule": "evenodd",
                    "line": {"width": 0},
                    "name": f"base {letter}",
                }
            )
    return shapes


class _Glyph:
    """One outline, put in many places and heights."""

    def __init__(self, outline: str, width: float, *, mirrored: bool) -> None:
        # x and y of each point follow one another; a command letter keeps its place before its points
        words = outline.split()
        self._words: list[str | float] = []
        self._is_x: list[bool] = []
        is_x = True
        for word in words:
            if word.isalpha():
                self._words.append(word)
                self._is_x.append(False)
                continue
            value = float(word)
            self._words.append(((1 - value if mirrored else value) * width) if is_x else value)
            self._is_x.append(is_x)
            is_x = not is_x

    def path(self, left: float, height: float) -> str:
        """The outline with its left edge at `left` (bases) and of this height."""
        return " ".join(
            word if isinstance(word, str) else f"{word + left:.2f}" if is_x else f"{word * height:.3f}"
            for word, is_x in zip(self._words, self._is_x, strict=True)
        )
