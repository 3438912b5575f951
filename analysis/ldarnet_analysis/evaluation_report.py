"""The report of an evaluation, made of the files of its folds: tables, figure, page and Markdown."""

from pathlib import Path

from ldarnet.tracks.atomic import write_text
from ldarnet_analysis.evaluation_figure import evaluation_figure
from ldarnet_analysis.evaluation_files import read_evaluation
from ldarnet_analysis.evaluation_page import HOW_TO_READ, evaluation_html
from ldarnet_analysis.evaluation_published import beside_published, markdown, sources
from ldarnet_analysis.evaluation_tables import evaluation_tables, leakage_table
from ldarnet_analysis.figure_files import figure_bytes
from ldarnet_analysis.screen_images import short_svg

PAGE, MARKDOWN = "evaluation.html", "evaluation.md"


def write_report(folder: Path) -> Path:
    """Write results.tsv, differences.tsv, leakage.tsv, evaluation.md and evaluation.html; returns the page.

    Whatever folds are finished are reported. Raises ValueError where none is, or a file is damaged.
    """
    found = read_evaluation(folder)
    results, differences = evaluation_tables(found)
    leaks = leakage_table(found)
    for name, rows in (("results", results), ("differences", differences), ("leakage", leaks)):
        write_text(folder / f"{name}.tsv", rows.to_csv(sep="\t", index=False, na_rep="nan", float_format="%.6g"))
    headings, rows = beside_published(results)
    origin = "; ".join(sources(results)) or "none of these tasks"
    words = f"Mean ± standard deviation over folds, x100. Published numbers: {origin}. {HOW_TO_READ[-1]}"
    write_text(folder / MARKDOWN, f"{markdown(headings, rows)}\n{words}\n")
    figure = evaluation_figure(results)
    picture = short_svg(figure_bytes(figure, "svg", {"figure": "results"}, "results"))
    write_text(folder / PAGE, evaluation_html(found, results, differences, leaks, picture))
    return folder / PAGE
