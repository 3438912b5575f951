"""The report: one HTML file that needs nothing else, neither network nor other files.

Figures are images inside the page. Text from data is escaped.
"""

from pathlib import Path

from ldarnet.tracks.atomic import write_text
from ldarnet_analysis.report_page import report_page
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


def write_report(results_dir: Path) -> Path:
    """Write report.html into a folder of result tables, whole or not at all; returns its path.

    The same tables give the same bytes. Raises ValueError as `read_results` does.
    """
    path = results_dir / REPORT_NAME
    page = report_html(read_results(results_dir))
    write_text(path, page)
    return path


def report_html(results: Results) -> str:
    """The page."""
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
    return report_page("Boundaries around sites", body)
