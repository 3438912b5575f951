"""Genomes of odd sizes: one base, many scaffolds, long contigs in little memory."""

from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from ldarnet.config import ModelConfig
from tests.command_line import letters, read_values, run, save_tiny, spawn, write_fasta

SMALLEST = ModelConfig(
    layout=("m1", ("M1",), "m1"),
    d_model=(16, 16),
    d_intermediate=(0, 32),
    num_heads=(1, 1),
    rotary_dim=(16, 16),
    attention_window=(63, -1),
    d_state=16,
    head_dim=32,
    context_bp=512,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"), SMALLEST)


def test_a_contig_of_one_base_among_others(tmp_path, model):
    fasta = write_fasta(tmp_path / "x.fa", first="A", long=letters(1, 600), n="N", last="G")
    result = run("--fasta", fasta, "--model", model, "--out", tmp_path / "x.bw")
    assert result.exit_code == 0, result.stderr
    with pyBigWig.open(str(tmp_path / "x.bw")) as track:
        assert dict(track.chroms()) == {"first": 1, "long": 600, "n": 1, "last": 1}
    assert np.isnan(read_values(tmp_path / "x.bw", "first")).all()
    assert np.count_nonzero(~np.isnan(read_values(tmp_path / "x.bw", "long"))) == 599


@pytest.mark.parametrize("num_scaffolds", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_many_scaffolds(tmp_path, model, num_scaffolds):
    sequences = [letters(seed, 200) for seed in range(40)]
    fasta = tmp_path / "x.fa"
    fasta.write_text("".join(f">scaffold_{i}\n{sequences[i % 40]}\n" for i in range(num_scaffolds)))
    result = run("--fasta", fasta, "--model", model, "--out", tmp_path / "x.bw", "--batch-tokens", 65_536)
    assert result.exit_code == 0, result.stderr
    assert f"{199 * num_scaffolds:,} values on {num_scaffolds:,} contigs" in result.stderr
    with pyBigWig.open(str(tmp_path / "x.bw")) as track:
        assert list(track.chroms()) == [f"scaffold_{i}" for i in range(num_scaffolds)]
    last = num_scaffolds - 1
    mine = read_values(tmp_path / "x.bw", f"scaffold_{last}")
    assert np.array_equal(mine, read_values(tmp_path / "x.bw", f"scaffold_{last % 40}"), equal_nan=True)


_INSTANT_MODEL = """
import torch
from ldarnet.model import LDARNet
from ldarnet.model.ldarnet import Boundaries
from ldarnet.model.router import Routing

def boundaries(self, ids, valid=None, *, max_stages=None, span=None):
    prob = torch.frac(ids.float().cumsum(1) * 0.0379)
    return Boundaries((Routing(prob, prob > 0.5, valid),))

LDARNet.boundaries = boundaries

import atexit, re
peak = lambda: re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
atexit.register(lambda: print(peak()))
"""


def peak_bytes(tmp_path, model, num_bases):
    """Peak memory of a run on one contig; reading, planning, journal and bigWig are real, the model is instant.

    The process tells it itself: what a parent gets by getrusage also holds the parent's own memory at the fork.
    """
    fasta = tmp_path / f"{num_bases}.fa"
    lines = np.full((num_bases // 80, 81), ord("\n"), dtype=np.uint8)
    lines[:, :80] = np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(0).integers(0, 4, (len(lines), 80))]
    fasta.write_bytes(b">long\n" + lines.tobytes())
    flags = ("--model", model, "--window", 16_384, "--halo", 64, "--batch-tokens", 65_536)
    process = spawn("--fasta", fasta, "--out", tmp_path / f"{num_bases}.bw", *flags, prelude=_INSTANT_MODEL)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()
    return 1024 * int(printed)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here to read the peak from")
@pytest.mark.slow
def test_a_long_contig_needs_little_more_memory_than_a_short_one(tmp_path, model):
    short, long = (peak_bytes(tmp_path, model, num_bases) for num_bases in (2_000_000, 40_000_000))
    assert long - short < 60e6
