"""The figures of an analysis: every `draw_` function under one name, and the set that is written to files.

`draw_` functions take a table or a matrix and an axis, for figures of your own (inside `figure_style()` they look as
ours do); `*_figure` functions make a whole figure; `save_figure` writes it with its provenance.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from ldarnet_analysis.balance_plot import balance_rows, draw_balance
from ldarnet_analysis.density_plot import density_rows, draw_density
from ldarnet_analysis.figure_files import FORMATS, figure_bytes, save_figure
from ldarnet_analysis.forest import draw_forest, forest_figure
from ldarnet_analysis.heatmap_figure import draw_heatmap, heatmap_figure
from ldarnet_analysis.logos import draw_logo
from ldarnet_analysis.panels import draw_profile, panel_figure
from ldarnet_analysis.r2_plot import draw_r2_curve
from ldarnet_analysis.result_tables import Results, file_name
from ldarnet_analysis.row_plots import Row, rows_height
from ldarnet_analysis.style import ONE_COLUMN, SIGNALS, SITES, TWO_COLUMNS, Preset, figure_style, new_figure, shortened
from ldarnet_analysis.verdicts import primary_rows

__all__ = [
    "CLASS_FIGURES",
    "FORMATS",
    "ONE_COLUMN",
    "OVERVIEW_FIGURES",
    "TWO_COLUMNS",
    "balance_figure",
    "class_figure",
    "density_figure",
    "draw_balance",
    "draw_density",
    "draw_forest",
    "draw_heatmap",
    "draw_logo",
    "draw_profile",
    "draw_r2_curve",
    "figure_bytes",
    "figure_style",
    "forest_figure",
    "heatmap_figure",
    "overview_figure",
    "panel_figure",
    "provenance_of",
    "r2_figure",
    "save_figure",
    "write_figures",
]

CLASS_FIGURES = MappingProxyType(
    {"panel": "", "forest": "", "balance": "", "heatmap": "raw", "heatmap-residual": "residual"}
)
"""What there is to draw of a class, and the signal it is of if of one."""
OVERVIEW_FIGURES = MappingProxyType(
    {"primary-tests": "", "lookup-r2": "", **{f"density-{signal}": signal for signal in SIGNALS}}
)

_ROW_MM = 4.0
_PROVENANCE_KEYS = ("versions", "inputs", "track_sidecar", "settings")


def balance_figure(results: Results, cls: str, preset: Preset = ONE_COLUMN) -> Figure:
    """The love plot of a class."""
    height_mm = _rows_mm(balance_rows(results["balance"], cls=cls))
    with figure_style():
        figure = new_figure(preset, height_mm)
        ax = figure.subplots()
        draw_balance(results["balance"], ax, cls=cls)
        ax.set_title(f"{shortened(cls, 24)}: balance", pad=9)
    return figure


def density_figure(results: Results, signal: str, preset: Preset = ONE_COLUMN) -> Figure:
    """The density of cuts over classes of annotation."""
    rows, _ = density_rows(results["density"], signal=signal)
    with figure_style():
        figure = new_figure(preset, _rows_mm(rows))
        ax = figure.subplots()
        draw_density(results["density"], ax, signal=signal)
        ax.set_title(f"Density over annotation: {SIGNALS[signal].name}", pad=9)
    return figure


def r2_figure(results: Results, preset: Preset = ONE_COLUMN) -> Figure:
    """R2 of the k-mer look-up against k."""
    with figure_style():
        figure = new_figure(preset, 52)
        draw_r2_curve(results["r2"], figure.subplots())
    return figure


def class_figure(results: Results, cls: str, name: str, preset: Preset = ONE_COLUMN) -> Figure | None:
    """The figure of a class by its name in CLASS_FIGURES; None where the results have nothing to draw it from."""
    if name == "panel":
        profiles = results.of_class("profiles", cls)
        if not (profiles["rung"] == SITES).any():
            return None
        logo, window = results.of_class("logos", cls), results.windows.get(cls)
        tests, by_score = results["tests"], cls in results.scored_classes
        return panel_figure(cls, profiles, tests=tests, logo=logo, window=window, preset=preset, by_score=by_score)
    if name == "forest":
        if results.of_class("tests", cls).empty:
            return None
        return forest_figure(results["tests"], cls, preset=preset, scored=results.scored_classes)
    if name == "balance":
        return balance_figure(results, cls, preset) if len(results.of_class("balance", cls)) else None
    signal = CLASS_FIGURES[name]
    saved = results.matrix(cls, signal)
    if saved is None or not len(saved.matrix):
        return None
    title = f"{shortened(cls, 24)}: {SIGNALS[signal].name}"
    return heatmap_figure(saved.matrix, saved.offsets, title=title, signal=signal, preset=preset)


def overview_figure(results: Results, name: str, preset: Preset = ONE_COLUMN) -> Figure | None:
    """The figure about all classes by its name in OVERVIEW_FIGURES; None where there is nothing to draw."""
    if name == "primary-tests":
        primary = primary_rows(results["tests"])
        if primary.empty:
            return None
        return forest_figure(primary, signals=("residual",), preset=preset, title="Primary tests")
    if name == "lookup-r2":
        return r2_figure(results, preset) if len(results["r2"]) else None
    signal = OVERVIEW_FIGURES[name]
    return density_figure(results, signal, preset) if (results["density"]["signal"] == signal).any() else None


def write_figures(results: Results, preset: Preset = ONE_COLUMN) -> list[Path]:
    """Write every figure as PDF, SVG and PNG into `figures/` of the results; returns their paths.

    Raises ValueError for classes whose names would be the same name of a file.
    """
    stems: dict[str, str] = {}
    for cls in results.classes:
        if (other := stems.setdefault(file_name(cls), cls)) != cls:
            raise ValueError(f"classes {other!r} and {cls!r} would both be written to files called {file_name(cls)}")
    folder = results.folder / "figures"
    folder.mkdir(exist_ok=True)
    paths = []
    for name in OVERVIEW_FIGURES:
        paths += _save(overview_figure(results, name, preset), folder / name, name, results)
    for stem, cls in stems.items():
        for name in CLASS_FIGURES:
            figure = class_figure(results, cls, name, preset)
            paths += _save(figure, folder / f"{stem}.{name}", f"{cls} {name}", results)
    return paths


def provenance_of(results: Results) -> dict[str, Any]:
    """What of run.json is written into the metadata of every figure; nothing that changes when a run is repeated."""
    return {"command": results.command} | {key: results.run[key] for key in _PROVENANCE_KEYS if key in results.run}


def _save(figure: Figure | None, stem: Path, title: str, results: Results) -> list[Path]:
    if figure is None:
        return []
    return save_figure(figure, stem, provenance_of(results) | {"figure": title}, title=title)


def _rows_mm(rows: list[Row]) -> float:
    return _ROW_MM * rows_height(rows) + 20
