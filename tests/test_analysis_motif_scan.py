"""The scan for motifs, its hits on a genome and core promoter motifs, against slow code that is plainly right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Interval
from ldarnet_analysis import motif_scan
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.motif_scan import HIT_COLUMNS, keep_best, motif_hits, scan
from ldarnet_analysis.motifs import (
    CountMatrix,
    motif_from_counts,
    motif_from_iupac,
)
from ldarnet_analysis.promoter_presets import CCAAT_BOX, GC_BOX, INR, TATA_BOX

matrices = st.lists(st.tuples(*[st.integers(0, 40)] * 4).filter(any), min_size=1, max_size=5).map(
    lambda counts: CountMatrix("M", "M", tuple(counts))
)


def random_text(rng, length, letters="ACGT"):
    return "".join(rng.choice(list(letters), length))


def slow_scan(text, motif):
    """Every place on both strands, one base at a time."""
    table = [dict(zip("ACGT", row[:4].tolist(), strict=True)) for row in motif.scores]
    found = []
    for start in range(len(text) - motif.width + 1):
        word = text[start : start + motif.width]
        if "N" in word:
            continue
        for is_reverse, read in ((False, word), (True, word[::-1].translate(str.maketrans("ACGT", "TGCA")))):
            score = sum(table[place][base] for place, base in enumerate(read))
            if score >= motif.threshold:
                found.append((start, is_reverse, score))
    return found


@settings(deadline=None, max_examples=60)
@given(st.text("ACGTACGTACGTACGTN", max_size=120), matrices, st.sampled_from([1, 0.3, 0.05]))
def test_scan_against_one_base_at_a_time(text, matrix, p_value):
    try:
        motif = motif_from_counts(matrix, p_value)
    except ValueError:
        motif = motif_from_counts(matrix, 1)
    hits = scan(vocab.encode(text), motif)
    assert list(zip(*(column.tolist() for column in hits), strict=True)) == slow_scan(text, motif)


@pytest.mark.parametrize("matrix", [TATA_BOX, CCAAT_BOX, GC_BOX, INR])
def test_scan_of_core_promoter_motifs(matrix):
    rng = np.random.default_rng(0)
    text = random_text(rng, 30_000, "ACGT" * 200 + "N")
    motif = motif_from_counts(matrix, 5e-4)
    hits = scan(vocab.encode(text), motif)
    assert list(zip(*(column.tolist() for column in hits), strict=True)) == slow_scan(text, motif)
    assert 10 < len(hits.start) < 60


@pytest.mark.parametrize("length", [0, 5, 6, 7, 31, 32, 33, 64, 65, 1000])
def test_scan_reaches_both_ends(length):
    """The motif at the very start and the very end of stretches of awkward lengths."""
    motif = motif_from_iupac("TATAAA")
    text = ("TATAAA" + "C" * max(length - 12, 0) + "TATAAA")[-length:] if length else ""
    hits = scan(vocab.encode(text), motif)
    assert hits.start.tolist() == [place for place in range(length - 5) if text[place : place + 6] == "TATAAA"]
    assert (length - 6 in hits.start) == (length >= 6)


def test_hits_of_the_reverse_complement_lie_on_the_other_strand():
    rng = np.random.default_rng(2)
    ids = vocab.encode(random_text(rng, 20_000, "ACGT" * 50 + "N"))
    motif = motif_from_counts(CCAAT_BOX, 1e-3)
    there, here = scan(vocab.reverse_complement(ids), motif), scan(ids, motif)
    mapped = (len(ids) - motif.width - there.start, ~there.is_reverse, there.score)
    assert sorted(zip(*(column.tolist() for column in mapped), strict=True)) == list(
        zip(*(column.tolist() for column in here), strict=True)
    )


placed = st.lists(st.tuples(st.integers(-30, 60), st.integers(0, 2), st.integers(0, 4)), max_size=40)


@given(placed, st.integers(1, 9))
def test_keep_best_against_every_pair(hits, width):
    columns = np.array(hits, dtype=np.int64).reshape(-1, 3)
    start, group, score = columns.T
    order = np.lexsort((start, -score))
    kept = []
    for hit in order.tolist():
        if not any(group[hit] == group[other] and abs(start[hit] - start[other]) < width for other in kept):
            kept.append(hit)
    assert np.flatnonzero(keep_best(start, width, group, order)).tolist() == sorted(kept)


def genome_of(**texts):
    return AlignedSequences(list(texts), [vocab.encode(text) for text in texts.values()], 0)


def places(frame):
    return list(zip(frame["chrom"], frame["start"], frame["cut"], frame["strand"], frame["kmer"], strict=True))


def test_overlapping_hits_and_palindromes_count_once():
    genome = genome_of(a="CCTATATATATACC", b="CCGAATTCCC", c="AAAACCCC")
    tata = motif_hits(genome, None, motif_from_iupac("TATATA"))
    assert places(tata) == [("a", 2, 2, "+", "TATATA")]
    assert places(motif_hits(genome, None, motif_from_iupac("GAATTC"))) == [("b", 2, 2, "+", "GAATTC")]
    assert motif_hits(genome, None, motif_from_iupac("GAATTT")).columns.tolist() == HIT_COLUMNS
    better = CountMatrix("M", "M", ((8, 0, 0, 0), (8, 0, 0, 0), (6, 2, 0, 0)))
    assert places(motif_hits(genome, None, motif_from_counts(better, 0.05)))[-1] == ("c", 0, 0, "+", "AAA")


def test_reverse_hits_are_anchored_at_their_right_end():
    (hit,) = places(motif_hits(genome_of(a="CCTTTATACC"), None, motif_from_iupac("TATAAA")))
    assert hit == ("a", 2, 8, "-", "TATAAA")


def test_regions_hold_whole_hits():
    genome = genome_of(a="CCCTATAAACCCTATAAACC", b="TATAAA")
    motif = motif_from_iupac("TATAAA")

    def found(*regions):
        return [
            (chrom, start) for chrom, start, *_ in places(motif_hits(genome, [Interval(*r) for r in regions], motif))
        ]

    assert found(("a", 3, 9)) == [("a", 3)]
    assert found(("a", 4, 18)) == [("a", 12)]
    assert found(("a", 3, 17), ("b", 0, 6)) == [("a", 3), ("b", 0)]
    assert found(("b", 0, 6), ("a", 0, 8), ("a", 5, 20)) == [("a", 3), ("a", 12), ("b", 0)]
    assert found(("a", 5, 5)) == found() == []
    for region in (("a", 0, 21), ("x", 0, 5), ("a", -1, 5), ("a", 9, 8)):
        with pytest.raises(ValueError, match=f"region {region[0]}:"):
            found(region)


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(3)
    genome = genome_of(a=random_text(rng, 5_000, "AT"), b=random_text(rng, 700, "ATC"))
    motif = motif_from_iupac("TATAWA")
    whole = motif_hits(genome, None, motif)
    monkeypatch.setattr(motif_scan, "BLOCK_BP", 64)
    assert motif_hits(genome, None, motif).equals(whole)
    assert len(whole) > 100
    assert np.array_equal(whole["p_value"], np.full(len(whole), 2 / 4**6))
