"""Sequences that lie in two splits are found, on either strand, and only those."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.evaluate import leakage, task_facts
from ldarnet.evaluate.folds import plan_folds
from ldarnet.evaluate.leakage import Leak, canonical_kmers, find_leaks, index_kmers, leaks_between_folds, share_in
from ldarnet.evaluate.store import Store
from ldarnet.evaluate.task_facts import write_task_facts
from ldarnet.vocab import encode, reverse_complement
from tests.evaluation_files import letters, task_data

bases = st.lists(st.sampled_from("ACGTN"), min_size=0, max_size=40).map("".join)


def random_ids(seed, num_bases=100):
    return encode(letters(np.random.default_rng(seed), num_bases))


@given(bases, st.integers(1, 12))
def test_kmers_are_those_of_both_strands(text, k):
    ids = encode(text)
    both = {"A": "T", "C": "G", "G": "C", "T": "A"}
    words = [text[i : i + k] for i in range(len(text) - k + 1)]
    slow = [min(word, "".join(both[letter] for letter in reversed(word))) for word in words if "N" not in word]
    digits = str.maketrans("ACGT", "0123")
    assert canonical_kmers(ids, k).tolist() == [int(word.translate(digits), 4) for word in slow]
    assert sorted(canonical_kmers(reverse_complement(ids), k)) == sorted(canonical_kmers(ids, k))


def test_equal_turned_and_shifted_sequences_are_leaks():
    train = [random_ids(seed) for seed in range(5)]
    long = random_ids(9, 160)
    test = [train[3], reverse_complement(train[2]), random_ids(50), long[40:140], reverse_complement(long[90:])]
    found = find_leaks(test, [*train, long[:100]])
    assert found[:2] == [Leak(0, 3, "same", 1.0), Leak(1, 2, "reverse complement", 1.0)]
    assert [leak[:3] for leak in found[2:]] == [(3, 5, "near-duplicate")]
    # 41 k-mers of the 81 of the two are the same; the last shares none
    assert found[2].share == pytest.approx((60 - leakage.K + 1) / (100 - leakage.K + 1))


@settings(max_examples=30)
@given(st.lists(bases, max_size=6), st.lists(bases, min_size=1, max_size=6))
def test_near_duplicates_are_those_of_a_slow_count(test, others):
    k = 3
    mine, theirs = ([set(canonical_kmers(encode(text), k).tolist()) for text in each] for each in (test, others))
    best = {}
    for i, a in enumerate(mine):
        shares = [len(a & b) / min(len(a), len(b)) if a and b else 0 for b in theirs]
        if max(shares) >= leakage.NEAR_SHARE:
            best[i] = max(shares)
    ids = [[encode(text) for text in each] for each in (test, others)]
    found = leakage._near(index_kmers(ids[0], k), index_kmers(ids[1], k))
    assert {number: share for number, (_, _, share) in found.items()} == pytest.approx(best)


def test_many_matches_are_counted_in_parts(monkeypatch):
    others = [random_ids(seed % 7) for seed in range(30)]
    test = [np.concatenate([random_ids(seed)[:70], random_ids(99, 30)]) for seed in range(7)]
    whole = find_leaks(test, others)
    monkeypatch.setattr(leakage, "PAIRS_AT_ONCE", 10)
    assert find_leaks(test, others) == whole and len(whole) == 7


def test_short_sequences_and_n_have_no_kmers_but_may_be_equal():
    short, unknown = encode("ACGT"), encode("N" * 50)
    assert find_leaks([short, unknown], [random_ids(0)]) == []
    assert [leak.kind for leak in find_leaks([short, unknown], [unknown, short])] == ["same", "same"]


def test_leaks_between_folds_are_numbered_as_in_the_task():
    sequences = [random_ids(seed) for seed in range(6)]
    sequences[4] = np.concatenate([sequences[1][20:], random_ids(70, 20)])
    folds = np.array([0, 0, 1, 1, 2, -1])
    assert [leak[:2] for leak in leaks_between_folds(sequences, folds)] == [(1, 4), (4, 1)]
    folds[4] = 0
    assert leaks_between_folds(sequences, folds) == []


def test_share_in_what_was_trained_on():
    genome = random_ids(1, 500)
    test = [genome[100:200], reverse_complement(genome[100:200]), random_ids(2), encode("ACGT"), genome[230:330]]
    share = share_in(test, [genome[:250], genome[250 - leakage.K + 1 :]])
    assert share[[0, 1, 2, 4]].tolist() == [1, 1, 0, 1] and np.isnan(share[3])
    torn = share_in(test[4:], [genome[:250], genome[250:]])[0]
    assert 0.5 < torn < 1, "k-mers across the edge are not there"


def test_facts_are_written_once_and_name_leaks(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    texts = [letters(rng, 60) for _ in range(12)]
    texts[9] = texts[0]
    data = task_data(texts, [0, 1] * 6, ["train"] * 8 + ["test"] * 4)
    store = Store(tmp_path)
    plan = plan_folds(data, 2)
    facts = write_task_facts(data, plan, store, None)
    between = facts["leakage"]["between"]
    assert [(each["between"], each["same"], each["other_class"]) for each in between] == [("test and train", 1, 1)]
    assert facts["leakage"]["tested"] == [9]
    table = (tmp_path / "tasks" / "gue.H4.leakage.tsv").read_text().splitlines()
    assert table[1] == "test and train\ttest:2\t1\ttrain:1\t0\tsame\t1.000"
    fasta, bed = tmp_path / "seen.fa", tmp_path / "seen.bed"
    fasta.write_text(f">a\n{texts[10]}{texts[11]}\n")
    bed.write_text("a\t0\t60\n")
    seen = write_task_facts(data, plan, store, (str(fasta), str(bed)))["pretraining"]
    assert (seen["num_sequences"], seen["num_seen"], seen["num_seen_whole"]) == (4, 1, 1)
    assert write_task_facts(data, plan, store, (str(fasta), None))["pretraining"]["num_seen"] == 2
    monkeypatch.setattr(task_facts, "find_leaks", None)
    assert write_task_facts(data, plan, store, None)["leakage"] == facts["leakage"], "kept, with what was seen"


def test_long_windows_of_pretraining_are_read_in_pieces(tmp_path, monkeypatch):
    genome = letters(np.random.default_rng(3), 400)
    (tmp_path / "x.fa").write_text(f">a\n{genome}\n")
    monkeypatch.setattr(task_facts, "PIECE_BP", 50)
    pieces = list(task_facts._pieces(str(tmp_path / "x.fa"), None))
    assert len(pieces) > 5 and share_in([encode(genome)], pieces)[0] == 1
