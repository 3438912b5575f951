"""`ldarnet explore` up to its server: which files it takes, which it refuses, and what it says."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from hypothesis import given
from hypothesis import strategies as st

from ldarnet.explore_command import _demo_inputs, _track_file
from ldarnet.genome import Contig
from ldarnet_app.checks import RESULT_FILES, check_inputs
from ldarnet_app.command_line import command_line
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.server import LOOPBACK, running_server, server_command
from ldarnet_app.view import ValueRange, View, view_from_query
from tests import explorer_files
from tests.command_line import run, write_fasta


def explore(*args):
    return run(*args, command="explore")


def message_of(done, exit_code=1):
    assert done.exit_code == exit_code, done.output
    return " ".join(done.stderr.split())


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    """A check that lets bad input pass must not leave a server running."""

    def serve(*args, **kwargs):
        raise AssertionError("the server would have started")

    monkeypatch.setattr("ldarnet_app.server.serve", serve)


@pytest.fixture
def inputs(tmp_path):
    return Inputs(
        (TrackFile("probs", explorer_files.write_track(tmp_path / "probs.bw")),),
        explorer_files.write_genome(tmp_path),
        explorer_files.write_genes(tmp_path / "genes.gtf"),
    )


def test_help_and_the_command_line_need_no_streamlit():
    code = "import sys, ldarnet.cli; print(sorted({'streamlit', 'plotly', 'torch'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("ldarnet_app.server.find_spec", lambda name: None if name in ("streamlit", "plotly") else 1)
    message = message_of(explore(*explorer_files.write_inputs(tmp_path)))
    assert "streamlit, plotly" in message and "pip install 'ldarnet[app" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected --track and --fasta, or --demo"),
        (["--track", "a.bw"], "expected --track and --fasta, or --demo"),
        (["--demo", "--fasta", "g.fa"], "--demo brings its own files"),
        (["--track", "a.bw", "--fasta", "g.fa", "--figure", "x.svg"], "--figure needs --locus"),
    ],
)
def test_wrong_options_are_status_2(arguments, message):
    done = explore(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


def test_inputs_that_fit_need_no_note(inputs):
    assert check_inputs(inputs) == ()


def test_contigs_of_one_side_only_are_counted(tmp_path, inputs):
    some = explorer_files.write_track(tmp_path / "some.bw", {"chrA": 6000, "chrM": 50})
    notes = check_inputs(Inputs((TrackFile("some", some),), inputs.fasta))
    assert "1 of 2 contigs are not in genome.fa" in notes[0]
    assert "nothing on 1 of 2 contigs of genome.fa" in notes[1]


def refusal(*arguments):
    return message_of(explore(*arguments, "--no-browser"))


def test_other_lengths_are_refused_with_both_lists(tmp_path):
    fasta = explorer_files.write_genome(tmp_path)
    other = explorer_files.write_track(tmp_path / "other.bw", {"chrA": 5999, "chrB": 2500})
    message = refusal("--track", other, "--fasta", fasta)
    assert "chrA has 5,999 bases in the track and 6,000 in the FASTA" in message
    assert "contigs of the track: chrA (5,999), chrB (2,500)" in message
    assert "contigs of the FASTA: chrA (6,000), chrB (2,500)" in message
    assert str(other) in message and str(fasta) in message


def test_other_names_are_refused_with_a_hint(tmp_path):
    fasta = write_fasta(tmp_path / "g.fa", chr1="ACGT" * 50)
    track = explorer_files.write_track(tmp_path / "t.bw", {"1": 200})
    assert "no contig name is in both (1 may be chr1 under another name" in refusal("--track", track, "--fasta", fasta)


def test_a_bedgraph_may_end_before_its_contig_and_not_after(tmp_path):
    fasta = explorer_files.write_genome(tmp_path)
    track = tmp_path / "t.bedGraph"
    track.write_text("chrA\t10\t20\t0.5\n")
    assert check_inputs(Inputs((TrackFile("t", track),), fasta)) != ()
    track.write_text("chrA\t10\t6001\t0.5\n")
    assert "chrA has 6,001 bases in the track and 6,000 in the FASTA" in refusal("--track", track, "--fasta", fasta)


@pytest.mark.parametrize("kept", [0, 40, 0.5, 0.98])
def test_a_bigwig_cut_short_is_refused(tmp_path, kept):
    whole = explorer_files.write_track(tmp_path / "t.bw").read_bytes()
    track = tmp_path / "cut.bw"
    track.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    message = refusal("--track", track, "--fasta", explorer_files.write_genome(tmp_path))
    assert "cut.bw" in message and ("cut short or damaged" in message or "expected a bigWig" in message)


def test_damaged_values_are_refused(tmp_path):
    track = explorer_files.write_track(tmp_path / "t.bw")
    content = bytearray(track.read_bytes())
    offset = int.from_bytes(content[16:24], "little") + 8  # the first block of values
    content[offset : offset + 64] = b"\xff" * 64
    track.write_bytes(content)
    assert "damaged" in refusal("--track", track, "--fasta", explorer_files.write_genome(tmp_path))


def test_missing_files_are_named(tmp_path):
    fasta, track = explorer_files.write_genome(tmp_path), explorer_files.write_track(tmp_path / "t.bw")
    assert "no.fa" in refusal("--track", track, "--fasta", tmp_path / "no.fa")
    assert "no.bw" in refusal("--track", tmp_path / "no.bw", "--fasta", fasta)
    assert "no.gtf" in refusal("--track", track, "--fasta", fasta, "--annotation", tmp_path / "no.gtf")
    assert "no.safetensors" in refusal("--track", track, "--fasta", fasta, "--model", tmp_path / "no.safetensors")
    assert "t.txt" in refusal("--track", tmp_path / "t.txt", "--fasta", fasta)


def test_an_annotation_without_a_matching_chromosome_is_refused(tmp_path):
    arguments = ["--track", explorer_files.write_track(tmp_path / "t.bw"), "--fasta"]
    arguments += [explorer_files.write_genome(tmp_path), "--annotation"]
    message = refusal(*arguments, explorer_files.write_genes(tmp_path / "x.gtf", "scaffold7"))
    assert "no chromosome of this annotation" in message
    assert "names in the annotation: scaffold7" in message and "names in the FASTA: chrA, chrB" in message
    (tmp_path / "x.gtf").write_text("Dear reader,\nthis is a letter.\n")
    assert "expected a line of GTF" in refusal(*arguments, tmp_path / "x.gtf")


def test_an_annotation_may_use_other_names(inputs, tmp_path):
    genes = explorer_files.write_genes(tmp_path / "x.gtf", "A")
    assert check_inputs(Inputs(inputs.tracks, inputs.fasta, genes)) == ()


def test_a_results_folder_names_what_it_lacks(inputs, tmp_path):
    folder = tmp_path / "results"
    with_results = Inputs(inputs.tracks, inputs.fasta, results=folder)
    with pytest.raises(ValueError, match="got no folder"):
        check_inputs(with_results)
    (folder / "matrices").mkdir(parents=True)
    for name in RESULT_FILES[:-2]:
        (folder / name).touch()
    with pytest.raises(ValueError, match=r"but tests\.tsv, run\.json are not there"):
        check_inputs(with_results)
    for name in RESULT_FILES:
        (folder / name).touch()
    assert check_inputs(with_results) == ()


def test_labels_come_once_and_are_not_empty(inputs):
    track = inputs.tracks[0].path
    for labels, message in [(("a", "a"), "two tracks are called 'a'"), ((" ",), "empty label")]:
        with pytest.raises(ValueError, match=message):
            check_inputs(Inputs(tuple(TrackFile(label, track) for label in labels), inputs.fasta))


def test_labels_of_tracks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("k=2.bw").touch()
    assert _track_file("x/probs.plus.bw") == TrackFile("probs", tmp_path / "x/probs.plus.bw")
    assert _track_file("plus strand=x/probs.bw") == TrackFile("plus strand", tmp_path / "x/probs.bw")
    assert _track_file("k=2.bw") == TrackFile("k=2", tmp_path / "k=2.bw")
    Path("probs.bw.json").write_text('{"settings": {"strand": "both-mean"}}')
    assert _track_file("probs.bw").strand == "both-mean"
    Path("probs.bw.json").write_text('["strand"]')
    assert _track_file("probs.bw").strand is None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--locus", "chrA:7000-9000"], "6,000"),
        (["--locus", "chrZ:5-9"], "chrZ"),
        (["--locus", "chrA:1-900", "--tracks", "nope"], "nope"),
        (["--locus", "chrA:1-900", "--figure", "x.gif"], "expected a figure as .svg, .png or .pdf"),
    ],
)
def test_a_start_that_does_not_exist_is_refused(tmp_path, extra, message):
    assert message in refusal(*explorer_files.write_inputs(tmp_path), *extra)


WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=12)
VIEWS = st.builds(
    View,
    st.just("chrA"),
    st.just(3),
    st.just(700),
    st.booleans(),
    st.none() | st.just(("one", "a,b")),
    st.booleans(),
    st.just(()) | st.just((ValueRange("a,b", -1.5, 2.0),)),
)


@given(
    label=WORDS.filter(lambda label: "=" not in label),
    name=WORDS.filter(lambda name: "/" not in name and name not in (".", "..")),
    view=VIEWS,
)
def test_the_command_line_leads_back_to_its_inputs(label, name, view):
    path = Path("/data") / f"{name}.bw"
    inputs = Inputs((TrackFile(label, path),), Path("/data/a genome.fa"), model="my model")
    words = shlex.split(command_line(inputs, view))
    values = dict(pairwise(words))
    assert _track_file(values["--track"]) == TrackFile(label, path)
    assert values["--fasta"] == "/data/a genome.fa" and values["--model"] == "my model"
    assert values["--figure"] == "chrA_3-700.svg"
    query = {name: values[f"--{name}"] for name in ("locus", "tracks", "ranges") if f"--{name}" in words}
    flags = {name: "1" for name in ("flip", "overlay") if f"--{name}" in words}
    assert view_from_query(query | flags, [Contig("chrA", 6000)], ["one", "a,b"]) == view


def test_the_server_is_for_this_machine_and_tells_nobody(inputs):
    command = server_command(inputs, 8501, LOOPBACK)
    settings = dict(pairwise(command))
    assert settings["--server.address"] == "127.0.0.1"
    assert settings["--browser.gatherUsageStats"] == "false" and settings["--server.headless"] == "true"
    assert settings["--server.enableXsrfProtection"] == "true" and settings["--server.enableCORS"] == "true"
    assert Inputs.from_json(command[-1]) == inputs


def test_a_port_that_is_taken_is_named(inputs):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 is taken"), running_server(inputs, port=port):
            pass


def test_a_server_that_cannot_start_is_an_error(inputs, monkeypatch):
    monkeypatch.setattr("ldarnet_app.server.server_command", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(OSError, match="ended as it started, with status 3"), running_server(inputs):
        pass


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_command_starts_answers_and_ends(tmp_path, number, status):
    code = "from ldarnet.cli import main\nmain()"
    arguments = ["explore", *map(str, explorer_files.write_inputs(tmp_path)), "--locus", "chrA:5-50", "--no-browser"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stderr if "explorer at" in line)
        address = line.split()[2]
        assert address.endswith("/?locus=chrA:5-50")
        health = f"{address.partition('/locus')[0]}/_stcore/health"
        assert urllib.request.urlopen(health, timeout=10).status == 200
    finally:
        process.send_signal(number)
        rest = process.communicate(timeout=20)[1]
    assert process.returncode == status, rest
    with pytest.raises(OSError):
        urllib.request.urlopen(health, timeout=2)


def test_the_demo_is_made_once(tmp_path, monkeypatch):
    made = []

    def write_track(request, say):
        made.append(request)
        request.outputs[0].write_bytes(b"track")

    monkeypatch.setenv("LDARNET_CACHE", str(tmp_path))
    monkeypatch.setattr("ldarnet.write_track.write_track", write_track)
    first, second = _demo_inputs("default"), _demo_inputs("default")
    assert first == second and len(made) == 1
    assert first.fasta.is_file() and first.annotation.is_file() and first.tracks[0].path.is_relative_to(tmp_path)
    assert json.loads(first.to_json())["model"] == "default"
