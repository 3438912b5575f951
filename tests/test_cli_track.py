"""What the track says: at which bases, in which coordinates, the same in every format and every cut of the run."""

import errno
import gzip
import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pybigtools
import pyBigWig
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.checkpoint import load_model
from ldarnet.tracks.bedgraph import BedGraphWriter
from ldarnet.tracks.writer import TrackWriter
from tests.command_line import (
    ONE_STAGE,
    TWO_STAGES,
    letters,
    read_values,
    reverse_complement,
    run,
    save_tiny,
    write_fasta,
)

GENOME = {
    "chr10": letters(0, 1500),
    "chr2": "NN" + letters(1, 400) + "N" * 700 + letters(2, 333, "ACGTacgtRYN"),
    "chrM": letters(3, 201).lower() + "U",
    "tiny": "A",
    "two": "CG",
}
SHORT = {name: letters(i, length) for i, (name, length) in enumerate((("a", 256), ("b", 97), ("c", 2)))}
"""Contigs of one window each: turned round, the window is the same one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("track")


@pytest.fixture(scope="module")
def model(folder):
    return save_tiny(folder)


@pytest.fixture(scope="module")
def two_stages(folder):
    return save_tiny(folder, TWO_STAGES, "two-stages")


@pytest.fixture(scope="module")
def fasta(folder):
    return write_fasta(folder / "genome.fa", **GENOME)


@pytest.fixture(scope="module")
def whole(folder, fasta, model):
    """The genome's track in every format, unrounded."""
    outputs = [folder / f"whole{suffix}" for suffix in (".bw", ".bedGraph", ".bedGraph.gz", ".npz", ".bed")]
    flags = [word for out in outputs for word in ("--out", out)]
    result = run("--fasta", fasta, "--model", model, "--decimals", 0, *flags)
    assert result.exit_code == 0, result.stderr
    return outputs


def track(folder, fasta, model, *flags, out="t.bw"):
    """Contig -> values of a run with these flags."""
    result = run("--fasta", fasta, "--model", model, "--out", folder / out, *flags)
    assert result.exit_code == 0, result.stderr
    with pyBigWig.open(str(folder / out)) as file:
        chroms = list(file.chroms())
    return {chrom: read_values(folder / out, chrom) for chrom in chroms}


def may_have_value(sequence):
    allowed = vocab.encode(sequence) != vocab.N
    allowed[0] = False
    return allowed


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[c], b[c], equal_nan=True) for c in a)


def test_read_back_with_two_libraries(whole):
    lengths = {name: len(sequence) for name, sequence in GENOME.items()}
    with pyBigWig.open(str(whole[0])) as first, pybigtools.open(str(whole[0])) as second:
        assert list(first.chroms().items()) == list(lengths.items()), "in the order of the FASTA"
        assert dict(second.chroms()) == lengths
        assert first.header()["nLevels"] > 0
        assert len(second.zooms()) > 0
        num_values = 0
        for name, sequence in GENOME.items():
            values = read_values(whole[0], name)
            again = np.asarray(second.values(name, fillna=np.nan), dtype=np.float32)
            assert np.array_equal(values, again, equal_nan=True)
            assert np.array_equal(~np.isnan(values), may_have_value(sequence))
            there = values[~np.isnan(values)]
            assert ((there >= 0) & (there <= 1)).all()
            num_values += there.size
        assert first.header()["nBasesCovered"] == num_values
        everything = np.concatenate([read_values(whole[0], name) for name in GENOME])
        assert 0.2 < np.nanmean(everything > 0.5) < 0.8, "a model that cuts everywhere or nowhere tests little"


def test_a_value_is_the_routers_p_at_that_base(whole, model):
    sequence = GENOME["chrM"]
    ids = torch.from_numpy(vocab.encode(sequence))[None]
    with torch.inference_mode():
        p = load_model(model).boundaries(ids).routing[0].prob[0].numpy()
    values = read_values(whole[0], "chrM")
    assert p[0] == 1
    assert np.isnan(values[0]), "given, not predicted"
    assert np.allclose(values[1:], p[1:], atol=1e-6)  # the batch is another one
    assert np.unique(p).size > 100, "values that repeat could hide a shift"


def test_strands_meet_at_the_same_cut(folder, model):
    forward = write_fasta(folder / "forward.fa", **SHORT)
    turned = write_fasta(folder / "turned.fa", **{n: reverse_complement(s) for n, s in SHORT.items()})
    minus = track(folder, forward, model, "--strand", "-", "--decimals", 0)
    plus_of_turned = track(folder, turned, model, "--strand", "+", "--decimals", 0)
    for name, sequence in SHORT.items():
        length = len(sequence)
        for cut in range(1, length):
            assert minus[name][cut] == plus_of_turned[name][length - cut]
        assert np.isnan(minus[name][0])


def test_both_strands_are_their_mean_and_half_difference(folder, fasta, model):
    plus, minus = (track(folder, fasta, model, "--strand", s, "--decimals", 0) for s in "+-")
    flags = ("--strand", "both-mean", "--decimals", 0, "--deviation-out", folder / "deviation.bw")
    mean = track(folder, fasta, model, *flags)
    for name in GENOME:
        assert np.array_equal(mean[name], (plus[name] + minus[name]) / 2, equal_nan=True)
        deviation = read_values(folder / "deviation.bw", name)
        assert np.array_equal(deviation, np.abs(plus[name] - minus[name]) / 2, equal_nan=True)
    assert not same(plus, minus)
    record = json.loads((folder / "deviation.bw.json").read_text())
    assert record["deviation_output"] == str(folder / "deviation.bw")


def regions():
    def of(name):
        length = len(GENOME[name])
        ends = st.tuples(st.integers(0, length), st.integers(0, length)).filter(lambda e: e[0] != e[1])
        return ends.map(lambda e: (name, min(e), max(e)))

    return st.lists(st.sampled_from(["chr10", "chr2", "chrM", "two"]).flatmap(of), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=regions(), batch_tokens=st.sampled_from([1, 600, 4096]))
def test_regions_hold_exactly_the_values_of_the_whole(folder, fasta, model, wanted, batch_tokens):
    known = folder / f"known{batch_tokens}.bw"
    flags = ("--fasta", fasta, "--model", model, "--decimals", 0, "--batch-tokens", batch_tokens)
    if not known.exists():
        assert run(*flags, "--out", known).exit_code == 0
    bed, out = folder / "wanted.bed", folder / "wanted.bw"
    bed.write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in wanted))
    result = run(*flags, "--regions", bed, "--out", out)
    possible = False
    expected = {}
    for name, sequence in GENOME.items():
        inside = np.zeros(len(sequence), dtype=bool)
        for chrom, start, end in wanted:
            if chrom == name:
                inside[start:end] = True
        expected[name] = np.where(inside, read_values(known, name), np.nan)
        possible |= bool((inside & may_have_value(sequence)).any())
    if not possible:
        assert result.exit_code == 1
        assert "no base can have a value" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    for name in GENOME:
        assert np.array_equal(read_values(out, name), expected[name], equal_nan=True)
    record = json.loads((folder / "wanted.bw.json").read_text())
    assert record["values"] == sum(np.count_nonzero(~np.isnan(v)) for v in expected.values())
    assert record["values"] + sum(record["without_value"].values()) == record["bases"]


def test_merged_regions_are_told(folder, fasta, model):
    (folder / "r.bed").write_text("chr2\t5\t90\nchr10\t5\t9\nchr2\t80\t99\n")
    result = run("--fasta", fasta, "--model", model, "--regions", folder / "r.bed", "--out", folder / "r.bw")
    assert result.exit_code == 0
    assert "r.bed: 1 overlapping or touching regions were merged" in result.stderr
    assert "values on 2 contigs" in result.stderr
    assert json.loads((folder / "r.bw.json").read_text())["regions"] == ["chr10:5-9", "chr2:5-99"]


def spread(lines, lengths):
    """Contig -> values of bedGraph lines."""
    values = {name: np.full(length, np.nan, dtype=np.float32) for name, length in lengths.items()}
    for line in lines:
        chrom, start, end, value = line.split("\t")
        assert np.isnan(values[chrom][int(start) : int(end)]).all(), "a base told twice"
        values[chrom][int(start) : int(end)] = np.float32(value)
    return values


def test_all_formats_say_the_same(whole):
    lengths = {name: len(sequence) for name, sequence in GENOME.items()}
    bigwig = {name: read_values(whole[0], name) for name in GENOME}
    assert same(bigwig, spread(whole[1].read_text().splitlines(), lengths))
    assert gzip.decompress(whole[2].read_bytes()) == whole[1].read_bytes()
    with np.load(whole[3]) as arrays:
        assert same(bigwig, {name: arrays[name] for name in GENOME})


def expected_chunks(values, sequence):
    """Obvious code: a chunk starts at a cut and where a stretch of bases starts, and ends where the next one does."""
    known = vocab.encode(sequence) != vocab.N
    if len(sequence) == 1:
        known[:] = False  # its only base has no value
    if len(sequence) > 1 and not known[1]:
        known[0] = False
    chunks, start = [], None
    for i in range(len(sequence) + 1):
        ends = i == len(sequence) or not known[i]
        if start is not None and (ends or values[i] > 0.5):
            chunks.append((start, i))
            start = None
        if not ends and start is None:
            start = i
    return chunks


def read_chunks(path, name):
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [(int(start), int(end)) for chrom, start, end, *_ in lines if chrom == name]


def test_chunks_tile_and_start_at_cuts(whole):
    for name, sequence in GENOME.items():
        assert read_chunks(whole[4], name) == expected_chunks(read_values(whole[0], name), sequence)


@pytest.mark.skipif(not shutil.which("bedtools"), reason="the bedtools program is not here")
def test_chunks_tile_by_the_word_of_bedtools(folder, whole):
    sizes = folder / "sizes"
    sizes.write_text("".join(f"{name}\t{len(sequence)}\n" for name, sequence in GENOME.items()))

    def bedtools(*args):
        done = subprocess.run(["bedtools", *args, "-i", whole[4]], capture_output=True, text=True, check=True)
        return [(c, int(s), int(e)) for c, s, e in (line.split("\t") for line in done.stdout.splitlines())]

    unknown, covered = [], []
    for name, sequence in GENOME.items():
        runs = re.finditer("(?i)([ACGTU]+)|[NRY]+", sequence)
        for is_unknown, start, end in ((found[1] is None, *found.span()) for found in runs):
            (unknown if is_unknown or len(sequence) == 1 else covered).append((name, start, end))
    assert sorted(bedtools("complement", "-g", sizes)) == sorted(unknown)
    assert bedtools("merge") == covered


@pytest.mark.parametrize("decimals", [1, 2, 4, 7])
def test_rounding_moves_no_value_across_one_half(folder, fasta, model, whole, decimals):
    rounded = track(folder, fasta, model, "--decimals", decimals)
    for name in GENOME:
        exact = read_values(whole[0], name)
        assert np.array_equal(rounded[name] > 0.5, exact > 0.5)
        assert np.nanmax(np.abs(rounded[name] - exact), initial=0) <= 10.0**-decimals


@pytest.mark.parametrize("strand", ["+", "-"])
def test_a_later_stage_has_values_where_chunks_start(folder, fasta, two_stages, strand):
    flags = ("--strand", strand, "--decimals", 0)
    bases = track(folder, fasta, two_stages, *flags)
    bed = folder / "stage1.bed"
    chunks = track(folder, fasta, two_stages, *flags, "--stage", 1, "--out", bed)
    for name, sequence in GENOME.items():
        assert np.array_equal(~np.isnan(chunks[name]), bases[name] > 0.5)
        if len(sequence) > 2:
            assert read_chunks(bed, name) == expected_chunks(chunks[name], sequence)
    assert len(read_chunks(bed, "chr10")) < np.sum(bases["chr10"] > 0.5), "larger chunks than those of stage 0"
    record = json.loads((folder / "t.bw.json").read_text())
    assert record["without_value"]["no chunk of the stage before starts there"] > 0
    assert record["values"] + sum(record["without_value"].values()) == record["bases"]


def test_a_later_stage_that_has_no_value_is_no_empty_file(folder, two_stages):
    fasta = write_fasta(folder / "monotonous.fa", poly="A" * 60)
    flags = ("--stage", 1, "--regions", "poly:20-30")
    result = run("--fasta", fasta, "--model", two_stages, "--out", folder / "none.bed", *flags)
    assert result.exit_code == 1
    assert "no base has a value: --stage 1 has one only where a chunk of the stage before starts" in result.stderr
    assert not (folder / "none.bed").exists()


def test_the_sidecar_tells_how_it_was_made(folder, fasta, model, whole):
    record = json.loads((folder / "whole.bw.json").read_text())
    assert record == json.loads((folder / "whole.bed.json").read_text())
    assert record["model"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert record["fasta"]["name"] == "genome.fa"
    for contig, (name, sequence) in zip(record["fasta"]["contigs"], GENOME.items(), strict=True):
        assert contig["name"] == name
        assert contig["length"] == len(sequence)
        assert contig["md5"] == hashlib.md5(sequence.upper().encode()).hexdigest()
        assert contig["N"] == sequence.count("N")
        assert contig["IUPAC"] == sequence.count("R") + sequence.count("Y")
    assert record["without_value"]["N or IUPAC code"] == sum(sum(map(s.count, "NRY")) for s in GENOME.values())
    assert record["without_value"]["first base of a contig"] == 4, "chr2 starts with N"
    assert record["values"] + sum(record["without_value"].values()) == record["bases"]
    assert record["settings"] == {
        "window_bp": ONE_STAGE.context_bp,
        "halo_bp": 64,
        "strand": "+",
        "stage": 0,
        "dtype": "float32",
        "batch_tokens": 8192,
        "decimals": 0,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "padding": "exact",
    }
    assert record["outputs"] == [str(out) for out in whole]
    assert {"ldarnet", "python", "torch", "numpy", "numba"} <= record["versions"].keys()
    assert record["seconds"] > 0
    assert record["bases_per_second"] > 0
    assert record["started"].startswith("20")


def test_the_summary_line_and_notes(folder, fasta, model):
    result = run("--fasta", fasta, "--model", model, "--out", folder / "s.bw")
    first, second, last = result.stderr.splitlines()
    num_iupac = sum(GENOME["chr2"].count(letter) for letter in "RY")
    assert first == f"genome.fa: {num_iupac} IUPAC codes are read as N"
    assert second.startswith("genome.fa: 5 contigs, 3,140 bases; model tiny, strand +, window 256, halo 64, float32 on")
    assert last.startswith(f"{folder / 's.bw'}: ")
    assert " values on 5 contigs, " in last
    assert result.stdout == ""


def test_of_two_outputs_none_is_replaced_before_both_are_whole(tmp_path, fasta, model, monkeypatch):
    """The disk is full at the end of the second file: the first, which was there before, stays as it was."""
    outs = tmp_path / "x.bw", tmp_path / "x.bedGraph"
    for out in outs:
        out.write_text("old")
    finish = TrackWriter.finish

    def full(writer):
        if isinstance(writer, BedGraphWriter):
            raise OSError(errno.ENOSPC, "No space left on device")
        finish(writer)

    monkeypatch.setattr(TrackWriter, "finish", full)
    done = run("--fasta", fasta, "--model", model, "--out", outs[0], "--out", outs[1])
    assert done.exit_code == 1 and "No space left on device" in done.stderr
    assert [out.read_text() for out in outs] == ["old", "old"]
    assert not list(tmp_path.glob("*.json"))
