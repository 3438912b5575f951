"""Cross-fitted k-mer expectations, the residual track, and what is refused."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome import Contig, Interval
from ldarnet.tracks import TrackError, open_track, open_writer
from ldarnet_analysis import covered_blocks, kmer_sums, residual
from ldarnet_analysis.crossfit import cross_fit
from ldarnet_analysis.folds import deal_folds
from ldarnet_analysis.kmer_cells import KmerLevels
from ldarnet_analysis.kmer_sums import KmerSums, merged, sum_track
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.residual import write_residual
from tests.array_tracks import ArrayTrack, noise_track, planted_4mer, track_of, whole
from tests.genome_arrays import genome_of, random_ids

NAN = np.float32("nan")


@pytest.fixture(scope="module")
def ten_contigs():
    genome = genome_of({f"c{i}": random_ids(400 + 100 * i, i, n_share=0.01) for i in range(10)})
    return SimpleNamespace(genome=genome, track=track_of(genome, planted_4mer, noise=0.2))


def test_a_contig_has_no_say_in_what_is_expected_of_it(ten_contigs):
    genome, track = ten_contigs.genome, ten_contigs.track
    fitted = cross_fit(track, genome, ks=(2, 4), num_folds=4)
    assert fitted.folds.by == "contigs"
    rng = np.random.default_rng(0)
    for contig in genome.contigs:
        span = np.flatnonzero(~np.isnan(track.arrays[contig.name]))
        changed = cross_fit(track.changed(contig.name, span, rng.random(span.size) * 9), genome, ks=(2, 4), num_folds=4)
        same = {
            each.name
            for each in genome.contigs
            if np.array_equal(*(fit.expected_at(genome, each, 0, each.length_bp) for fit in (fitted, changed)))
        }
        fold = fitted.fold_of_block[contig.name][0]
        assert same == {name for name, folds in fitted.fold_of_block.items() if folds[0] == fold}
        assert contig.name in same
        assert len(same) < 5


def test_a_block_and_its_guard_have_no_say_in_what_is_expected_of_it():
    genome = genome_of({"a": random_ids(50, 1), "b": random_ids(4000, 2)})
    track = track_of(genome, planted_4mer, noise=0.2)
    fitted = cross_fit(track, genome, ks=(2, 4), guard_bp=7)
    folds = fitted.folds
    assert (folds.by, folds.block_bp, folds.guard_bp) == ("blocks", 202, 7)
    contig = genome.contigs[1]
    wanted = fitted.expected_at(genome, contig, 0, 4000)
    block = slice(5 * 202, 6 * 202)

    def changed_at(start, end):
        other = track.changed("b", slice(start, end), np.random.default_rng(1).random(end - start) * 9)
        return cross_fit(other, genome, ks=(2, 4), guard_bp=7).expected_at(genome, contig, 0, 4000)

    silent = changed_at(block.start - 7, block.stop + 7)
    np.testing.assert_array_equal(silent[block], wanted[block])
    assert not np.array_equal(silent, wanted)
    for start in (block.start - 8, block.stop + 7):
        assert not np.array_equal(changed_at(start, start + 1)[block], wanted[block])


def test_the_r2_of_a_cross_fit_is_that_of_its_own_expectations(ten_contigs):
    genome, track = ten_contigs.genome, ten_contigs.track
    fitted = cross_fit(track, genome, ks=(2, 4))
    values = np.concatenate([track.arrays[contig.name] for contig in genome.contigs]).astype(np.float64)
    known = ~np.isnan(values)
    for row in fitted.r2.itertuples():
        expected = np.concatenate(
            [fitted.expected_at(genome, contig, 0, contig.length_bp, row.k) for contig in genome.contigs]
        )
        error = ((values - expected)[known] ** 2).sum()
        assert row.r2 == pytest.approx(1 - error / (known.sum() * values[known].var()), abs=1e-6)
        assert row.num_positions == known.sum()
    assert fitted.r2["r2"].is_monotonic_increasing


@given(st.lists(st.integers(1, 400), min_size=3, max_size=30), st.integers(3, 12))
@settings(deadline=None, max_examples=50)
def test_contigs_are_dealt_whole_and_evenly(lengths, num_folds):
    track = ArrayTrack({f"c{i}": np.ones(length) for i, length in enumerate(lengths)})
    covered = covered_blocks.covered_blocks(track, [Interval(name, 0, length) for name, length in track.contigs])
    folds = deal_folds(covered, "contigs", num_folds, 1000)
    chroms = [{block.interval.chrom for block in fold} for fold in folds.blocks]
    assert sum(map(len, chroms)) == len(set().union(*chroms)) == len(lengths)
    assert len(chroms) == min(num_folds, len(lengths))
    totals = [sum(lengths[int(chrom[1:])] for chrom in fold) for fold in chroms]
    assert max(totals) - min(totals) <= max(lengths)
    assert [interval for fold in range(len(chroms)) for interval in folds.fitted(fold)] == [
        block.interval for fold in folds.blocks for block in fold
    ]
    auto = deal_folds(covered, "auto", num_folds, 1000).by
    assert auto == ("contigs" if 3 * max(lengths) <= sum(lengths) else "blocks")


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=8), st.integers(1, 70))
@settings(deadline=None)
def test_blocks_hold_every_value_once(runs, longest_bp):
    values = np.concatenate([np.full(length, 1.0 if has_value else math.nan) for length, has_value in runs])
    track = ArrayTrack({"a": values, "b": np.ones(1)})
    regions = [Interval("a", 0, values.size), Interval("b", 0, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covered_blocks, "LONGEST_BLOCK_BP", longest_bp)
        blocks, block_bp = covered_blocks.covered_blocks(track, regions)
    assert block_bp <= longest_bp
    held = np.zeros(values.size)
    for (chrom, start, end), number, num_values in blocks:
        here = track.values(chrom, start, end)
        assert number * block_bp <= start < end <= (number + 1) * block_bp
        assert not np.isnan(here[[0, -1]]).any()
        assert num_values == np.count_nonzero(~np.isnan(here))
        if chrom == "a":
            held[start:end] += 1
    assert held.max(initial=0) <= 1
    assert (held[~np.isnan(values)] == 1).all()
    assert blocks[-1].interval == ("b", 0, 1)


def test_it_is_told_what_was_fitted_on_what(ten_contigs):
    genome, track = ten_contigs.genome, ten_contigs.track
    lookup = KmerLookup.fit(track, genome, [Interval("c3", 100, 300), Interval("c1", 50, 500)], ks=(2, 4))
    told = lookup.provenance()
    assert json.loads(json.dumps(told)) == told
    assert (told["genome"], told["track"], told["ks"]) == ("arrays", "ArrayTrack", [2, 4])
    assert [chrom for chrom, _, _ in told["fitted_on"]] == sorted(chrom for chrom, _, _ in told["fitted_on"])
    assert sum(np.count_nonzero(~np.isnan(track.values(*each))) for each in told["fitted_on"]) == told["num_values"]
    assert {each[0]: None for each in told["fitted_on"]} == {"c1": None, "c3": None}
    assert min(start for chrom, start, _ in told["fitted_on"] if chrom == "c1") >= 50

    fitted = cross_fit(track, genome, ks=(2, 4), num_folds=3)
    told = fitted.provenance()
    assert json.loads(json.dumps(told)) == told
    assert (told["by"], told["guard_bp"]) == ("contigs", 0)
    assert sorted(name for fold in told["folds"] for name in fold["predicts"]) == sorted(track.arrays)
    for fold, lookup in zip(told["folds"], fitted.lookups, strict=True):
        assert not {interval.chrom for interval in lookup.fitted_on} & set(fold["predicts"])
        assert fitted.lookup_at(fold["predicts"][0], 0) is lookup
    by_blocks = cross_fit(track, genome, ks=(2, 4), by="blocks").provenance()
    assert by_blocks["folds"][0]["predicts"][0][0] == "c0"
    assert json.loads(json.dumps(by_blocks)) == by_blocks


def test_however_it_is_read_the_file_is_the_same(tmp_path, monkeypatch, ten_contigs):
    genome = ten_contigs.genome
    track = noise_track(genome, 3, share_without_value=0.01)
    assert not np.isnan(track.arrays["c6"][37 * 27 :]).any(), "the one base of the last piece has a value"
    lookup = KmerLookup.fit(track, genome, [Interval("c9", 0, 1300)], ks=(2, 4))
    write_residual(track, genome, lookup, tmp_path / "whole.bw")
    monkeypatch.setattr(residual, "READ_BP", 37)
    monkeypatch.setattr(kmer_sums, "READ_BP", 37)
    again = KmerLookup.fit(track, genome, [Interval("c9", 0, 1300)], ks=(2, 4))
    np.testing.assert_allclose(again.means, lookup.means, atol=1e-7)
    for name in ("pieces.bw", "pieces.bedGraph.gz", "pieces.npz"):
        write_residual(track, genome, lookup, tmp_path / name)
    assert (tmp_path / "pieces.bw").read_bytes() == (tmp_path / "whole.bw").read_bytes()
    with open_track(tmp_path / "whole.bw") as one, open_track(tmp_path / "pieces.bedGraph.gz") as two:
        for name, length_bp in two.contigs:
            np.testing.assert_array_equal(one.values(name, 0, length_bp), two.values(name, 0, length_bp))
        wanted = track.arrays["c5"] - lookup.expected(genome.ids("c5", 0, 900))
        np.testing.assert_array_equal(one.values("c5", 0, 900), wanted)


def test_a_bedgraph_may_end_before_its_contigs_do(tmp_path, ten_contigs):
    genome = ten_contigs.genome
    with open_writer(tmp_path / "part.bedGraph", genome.contigs) as writer:
        writer.write("c2", 10, ten_contigs.track.arrays["c2"][10:310])
        writer.commit()
    with open_track(tmp_path / "part.bedGraph") as track:
        lookup = KmerLookup.fit(track, genome, [Interval("c2", 0, 600)], ks=(2,))
        assert lookup.fitted_on[0].start >= 10
        assert lookup.fitted_on[-1].end <= 310
        write_residual(track, genome, lookup, tmp_path / "residual.bw")
    with open_track(tmp_path / "residual.bw") as found:
        assert found.contigs == (Contig("c2", 600),)
        has_value = ~np.isnan(found.values("c2", 0, 600))
    assert has_value[11:300].sum() > 250
    assert not has_value[310:].any()


def test_contigs_that_the_genome_lacks_are_told(tmp_path, ten_contigs):
    genome = genome_of({"c1": ten_contigs.genome.ids("c1", 0, 500)})
    lookup = KmerLookup.fit(ten_contigs.track, genome, ks=(2,))
    written = write_residual(ten_contigs.track, genome, lookup, tmp_path / "residual.bw")
    assert written.left_out == tuple(name for name in ten_contigs.track.arrays if name != "c1")
    with open_track(tmp_path / "residual.bw") as found:
        values = found.values("c1", 0, 500)
        assert written.mean == pytest.approx(np.nanmean(values), abs=1e-7)
        assert written.num_values == np.count_nonzero(~np.isnan(values))
        assert list(found.contigs) == ten_contigs.track.contigs
        assert np.isnan(found.values("c2", 0, 600)).all()


def test_a_track_of_another_assembly(tmp_path, ten_contigs):
    other = genome_of({"c0": random_ids(399, 0), "c1": random_ids(500, 1)})
    for work in (
        lambda: KmerLookup.fit(ten_contigs.track, other),
        lambda: cross_fit(ten_contigs.track, other),
        lambda: write_residual(ten_contigs.track, other, None, tmp_path / "residual.bw"),
    ):
        with pytest.raises(ValueError, match="differ in length: c0"):
            work()
    with pytest.raises(ValueError, match=r"share no contig: the track has c0, .*FASTA chr1"):
        KmerLookup.fit(ten_contigs.track, genome_of({"chr1": "ACGT"}))
    assert not list(tmp_path.iterdir())


def test_regions_that_cannot_be_fitted_or_tried(ten_contigs):
    genome, track = ten_contigs.genome, ten_contigs.track
    with pytest.raises(ValueError, match=r"do not share: chr7; they share c0, c1"):
        KmerLookup.fit(track, genome, [Interval("c1", 0, 9), Interval("chr7", 0, 9)])
    with pytest.raises(ValueError, match=r"expected 0 <= start < end <= 500 in c1, got region 0-501"):
        KmerLookup.fit(track, genome, [Interval("c1", 0, 501)])
    with pytest.raises(ValueError, match="at least one region"):
        KmerLookup.fit(track, genome, [])
    with pytest.raises(ValueError, match="no base of c1:0-1 has a value"):
        KmerLookup.fit(track, genome, [Interval("c1", 0, 1)])
    lookup = KmerLookup.fit(track, genome, [Interval("c1", 0, 400)], ks=(2,))
    last = lookup.fitted_on[-1].end
    with pytest.raises(ValueError, match="apart from those fitted, got 3 bp shared"):
        lookup.r2(track, genome, [Interval("c2", 0, 100), Interval("c1", last - 3, 500)])
    assert len(lookup.r2(track, genome, [Interval("c1", last, 500)])) == 1
    with pytest.raises(ValueError, match="no base of c2:0-1 has a value"):
        lookup.r2(track, genome, [Interval("c2", 0, 1)])


def test_a_contig_of_the_same_name_in_another_genome_is_held_out(ten_contigs):
    lookup = KmerLookup.fit(ten_contigs.track, ten_contigs.genome, ks=(2, 4))
    other = genome_of({"c1": random_ids(900, 7)})
    assert lookup.r2(track_of(other, planted_4mer), other, [Interval("c1", 0, 900)])["r2"].iloc[1] > 0.5


def test_a_track_that_never_changes_has_no_r2(ten_contigs):
    track = ArrayTrack({name: np.full(length_bp, 0.3) for name, length_bp in ten_contigs.genome.contigs})
    assert cross_fit(track, ten_contigs.genome, ks=(2, 4)).r2["r2"].isna().all()


@pytest.mark.parametrize("ks", [(), (3,), (0, 2), (4, 2), (2, 2), (14,)])
def test_depths_that_make_no_levels(ks):
    with pytest.raises(ValueError, match="expected even k from 2 to 12"):
        KmerLevels(ks)


def test_a_k_that_was_not_fitted(ten_contigs):
    lookup = KmerLookup.fit(ten_contigs.track, ten_contigs.genome, ks=(2, 4))
    with pytest.raises(ValueError, match="expected k out of 2, 4, got 6"):
        lookup.expected(random_ids(9, 0), 6)


def test_infinite_values(ten_contigs):
    track = ten_contigs.track.changed("c4", 200, np.inf)
    with pytest.raises(ValueError, match=r"expected finite values in c4:\d+-\d+"):
        KmerLookup.fit(track, ten_contigs.genome, ks=(2,))


def test_too_little_to_cross_fit(ten_contigs):
    genome, track = ten_contigs.genome, ten_contigs.track
    with pytest.raises(ValueError, match="at least 3 folds and a guard >= 0 bp, got 2 and 1000"):
        cross_fit(track, genome, num_folds=2)
    two = ArrayTrack({name: track.arrays[name] for name in ("c1", "c2")})
    with pytest.raises(ValueError, match="at least 3 contigs to cross-fit, got 2"):
        cross_fit(two, genome, by="contigs")
    assert cross_fit(two, genome, ks=(2,)).folds.by == "blocks"
    empty = ArrayTrack({"c1": np.full(500, NAN)})
    with pytest.raises(ValueError, match="no base of c1:0-500 has a value"):
        cross_fit(empty, genome)
    with pytest.raises(ValueError, match="at least 3 blocks to cross-fit, got 1"):
        cross_fit(empty.changed("c1", 9, 0.5), genome)


def test_a_residual_needs_an_expectation_of_every_value(tmp_path, ten_contigs):
    genome, track = ten_contigs.genome, ten_contigs.track
    half = {name: np.where(np.arange(array.size) < 300, array, NAN) for name, array in track.arrays.items()}
    by_blocks = cross_fit(ArrayTrack(half), genome, ks=(2,), by="blocks")
    with pytest.raises(ValueError, match=r"values in c\d:0-\d+ have no expected value; .*cross-fitted on"):
        write_residual(track, genome, by_blocks, tmp_path / "residual.bw")
    some = ArrayTrack({name: array if name != "c2" else np.full(600, NAN) for name, array in half.items()})
    by_contigs = cross_fit(some, genome, ks=(2,))
    with pytest.raises(ValueError, match="no look-up answers for contig 'c2'"):
        write_residual(track, genome, by_contigs, tmp_path / "residual.bw")
    with pytest.raises(ValueError, match="no look-up answers for c9:1299"):
        by_blocks.lookup_at("c9", 1299)
    assert not list(tmp_path.iterdir())


def test_where_a_residual_cannot_be_written(tmp_path, ten_contigs):
    genome = ten_contigs.genome
    lookup = KmerLookup.fit(ten_contigs.track, genome, ks=(2,))
    with pytest.raises(ValueError, match="BED holds chunks"):
        write_residual(ten_contigs.track, genome, lookup, tmp_path / "residual.bed")
    with pytest.raises(TrackError, match="does not exist"):
        write_residual(ten_contigs.track, genome, lookup, tmp_path / "nowhere" / "residual.bw")
    path = tmp_path / "track.npz"
    write_residual(ten_contigs.track, genome, lookup, path)
    before = path.read_bytes()
    with open_track(path) as track, pytest.raises(ValueError, match="expected another file than the track"):
        write_residual(track, genome, lookup, path)
    assert path.read_bytes() == before


def test_sums_of_parts_are_the_sums_of_the_whole(ten_contigs):
    genome, track, levels = ten_contigs.genome, ten_contigs.track, KmerLevels((2, 6))
    parts = [sum_track(track, genome, [region], levels) for region in whole(genome)]
    together = merged(parts, levels)
    at_once = sum_track(track, genome, whole(genome), levels)
    np.testing.assert_array_equal(together.cells.num, at_once.cells.num)
    np.testing.assert_allclose(together.cells.total, at_once.cells.total)
    assert together.squares == pytest.approx(at_once.squares)
    assert merged([], levels).num_values == KmerSums(levels).num_values == 0
