"""Figures for a page: the same picture in a fraction of the bytes. Figures for print are left as they are."""

import io
import re
from itertools import count

from PIL import Image

_HUNDREDTHS = 100
"""Points of an SVG are kept to 0.01 pt (0.004 mm)."""
_LONG_PATH_WORDS = 300
"""Longer paths (profiles and their bands) are kept to 0.1 pt, a fifth of a screen's pixel."""
_NUM_COORDINATES = {"M": 2, "L": 2, "Q": 4, "C": 6, "z": 0}
_METADATA = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<title>.*?</title>", re.DOTALL)
_SHIFTED_USE = re.compile(r'(<use [^>]*?) transform="translate\(([-\d.e]+) ([-\d.e]+)\)"')


def short_svg(svg: bytes) -> bytes:
    """An SVG of matplotlib's without what no eye sees: metadata, unused names, digits too fine.

    Raises ValueError for a path of other commands than matplotlib writes.
    """
    text = _METADATA.sub("", svg.decode())
    text = re.sub(r">\s+<", "><", text).strip()
    text = re.sub(r' d="([^"]*)"', lambda found: f' d="{short_path(found[1])}"', text)
    # a shift of a copied letter or marker may be said as its place
    text = _SHIFTED_USE.sub(lambda found: f"{found[1]}{_place('x', found[2])}{_place('y', found[3])}", text)
    text = re.sub(r'(?<= [xy]=")[-\d.e]+(?=")', lambda found: _number(_rounded(found[0])), text)
    text = re.sub(r' style="[^"]*"', lambda found: re.sub("([:;]) ", r"\1", found[0]), text)
    text = text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")
    # no text is left that could hold a quotation mark; single ones may stand in a page's attribute as they are
    return _short_names(text).replace('"', "'").encode()


def short_path(path: str) -> str:
    """The path data with relative coordinates, every point within 0.005 (long paths: 0.05) of where it was."""
    words, place = path.split(), 0
    step = 10 if len(words) > _LONG_PATH_WORDS else 1
    here, start, last = (0, 0), (0, 0), ""
    out: list[str] = []
    while place < len(words):
        command = words[place]
        if command not in _NUM_COORDINATES:
            raise ValueError(f"expected a path of absolute {', '.join(_NUM_COORDINATES)}, got {command!r}")
        end = place + 1 + _NUM_COORDINATES[command]
        points = [_rounded(word, step) for word in words[place + 1 : end]]
        shifts = [value - here[axis % 2] for axis, value in enumerate(points)]
        numbers = "".join(("" if shift < 0 or not i else " ") + _number(shift) for i, shift in enumerate(shifts))
        is_same = command == last and command != "M"
        out.append((("" if shifts and shifts[0] < 0 else " ") if is_same else command.lower()) + numbers)
        here = start if command == "z" else (points[-2], points[-1])
        start = here if command == "M" else start
        place, last = end, command
    return "".join(out)


def palette_png(png: bytes) -> bytes:
    """A PNG of at most 256 colours: the same pixels if it had no more, else each the nearest to what it was."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        reduced = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(out, format="png", optimize=True)
    return out.getvalue()


def _short_names(text: str) -> str:
    """Names that something refers to become short ones, the others go."""
    numbers = count()
    short: dict[str, str] = {}
    for name in re.findall(r'(?:href="#|url\(#)([^")]+)', text):
        if name not in short:
            short[name] = f"_{next(numbers):x}"
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", text)
    return re.sub(r'(?<=href="#)[^"]+|(?<=url\(#)[^)]+', lambda found: short[found[0]], text)


def _place(axis: str, value: str) -> str:
    rounded = _rounded(value)
    return f' {axis}="{_number(rounded)}"' if rounded else ""


def _rounded(word: str, step: int = 1) -> int:
    """Hundredths, as a multiple of step."""
    return round(float(word) * _HUNDREDTHS / step) * step


def _number(hundredths: int) -> str:
    """Hundredths as a decimal number without zeros that say nothing."""
    whole, rest = divmod(abs(hundredths), _HUNDREDTHS)
    digits = f"{whole or ''}.{rest:02d}".rstrip("0") if rest else str(whole)
    return f"-{digits}" if hundredths < 0 else digits
