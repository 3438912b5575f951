"""Segmenters: where grids, tokenizers, entropy, chance, annotation, tracks and chunks cut."""

import itertools
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Contig, Interval, open_genome
from ldarnet.tracks import open_writer
from ldarnet_analysis.compare_axis import common_axis, read_values
from ldarnet_analysis.compare_cuts import cuts_on_axis
from ldarnet_analysis.segment_annotation import annotated_cuts, exon_edges
from ldarnet_analysis.segment_bpe import BpeTokens, train_bpe
from ldarnet_analysis.segment_entropy import EntropyPatches, fit_entropy
from ldarnet_analysis.segment_rules import FixedGrid, KmerTokens, RandomCuts
from ldarnet_analysis.segment_specs import parse_segmenter, parse_track
from ldarnet_analysis.segment_tracks import open_segmenter

LENGTH_BP = 9_000


def write_genome(folder, *sequences):
    path = folder / "g.fa"
    path.write_text("".join(f">c{number}\n{letters}\n" for number, letters in enumerate(sequences, start=1)))
    return path


def random_letters(length_bp, seed=0, letters="ACGT"):
    return "".join(np.random.default_rng(seed).choice(list(letters), length_bp))


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Two contigs, the first with N at its start, end, and inside."""
    letters = random_letters(LENGTH_BP)
    gapped = f"NN{letters[2:3000]}NNNNN{letters[3005:5000]}N{letters[5001:-1]}N"
    path = write_genome(tmp_path_factory.mktemp("genome"), gapped, random_letters(LENGTH_BP, seed=1))
    with open_genome(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def segmenters(genome):
    pytest.importorskip("tokenizers")
    whole = [Interval("c2", 0, LENGTH_BP)]
    edges = pd.DataFrame({"chrom": ["c1"], "exons": [np.array([[100, 200], [400, 900]])], "cds_start": [150.0]})
    return [
        FixedGrid(genome, 7),
        KmerTokens(genome, 6),
        RandomCuts(genome, 3),
        BpeTokens(genome, train_bpe(genome, whole, 24), 24),
        EntropyPatches(genome, fit_entropy(genome, whole, 4)),
        annotated_cuts(genome, "exon", edges.assign(cds_end=700.0), pd.DataFrame()),
    ]


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, LENGTH_BP - 1), size=st.integers(1, 900), number=st.integers(0, 5))
def test_a_value_does_not_depend_on_where_a_stretch_begins(segmenters, genome, start, size, number):
    end = min(start + size, LENGTH_BP)
    whole = segmenters[number].values("c1", 0, LENGTH_BP)
    np.testing.assert_array_equal(segmenters[number].values("c1", start, end), whole[start:end])


def test_n_and_the_first_base_have_no_value_and_all_others_one(segmenters, genome):
    for segmenter in segmenters:
        for chrom in ("c1", "c2"):
            values = segmenter.values(chrom, 0, LENGTH_BP)
            unknown = genome.ids(chrom, 0, LENGTH_BP) == vocab.N
            unknown[0] = True
            np.testing.assert_array_equal(np.isnan(values), unknown, err_msg=segmenter.name)


def cuts_of(segmenter, length_bp, chrom="c1"):
    return np.flatnonzero(segmenter.values(chrom, 0, length_bp) > 0.5).tolist()


def test_grid_counts_from_the_contig_and_kmers_from_each_run(tmp_path):
    with open_genome(write_genome(tmp_path, "ACGTACGTNNACGTA")) as genome:
        assert cuts_of(FixedGrid(genome, 4), 15) == [4, 12]
        # 3 + 3, the rest as single bases; then N; then 3 and a rest of two
        assert cuts_of(KmerTokens(genome, 3), 15) == [3, 6, 7, 10, 13, 14]


def test_bpe_tokens_are_those_of_the_whole_sequence(tmp_path):
    pytest.importorskip("tokenizers")
    letters = random_letters(30_000, seed=4)
    with open_genome(write_genome(tmp_path, letters)) as genome:
        tokenizer = train_bpe(genome, [Interval("c1", 0, 20_000)], 64)
        segmenter = BpeTokens(genome, tokenizer, 64)
        assert tokenizer.get_vocab_size() == 64 and segmenter.longest_bp > 2
        cuts = [0, *cuts_of(segmenter, len(letters)), len(letters)]
        tokens = [letters[low:high] for low, high in itertools.pairwise(cuts)]
        assert tokens == tokenizer.encode(letters).tokens
        again = train_bpe(genome, [Interval("c1", 0, 20_000)], 64)
        assert again.get_vocab() == tokenizer.get_vocab()
        with pytest.raises(ValueError, match="train regions are too short"):
            train_bpe(genome, [Interval("c1", 0, 300)], 4096)


def test_without_the_library_bpe_says_what_to_install(genome, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match="pip install tokenizers"):
        train_bpe(genome, [Interval("c2", 0, 5000)], 24)


def test_entropy_is_low_where_the_next_base_is_known(tmp_path):
    """Behind A stands C; behind every other base anything."""
    rng = np.random.default_rng(2)
    letters = []
    while len(letters) < 20_000:
        letters.append("C" if letters and letters[-1] == "A" else rng.choice(list("ACGT")))
    text = "".join(letters)
    with open_genome(write_genome(tmp_path, text)) as genome:
        model = fit_entropy(genome, [Interval("c1", 0, 10_000)], 1)
        values = EntropyPatches(genome, model).values("c1", 0, 20_000)
    behind_a = np.array([False, *(letter == "A" for letter in text[:-1])])
    assert values[behind_a].max() < 0.05 < 1.9 < np.nanmin(values[~behind_a])
    # exact: counts of the train part, shrunk towards those of no context, and these towards a quarter each
    counts = np.zeros((4, 4))
    ids = vocab.encode(text[:10_000])
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    shares = (counts.sum(axis=0) + 1) / (counts.sum() + 4)
    shares = (counts + 4 * shares) / (counts.sum(axis=1, keepdims=True) + 4)
    entropy = -(shares * np.log2(shares)).sum(axis=1)
    np.testing.assert_allclose(values[1:], entropy[vocab.encode(text)[:-1]], rtol=1e-5)


def test_entropy_uses_shorter_contexts_behind_n(tmp_path):
    with open_genome(write_genome(tmp_path, random_letters(4000, seed=6), "ACNGT" * 10)) as genome:
        model = fit_entropy(genome, [Interval("c1", 0, 4000)], 3)
        values = EntropyPatches(genome, model).values("c2", 0, 50)
    assert values[3] == model.tables[0][0]
    assert values[4] == model.tables[1][vocab.G]
    assert values[5] == model.tables[2][4 * vocab.G + vocab.T]
    assert values[6] == model.tables[3][16 * vocab.G + 4 * vocab.T + vocab.A]


def test_random_places_are_uniform_and_change_with_the_seed(genome):
    values = RandomCuts(genome, 1).values("c2", 1, LENGTH_BP)
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.05
    assert (values != RandomCuts(genome, 2).values("c2", 1, LENGTH_BP)).mean() > 0.99
    assert (values != RandomCuts(genome, 1).values("c1", 1, LENGTH_BP)).mean() > 0.99


def test_annotation_cuts_at_edges_but_not_at_ends_of_contigs(genome):
    table = pd.DataFrame({"chrom": ["c2", "c2"], "cds_start": [40.0, np.nan], "cds_end": [210.0, np.nan]})
    table["exons"] = [np.array([[0, 50], [100, 300]]), np.array([[500, LENGTH_BP]])]
    assert exon_edges(table, coding=True)["c2"].tolist() == [40, 50, 100, 210]
    assert cuts_of(annotated_cuts(genome, "exon", table, pd.DataFrame()), LENGTH_BP, "c2") == [50, 100, 300, 500]
    sites = pd.DataFrame({"chrom": ["c2", "c2"], "cut": [77, 78]})
    assert cuts_of(annotated_cuts(genome, "site", None, sites), LENGTH_BP, "c2") == [77, 78]
    with pytest.raises(ValueError, match="no CDS edges"):
        annotated_cuts(genome, "CDS", table.assign(cds_start=np.nan), sites)


def write_track(path, genome, seed=0, gap=None):
    rng = np.random.default_rng(seed)
    with open_writer(path, genome.contigs) as writer:
        for chrom, length_bp in genome.contigs:
            values = rng.random(length_bp).astype(np.float32)
            values[genome.ids(chrom, 0, length_bp) == vocab.N] = np.nan
            values[0] = np.nan
            if gap:
                values[slice(*gap)] = np.nan
            writer.write(chrom, 0, values)
        writer.commit()
    return path


def test_chunks_of_a_track_are_its_cuts(genome, tmp_path):
    names = ("track.npz", "chunks.bed")
    track, chunks = (open_segmenter("x", write_track(tmp_path / name, genome), genome) for name in names)
    regions = [Interval("c1", 0, LENGTH_BP), Interval("c2", 10, 5000)]
    axis, _ = common_axis(genome, regions, [track, chunks])
    assert axis.size > 13_000
    np.testing.assert_array_equal(cuts_on_axis(axis, track, 0).own, cuts_on_axis(axis, chunks, 0).own)
    assert cuts_on_axis(axis, chunks, 0).scores is None
    piece = chunks.values("c1", 4000, 4100)
    np.testing.assert_array_equal(piece, chunks.values("c1", 0, LENGTH_BP)[4000:4100])


def test_a_stage_track_has_no_cut_where_it_has_no_value(genome, tmp_path):
    path = tmp_path / "stage1.npz"
    values = {name: np.full(length_bp, np.nan, dtype=np.float32) for name, length_bp in genome.contigs}
    values["c2"][100:4000:5] = np.linspace(0.1, 0.9, 780, dtype=np.float32)
    np.savez(path, **values)
    dense = open_segmenter("dense", path, genome)
    stage = open_segmenter("stage", path, genome, is_stage=True)
    regions = [Interval("c2", 0, LENGTH_BP)]
    axis, _ = common_axis(genome, regions, [stage])
    assert axis.numbers[[0, -1]].tolist() == [axis.line.offsets[1] + 100, axis.line.offsets[1] + 3995]
    assert axis.size == 3896
    cuts = cuts_on_axis(axis, stage, 0)
    assert np.count_nonzero(cuts.own) == 390 and cuts.at_rate(0.15).cuts.sum() == round(0.15 * axis.size)
    with pytest.raises(ValueError, match=r"places for 0\.2002 cuts per base"):
        cuts.at_rate(0.3)
    with pytest.raises(ValueError, match=r"nothing to compare in c1:.*dense 0"):
        common_axis(genome, [Interval("c1", 0, LENGTH_BP)], [dense])
    # the record beside a track says which stage it is
    (tmp_path / "stage1.npz.json").write_text('{"settings": {"stage": 1}}')
    assert open_segmenter("x", path, genome).is_sparse and not dense.is_sparse


def test_a_track_of_another_genome_is_refused(genome, tmp_path):
    with open_writer(tmp_path / "other.npz", [Contig("c1", 50)]) as writer:
        writer.write("c1", 0, np.ones(50, dtype=np.float32))
        writer.commit()
    with pytest.raises(ValueError, match=r"c1 \(50 bp in the track"):
        open_segmenter("x", tmp_path / "other.npz", genome)
    (tmp_path / "overlapping.bed").write_text("c1\t5\t20\nc1\t19\t30\n")
    with pytest.raises(ValueError, match="do not overlap, got one at c1:19-30"):
        open_segmenter("x", tmp_path / "overlapping.bed", genome)
    (tmp_path / "elsewhere.bed").write_text("z\t5\t20\n")
    with pytest.raises(ValueError, match="none of its contigs"):
        open_segmenter("x", tmp_path / "elsewhere.bed", genome)


def test_values_are_read_at_the_compared_cuts(genome, tmp_path):
    track = open_segmenter("x", write_track(tmp_path / "t.npz", genome, gap=(600, 640)), genome)
    axis, notes = common_axis(genome, [Interval("c1", 500, 700), Interval("c2", 0, 3)], [track])
    contig, cut = axis.line.split(axis.numbers)
    assert cut.tolist() == [*range(501, 600), *range(640, 700), 1, 2] and contig[-2:].tolist() == [1, 1]
    expected = [track.values(f"c{c + 1}", at, at + 1)[0] for c, at in zip(contig, cut, strict=True)]
    np.testing.assert_array_equal(read_values(axis, track), np.array(expected))
    assert notes[0].startswith("161 of 201 cuts")


@pytest.mark.parametrize(
    "text", ["fixed:4", "kmer:6", "bpe:512", "entropy:5", "random", "shuffled:a:b", "annotation:CDS"]
)
def test_names_of_segmenters(text):
    assert parse_segmenter(text).name == text


@pytest.mark.parametrize(
    "text", ["fixed", "fixed:1", "fixed:x", "bpe:2", "entropy:11", "shuffled", "annotation:x", "random:3"]
)
def test_what_is_no_segmenter_is_refused_with_the_forms(text):
    with pytest.raises(ValueError, match=r"expected (one of )?\w+:"):
        parse_segmenter(text)


def test_names_of_tracks(tmp_path):
    assert parse_track("a=x/b.bw")[:2] == ("a", tmp_path.__class__("x/b.bw"))
    assert parse_track("x/b.small.bw").name == "b"
    for text in ("=b.bw", "a=", "a b=x.bw"):
        with pytest.raises(ValueError, match="expected NAME=FILE"):
            parse_track(text)
