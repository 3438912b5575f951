"""Text of files and addresses on a page, as it is."""

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>$~:])")


def literal(text: str) -> str:
    """The text so that Streamlit, which reads Markdown and some of HTML, shows it letter by letter."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
