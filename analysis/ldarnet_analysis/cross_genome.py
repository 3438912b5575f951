"""Alignments of many genomes side by side: one table of effects, one figure, one page.

Nothing is pooled over genomes: they share ancestors, so their effects are not independent of each other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ldarnet_analysis.cross_genome_figure import cross_genome_figure
from ldarnet_analysis.cross_genome_page import cross_genome_html
from ldarnet_analysis.figure_files import figure_bytes, save_figure
from ldarnet_analysis.json_object import read_object
from ldarnet_analysis.multiplicity import benjamini_hochberg
from ldarnet_analysis.primary import PRIMARY_FAMILY, TEST_COLUMNS
from ldarnet_analysis.result_tables import read_run, read_table
from ldarnet_analysis.screen_images import short_svg

EFFECT_COLUMNS = ["genome", *TEST_COLUMNS[:8], "q_across", *TEST_COLUMNS[8:], "model", "model_sha256", "strand"]
TRACK_COLUMNS = [
    *("genome", "fasta", "contigs", "bases", "values", "model", "model_sha256", "strand"),
    *("window_bp", "halo_bp", "seconds", "aligned"),
]


def write_cross_genome(alignments: Mapping[str, Path], tracks: Mapping[str, Path], out: Path) -> str:
    """Write effects.tsv, its figure, tracks.tsv and report.html into `out`; returns a line about them.

    `alignments` holds a folder of `ldarnet align` by name of the genome, `tracks` a track with its sidecar. Raises
    ValueError for files that are missing or damaged, and without any alignment.
    """
    effects = gather_effects(alignments)
    table = track_table(tracks, alignments)
    out.mkdir(parents=True, exist_ok=True)
    figure = cross_genome_figure(effects)
    facts = {"genomes": list(alignments), "family": dict(PRIMARY_FAMILY)}
    image = short_svg(figure_bytes(figure, "svg", facts))
    save_figure(figure, out / "effects", facts, title="Effects across genomes")
    for name, rows in (("effects", effects), ("tracks", table)):
        rows.to_csv(out / f"{name}.tsv", sep="\t", index=False, na_rep="nan", float_format="%.6g")
    (out / "report.html").write_text(cross_genome_html(effects, table, image), encoding="utf-8")
    num_ok = int((effects["status"] == "ok").sum())
    return f"{out}: {num_ok:,} of {len(effects):,} tests made in {len(alignments)} genomes; open {out}/report.html"


def gather_effects(alignments: Mapping[str, Path]) -> pd.DataFrame:
    """The tests of all genomes (EFFECT_COLUMNS), in the order given.

    `q` is adjusted over the primary tests of a genome, `q_across` over those of all genomes.
    """
    if not alignments:
        raise ValueError("expected at least one aligned genome, got none: give a genome an annotation")
    parts = []
    for name, folder in alignments.items():
        sidecar = read_run(folder).get("track_sidecar") or {}
        made = _made_by(sidecar)
        tests = read_table(folder, "tests")
        if tests.empty:
            raise ValueError(f"{folder}/tests.tsv: expected at least one test, got none")
        parts.append(tests.assign(genome=name, **made))
    effects = pd.concat(parts, ignore_index=True)
    is_primary = effects["status"] == "ok"
    for column, value in PRIMARY_FAMILY.items():
        is_primary &= effects[column] == value
    effects["q_across"] = benjamini_hochberg(effects["p"].where(is_primary).to_numpy())
    return effects[EFFECT_COLUMNS]


def track_table(tracks: Mapping[str, Path], alignments: Mapping[str, Path]) -> pd.DataFrame:
    """What the sidecars say of the tracks (TRACK_COLUMNS), one row a genome."""
    rows = []
    for name, track in tracks.items():
        path = track.with_name(f"{track.name}.json")
        record = read_object(path, "ldarnet boundaries")
        try:
            settings, fasta = record["settings"], record["fasta"]
            numbers = (len(fasta["contigs"]), record["bases"], record["values"])
            made = tuple(_made_by(record).values())
            sizes = (settings["window_bp"], settings["halo_bp"], record["seconds"])
            rows.append((name, fasta["name"], *numbers, *made, *sizes, "yes" if name in alignments else "no"))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: expected the sidecar of a track, it lacks {error}") from None
    return pd.DataFrame(rows, columns=TRACK_COLUMNS)


def _made_by(record: Mapping[str, Any]) -> dict[str, str]:
    model = record.get("model") or {}
    settings = record.get("settings") or {}
    values = (model.get("name"), model.get("sha256"), settings.get("strand"))
    return dict(zip(("model", "model_sha256", "strand"), (str(each or "unknown") for each in values), strict=True))
