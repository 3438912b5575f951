"""Pieces of HTML. Every text that comes from data goes through `text`; nothing else may put data on a page."""

import base64
import html
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

_SAFE_IN_URI = " !'()*,/:;=@.-_"
_SHORT_CHARS = 20
"""Texts up to this length are not broken into lines."""


class Cell(NamedTuple):
    """What a cell of a table shows, and the number it is sorted by (None: by its text)."""

    shown: str
    sort: float | None = None


def text(value: object) -> str:
    """A value as text of a page: markup in it is shown, not obeyed; control characters are left out."""
    return html.escape("".join(letter for letter in str(value) if letter.isprintable() or letter in " \n\t"))


def paragraph(sentence: str, css_class: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{css_class}">{text(sentence)}</p>' if css_class else f"<p>{text(sentence)}</p>"


def bullets(sentences: Iterable[str]) -> str:
    """A list of plain sentences."""
    return "<ul>" + "".join(f"<li>{text(each)}</li>" for each in sentences) + "</ul>"


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Cell]], caption: str) -> str:
    """A table that sorts by a click on a heading; numbers (cells with a sort value) are set to the right."""
    shown = list(rows)
    is_number = [isinstance(cell, Cell) for cell in shown[0]] if shown else [False] * len(headings)
    head = "".join(map(_heading, headings, is_number))
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in shown)
    caption = f"<caption>{text(caption)}</caption>"
    return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """A table of names and values."""
    rows = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in facts)
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


def image(content: bytes, kind: Literal["svg", "png"], alt: str, caption: str, css_class: str) -> str:
    """A figure inside the page: as an image, so that nothing in it can act on the page."""
    if kind == "svg":
        # most of an SVG may stand as it is, which is a quarter shorter than base64
        source = f"image/svg+xml,{quote(content, safe=_SAFE_IN_URI)}"
    else:
        source = f"image/png;base64,{base64.b64encode(content).decode()}"
    picture = f'<img alt="{text(alt)}" src="data:{source}">'
    return f'<figure class="{text(css_class)}">{picture}<figcaption>{text(caption)}</figcaption></figure>'


def section(heading: str, parts: Iterable[str], identifier: str) -> str:
    """A section with its heading; `identifier` is the target of links."""
    return f'<section id="{text(identifier)}"><h2>{text(heading)}</h2>{"".join(parts)}</section>'


def section_headings(page: str) -> list[tuple[str, str]]:
    """Identifier and heading (as HTML) of every `section` on a page, in its order."""
    return re.findall('<section id="([^"]*)"><h2>(.*?)</h2>', page)


def side_by_side(parts: Iterable[str]) -> str:
    """Pieces beside each other where the page is wide enough."""
    return f'<div class="row">{"".join(parts)}</div>'


def folded(heading: str, content: str) -> str:
    """Something long that opens with a click (and is open in print)."""
    return f"<details><summary>{text(heading)}</summary>{content}</details>"


def _heading(name: str, is_number: bool) -> str:
    css_class = ' class="number"' if is_number else ""
    return f'<th scope="col"{css_class}><button type="button">{text(name)}</button></th>'


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        css_class = ' class="short"' if len(cell) <= _SHORT_CHARS else ""
        return f"<td{css_class}>{text(cell)}</td>"
    # NaN sorts as nothing, which the script puts last
    key = "" if cell.sort is None or cell.sort != cell.sort else f"{cell.sort:.9g}"
    return f'<td class="number" data-sort="{key}">{text(cell.shown)}</td>'
