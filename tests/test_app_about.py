"""The page on where the data come from: provenance, and what disagrees."""

import json
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.sources.model_card import is_shipped, shipped_card
from ldarnet_app.sources.run_record import run_rows
from ldarnet_app.sources.sidecars import NOT_RECORDED, provenance_rows, read_sidecar

from .command_line import letters, run, save_tiny, write_fasta

CONTIGS = {"a": letters(1, 300), "b": letters(2, 200)}


def _page(inputs):
    from ldarnet_app.inputs import Inputs
    from ldarnet_app.pages.about import about_page

    about_page(Inputs.from_json(inputs))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a FASTA, a track of it and its sidecar."""
    folder = tmp_path_factory.mktemp("about")
    fasta = write_fasta(folder / "g.fa", **CONTIGS)
    assert run("--fasta", fasta, "--out", folder / "t.bw", "--model", save_tiny(folder)).exit_code == 0
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def opened(folder, results=None):
    inputs = Inputs((TrackFile("my *track*", folder / "t.bw", "+"),), folder / "g.fa", results=results)
    app = AppTest.from_function(_page, args=(inputs.to_json(),), default_timeout=60).run()
    assert not app.exception, app.exception
    return app


def texts(elements):
    return " ".join(each.value.replace("\\", "") for each in elements)


def rewrite(folder, change):
    path = folder / "t.bw.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_provenance_of_a_whole_set_of_files(folder):
    app = opened(folder)
    rows = dict(app.dataframe[0].value.to_numpy().tolist())
    assert (rows["model"], rows["window (bases)"], rows["halo (bases)"]) == ("tiny", "256", "64")
    assert (rows["strand"], rows["dtype"], rows["bases asked for"]) == ("+", "float32", "500")
    assert rows["without a value: first base of a contig"] == "2"
    assert len(rows["model sha256"]) == 64
    assert "--fasta" not in rows["FASTA"]
    assert "agree" in texts(app.success)
    assert not app.warning
    assert "no card" in texts(app.caption)
    assert app.subheader[0].value == "my \\*track\\*"


def test_a_fasta_with_other_bases_is_said(folder):
    write_fasta(folder / "g.fa", a=CONTIGS["a"], b=letters(3, 200))
    app = opened(folder)
    assert "bases of b in g.fa" in texts(app.warning)
    assert not app.success


def test_a_fasta_with_other_names_and_lengths_is_said(folder):
    write_fasta(folder / "g.fa", a=CONTIGS["a"] + "A", chrB=CONTIGS["b"])
    warnings = texts(opened(folder).warning)
    assert "length differs between the sidecar and the FASTA: a (300 and 301 bases)" in warnings
    assert "of the sidecar that the FASTA does not have: b" in warnings
    assert "of the FASTA that the sidecar does not have: chrB" in warnings
    assert "of the track that the FASTA does not have: b" in warnings


def test_no_sidecar_is_said(folder):
    (folder / "t.bw.json").unlink()
    app = opened(folder)
    assert "There is no t.bw.json" in texts(app.warning)
    assert "No checksum" in texts(app.caption)


@pytest.mark.parametrize("text", ["{", "[]", "\xff", "[" * 100_000])
def test_a_broken_sidecar_is_said(folder, text):
    (folder / "t.bw.json").write_text(text, encoding="latin-1")
    app = opened(folder)
    assert "t.bw.json: expected" in texts(app.error)
    assert "What the values mean" in [each.value for each in app.subheader]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"model": 3, "fasta": [], "settings": None, "command": "x", "versions": 1, "notes": 2, "without_value": []},
        {"fasta": {"contigs": [1, {"name": "a"}, {"name": "b", "length": "x", "md5": 5}]}, "regions": {}},
    ],
)
def test_a_sidecar_of_another_shape_is_shown_as_far_as_it_goes(folder, record):
    (folder / "t.bw.json").write_text(json.dumps(record))
    assert read_sidecar(folder / "t.bw") == record
    assert dict(provenance_rows(record))["model"] == NOT_RECORDED
    assert "Genome" in [each.value for each in opened(folder).subheader]


def test_a_damaged_track_is_said(folder):
    (folder / "t.bw").write_bytes(b"nothing")
    assert "expected a bigWig" in texts(opened(folder).error)


def test_the_card_of_the_shipped_model_is_shown_for_its_sha256(folder):
    sha256 = next(line.split("`")[1] for line in shipped_card().splitlines() if line.startswith("| sha256"))
    assert is_shipped(sha256)
    assert not is_shipped("0" * 64)
    rewrite(folder, lambda record: record["model"].update(sha256=sha256))
    app = opened(folder)
    assert "The shipped model" in texts(app.markdown)
    assert "](../" not in texts(app.markdown)


def test_an_analysis_is_summed_up(folder, tmp_path):
    run_record = {
        "command": ["ldarnet", "align", "--out", "my results"],
        "inputs": {"track": {"name": "t.bw", "sha256": "12"}},
        "panel": [{"name": "donor"}],
        "settings": {"rungs": ["random", "gc"], "seed": 1},
        "notes": ["3 *sites* lack N"],
    }
    (tmp_path / "run.json").write_text(json.dumps(run_record))
    app = opened(folder, results=tmp_path)
    assert "ldarnet align --out 'my results'" in [each.value for each in app.code]
    rows = dict(run_rows(run_record))
    assert (rows["track"], rows["control rungs"], rows["seed"]) == ("t.bw, sha256 12", "random, gc", "1")
    assert "3 *sites* lack N" in texts(app.markdown)


def test_an_analysis_without_a_record_is_said(folder, tmp_path):
    assert "run.json" in texts(opened(folder, results=tmp_path).error)
    (tmp_path / "run.json").write_text("{")
    assert "run.json: expected JSON" in texts(opened(folder, results=tmp_path).error)
