"""Repeats: lower case in a FASTA, one bit of a stored base, a weight in the loss."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.train.corpus import GenomeSource, load_corpus, load_genome
from ldarnet.train.soft_mask import (
    REPEAT,
    is_repeat,
    letters,
    lower_case_runs,
    mark_repeats,
    num_repeats,
    reverse_complement,
)

MASKED = {"chr1": "acGTnnNNacgtACGTuUryRY" + "a" * 30, "chr2": "ACGTACGT" * 6, "chr3": "acgtACGTAacgtt" * 4}


def write_fasta(path, records, width=7, end="\n"):
    text = "".join(
        f">{name} of a genome{end}" + "".join(bases[i : i + width] + end for i in range(0, len(bases), width))
        for name, bases in records.items()
    )
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def from_runs(runs, length_bp):
    is_lower = np.zeros(length_bp, dtype=bool)
    for start, end in runs:
        is_lower[start:end] = True
    return is_lower


@given(
    st.lists(st.text("acgtACGTnN", min_size=1, max_size=40), min_size=1, max_size=4),
    st.integers(1, 60),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n"]),
)
@settings(max_examples=60)
def test_runs_are_the_lower_case_letters(tmp_path_factory, sequences, width, end):
    records = {f"r{i}": bases for i, bases in enumerate(sequences)}
    path = write_fasta(tmp_path_factory.mktemp("fasta") / "a.fa", records, width, end)
    runs = lower_case_runs(path)
    assert list(runs) == list(records)
    for name, bases in records.items():
        assert runs[name].dtype == np.int64
        assert (runs[name][:, 0] < runs[name][:, 1]).all()
        assert (runs[name][1:, 0] > runs[name][:-1, 1]).all(), "runs do not touch"
        assert from_runs(runs[name], len(bases)).tolist() == [letter.islower() for letter in bases]


@pytest.mark.parametrize("name", ["plain.fa", "packed.fa.gz"])
def test_stretches_carry_the_bit_and_the_same_letters(tmp_path, name):
    path = write_fasta(tmp_path / name, MASKED)
    marked, plain = load_genome(GenomeSource(path), marks_repeats=True), load_genome(GenomeSource(path))
    for with_bit, without in zip(marked.stretches, plain.stretches, strict=True):
        assert with_bit.ids.dtype == np.uint8
        np.testing.assert_array_equal(letters(with_bit.ids), without.ids)
        assert is_repeat(with_bit.ids).tolist() == [letter.islower() for letter in MASKED[with_bit.contig]]
        assert not is_repeat(without.ids).any()
        assert not with_bit.ids.flags.writeable


def test_intervals_take_their_own_part_of_the_runs(tmp_path):
    path = write_fasta(tmp_path / "a.fa", MASKED)
    (tmp_path / "a.bed").write_text("chr1\t1\t11\nchr3\t3\t12\nchr3\t15\t17\n")
    source = GenomeSource(path, intervals=str(tmp_path / "a.bed"))
    for stretch in load_genome(source, marks_repeats=True).stretches:
        text = MASKED[stretch.contig][stretch.start : stretch.end]
        assert is_repeat(stretch.ids).tolist() == [letter.islower() for letter in text]


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_the_bit_goes_with_its_base_to_the_other_strand(some, others):
    length = min(len(some), len(others))
    ids = np.frombuffer(some[:length], np.uint8) % 5
    marked = ids | np.where(np.frombuffer(others[:length], np.uint8) % 2, REPEAT, np.uint8(0))
    turned = reverse_complement(marked)
    np.testing.assert_array_equal(letters(turned), vocab.reverse_complement(ids))
    np.testing.assert_array_equal(is_repeat(turned), is_repeat(marked)[::-1])
    np.testing.assert_array_equal(reverse_complement(turned), marked)


def test_a_run_may_begin_before_and_end_behind():
    ids = np.zeros(10, np.uint8)
    mark_repeats(ids, 100, np.array([[0, 50], [90, 102], [105, 106], [108, 200], [300, 400]]))
    assert np.flatnonzero(is_repeat(ids)).tolist() == [0, 1, 5, 8, 9]
    ids[0] |= vocab.N
    assert num_repeats(ids) == 4, "N are no bases"


def test_windows_are_those_of_a_corpus_without_repeats(tmp_path):
    source = GenomeSource(write_fasta(tmp_path / "a.fa", MASKED))
    options = {"seed": 3, "max_unknown_share": 0.3}
    marked = load_corpus([source], 16, marks_repeats=True, **options)
    plain = load_corpus([source], 16, **options)
    of_draws = [(marked.window(draw), plain.window(draw)) for draw in range(200)]
    for with_bit, without in of_draws:
        np.testing.assert_array_equal(letters(with_bit), without)
    assert any(is_repeat(with_bit).any() for with_bit, _ in of_draws)
    assert not any(is_repeat(without).any() for _, without in of_draws)
    assert marked.num_bases == plain.num_bases
    (genome,) = marked.genomes
    known_lower = sum(letter in "acgtu" for bases in MASKED.values() for letter in bases)
    assert genome.num_repeats == known_lower
    assert plain.genomes[0].num_repeats == 0
    assert marked.fingerprint() != plain.fingerprint()


def test_the_same_bases_in_upper_case_are_another_corpus_only_where_repeats_count(tmp_path):
    lower = GenomeSource(write_fasta(tmp_path / "a.fa", MASKED))
    upper = GenomeSource(write_fasta(tmp_path / "b.fa", {name: bases.upper() for name, bases in MASKED.items()}))
    plain = [load_corpus([source], 16, seed=0, max_unknown_share=0.3).fingerprint() for source in (lower, upper)]
    assert plain[0] == plain[1]
    with pytest.raises(ValueError, match="expected repeats in lower case, got none in b: use soft-masked FASTA"):
        load_corpus([upper], 16, seed=0, max_unknown_share=0.3, marks_repeats=True)
    both = load_corpus([lower, upper], 16, seed=0, max_unknown_share=0.3, marks_repeats=True)
    assert [genome.num_repeats > 0 for genome in both.genomes] == [True, False]


def test_files_that_keep_no_case_are_refused(tmp_path):
    twobit = tmp_path / "a.2bit"
    twobit.write_bytes((0x1A412743).to_bytes(4, "little") + bytes(12))
    with pytest.raises(ValueError, match=r"a.2bit: expected FASTA, whose lower case marks repeats, got .2bit"):
        lower_case_runs(twobit)
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "shards.json").write_text("{}")
    with pytest.raises(ValueError, match="shards do not keep lower case, which marks repeats: train on the FASTA"):
        load_corpus([GenomeSource(str(folder))], 16, seed=0, marks_repeats=True)
