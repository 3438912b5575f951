"""Every kind of input that works, the streams, and the commands around the track."""

import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

from ldarnet import write_track
from tests.command_line import letters, names, read_values, run, save_tiny, spawn, write_fasta
from tests.genome_files import gzip_bytes, twobit_bytes, write_bgzf
from tests.test_cli_track import spread

GENOME = {"chr1": letters(1, 900), "chr2": letters(2, 40) + "N" * 300 + letters(3, 77), "one": "C"}
TEXT = "".join(f">{name} text behind\n{sequence}\n" for name, sequence in GENOME.items())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def expected(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("expected")
    fasta = write_fasta(folder / "x.fa", **GENOME)
    assert run("--fasta", fasta, "--model", model, "--out", folder / "x.bw").exit_code == 0
    return {name: read_values(folder / "x.bw", name) for name in GENOME}


def check(out, expected):
    for name, values in expected.items():
        assert np.array_equal(read_values(out, name), values, equal_nan=True)


def run_on(path, model, expected, *flags):
    out = path.with_name("track.bw")
    result = run("--fasta", path, "--model", model, "--out", out, *flags)
    assert result.exit_code == 0, result.stderr
    check(out, expected)
    return result.stderr


SPELLINGS = {
    "lower case": TEXT.replace("C", "c").replace("A", "a"),
    "RNA": TEXT.replace("T", "U"),
    "CRLF": TEXT.replace("\n", "\r\n"),
    "no last line end": TEXT[:-1],
    "blank lines": TEXT.replace("\n", "\n\n"),
    "lines of uneven length": TEXT.replace("CA", "CA\n"),
    "IUPAC": TEXT.replace("NNN", "NRY"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_one_genome(tmp_path, model, expected, spelling):
    (tmp_path / "x.fa").write_bytes(SPELLINGS[spelling].replace(" text behind\n", "\n").encode())
    said = run_on(tmp_path / "x.fa", model, expected)
    assert ("x.fa: 200 IUPAC codes are read as N" in said) == (spelling == "IUPAC")


def test_plain_gzip_says_that_it_is_read_through(tmp_path, model, expected):
    (tmp_path / "x.fa.gz").write_bytes(gzip_bytes(TEXT.encode()))
    said = run_on(tmp_path / "x.fa.gz", model, expected)
    assert "x.fa.gz is plain gzip: read through once into a temporary copy" in said
    assert names(tmp_path) == ["track.bw", "track.bw.json", "x.fa.gz"]


def test_bgzip_and_2bit(tmp_path, model, expected):
    write_bgzf(tmp_path / "x.fa.gz", TEXT.encode(), 500)
    assert "plain gzip" not in run_on(tmp_path / "x.fa.gz", model, expected)
    (tmp_path / "x.2bit").write_bytes(twobit_bytes(GENOME))
    run_on(tmp_path / "x.2bit", model, expected)


def test_an_old_index_is_not_believed(tmp_path, model, expected):
    fasta, index = tmp_path / "x.fa", tmp_path / "x.fa.fai"
    fasta.write_text(TEXT)
    index.write_text("chr1\t5\t900\t3\t4\n")
    os.utime(index, (1, 1))
    said = run_on(fasta, model, expected)
    assert "x.fa.fai is older than x.fa: not used here, but other tools may read wrong bases" in said


def test_the_folder_of_the_fasta_stays_as_it_is(tmp_path, model, expected):
    (tmp_path / "theirs").mkdir()
    fasta = tmp_path / "theirs" / "x.fa"
    fasta.write_text(TEXT)
    (tmp_path / "theirs").chmod(0o555)
    try:
        result = run("--fasta", fasta, "--model", model, "--out", tmp_path / "x.bw")
        assert result.exit_code == 0, result.stderr
        check(tmp_path / "x.bw", expected)
        assert names(tmp_path / "theirs") == ["x.fa"]
    finally:
        (tmp_path / "theirs").chmod(0o755)


def test_the_fasta_may_be_fed_through_a_pipe_into_a_pipe(tmp_path, model, expected):
    flags = ("--fasta", "-", "--out", "-", "--format", "bedGraph", "--model", model)
    process = spawn(*flags, stdin=subprocess.PIPE, cwd=tmp_path)
    out, said = process.communicate(TEXT.encode(), timeout=120)
    assert process.returncode == 0, said
    found = spread(out.decode().splitlines(), {name: len(sequence) for name, sequence in GENOME.items()})
    assert all(np.array_equal(found[name], expected[name], equal_nan=True) for name in GENOME)
    assert said.decode().startswith("stdin: 3 contigs, 1,318 bases; ")
    assert "\r" not in said.decode(), "no progress bar where no terminal is"
    assert names(tmp_path) == []


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_closes_early_gets_no_traceback(tmp_path, model, unbuffered):
    fasta = write_fasta(tmp_path / "long.fa", long=letters(1, 30_000))
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = spawn("--fasta", fasta, "--out", "-", "--format", "bedGraph", "--model", model, env=environment)
    assert process.stdout.read(5) == b"long\t"
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait(60) == 1
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    process.stderr.close()


def test_random_weights_are_for_presets(tmp_path):
    fasta = write_fasta(tmp_path / "x.fa", a=letters(1, 60))
    result = run("--fasta", fasta, "--model", "ldarnet-2m", "--random-weights", "--out", tmp_path / "x.npz")
    assert result.exit_code == 0, result.stderr
    assert "model ldarnet-2m-random" in result.stderr
    with np.load(tmp_path / "x.npz") as arrays:
        assert np.count_nonzero(~np.isnan(arrays["a"])) == 59


def test_flags_that_change_no_value(tmp_path, model, expected):
    (tmp_path / "x.fa").write_text(TEXT)
    run_on(tmp_path / "x.fa", model, expected, "--threads", 1, "--quiet", "--device", "cpu")


def test_bfloat16_is_near(tmp_path, model, expected):
    (tmp_path / "x.fa").write_text(TEXT)
    result = run("--fasta", tmp_path / "x.fa", "--model", model, "--out", tmp_path / "x.bw", "--dtype", "bfloat16")
    assert result.exit_code == 0, result.stderr
    difference = np.abs(read_values(tmp_path / "x.bw", "chr1") - expected["chr1"])[1:]
    assert 0 < difference.max() < 0.05


def test_a_processor_that_gains_nothing_by_bfloat16_says_so(tmp_path, model, monkeypatch):
    monkeypatch.setattr(write_track, "multiplies_bfloat16", lambda: False)
    (tmp_path / "x.fa").write_text(TEXT)
    result = run("--fasta", tmp_path / "x.fa", "--model", model, "--out", tmp_path / "x.bw", "--dtype", "bfloat16")
    assert "no instruction for bfloat16 products: float32 is faster here" in result.stderr


def test_gzipped_text_is_gzip(tmp_path, model):
    (tmp_path / "x.fa").write_text(TEXT)
    assert run("--fasta", tmp_path / "x.fa", "--model", model, "--out", tmp_path / "x.bed.gz").exit_code == 0
    assert gzip.decompress((tmp_path / "x.bed.gz").read_bytes()).startswith(b"chr1\t0\t")


def test_a_symbolic_link_stays_one(tmp_path, model, expected):
    (tmp_path / "x.fa").write_text(TEXT)
    (tmp_path / "real").mkdir()
    (tmp_path / "track.bw").symlink_to("real/track.bw")
    run_on(tmp_path / "x.fa", model, expected)
    assert (tmp_path / "track.bw").is_symlink()
    assert names(tmp_path / "real") == ["track.bw"]


def test_the_demo_works_twice(tmp_path):
    tracks = []
    for _ in range(2):
        result = run("--out", tmp_path / "demo", command="demo")
        assert result.exit_code == 0, result.stderr
        assert result.stdout == ""
        assert f"track       {tmp_path / 'demo' / 'probs.bw'}" in result.stderr
        assert "boundary probabilities" in result.stderr
        tracks.append((tmp_path / "demo" / "probs.bw").read_bytes())
    assert tracks[0] == tracks[1]
    files = ["demo.fa", "demo.genes.bed12", "demo.genes.gtf", "demo.sites.tsv", "probs.bw", "probs.bw.json"]
    assert names(tmp_path / "demo") == files


@pytest.mark.parametrize(
    ("entry", "args", "expected_text"),
    [
        ("main", ["--help"], "boundaries"),
        ("main", ["boundaries", "--help"], "--deviation-out"),
        ("main", ["--version"], "ldarnet "),
        ("boundaries_main", ["--help"], "--deviation-out"),
    ],
)
def test_help_needs_no_torch(entry, args, expected_text):
    code = f"""
import sys
from ldarnet.cli import {entry}
sys.argv[1:] = {args}
try:
    {entry}()
except SystemExit as end:
    print("status", end.code, "heavy", sorted({{"torch", "numba", "numpy"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert expected_text in done.stdout
    assert done.stdout.endswith("status 0 heavy []\n")
    assert done.stderr == ""
