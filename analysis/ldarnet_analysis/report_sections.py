"""The sections of the report, as HTML: what was read, what was found, and one section for each class."""

import json
from collections.abc import Iterator
from typing import Literal

from matplotlib.figure import Figure

from ldarnet_analysis.figures import class_figure, figure_bytes, overview_figure
from ldarnet_analysis.heatmap_figure import MAX_LINES
from ldarnet_analysis.html_text import (
    bullets,
    facts_table,
    folded,
    image,
    paragraph,
    section,
    side_by_side,
)
from ldarnet_analysis.methods_text import citation_lines, command_text, methods_paragraphs, tracks_text
from ldarnet_analysis.report_tables import (
    balance_table_html,
    density_table_html,
    odds_table_html,
    peaks_table_html,
    tests_table_html,
    unmatched_table_html,
)
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.screen_images import palette_png, short_svg
from ldarnet_analysis.style import ONE_COLUMN, SIGNALS, TWO_COLUMNS, Preset
from ldarnet_analysis.verdicts import RULE, headline, primary_rows

_CAPTIONS = {
    "panel": "Mean profiles of the sites and of their controls, all offsets and near the cut: probability of a cut, "
    "residual (what letters near the cut do not explain), share of sites cut; below, the aligned sequence. Shaded: the "
    "window of the primary value. Letters stand between cuts: base 0 is right of the cut at 0.",
    "forest": "The null ladder: mean difference between sites and the controls of each rung, with its 95 % interval by "
    "locus. Grey rungs could not be tested. p in brackets: outside the pre-registered family, not adjusted.",
    "balance": "Standardised mean differences of what controls are matched on; beyond the band they are refused.",
    "heatmap": "Sites as lines, the highest mean within 5 bp of the cut on top; of more than "
    f"{MAX_LINES} sites, each line is the mean of neighbours. Grey: no value.",
    "heatmap-residual": "The same of the residual.",
    "primary-tests": "The pre-registered tests: residual at sites less residual at their same-kmer controls.",
    "lookup-r2": "How much of the track a table of k-mers explains on bases that it was not fitted on.",
}
_DENSITY_CAPTION = (
    "Classes of annotation against the reference. Filled, with a 95 % interval: at equal composition around the cut; "
    "open: as they are. Composition farther away is not held equal."
)
_NOT_FACTS = ("command", "panel", "lookup", "notes")
_PIXEL_FIGURES = ("heatmap", "heatmap-residual")
"""Written as pixels: an image inside an image is half as large again."""
_SCREEN_DPI = 200
_MAX_LISTED = 12
_MAX_DEPTH = 3


def read_section(results: Results) -> str:
    """What was read: command, inputs with their checksums, versions, settings, notes."""
    facts = [("command", command_text(results) or "not recorded")]
    facts += [fact for key, value in results.run.items() if key not in _NOT_FACTS for fact in _facts(str(key), value)]
    notes = results.run.get("notes")
    said = folded(f"{len(notes)} notes", bullets(map(str, notes))) if isinstance(notes, list) and notes else ""
    return section("What was read", [paragraph(tracks_text(results)), facts_table(facts), said], "read")


def summary_section(results: Results) -> str:
    """The pre-registered tests in words, and all tests as a table."""
    tests = results["tests"]
    scored = results.scored_classes
    all_tests = tests_table_html(tests, "All tests, on every signal and rung", scored=scored)
    findings = [f"{name}. {headline(tests, name, by_score=name in scored)}" for name in results.classes]
    parts = [
        paragraph("The pre-registered test of each class:"),
        bullets(findings),
        tests_table_html(
            primary_rows(tests), "Pre-registered tests: residual against the same k-mer or score", scored=scored
        ),
        _overview_image(results, "primary-tests"),
        paragraph(f"How to read the words: {RULE}", "soft"),
        folded(f"All {len(tests):,} tests", all_tests),
    ]
    return section("What was found", parts, "found")


def lookup_section(results: Results) -> str:
    """R2 of the k-mer look-up; nothing if the analysis has none."""
    if results["r2"].empty:
        return ""
    return section("What the letters explain", [_overview_image(results, "lookup-r2")], "lookup")


def density_section(results: Results) -> str:
    """Density over annotation classes; nothing if the analysis has none."""
    density = results["density"]
    if density.empty:
        return ""
    images = side_by_side(_overview_image(results, f"density-{signal}") for signal in SIGNALS)
    return section("Density over annotation", [images, density_table_html(density)], "density")


def class_section(results: Results, cls: str, identifier: str) -> str:
    """All about one class: finding, figures, tests, cuts, peaks, balance, unmatched sites."""
    sites = results.of_class("sites", cls)
    counted = f"{len(sites):,} sites in {sites['locus'].nunique():,} loci, {sites['gene'].nunique():,} genes."
    tests = results.of_class("tests", cls)
    scored = results.scored_classes
    shown = tests_table_html(tests, f"Tests of {cls}", names_class=False, scored=scored)
    parts = [
        paragraph(headline(results["tests"], cls, by_score=cls in scored), "finding"),
        paragraph(counted, "soft"),
        _class_image(results, cls, "panel", TWO_COLUMNS),
        _class_image(results, cls, "forest", TWO_COLUMNS),
        folded(f"Tests of {cls}", shown) if len(tests) else "",
        odds_table_html(results.of_class("odds", cls), by_score=cls in scored),
        peaks_table_html(results.of_class("peaks", cls)),
        unmatched_table_html(results, cls),
        _class_image(results, cls, "balance"),
        balance_table_html(results.of_class("balance", cls), cls, by_score=cls in scored),
        side_by_side(_class_image(results, cls, name) for name in ("heatmap", "heatmap-residual")),
    ]
    return section(cls, parts, identifier)


def methods_section(results: Results) -> str:
    """Methods with numbers, and what to cite."""
    methods = section("Methods", map(paragraph, methods_paragraphs(results)), "methods")
    return methods + section("How to cite", [bullets(citation_lines(results))], "cite")


def _class_image(results: Results, cls: str, name: str, preset: Preset = ONE_COLUMN) -> str:
    kind: Literal["svg", "png"] = "png" if name in _PIXEL_FIGURES else "svg"
    return _image(class_figure(results, cls, name, preset), f"{cls} {name}", _CAPTIONS[name], preset, kind)


def _overview_image(results: Results, name: str) -> str:
    return _image(overview_figure(results, name), name, _CAPTIONS.get(name, _DENSITY_CAPTION), ONE_COLUMN, "svg")


def _image(figure: Figure | None, title: str, caption: str, preset: Preset, kind: Literal["svg", "png"]) -> str:
    """The figure with its caption; nothing where there is no figure."""
    if figure is None:
        return ""
    content = figure_bytes(figure, kind, {"figure": title}, dpi=_SCREEN_DPI)
    content = palette_png(content) if kind == "png" else short_svg(content)
    return image(content, kind, f"{title}: {caption}", caption, preset.name)


def _facts(name: str, value: object, depth: int = 1) -> Iterator[tuple[str, str]]:
    """What is recorded under a key, as names and values; what lies deeper as JSON, long lists cut short."""
    if isinstance(value, dict) and value and depth < _MAX_DEPTH:
        for key, inner in value.items():
            yield from _facts(f"{name} · {key}", inner, depth + 1)
    elif isinstance(value, list) and len(value) > _MAX_LISTED:
        yield name, f"{', '.join(map(str, value[:_MAX_LISTED]))}, … ({len(value):,})"
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
