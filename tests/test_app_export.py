"""What leaves the explorer as files: figures, and the folder for other browsers."""

import io
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import py2bit
import pytest

pytest.importorskip("streamlit")

import plotly.graph_objects as go
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome import open_genome
from ldarnet.tracks import open_track
from ldarnet_app import rendering
from ldarnet_app.export import export_files
from ldarnet_app.igv_session import rgb
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.rendering import browser_path, render
from ldarnet_app.twobit_writer import write_twobit
from ldarnet_app.view import View
from tests import explorer_files
from tests.command_line import run, write_fasta

needs_browser = pytest.mark.skipif(browser_path() is None, reason="Chromium or Chrome is not installed")
VIEW = View("chrA", 900, 1400)


@pytest.fixture
def exported(tmp_path):
    """A folder of an export: a bigWig with an awkward label, a bedGraph, a residual, and genes."""
    bedgraph = tmp_path / "sparse.bedGraph"
    bedgraph.write_text("chrA\t10\t20\t0.25\nchrB\t7\t8\t0.75\n")
    residual = tmp_path / "residual.bedGraph"
    residual.write_text("chrA\t10\t20\t-0.25\n")
    inputs = Inputs(
        (
            TrackFile("a & <b>\n/../c", explorer_files.write_track(tmp_path / "probs.bw")),
            TrackFile("sparse", bedgraph),
            TrackFile("residual", residual),
        ),
        explorer_files.write_genome(tmp_path),
        explorer_files.write_genes(tmp_path / "genes.gtf"),
    )
    folder = tmp_path / "out" / "hub"
    return inputs, folder, export_files(inputs, folder, VIEW)


def stanzas(path):
    """The stanzas of a hub file, a dict each."""
    return [dict(line.split(" ", 1) for line in block.splitlines()) for block in path.read_text().strip().split("\n\n")]


def inside(folder, relative):
    """The file a relative path leads to, which must be one of the folder."""
    assert not Path(relative).is_absolute() and ":" not in relative
    path = (folder / relative).resolve()
    assert path.is_file() and path.is_relative_to(folder.resolve())
    return path


def test_the_session_is_xml_whose_paths_resolve(exported):
    _, folder, _ = exported
    session = ElementTree.parse(folder / "igv_session.xml").getroot()
    assert session.tag == "Session" and session.get("locus") == "chrA:901-1400"
    inside(folder, session.get("genome"))
    resources = [each.get("path") for each in session.iter("Resource")]
    for path in resources:
        inside(folder, path)
    assert [each.get("id") for each in session.iter("Track")] == resources
    assert next(each.get("name") for each in session.iter("Track")) == "a & <b>\n/../c"
    axes = [(each.get("minimum"), each.get("maximum")) for each in session.iter("DataRange")]
    assert axes == [("0.0", "1.0"), ("0.0", "1.0"), ("-0.25", "0.0")]


def test_the_hub_is_an_assembly_whose_paths_resolve(exported):
    _, folder, _ = exported
    (hub,) = stanzas(folder / "hub.txt")
    assert {"hub", "shortLabel", "longLabel", "genomesFile", "email"} <= hub.keys()
    (genome,) = stanzas(inside(folder, hub["genomesFile"]))
    assert genome["defaultPos"] == "chrA:901-1400"
    tracks = stanzas(inside(folder, genome["trackDb"]))
    assert len(tracks) == 3 and len({track["track"] for track in tracks}) == 3
    for track in tracks:
        assert track["track"].replace("_", "").isalnum() and track["track"].isascii()
        assert len(track["shortLabel"]) <= 17 and len(track["longLabel"]) <= 76
        with open_track(inside(folder, track["bigDataUrl"])) as opened:
            assert {contig.name for contig in opened.contigs} == set(explorer_files.LENGTHS_BP)
    with open_genome(inside(folder, genome["twoBitPath"])) as twobit:
        assert dict(twobit.contigs) == explorer_files.LENGTHS_BP


def test_a_folder_is_exported_again_from_its_own_files(exported):
    """Files of the folder, under swapped labels: none is lost, and each is where its label says."""
    _, folder, _ = exported
    before = {path.name: path.read_bytes() for path in (folder / "tracks").iterdir()}
    sparse, residual = (folder / "tracks" / f"{name}.bw" for name in ("sparse", "residual"))
    again = Inputs(
        (TrackFile("residual", sparse), TrackFile("sparse", residual)),
        folder / "genome.2bit",
        folder / "tracks" / "genes.gtf",
    )
    for _ in range(2):
        export_files(again, folder, VIEW)
        after = {path.name: path.read_bytes() for path in (folder / "tracks").iterdir()}
        assert after.keys() == before.keys()
        before["sparse.bw"], before["residual.bw"] = before["residual.bw"], before["sparse.bw"]
        assert after == before


def test_tracks_of_the_hub_have_names_of_their_own(tmp_path):
    track = explorer_files.write_track(tmp_path / "probs.bw")
    files = tuple(TrackFile(label, track) for label in ("p+", "p-", "+", "-"))
    export_files(Inputs(files, explorer_files.write_genome(tmp_path)), tmp_path / "hub", VIEW)
    names = [each["track"] for each in stanzas(tmp_path / "hub" / "trackDb.txt")]
    assert len(set(names)) == 4


def test_tracks_keep_their_values(exported):
    inputs, folder, lines = exported
    files = sorted((folder / "tracks").glob("*.bw"))
    assert [path.name for path in files] == ["a____b___.._c.bw", "residual.bw", "sparse.bw"]
    with open_track(files[0]) as track:
        np.testing.assert_array_equal(track.values("chrA", 0, 6000), explorer_files.values_of("chrA"))
    with open_track(files[2]) as track:
        values = track.values("chrA", 0, 6000)
    assert (values[10:20] == 0.25).all() and np.isnan(np.delete(values, slice(10, 20))).all()
    assert inputs.tracks[0].path.samefile(files[0])  # a link takes no room
    assert any("no genes" in line for line in lines)


def test_an_export_can_be_made_again_and_leaves_the_originals(exported):
    inputs, folder, lines = exported
    before = inputs.tracks[0].path.read_bytes()
    assert export_files(inputs, folder, VIEW) == lines
    assert inputs.tracks[0].path.read_bytes() == before


def test_the_command_exports(tmp_path):
    done = run(*explorer_files.write_inputs(tmp_path), "--export", tmp_path / "hub", command="explore")
    assert done.exit_code == 0, done.output
    assert "igv_session.xml" in done.stderr and "hub.txt" in done.stderr
    assert (tmp_path / "hub" / "trackDb.txt").is_file()


def test_colours():
    assert rgb("#0072B2") == (0, 114, 178)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("ACGTN", min_size=1, max_size=70), min_size=1, max_size=4))
def test_twobit_holds_the_same_bases(tmp_path_factory, sequences):
    folder = tmp_path_factory.mktemp("twobit")
    records = {f"c{i}": sequence for i, sequence in enumerate(sequences)}
    out = folder / "g.2bit"
    with open_genome(write_fasta(folder / "g.fa", **records)) as genome:
        write_twobit(genome, out)
        with open_genome(out) as again:
            assert again.contigs == genome.contigs
            for name, length_bp in genome.contigs:
                np.testing.assert_array_equal(again.ids(name, 0, length_bp), genome.ids(name, 0, length_bp))
    oracle = py2bit.open(str(out))
    assert {name: oracle.sequence(name) for name in records} == records
    oracle.close()


def test_twobit_is_written_whole_or_not_at_all(tmp_path):
    out = tmp_path / "g.2bit"
    with open_genome(write_fasta(tmp_path / "g.fa", **{"n" * 256: "ACGT"})) as genome, pytest.raises(ValueError):
        write_twobit(genome, out)
    assert [path.name for path in tmp_path.iterdir()] == ["g.fa"]


def test_no_browser_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(rendering, "browser_path", lambda: None)
    with pytest.raises(OSError, match="apt-get install chromium"):
        render(go.Figure(), "svg")
    with pytest.raises(ValueError, match="expected a figure as one of svg, png, pdf, got 'gif'"):
        render(go.Figure(), "gif")


@needs_browser
def test_the_command_draws_a_locus_in_every_format(tmp_path):
    files = [tmp_path / f"locus.{suffix}" for suffix in ("svg", "png", "pdf")]
    wanted = [word for path in files for word in ("--figure", path)]
    done = run(*explorer_files.write_inputs(tmp_path), "--locus", "chrA:960-1060", *wanted, command="explore")
    assert done.exit_code == 0, done.output
    svg, png, pdf = (path.read_bytes() for path in files)
    texts = "".join(ElementTree.fromstring(svg).itertext())
    assert "ABC1" in texts and "probs" in texts
    width, height = struct.unpack(">2I", png[16:24])
    assert png.startswith(b"\x89PNG") and width >= 3 * 900 and height > 300
    assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf
    assert not list(tmp_path.glob(".*part"))


@needs_browser
def test_a_browser_that_died_is_started_again():
    figure = go.Figure(go.Scatter(y=[1, 2]))
    first = render(figure, "svg")
    warm = rendering._browser()
    warm._run(warm._kaleido.close())
    assert io.BytesIO(render(figure, "svg")).read(4) == first[:4] == b"<svg"
