"""The report: one HTML file that needs nothing else, neither network nor other files.

Figures are images inside the page; its style and its script (which sorts tables) are the page's own, and a content
security policy forbids every other. Text from data is escaped.
"""

import base64
import hashlib
from pathlib import Path

from ldarnet.tracks.atomic import PartialFile
from ldarnet_analysis.html_text import section_headings
from ldarnet_analysis.report_sections import (
    class_section,
    density_section,
    lookup_section,
    methods_section,
    read_section,
    summary_section,
)
from ldarnet_analysis.result_tables import Results, read_results

REPORT_NAME = "report.html"
_HERE = Path(__file__).parent


def write_report(results_dir: Path) -> Path:
    """Write report.html into a folder of result tables, whole or not at all; returns its path.

    The same tables give the same bytes. Raises ValueError as `read_results` does.
    """
    path = results_dir / REPORT_NAME
    page = report_html(read_results(results_dir)).encode()
    out = PartialFile(path)
    try:
        out.file.write(page)
        out.close()
        out.publish()
    finally:
        out.discard()
    return path


def report_html(results: Results) -> str:
    """The page."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    targets = {cls: f"class-{number}" for number, cls in enumerate(results.classes, start=1)}
    body = "".join(
        [
            summary_section(results),
            *(class_section(results, cls, target) for cls, target in targets.items()),
            lookup_section(results),
            density_section(results),
            read_section(results),
            methods_section(results),
        ]
    )
    links = "".join(f'<li><a href="#{target}">{heading}</a></li>' for target, heading in section_headings(body))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Boundaries around sites</title><style>{style}</style></head>\n"
        '<body><header><h1>Boundaries around sites</h1><p class="soft">Where a DNA language model cuts its input, '
        f"around annotated sites and around matched controls.</p></header><nav><ul>{links}</ul></nav>\n"
        f"<main>{body}</main><script>{script}</script></body></html>\n"
    )


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
