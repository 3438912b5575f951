"""What the command says about files it cannot use, and that it then leaves nothing behind."""

import pickle
import re

import numpy as np
import pytest
import safetensors.numpy
import torch

from ldarnet.tracks.atomic import PartialFile
from tests.command_line import letters, names, run, save_tiny, spawn, write_fasta
from tests.genome_files import gzip_bytes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def fasta(tmp_path):
    return write_fasta(tmp_path / "x.fa", chr1=letters(1, 700), chr2=letters(2, 300))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def refused(folder, pattern, *args, status=1, out="x.bw"):
    """The command ends with this status, a matching message that is no traceback, and an empty folder."""
    result = run("--out", folder / out, *args)
    assert result.exit_code == status, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    flat = re.sub(r"\s+", " ", result.stderr)  # usage errors are wrapped
    assert re.search(pattern, flat), result.stderr
    assert names(folder) == []
    return result.stderr


FASTA_FAULTS = {
    "text": (b"hello\n", r"bad\.fa, line 1: expected a FASTA header starting with '>', got 'hello'"),
    "fastq": (b"@read1\nACGT\n+\nIIII\n", r"bad\.fa, line 1: .*this looks like FASTQ"),
    "binary": (bytes(range(256)), r"bad\.fa, line 1: .*got binary data"),
    "empty": (b"", r"bad\.fa: expected FASTA records, got an empty file"),
    "blank": (b"\n \n\n", r"bad\.fa: expected FASTA records, got an empty file"),
    "no values": (
        b">a\nNNNN\n>b\nA\n>c\nRYNN\n",
        r"bad\.fa: no base can have a value: of 9 asked for, 8 are N and 1 the first of a contig",
    ),
    "no sequence": (b">a\nACGT\n>b\n>c\nAC\n", r"bad\.fa, line 3: .*got none for record 'b'"),
    "duplicate": (b">a\nACGT\n>b\nAC\n>a\nAC\n", r"bad\.fa, line 5: .*once, got 'a' again \(first on line 1\)"),
    "protein": (b">dna\nACGT\n>p53\nMTVKE\n", r"bad\.fa, line 4, record 'p53': .*got 'E': is this a protein\?"),
    "no name": (b">\nACGT\n", r"bad\.fa, line 1: expected a record name after '>', got none"),
    "half gzip": (gzip_bytes(b">a\n" + b"ACGT" * 999)[:-9], r"bad\.fa: expected complete gzip data, got an early end"),
    "name of no track": (b">a\x01b\nACGT\n", r"expected contig names without blanks or control .* got 'a\\x01b'"),
}


@pytest.mark.parametrize("fault", FASTA_FAULTS)
def test_a_bad_fasta_is_refused_with_its_place(tmp_path, folder, model, fault):
    content, pattern = FASTA_FAULTS[fault]
    (tmp_path / "bad.fa").write_bytes(content)
    refused(folder, pattern, "--fasta", tmp_path / "bad.fa", "--model", model)


def test_no_fasta_at_all(tmp_path, folder):
    refused(
        folder, r"error: .*none\.fa: expected a genome file, there is no such file", "--fasta", tmp_path / "none.fa"
    )
    refused(folder, r"error: .*: expected a genome file, got a folder", "--fasta", tmp_path)


REGION_FAULTS = {
    "chr9:1-5": r"contigs that the FASTA does not have: chr9; contigs in the FASTA: chr1, chr2",
    "1:1-5": r"does not have: 1; contigs in the FASTA: chr1, chr2; the FASTA's names start with 'chr': add it",
    "chr2:10-301": r"region 'chr2:10-301': expected an end inside chr2 \(300 bases\), got 301",
    "chr2:10-10": r"region 'chr2:10-10': expected start < end, got 10 and 10",
    "chr2:ten-20": r"expected chrom:start-end with whole numbers, got 'ten-20'",
    "none.bed": r"none\.bed: expected a BED file, there is no such file",
    "chr2:0-1": r"no base can have a value: of 1 asked for, 0 are N and 1 the first of a contig",
}


@pytest.mark.parametrize("regions", REGION_FAULTS)
def test_bad_regions(folder, fasta, model, regions):
    refused(folder, REGION_FAULTS[regions], "--fasta", fasta, "--model", model, "--regions", regions)


@pytest.mark.parametrize(
    ("bed", "pattern"),
    [
        ("chr1\t5\t9\nchr1\t7\n", r"r\.bed, line 2: expected the BED columns chrom, start, end, got 2"),
        ("chr1\t5\t9\nchr1\t3\tx\n", r"r\.bed, line 2: expected start and end as whole numbers, got 'x'"),
        ("chr1\t5\t9999\n", r"r\.bed, line 1: expected an end inside chr1 \(700 bases\), got 9,999"),
        ("# nothing\n", r"r\.bed: expected regions in BED format, got a file without any"),
    ],
)
def test_a_bad_bed_of_regions(tmp_path, folder, fasta, model, bed, pattern):
    (tmp_path / "r.bed").write_text(bed)
    refused(folder, pattern, "--fasta", fasta, "--model", model, "--regions", tmp_path / "r.bed")


def test_places_that_cannot_be_written(tmp_path, folder, fasta, model, monkeypatch):
    basics = ("--fasta", fasta, "--model", model)
    refused(folder, r"cannot write .*x\.bw: folder .*none does not exist", *basics, out="none/x.bw")
    (tmp_path / "taken.bw").mkdir()
    refused(folder, r"cannot write .*taken\.bw: it is a folder", *basics, out="../taken.bw")
    (tmp_path / "y.bw.json").mkdir()
    refused(folder, r"cannot write .*y\.bw\.json: it is a folder", *basics, out="../y.bw")
    refused(folder, r"cannot write .*x\.fa/x\.bw: .*x\.fa is not a folder", *basics, out="../x.fa/x.bw")
    monkeypatch.setattr("os.access", lambda *_: False)  # for root every folder is writable
    refused(folder, r"cannot write .*x\.bw: no permission to write in folder", *basics)


def test_inputs_are_not_overwritten(tmp_path, fasta, model):
    bed = tmp_path / "r.bed"
    bed.write_text("chr1\t5\t9\n")
    link = tmp_path / "link.bw"
    link.symlink_to(fasta)
    as_sidecar = write_fasta(tmp_path / "z.bw.json", chr1="ACGTAC")
    before = {path: path.read_bytes() for path in (fasta, bed, model, as_sidecar)}
    for args, source in (
        (["--out", fasta, "--format", "bw"], fasta),
        (["--out", link], fasta),
        (["--out", bed, "--regions", bed], bed),
        (["--out", model, "--format", "bw"], model),
        (["--out", tmp_path / "z.bw", "--fasta", as_sidecar], as_sidecar),
    ):
        result = run("--fasta", fasta, "--model", model, *args)
        assert result.exit_code == 1
        assert re.search(rf"error: {re.escape(str(source))} is --\w+ and would be overwritten", result.stderr)
    assert before == {path: path.read_bytes() for path in before}
    assert names(tmp_path) == ["link.bw", "r.bed", "x.fa", "z.bw.json"]


WRONG_FLAGS = {
    "suffix": (["--out", "y.wig"], r"no track format has the suffix of 'y\.wig'; expected one of \.bw, \.bigWig"),
    "format": (["--format", "wig"], r"no track format has the suffix of 'wig'"),
    "deviation": (["--deviation-out", "d.bw"], r"--deviation-out needs --strand both-mean, got --strand \+"),
    "deviation's chunks": (
        ["--deviation-out", "d.bed", "--strand", "both-mean"],
        r"a deviation has no chunks; expected \.bw, \.bedGraph or \.npz, got d\.bed",
    ),
    "window and halo": (
        ["--window", 100, "--halo", 50],
        r"a window must be longer than two halos, got --window 100 and --halo 50",
    ),
    "same twice": (["--out", "x.bw", "--out", "./x.bw"], r"x\.bw would be written twice"),
    "sidecar": (["--out", "q", "--out", "q.json", "--format", "bw"], r"q\.json would be written twice"),
    "stdout and more": (["--out", "-"], r"--out -: standard output cannot be combined"),
    "device": (["--device", "gpu"], r"expected auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
    "strand": (["--strand", "both"], r"'both' is not one of '\+', '-', 'both-mean'"),
    "decimals": (["--decimals", 9], r"'--decimals': .*\b7\b"),
    "threads": (["--threads", 0], r"'--threads': .*\b1\b"),
    "unknown": (["--fast"], r"No such option"),
}


@pytest.mark.parametrize("fault", WRONG_FLAGS)
def test_wrong_flags_end_with_2(folder, fasta, model, fault, monkeypatch):
    monkeypatch.chdir(folder)
    flags, pattern = WRONG_FLAGS[fault]
    refused(folder, pattern, "--fasta", fasta, "--model", model, *flags, status=2)


@pytest.mark.parametrize(
    ("flags", "pattern"),
    [(["--out", "-"], r"no suffix to tell the format; add one, such as --format bedGraph"),
     (["--out", "-", "--format", "bg", "--resume"], r"--resume needs a file, got --out -"),
     ([], r"Missing option '--out'")],
)  # fmt: skip
def test_wrong_flags_for_standard_output(fasta, flags, pattern):
    result = run("--fasta", fasta, *flags)
    assert result.exit_code == 2
    assert re.search(pattern, result.stderr)
    assert result.stdout == ""


def test_numbers_the_model_does_not_allow(folder, fasta, model):
    basics = ("--fasta", fasta, "--model", model)
    refused(folder, r"--stage 1: the model has 1 stage, counted from 0", *basics, "--stage", 1)
    refused(folder, r"window longer than two halos, got --window 256 and --halo 128", *basics, "--halo", 128)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_a_device_that_is_not_here(folder, fasta, model):
    refused(folder, r"error: --device cuda: 0 CUDA devices", "--fasta", fasta, "--model", model, "--device", "cuda")


class Touch:
    """Unpickled, it would make a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (str(self._path), "w")


def test_models_that_cannot_be_loaded(tmp_path, folder, fasta, model):
    whole = model.read_bytes()
    foreign = {"embed.weight": np.zeros((4, 4), dtype=np.float32)}
    faults = {
        "empty.safetensors": (b"", r"empty\.safetensors.* is empty"),
        "half.safetensors": (whole[: len(whole) // 2], r"half\.safetensors is not a complete safetensors file"),
        "noise.safetensors": (bytes(range(255, -1, -1)), r"noise\.safetensors is no model file"),
        "text.pt": (b"PK\x03\x04 no archive", r"text\.pt is not a complete checkpoint"),
        "bert.safetensors": (safetensors.numpy.save(foreign), r"bert\.safetensors .*another model family"),
        "code.pt": (pickle.dumps(Touch(tmp_path / "was-run")), r"code\.pt .*could run code, so it is refused"),
    }
    for name, (content, pattern) in faults.items():
        (tmp_path / name).write_bytes(content)
        refused(folder, pattern, "--fasta", fasta, "--model", tmp_path / name)
    assert not (tmp_path / "was-run").exists()


def test_a_damaged_tensor_is_noticed(tmp_path, folder, fasta, model):
    damaged = bytearray(model.read_bytes())
    damaged[-4:] = np.float32(np.nan).tobytes()
    (tmp_path / "nan.safetensors").write_bytes(damaged)
    pattern = r"nan\.safetensors is damaged \(wrong checksum\); download it again"
    refused(folder, pattern, "--fasta", fasta, "--model", tmp_path / "nan.safetensors")


def test_models_that_are_not_there(tmp_path, folder, fasta):
    missing = tmp_path / "none.safetensors"
    refused(folder, r"none\.safetensors", "--fasta", fasta, "--model", missing)
    pattern = r"no weights are shipped for ldarnet-110m; pass --random-weights to run it untrained"
    refused(folder, pattern, "--fasta", fasta, "--model", "ldarnet-110m")


def test_a_full_disk_leaves_no_track_and_keeps_the_work(tmp_path, folder, model):
    fasta = write_fasta(tmp_path / "x.fa", chr1=letters(1, 9_000))
    out, whole = folder / "x.bedGraph", tmp_path / "whole.bedGraph"
    basics = ("--fasta", fasta, "--model", model, "--decimals", 0)
    assert run("--out", whole, *basics).exit_code == 0
    limit_bytes = 100_000
    assert 2 * 4 * 9_000 < limit_bytes < whole.stat().st_size, "the journal fits and the track does not"
    prelude = f"""
import resource, signal
import ldarnet.write_track
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))
"""
    process = spawn("--out", out, *basics, prelude=prelude)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 1
    assert re.search(r"error: could not write .*x\.bedGraph: file too large, [\d,]+ bytes written so far", said)
    assert re.search(r"\d+ finished batches are kept in .*: the same command with --resume goes on from there", said)
    assert names(folder) == [".x.bedGraph.resume"]

    resumed = run("--out", out, "--resume", *basics)
    assert resumed.exit_code == 0
    same = out.read_bytes() == whole.read_bytes()
    assert same, "the resumed track differs from the uninterrupted one"  # pytest would compare 100 kB by the letter
    assert names(folder) == ["x.bedGraph", "x.bedGraph.json"]


def test_a_disk_full_at_once_leaves_nothing(folder, fasta, model, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ldarnet.journal.Journal.append", full)
    refused(folder, r"error: .*No space left on device", "--fasta", fasta, "--model", model)


def test_a_sidecar_that_does_not_fit(folder, fasta, model, monkeypatch):
    class FullDisk(PartialFile):
        def close(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("ldarnet.tracks.atomic.PartialFile", FullDisk)
    result = run("--out", folder / "x.bw", "--fasta", fasta, "--model", model)
    assert result.exit_code == 1
    assert re.search(r"could not write .*x\.bw\.json: No space left on device; x\.bw beside it is whole", result.stderr)
    assert names(folder) == [".x.bw.resume", "x.bw"]
