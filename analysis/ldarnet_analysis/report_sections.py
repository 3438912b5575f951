"""The sections of the report, as HTML: what was read, what was found, and one section for each class."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from ldarnet_analysis.balance_plot import COVARIATE_LABELS
from ldarnet_analysis.figures import class_figure, figure_bytes, overview_figure
from ldarnet_analysis.html_text import (
    Cell,
    bullets,
    facts_table,
    folded,
    image,
    paragraph,
    section,
    side_by_side,
    table,
)
from ldarnet_analysis.methods_text import citation_lines, command_text, methods_paragraphs
from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import LOOKS, ONE_COLUMN, RUNGS, SIGNALS, TWO_COLUMNS, Preset, signed
from ldarnet_analysis.verdicts import RULE, chance_number, headline, primary_rows, rows_of, verdict

_CAPTIONS = {
    "panel": "Mean profiles of the sites and of their controls, all offsets and near the cut: probability of a cut, "
    "residual (what letters near the cut do not explain), share of sites cut; below, the aligned sequence. Shaded: the "
    "window of the primary value. Letters stand between cuts: base 0 is right of the cut at 0.",
    "forest": "The null ladder: mean difference between sites and the controls of each rung, with its 95 % interval by "
    "locus. Grey rungs could not be tested. p in brackets: outside the pre-registered family, not adjusted.",
    "balance": "Standardised mean differences of what controls are matched on; beyond the band they are refused.",
    "heatmap": "Every site a line, the highest mean within 5 bp of the cut on top; grey: no value.",
    "heatmap-residual": "The same of the residual.",
    "primary-tests": "The pre-registered tests: residual at sites less residual at their same-kmer controls.",
    "lookup-r2": "How much of the track a table of k-mers explains on bases that it was not fitted on.",
}
_DENSITY_CAPTION = (
    "Classes of annotation against the reference. Filled, with a 95 % interval: at equal composition around the cut; "
    "open: as they are. Composition farther away is not held equal."
)
_NOT_FACTS = ("command", "panel", "lookup", "notes")
_SCREEN_DPI = 200
_MAX_LISTED = 12
_MAX_DEPTH = 3


def read_section(results: Results) -> str:
    """What was read: command, inputs with their checksums, versions, settings, notes."""
    facts = [("command", command_text(results) or "not recorded")]
    facts += [fact for key, value in results.run.items() if key not in _NOT_FACTS for fact in _facts(str(key), value)]
    notes = results.run.get("notes")
    said = folded(f"{len(notes)} notes", bullets(map(str, notes))) if isinstance(notes, list) and notes else ""
    return section("What was read", [facts_table(facts), said], "read")


def summary_section(results: Results) -> str:
    """The pre-registered tests in words, and all tests as a table."""
    tests = results["tests"]
    findings = [f"{name}. {headline(tests, name)}" for name in results.classes]
    parts = [
        paragraph("The pre-registered test of each class:"),
        bullets(findings),
        tests_table_html(primary_rows(tests), "Pre-registered tests: residual against the same k-mer"),
        _overview_image(results, "primary-tests"),
        paragraph(f"How to read the words: {RULE}", "soft"),
        folded(f"All {len(tests):,} tests", tests_table_html(tests, "All tests, on every signal and rung")),
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
    rows = (
        (
            str(row["class"]),
            SIGNALS[str(row["signal"])].name,
            str(row["matching"]),
            _number(row["density"], ".4f"),
            _number(row["expected"], ".4f"),
            *_effect_cells(row),
            Cell(f"{row['num_bins']:,.0f}", row["num_bins"]),
            f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"]),
        )
        for _, row in density.iterrows()
    )
    headings = ["class", "signal", "matching", "density", "expected", "effect", "95 % interval", "bins", "status"]
    images = [_overview_image(results, f"density-{signal}") for signal in SIGNALS]
    return section("Density over annotation", [*images, table(headings, rows, "Density of cuts")], "density")


def class_section(results: Results, cls: str, identifier: str) -> str:
    """All about one class: finding, figures, tests, cuts, peaks, balance, unmatched sites."""
    sites = results.of_class("sites", cls)
    counted = f"{len(sites):,} sites in {sites['locus'].nunique():,} loci, {sites['gene'].nunique():,} genes."
    tests = results.of_class("tests", cls)
    parts = [
        paragraph(headline(results["tests"], cls), "finding"),
        paragraph(counted, "soft"),
        _class_image(results, cls, "panel", TWO_COLUMNS),
        _class_image(results, cls, "forest", TWO_COLUMNS),
        folded(f"Tests of {cls}", tests_table_html(tests, f"Tests of {cls}")) if len(tests) else "",
        _odds_html(results.of_class("odds", cls)),
        _peaks_html(results.of_class("peaks", cls)),
        _unmatched_html(results, cls),
        _class_image(results, cls, "balance"),
        _balance_html(results.of_class("balance", cls), cls),
        side_by_side(_class_image(results, cls, name) for name in ("heatmap", "heatmap-residual")),
    ]
    return section(cls, parts, identifier)


def methods_section(results: Results) -> str:
    """Methods with numbers, and what to cite."""
    methods = section("Methods", map(paragraph, methods_paragraphs(results)), "methods")
    return methods + section("How to cite", [bullets(citation_lines(results))], "cite")


def tests_table_html(tests: pd.DataFrame, caption: str) -> str:
    """Tests with their verdicts."""
    classes = tests["class"].astype(str)
    rows = (
        (
            name,
            LOOKS[test.rung].label,
            SIGNALS[signal].name,
            verdict(test),
            Cell(signed(test.effect), test.effect),
            _interval(test.lo, test.hi),
            Cell(chance_number(test.p), test.p),
            Cell(chance_number(test.q), test.q),
            Cell(f"{n_sites:,.0f}", n_sites),
            Cell(f"{test.n_loci:,.0f}", test.n_loci),
            _number(test.mde, ".3f"),
        )
        for name, signal, n_sites, test in zip(classes, tests["signal"], tests["n_sites"], rows_of(tests), strict=True)
    )
    headings = ["class", "control", "signal", "in words", "effect", "95 % interval", "p", "q", "sites", "loci"]
    return table([*headings, "detectable"], rows, f"{caption}. Detectable: smallest effect found with power 0.8.")


def _odds_html(odds: pd.DataFrame) -> str:
    if odds.empty:
        return ""
    rows = (
        (
            LOOKS[str(row["rung"])].label,
            _number(row["site_share"], ".3f"),
            _number(row["control_share"], ".3f"),
            _number(row["odds_ratio"], ".2f"),
            _interval(row["lo"], row["hi"], ".2f"),
            str(row["status"]),
        )
        for _, row in odds.iterrows()
    )
    headings = ["control", "sites cut", "controls cut", "odds ratio", "95 % interval", "status"]
    return table(headings, rows, "Hard cuts (probability above 0.5) within 1 bp")


def _peaks_html(peaks: pd.DataFrame) -> str:
    if peaks.empty:
        return ""
    rows = (
        (
            SIGNALS[str(row["signal"])].name,
            Cell(signed(row["offset"], 0), row["offset"]),
            _interval(row["offset_lo"], row["offset_hi"], "+.0f"),
            _number(row["height"], "+.3f"),
            _interval(row["lo"], row["hi"]),
        )
        for _, row in peaks.iterrows()
    )
    headings = ["signal", "offset (bp)", "95 % interval", "height", "95 % interval"]
    return table(headings, rows, "Peak of the sites' profile: place chosen on other loci than its height is taken from")


def _unmatched_html(results: Results, cls: str) -> str:
    """How many sites have no control, by rung and kind of reason."""
    num_sites = len(results.of_class("sites", cls))
    unmatched = results.of_class("unmatched", cls)
    pairs = results["pairs"]
    is_own = pairs["site_id"].isin(results.of_class("sites", cls)["site_id"])
    rows = []
    for rung in RUNGS:
        paired = pairs.loc[is_own & (pairs["rung"] == rung), "site_id"].nunique()
        reasons = unmatched.loc[unmatched["rung"] == rung, "reason"]
        if not paired and reasons.empty:
            continue
        kinds = reasons.str.partition(":")[0].value_counts() if len(reasons) else {}
        why = ", ".join(f"{kind} ({num:,})" for kind, num in kinds.items())
        without = num_sites - paired
        shares = (Cell(f"{paired:,}", paired), Cell(f"{without:,}", without))
        rows.append((LOOKS[rung].label, *shares, why or ("not recorded" if without else "")))
    return table(["control", "sites with", "sites without", "why without"], rows, "Pairing") if rows else ""


def _balance_html(balance: pd.DataFrame, cls: str) -> str:
    if balance.empty:
        return ""
    rows = (
        (
            LOOKS[str(row["rung"])].label,
            COVARIATE_LABELS.get(str(row["covariate"]), str(row["covariate"])),
            _number(row["smd_before"], "+.3f"),
            _number(row["smd_after"], "+.3f"),
        )
        for _, row in balance.iterrows()
    )
    headings = ["control", "covariate", "before", "after"]
    found = table(headings, rows, "Standardised mean differences, sites less controls")
    return folded(f"Balance of {cls} in numbers", found)


def _class_image(results: Results, cls: str, name: str, preset: Preset = ONE_COLUMN) -> str:
    return _image(class_figure(results, cls, name, preset), f"{cls} {name}", _CAPTIONS[name], preset)


def _overview_image(results: Results, name: str) -> str:
    return _image(overview_figure(results, name), name, _CAPTIONS.get(name, _DENSITY_CAPTION), ONE_COLUMN)


def _image(figure: Figure | None, title: str, caption: str, preset: Preset) -> str:
    """The figure with its caption; nothing where there is no figure."""
    if figure is None:
        return ""
    # vectors, but for heatmaps: an image inside an image is half as large again
    kind: Literal["svg", "png"] = "png" if "heatmap" in title else "svg"
    content = figure_bytes(figure, kind, {"figure": title}, dpi=_SCREEN_DPI)
    return image(content, kind, f"{title}: {caption}", caption, preset.name)


def _effect_cells(row: Mapping[str, Any]) -> tuple[Cell, Cell]:
    return _number(row["effect"], "+.4f"), _interval(row["lo"], row["hi"], "+.4f")


def _interval(lo: float, hi: float, digits: str = "+.3f") -> Cell:
    if pd.isna(lo) or pd.isna(hi):
        return Cell("", float("nan"))
    return Cell(f"{lo:{digits}} to {hi:{digits}}".replace("-", "−"), float(lo))


def _number(value: float, digits: str) -> Cell:
    return Cell("" if pd.isna(value) else f"{value:{digits}}".replace("-", "−"), float(value))


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
