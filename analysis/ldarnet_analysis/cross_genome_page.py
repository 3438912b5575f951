"""The report across genomes: one HTML file that needs nothing else, neither network nor other files."""

from collections.abc import Iterator

import pandas as pd

from ldarnet_analysis.html_text import Cell, bullets, folded, image, paragraph, section, table
from ldarnet_analysis.primary import PRIMARY_FAMILY
from ldarnet_analysis.report_page import report_page
from ldarnet_analysis.style import LOOKS, SIGNALS, signed
from ldarnet_analysis.verdicts import ALPHA, chance_number, primary_rows, rows_of, verdict

_HOW_TO_READ = (
    "Every number is of one genome, against controls in that genome: paired, tested by locus, intervals of 95 %.",
    f"The pre-registered test of a site class is the residual against the rung {PRIMARY_FAMILY['rung']}. Its q is "
    "adjusted by Benjamini and Hochberg over the classes of the genome, “q, all genomes” over those of all genomes.",
    f"A class is called above or below its control in a genome where “q, all genomes” is at most {ALPHA:g}.",
    "Nothing is pooled over genomes: they share ancestors, so agreement of relatives is not independent evidence.",
    "Effects of tracks by different models, or of different strands, must not be compared.",
)


def cross_genome_html(effects: pd.DataFrame, tracks: pd.DataFrame, svg: bytes) -> str:
    """The page, from EFFECT_COLUMNS, TRACK_COLUMNS and the figure; the same input gives the same bytes."""
    figure = image(svg, "svg", "Effect and interval by site class and genome", _caption(), "two-columns")
    body = "".join(
        [
            section("Summary", [*_warnings(tracks), _classes_table(effects), figure], "summary"),
            section("Genomes", [_tracks_table(tracks)], "genomes"),
            section("Pre-registered tests", [_tests_table(primary_rows(effects), "Pre-registered tests")], "primary"),
            section("All tests", list(_all_tests(effects)), "all"),
            section("How to read this", [bullets(_HOW_TO_READ)], "read"),
        ]
    )
    return report_page("Boundaries across genomes", body)


def _caption() -> str:
    return (
        f"Difference between sites and controls with the same k-mer, residual, 95 % intervals. Full marks: q over all "
        f"genomes at most {ALPHA:g}; grey words: why there is no test."
    )


def _warnings(tracks: pd.DataFrame) -> list[str]:
    aligned = tracks[tracks["aligned"] == "yes"]
    kinds = [("model_sha256", "models"), ("strand", "strands"), ("window_bp", "windows")]
    mixed = [name for column, name in kinds if aligned[column].nunique() > 1]
    found = [f"The tracks are of different {' and '.join(mixed)}: do not compare their effects."] if mixed else []
    if without := list(tracks.loc[tracks["aligned"] == "no", "genome"]):
        found.append(f"Without an annotation, so with a track only: {', '.join(without)}.")
    return [paragraph(sentence) for sentence in found]


def _classes_table(effects: pd.DataFrame) -> str:
    """How many genomes say what, one row a class."""
    rows: list[list[str | Cell]] = []
    num_genomes = effects["genome"].nunique()
    for name in dict.fromkeys(effects["class"]):
        tests = primary_rows(effects, name)
        made = tests[tests["status"] == "ok"]
        is_found = made["q_across"] <= ALPHA
        above = int((is_found & (made["effect"] > 0)).sum())
        below = int((is_found & (made["effect"] < 0)).sum())
        counts = (above, below, len(made) - above - below, num_genomes - len(made))
        rows.append([str(name), *(Cell(str(count), count) for count in counts)])
    headings = ["class", "above control", "below control", "no difference found", "not tested"]
    return table(headings, rows, "Genomes by outcome of the pre-registered test")


def _tracks_table(tracks: pd.DataFrame) -> str:
    rows: list[list[str | Cell]] = [
        [
            str(row["genome"]),
            str(row["fasta"]),
            *(Cell(f"{row[name]:,}", float(row[name])) for name in ("contigs", "bases", "values")),
            str(row["model"]),
            str(row["model_sha256"])[:12],
            str(row["strand"]),
            str(row["aligned"]),
        ]
        for _, row in tracks.iterrows()
    ]
    headings = ["genome", "file", "contigs", "bases", "with a value", "model", "sha256", "strand", "aligned"]
    return table(headings, rows, "Tracks")


def _all_tests(effects: pd.DataFrame) -> Iterator[str]:
    for name in dict.fromkeys(effects["class"]):
        yield folded(str(name), _tests_table(effects[effects["class"] == name], f"All tests of {name}"))


def _tests_table(tests: pd.DataFrame, caption: str) -> str:
    columns = zip(tests["genome"], tests["class"], tests["signal"], tests["q_across"], rows_of(tests), strict=True)
    rows = (
        (
            str(genome),
            str(cls),
            LOOKS[test.rung].label,
            SIGNALS[signal].name,
            verdict(test),
            Cell(signed(test.effect, 4) if test.effect == test.effect else "", test.effect),
            Cell(_interval(test.lo, test.hi), test.lo),
            Cell(chance_number(test.p), test.p),
            Cell(chance_number(test.q), test.q),
            Cell(chance_number(q_across), q_across),
            Cell(f"{test.n_loci:,.0f}", test.n_loci),
        )
        for genome, cls, signal, q_across, test in columns
    )
    headings = ["genome", "class", "control", "signal", "in words (within the genome)", "effect", "95 % interval"]
    return table([*headings, "p", "q", "q, all genomes", "loci"], rows, caption)


def _interval(lo: float, hi: float) -> str:
    return "" if pd.isna(lo) or pd.isna(hi) else f"{signed(lo, 4)} to {signed(hi, 4)}"
