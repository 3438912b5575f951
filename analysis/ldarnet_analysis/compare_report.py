"""Figures and report of a comparison: one HTML file that needs nothing else, neither network nor other files."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from ldarnet.tracks.atomic import write_text
from ldarnet_analysis.compare_figures import FIGURES
from ldarnet_analysis.compare_fragmentation import PUBLISHED_GRID, implied_chunks, inner_cuts
from ldarnet_analysis.compare_motifs import ALL_MOTIFS
from ldarnet_analysis.compare_sites import FAMILY_TOLERANCE
from ldarnet_analysis.compare_tables import (
    Row,
    lengths_html,
    motifs_html,
    number,
    overlap_html,
    segmenters_html,
    sites_html,
)
from ldarnet_analysis.figure_files import figure_bytes, save_figure
from ldarnet_analysis.html_text import bullets, facts_table, folded, image, paragraph, section, table
from ldarnet_analysis.report_page import report_page
from ldarnet_analysis.screen_images import short_svg

REPORT_NAME = "report.html"
_CAPTIONS = {
    "agreement": "Agreement beyond chance: 0 is what equal rates give by chance, 1 the same cuts. Pairs with a graded "
    "segmenter cut at one rate; fixed ones and annotation have the rate that they have.",
    "lengths": "How long chunks are. Dotted: independent cuts at the common rate.",
    "motifs": "Left: tokens per occurrence by mean chunk; the line is what chunk length alone makes of it. Filled: own "
    "cuts; open: at the common rate. Right: cuts inside occurrences over those expected from the density of their "
    "blocks (large mark) and from how often their dinucleotides are cut (bar), with 95 % intervals over blocks.",
    "sites": "Share of sites cut within 1 bp, less the share of places of the same block (open) and of places with the "
    "same letters around (filled), with 95 % intervals by locus. A star: q at most 0.05 against the same letters.",
}
_HOW_TO_READ = (
    "A graded segmenter (a track of probabilities, entropy, random) is made to cut at the common rate, or at that of a "
    "hard one it stands beside, by a threshold of its own: who cuts more overlaps more with anything.",
    "Expected overlap is that after moving one of the two by a random number of bases inside each block, which keeps "
    "rate and chunk lengths. Intervals come from resampling blocks.",
    "Tokens per motif follow from chunk length unless the ratio differs from 1: longer chunks alone keep more motifs "
    "whole. Where it does, letters may be why: the ratio at the same letters takes out the two beside a cut.",
    "Letters decide many cuts: only a difference from places with the same letters says that a site is more to a "
    f"segmenter than its letters. q is adjusted over all segmenters and classes, at {FAMILY_TOLERANCE} bp.",
    "Agreement of two models may come from letters that both follow; entropy patches stand in the same table to be "
    "compared with.",
)


def write_comparison(folder: Path, tables: Mapping[str, pd.DataFrame], record: Mapping[str, Any]) -> None:
    """Write figures/ (PDF, SVG and PNG) and report.html beside the tables."""
    (folder / "figures").mkdir(exist_ok=True)
    provenance = {key: record[key] for key in ("versions", "inputs", "settings")}
    provenance["command"] = _command(record)
    provenance = json.loads(json.dumps(provenance, default=str))
    images = {}
    for name, draw in FIGURES.items():
        if name == "motifs" and not (tables["motifs"]["num_occurrences"] > 0).any():
            continue
        figure = draw(tables)
        if figure is not None:
            save_figure(figure, folder / "figures" / name, provenance | {"figure": name}, title=name)
            svg = short_svg(figure_bytes(figure, "svg", {}, name))
            images[name] = image(svg, "svg", name, _CAPTIONS[name], "two-columns")
    page = comparison_html(tables, record, images)
    write_text(folder / REPORT_NAME, page)


def comparison_html(tables: Mapping[str, pd.DataFrame], record: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """The page; `images` are figures as HTML by name."""
    motifs, sites = tables["motifs"], tables["sites"]
    pairs = folded("All pairs", overlap_html(tables["overlap"]))
    by_motif = motifs_html(motifs[motifs["motif"] != ALL_MOTIFS], "Tokens per occurrence, by motif")
    nothing = paragraph("Nothing to show: the table says why.")
    body = [
        section("Segmenters", [segmenters_html(tables["segmenters"])], "segmenters"),
        section("Agreement", [images.get("agreement", nothing), pairs], "agreement"),
        section("Chunk lengths", [images.get("lengths", nothing), lengths_html(tables["lengths"])], "lengths"),
        section(
            "Tokens per motif",
            [
                images.get("motifs", nothing),
                motifs_html(motifs[motifs["motif"] == ALL_MOTIFS], "All motifs together"),
                folded("By motif", by_motif),
                _published(),
            ],
            "motifs",
        ),
        section("Cuts at sites", _sites_section(sites, images), "sites"),
        section("How to read this", [bullets(_HOW_TO_READ)], "reading"),
        section("What was read", [facts_table(_facts(record)), bullets(map(str, record["notes"]))], "read"),
    ]
    subtitle = "Ways of cutting DNA, on the same sequence and on one scale."
    return report_page("Segmenters compared", "".join(body), subtitle=subtitle)


def _published() -> str:
    implied = implied_chunks()
    inner = inner_cuts(next(each.tokens for each in implied if each.tokenizer == PUBLISHED_GRID[0]), PUBLISHED_GRID[1])
    rows: list[Row] = [[each.tokenizer, number(each.tokens, 2), number(each.mean_chunk_bp, 1)] for each in implied]
    caption = (
        f"Published tokens per motif (DNAChunker, arXiv 2601.03019), read with the formula: E[w − 1] = {inner:.2f} "
        "from the 6-mers; a mean chunk of that length gives the number without any regard to motifs"
    )
    return table(["tokenizer", "tokens per motif", "mean chunk that gives it by chance (bp)"], rows, caption)


def _sites_section(sites: pd.DataFrame, images: Mapping[str, str]) -> list[str]:
    if sites.empty:
        return [paragraph("No annotation was given, so there are no sites to look at.")]
    no_figure = paragraph("No test could be made; the table says why.")
    return [images.get("sites", no_figure), folded("All tests", sites_html(sites))]


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("command", " ".join(_command(record)))]
    for group in ("settings", "versions", "inputs"):
        for key, value in record[group].items():
            shown = f"{value['name']}, sha256 {value['sha256'][:16]}" if isinstance(value, dict) else str(value)
            facts.append((str(key), shown))
    return facts


def _command(record: Mapping[str, Any]) -> list[str]:
    """The command without where on a machine its files lay."""
    words = []
    for word in map(str, record["command"]):
        option, equals, path = word.rpartition("=")
        words.append(option + equals + (PurePath(path).name if path.startswith(("/", "~", "..")) else path))
    return words
