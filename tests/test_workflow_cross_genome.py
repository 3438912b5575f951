"""The report across genomes: tables that hold together, a figure and a page that say what was and was not tested."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ldarnet.cli import app
from ldarnet_analysis.cross_genome import EFFECT_COLUMNS, gather_effects, track_table, write_cross_genome
from ldarnet_analysis.cross_genome_figure import cross_genome_figure
from ldarnet_analysis.cross_genome_page import cross_genome_html

from . import synthetic_results

MODEL = {"name": "tiny", "sha256": "ab" * 32}


def write_alignment(folder, tests, model=MODEL):
    folder.mkdir(parents=True)
    tests.to_csv(folder / "tests.tsv", sep="\t", index=False, na_rep="nan")
    record = {"track_sidecar": {"model": model, "settings": {"strand": "both-mean"}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def write_track_sidecar(folder, name, model=MODEL, window_bp=1024):
    settings = {"strand": "both-mean", "window_bp": window_bp, "halo_bp": 128}
    fasta = {"name": f"{name}.fa", "contigs": [{"name": "c1"}]}
    record = {"model": model, "settings": settings, "fasta": fasta, "bases": 1000, "values": 999, "seconds": 1.5}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.bw.json").write_text(json.dumps(record))
    return folder / f"{name}.bw"


@pytest.fixture
def inputs(tmp_path):
    tests = synthetic_results.tests_table()
    weaker = tests.assign(p=np.minimum(tests["p"] * 300, 1.0))
    alignments = {
        "one": write_alignment(tmp_path / "alignments/one", tests),
        "two": write_alignment(tmp_path / "alignments/two", weaker),
    }
    tracks = {name: write_track_sidecar(tmp_path / "tracks", name) for name in ("one", "two", "three")}
    return alignments, tracks


def test_effects_are_those_of_the_genomes(inputs):
    alignments, _ = inputs
    effects = gather_effects(alignments)
    assert list(effects.columns) == EFFECT_COLUMNS
    one = effects[effects["genome"] == "one"].reset_index(drop=True)
    given = synthetic_results.tests_table()
    pd.testing.assert_frame_equal(one[given.columns], given, check_dtype=False)
    assert set(effects["model"]) == {"tiny"}


def test_q_across_is_over_the_primary_tests_of_all_genomes(inputs):
    effects = gather_effects(inputs[0])
    is_primary = (effects["rung"] == "same-kmer") & (effects["signal"] == "residual") & (effects["status"] == "ok")
    assert effects["q_across"].notna().equals(is_primary)
    p = np.sort(effects.loc[is_primary, "p"].to_numpy())
    found = np.sort(effects.loc[is_primary, "q_across"].to_numpy())
    # Benjamini and Hochberg, written out
    expected = [min(p[j] * len(p) / (j + 1) for j in range(i, len(p))) for i in range(len(p))]
    np.testing.assert_allclose(found, expected)


def test_every_file_is_written_and_the_same_twice(inputs, tmp_path):
    line = write_cross_genome(*inputs, tmp_path / "report")
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["effects.pdf", "effects.png", "effects.svg", "effects.tsv", "report.html", "tracks.tsv"]
    num_rows = 2 * len(synthetic_results.tests_table())
    assert f"of {num_rows} tests made in 2 genomes" in line
    write_cross_genome(*inputs, tmp_path / "again")
    for name in names:
        assert (tmp_path / "report" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_page_needs_nothing_else_and_escapes_names(inputs):
    effects = gather_effects(inputs[0]).replace({"class": {"donor": "<b>donor</b>"}})
    table = pd.DataFrame(
        {"genome": ["one", "three"], "fasta": "<i>.fa", "contigs": 1, "bases": 5, "values": 4, "model": "m"}
        | {
            "model_sha256": ["a", "b"],
            "strand": "+",
            "window_bp": 9,
            "halo_bp": 1,
            "seconds": 1,
            "aligned": ["yes", "no"],
        }
    )
    page = cross_genome_html(effects, table, b"<svg/>")
    assert "<b>donor" not in page and "&lt;b&gt;donor" in page and "&lt;i&gt;.fa" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "Without an annotation, so with a track only: three." in page
    assert "no site in this class" in page


def test_the_page_warns_where_tracks_are_not_alike(inputs, tmp_path):
    alignments, tracks = inputs
    effects = gather_effects(alignments)
    assert "do not compare" not in cross_genome_html(effects, track_table(tracks, alignments), b"")
    write_track_sidecar(tmp_path / "tracks", "two", model={"name": "other", "sha256": "cd" * 32}, window_bp=512)
    page = cross_genome_html(effects, track_table(tracks, alignments), b"")
    assert "of different models and windows: do not compare" in page


def test_the_figure_has_a_panel_a_class_and_a_row_a_genome(inputs):
    effects = gather_effects(inputs[0])
    figure = cross_genome_figure(effects)
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes}
    panels.pop("")  # rows of panels are filled up with empty ones
    assert list(panels) == list(dict.fromkeys(effects["class"]))
    assert [label.get_text() for label in panels["donor"].get_yticklabels()] == ["one", "two"]
    notes = [text.get_text() for text in panels["Inr"].texts]
    assert notes == ["no sites", "no sites"]
    fills = [line.get_markerfacecolor() for line in panels["donor"].lines if line.get_marker() not in ("None", "")]
    assert fills.count("white") == (effects.query("`class` == 'donor'")["q_across"] > 0.05).sum()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", r"tests\.tsv: expected tab-separated text"),
        (
            lambda text: text.replace("effect", "size", 1),
            r"tests\.tsv: expected the columns class, rung, .*; missing: effect$",
        ),
        (lambda text: text.splitlines()[0] + "\n", r"tests\.tsv: expected at least one test, got none"),
        (lambda text: text.replace("\tok\t", "\tfine\t"), "expected as status one of ok, .* got 'fine'"),
        (
            lambda text: re.sub(r"(donor\trandom\traw\t)[^\t]+", r"\1much", text),
            r"tests\.tsv, row 1: expected a number as effect, got 'much'",
        ),
    ],
)
def test_damaged_tests_are_named(inputs, damage, message):
    path = inputs[0]["one"] / "tests.tsv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=message):
        gather_effects(inputs[0])


def test_missing_and_damaged_records_are_named(inputs, tmp_path):
    alignments, tracks = inputs
    tracks["one"].with_name("one.bw.json").write_text("[]")
    with pytest.raises(ValueError, match=r"one\.bw\.json: expected a JSON object, got list"):
        write_cross_genome(alignments, tracks, tmp_path / "out")
    tracks["one"].with_name("one.bw.json").write_text("{}")
    with pytest.raises(ValueError, match=r"expected the sidecar of a track, it lacks 'settings'"):
        write_cross_genome(alignments, tracks, tmp_path / "out")
    (alignments["two"] / "run.json").unlink()
    with pytest.raises(ValueError, match=r"expected .*two/run\.json, which is not there"):
        gather_effects(alignments)
    with pytest.raises(ValueError, match="expected at least one aligned genome, got none"):
        gather_effects({})


def test_the_command_reads_the_folder_of_a_workflow(inputs, tmp_path):
    for name in ("one.fa", "three.fa", "one.gtf"):
        (tmp_path / name).write_text("")
    table = "name\tfasta\tannotation\none\tone.fa\tone.gtf\nthree\tthree.fa\t\n"
    (tmp_path / "genomes.tsv").write_text(table)
    done = CliRunner().invoke(app, ["workflow", "report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "tests made in 1 genomes" in done.output
    assert list(pd.read_csv(tmp_path / "report/tracks.tsv", sep="\t")["genome"]) == ["one", "three"]
