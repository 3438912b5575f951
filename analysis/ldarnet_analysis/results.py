"""The figures and the report of a folder of result tables."""

from pathlib import Path

from ldarnet_analysis.figures import write_figures
from ldarnet_analysis.report import write_report
from ldarnet_analysis.result_tables import read_results
from ldarnet_analysis.style import ONE_COLUMN, PRESETS


def draw_results(folder: Path, figure_width: str = ONE_COLUMN.name) -> None:
    """Write `figures/` (PDF, SVG and PNG, of that width in print) and report.html beside the tables.

    Raises ValueError for tables that are missing or damaged, and for another width than those of `PRESETS`.
    """
    if figure_width not in PRESETS:
        raise ValueError(f"expected a figure width out of {', '.join(PRESETS)}, got {figure_width!r}")
    write_figures(read_results(folder), PRESETS[figure_width])
    write_report(folder)
