"""The frame of every report: one HTML file that needs nothing else, neither network nor other files.

Its style and its script (which sorts tables) are the page's own, and a content security policy forbids every other.
"""

import base64
import hashlib
from pathlib import Path

from ldarnet_analysis.html_text import section_headings

AROUND_SITES = "Where a DNA language model cuts its input, around annotated sites and around matched controls."
_HERE = Path(__file__).parent


def report_page(title: str, body: str, *, subtitle: str = AROUND_SITES) -> str:
    """The page around its sections, with links to each of them; the same input gives the same bytes."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    links = "".join(f'<li><a href="#{target}">{heading}</a></li>' for target, heading in section_headings(body))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style></head>\n"
        f'<body><header><h1>{title}</h1><p class="soft">{subtitle}</p></header>'
        f"<nav><ul>{links}</ul></nav>\n"
        f"<main>{body}</main><script>{script}</script></body></html>\n"
    )


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
