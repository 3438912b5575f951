"""The files of a robustness report: table, figures, page and run.json in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ldarnet.tracks.atomic import write_text
from ldarnet_analysis.figure_files import save_figure
from ldarnet_analysis.result_files import write_results
from ldarnet_analysis.robustness_figures import robustness_figures
from ldarnet_analysis.robustness_page import robustness_html
from ldarnet_analysis.robustness_table import WindowSums, robustness_table

TABLE, PAGE = "robustness", "robustness.html"
_PROVENANCE = ("command", "versions", "fasta", "models", "settings")


def check_folder(folder: Path, *, force: bool) -> None:
    """Make the folder. Raises ValueError where it is a file, or holds files and `force` is not set."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder}: expected a folder, got a file")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise ValueError(f"--out {folder}: the folder is not empty; choose another, or replace its files with --force")
    folder.mkdir(parents=True, exist_ok=True)


def write_report(folder: Path, measured: Sequence[WindowSums], facts: Mapping[str, Any], *, seed: int) -> str:
    """Write everything, and return a line about it. Raises ValueError where nothing at all could be measured."""
    table = robustness_table(measured, seed)
    if table["value"].isna().all():
        raise ValueError(f"nothing could be measured: {'; '.join(dict.fromkeys(table['reason']))}")
    write_results(folder, {TABLE: table}, facts)
    figures = robustness_figures(table)
    provenance = {key: facts[key] for key in _PROVENANCE if key in facts}
    for name, figure in figures.items():
        save_figure(figure, folder / name, provenance | {"figure": name}, title=name)
    pictures = {name: (folder / f"{name}.svg").read_bytes() for name in figures}
    write_text(folder / PAGE, robustness_html(table, pictures, facts))
    num_ok, num_not_run = int((table["status"] == "ok").sum()), int((table["status"] == "not run").sum())
    not_run = f", {num_not_run} tests not run" if num_not_run else ""
    return f"{folder}: {num_ok} of {len(table)} measures with an interval{not_run}; open {folder / PAGE}"
