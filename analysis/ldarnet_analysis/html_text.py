"""Pieces of HTML. Every text that comes from data goes through `text`; nothing else may put data on a page."""

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple


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
    head = "".join(f'<th scope="col"><button type="button">{text(each)}</button></th>' for each in headings)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    caption = f"<caption>{text(caption)}</caption>"
    return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """A table of names and values."""
    rows = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in facts)
    return f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>'


def image(content: bytes, kind: Literal["svg", "png"], alt: str, caption: str, css_class: str) -> str:
    """A figure inside the page: as an image, so that nothing in it can act on the page."""
    mime = {"svg": "image/svg+xml", "png": "image/png"}[kind]
    picture = f'<img alt="{text(alt)}" src="data:{mime};base64,{base64.b64encode(content).decode()}">'
    return f'<figure class="{text(css_class)}">{picture}<figcaption>{text(caption)}</figcaption></figure>'


def section(heading: str, parts: Iterable[str], identifier: str) -> str:
    """A section with its heading; `identifier` is the target of links."""
    return f'<section id="{text(identifier)}"><h2>{text(heading)}</h2>{"".join(parts)}</section>'


def side_by_side(parts: Iterable[str]) -> str:
    """Pieces beside each other where the page is wide enough."""
    return f'<div class="row">{"".join(parts)}</div>'


def folded(heading: str, content: str) -> str:
    """Something long that opens with a click (and is open in print)."""
    return f"<details><summary>{text(heading)}</summary>{content}</details>"


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{text(cell)}</td>"
    # NaN sorts as nothing, which the script puts last
    key = "" if cell.sort is None or cell.sort != cell.sort else f"{cell.sort:.9g}"
    return f'<td class="number" data-sort="{key}">{text(cell.shown)}</td>'
