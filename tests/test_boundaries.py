"""The track as a library call, and the parts it is made of."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.boundaries import (
    BatchRunner,
    RegionFilter,
    Stretch,
    TrackSettings,
    boundary_track,
    default_settings,
    planned_batches,
)
from ldarnet.checkpoint import random_model
from ldarnet.devices import pick_device
from ldarnet.genome import Interval, open_genome
from ldarnet.tracks import TrackError
from tests.command_line import ONE_STAGE, TWO_STAGES, letters, read_values, run, save_tiny, write_fasta


@pytest.fixture(scope="module")
def model():
    return random_model(ONE_STAGE)


@pytest.fixture
def fasta(tmp_path):
    return write_fasta(tmp_path / "x.fa", a=letters(1, 900), b=letters(2, 500, "ACGTN"), one="A")


def test_the_library_gives_the_values_of_the_command(tmp_path, fasta):
    saved = save_tiny(tmp_path)
    track = boundary_track(fasta, model=saved, decimals=4)
    assert run("--fasta", fasta, "--model", saved, "--out", tmp_path / "command.bw").exit_code == 0
    track.write(tmp_path / "library.bw")
    assert [contig.name for contig in track.contigs] == ["a", "b", "one"]
    for name, length_bp in track.contigs:
        values = track.values(name, 0, length_bp)
        assert values.dtype == np.float32
        assert np.allclose(values, read_values(tmp_path / "command.bw", name), atol=1e-4, equal_nan=True)
        assert np.array_equal(values, read_values(tmp_path / "library.bw", name), equal_nan=True)
    assert track.seconds > 0


def test_values_are_the_callers_own(fasta, model):
    track = boundary_track(fasta, model=model)
    track.values("a", 5, 9)[:] = 7
    assert (track.values("a", 5, 9) < 1).all()


def test_questions_a_track_cannot_answer(fasta, model):
    track = boundary_track(fasta, model=model)
    with pytest.raises(ValueError, match="no contig 'c'; there are a, b, one"):
        track.values("c", 0, 1)
    with pytest.raises(ValueError, match="expected 0 <= start <= end <= 900 in a, got 890, 901"):
        track.values("a", 890, 901)


def test_windows_do_not_show_where_the_halo_holds_all_that_the_model_sees(fasta):
    near = random_model(replace(ONE_STAGE, layout=("t1", ("T1",), "t1"), attention_window=(3, -1)))
    whole = boundary_track(fasta, model=near, window_bp=900, halo_bp=1)
    for window_bp, halo_bp in ((64, 8), (33, 5), (200, 90)):
        pieces = boundary_track(fasta, model=near, window_bp=window_bp, halo_bp=halo_bp)
        for name, length_bp in whole.contigs:
            assert np.allclose(
                pieces.values(name, 0, length_bp), whole.values(name, 0, length_bp), atol=1e-5, equal_nan=True
            )


def test_windows_without_a_base_are_not_computed(tmp_path, model, monkeypatch):
    fasta = write_fasta(tmp_path / "gap.fa", a="ACGT" * 20 + "N" * 3000 + "ACGT" * 20)
    seen = []
    original = type(model).boundaries

    def count(self, ids, valid=None, **options):
        seen.append(ids.numel())
        return original(self, ids, valid, **options)

    monkeypatch.setattr(type(model), "boundaries", count)
    track = boundary_track(fasta, model=model)
    assert np.count_nonzero(~np.isnan(track.values("a", 0, 3160))) == 159
    assert sum(seen) <= 3 * 256


def test_a_batch_gives_its_cores_in_order(fasta, model):
    settings = TrackSettings(window_bp=256, halo_bp=64, batch_tokens=600, strand="both-mean")
    with open_genome(fasta) as genome:
        runner = BatchRunner(model, genome, settings)
        reached = {}
        for batch in planned_batches(genome, settings):
            for chrom, start, values in runner.run(batch):
                assert start == reached.get(chrom, 0)
                assert values.shape[0] == 2
                reached[chrom] = start + values.shape[1]
        assert reached == dict(genome.contigs)


def test_settings_of_no_meaning():
    with pytest.raises(ValueError, match=r"--strand: expected one of \+, -, both-mean, got 'x'"):
        TrackSettings(window_bp=9, halo_bp=1, strand="x")
    with pytest.raises(ValueError, match="--dtype: expected one of float32, bfloat16, got 'float16'"):
        TrackSettings(window_bp=9, halo_bp=1, dtype="float16")
    with pytest.raises(ValueError, match="expected 0 or more, got -1 and 0"):
        TrackSettings(window_bp=9, halo_bp=1, decimals=-1)


def test_default_settings(model):
    assert default_settings(model) == (256, 64)
    assert default_settings(model, window_bp=2) == (2, 1)
    assert default_settings(model, halo_bp=3) == (256, 3)
    assert default_settings(model, window_bp=100, halo_bp=7) == (100, 7)


def test_a_stage_the_model_does_not_have(fasta):
    settings = TrackSettings(window_bp=256, halo_bp=64, stage=2)
    with open_genome(fasta) as genome, pytest.raises(ValueError, match="--stage 2: the model has 2 stages, counted"):
        BatchRunner(random_model(TWO_STAGES), genome, settings)


def test_devices_that_are_not_there():
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("gpu", "meta", "cuda:x", ""):
        with pytest.raises(ValueError, match=f"--device: expected auto, cpu, cuda, cuda:N or mps, got '{name}'"):
            pick_device(name)
    with pytest.raises(ValueError, match=r"--device cuda:99: \d+ CUDA devices are available here"):
        pick_device("cuda:99")


def test_too_little_memory_on_a_gpu_names_the_flag(fasta, model, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(model), "boundaries", full)
    with pytest.raises(ValueError, match="--batch-tokens 8192: too many for the memory of cpu, try half"):
        boundary_track(fasta, model=model)


spans = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 6)), min_size=1, max_size=6)


@given(spans, st.sampled_from("abc"), st.integers(0, 30), st.integers(1, 12))
def test_a_region_filter_keeps_what_regions_cover(spans, chrom, start, length):
    covered = {(name, first + i) for name, first, size in spans for i in range(size)}
    merged = []
    for name in "ab":
        for base in sorted(b for n, b in covered if n == name):
            if merged and merged[-1].chrom == name and merged[-1].end == base:
                merged[-1] = merged[-1]._replace(end=base + 1)
            else:
                merged.append(Interval(name, base, base + 1))
    values = np.arange(start, start + length, dtype=np.float32)
    parts = list(RegionFilter(merged).parts(Stretch(chrom, start, values[None])))
    kept = [int(v) for part in parts for v in part.values[0]]
    assert kept == [base for base in range(start, start + length) if (chrom, base) in covered]
    assert all(part.values[0, 0] == part.start and part.chrom == chrom for part in parts)


def test_without_regions_everything_is_kept():
    stretch = Stretch("a", 3, np.ones((1, 4), np.float32))
    assert list(RegionFilter(None).parts(stretch)) == [stretch]


def test_tracks_that_do_not_show_the_cuts_are_not_written_as_chunks(fasta, tmp_path):
    model = random_model(replace(ONE_STAGE, cuts="fixed", cut_every=4, cut_prob="router"))
    track = boundary_track(fasta, model=model)
    with pytest.raises(TrackError, match=r"x\.bed: the model cuts by a rule whatever its router's probability"):
        track.write(tmp_path / "x.bed")
    with pytest.raises(TrackError, match="does not say where chunks start"):
        track.write(tmp_path / "x.txt", format="bed")
    track.write(tmp_path / "x.bw")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.bw", "x.fa"]


def test_chunks_of_the_library_are_those_of_the_command(tmp_path, fasta):
    saved = save_tiny(tmp_path, TWO_STAGES)
    track = boundary_track(fasta, model=saved, decimals=4, strand="-")
    flags = ("--fasta", fasta, "--model", saved, "--strand", "-")
    assert run(*flags, "--out", tmp_path / "command.bed").exit_code == 0
    track.write(tmp_path / "library.bed")
    assert (tmp_path / "library.bed").read_bytes() == (tmp_path / "command.bed").read_bytes()
    later = boundary_track(fasta, model=saved, stage=1)
    with pytest.raises(TrackError, match=r"x\.bed: a track of stage 1 has no values inside chunks"):
        later.write(tmp_path / "x.bed")
