"""Motif files, scores and exact thresholds, against slow code that is plainly right."""

import gzip
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet_analysis.motif_files import read_motifs
from ldarnet_analysis.motif_scan import scan
from ldarnet_analysis.motifs import (
    BASES_OF_LETTER,
    UNITS_PER_BIT,
    CountMatrix,
    background,
    motif_from_counts,
    motif_from_iupac,
)
from ldarnet_analysis.promoter_presets import CCAAT_BOX, GC_BOX, INR, TATA_BOX
from ldarnet_analysis.pwm_threshold import score_distribution

RAW = ">M1 first motif\n1 2 3\n4 5 6\n7 8 9\n0 1 2.5\n>M2\n1 0\n0 1\n0 0\n0 0\n"
BRACKETED = (
    "# comment\n\n>M1\tfirst motif\nA  [ 1 2 3 ]\nC  [ 4 5 6 ]\nG  [ 7 8 9 ]\nT  [ 0 1 2.5 ]\n"
    ">M2\nA [1 0]\nC [0 1]\nG [0 0]\nT [0 0]\n"
)
MEME = """MEME version {version}

{alphabet}
strands: + -

Background letter frequencies (from somewhere):
A 0.3 C 0.2 G 0.2 T 0.3

MOTIF M1 first motif
log-odds matrix: alength= 4 w= 1 n= 5 bayes= 1 E= 0
 -100 20 30 40
letter-probability matrix: alength= 4 w= 2 nsites= 8 E= 1e-3
 0.5 0.25 0.25 0
 0 0 0.125 .875
URL http://example.org/M1

MOTIF M2
letter-probability matrix: w= 1
0.250 0.250 0.250 0.249
"""
CUSTOM_ALPHABET = (
    'ALPHABET "DNA" DNA-LIKE\nA "Adenine" CC0000 ~ T "Thymine" 0000CC\n'
    'C "Cytosine" 0000CC ~ G "Guanine" FFB300\nN = ACGT\nEND ALPHABET'
)


def written(tmp_path, text, name="motifs.txt"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [RAW, BRACKETED, RAW.replace("\n", "\r\n"), gzip.compress(RAW.encode(), mtime=0)])
def test_jaspar(tmp_path, text):
    first, second = read_motifs(written(tmp_path, text))
    assert (first.motif_id, first.name) == ("M1", "first motif")
    assert first.counts == ((1, 4, 7, 0), (2, 5, 8, 1), (3, 6, 9, 2.5))
    assert (second.motif_id, second.name, second.counts) == ("M2", "M2", ((1, 0, 0, 0), (0, 1, 0, 0)))


def test_rows_with_letters_may_come_in_any_order(tmp_path):
    (matrix,) = read_motifs(written(tmp_path, ">M\nU [4]\nG [3]\nC [2]\nA [1]\n"))
    assert matrix.counts == ((1, 2, 3, 4),)


@pytest.mark.parametrize("version", ["4", "4.12.0", "5.0.5 (Release date: 2019)"])
@pytest.mark.parametrize("alphabet", ["ALPHABET= ACGT", CUSTOM_ALPHABET, ""])
def test_meme(tmp_path, version, alphabet):
    first, second = read_motifs(written(tmp_path, MEME.format(version=version, alphabet=alphabet)))
    assert (first.motif_id, first.name) == ("M1", "first motif")
    assert first.counts == ((4, 2, 2, 0), (0, 0, 1, 7))
    assert second.motif_id == "M2"
    assert np.allclose(second.counts, [[20 * 0.25 / 0.999] * 3 + [20 * 0.249 / 0.999]])


def damaged(old, new, text=RAW):
    assert old in text
    return text.replace(old, new, 1)


FINE_MEME = MEME.format(version="4", alphabet="ALPHABET= ACGT")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty file"),
        ("# only a comment\n", "empty file"),
        ("ACGT\n", "line 1: expected '>' (JASPAR) or 'MEME version', got 'ACGT'"),
        (damaged("4 5 6", "4 5"), "record M1, line 3: expected 3 columns as in the row above, got 2"),
        (damaged("4 5 6", "4 -5 6"), "record M1, line 3: expected numbers of 0 or more, got -5"),
        (damaged("4 5 6", "4 nan 6"), "record M1, line 3: expected finite numbers, got 'nan'"),
        (damaged("4 5 6", "4 1e999 6"), "record M1, line 3: expected finite numbers, got '1e999'"),
        (damaged("4 5 6", "4 1_0 6"), "record M1, line 3: expected finite numbers, got '1_0'"),
        (damaged("4 5 6\n", ""), "record M1, line 1: expected 4 rows of counts (A, C, G, T), got 3"),
        (damaged("4 5 6\n", "4 5 6\n4 5 6\n"), "record M1, line 6: expected 4 rows of counts and then '>'"),
        (damaged("4 5 6", "[]"), "record M1, line 3: expected numbers, got none"),
        (damaged("4 5 6", "[4 5 6"), "record M1, line 3: expected 4 rows of counts and then '>', got '[4 5 6'"),
        (damaged("C [0 1]", "A [0 1]", BRACKETED), "record M2, line 10: expected one row each for A, C, G and T"),
        (damaged("1 0\n0 1", "1 0\n0 0"), "record M2, line 6: expected counts above zero in column 2 of 2"),
        (damaged(">M2", ">M1"), "record M1, line 6: expected each id once, it is on line 1 as well"),
        (damaged(">M2", "> "), "line 6: expected a motif id, got '>'"),
        (">M\n" + "1 " * 101 + "\n" + ("0 " * 101 + "\n") * 3, "record M, line 1: motif M: expected 1 to 100 columns"),
        (damaged("version 4", "version 3", FINE_MEME), "line 1: expected MEME version 4 or 5, got 3"),
        (damaged("ACGT", "ACDEFGHIKLMNPQRSTVWY", FINE_MEME), "line 3: expected the alphabet ACGT, got 'ACDE"),
        (damaged("ALPHABET= ACGT", 'ALPHABET "RNA"\nA "Adenine" CC0000', FINE_MEME), "line 3: expected the alphabet"),
        (
            damaged("0.25 0.25 0\n", "0.25 0.2 0\n", FINE_MEME),
            "record M1, line 13: expected probabilities that sum to 1",
        ),
        (damaged("0.5 0.25 0.25 0\n", "0.5 0.5\n", FINE_MEME), "line 13: expected 4 probabilities, got 2"),
        (damaged(" 0 0 0.125 .875\n", "", FINE_MEME), "line 14: expected row 2 of 2, got 'URL"),
        (damaged("0 0 0.125 .875", "0 0 nan 1", FINE_MEME), "line 14: expected finite numbers, got 'nan'"),
        (damaged("0 0 0.125 .875", "0 0 -0.1 1.1", FINE_MEME), "line 14: expected numbers of 0 or more, got -0.1"),
        (damaged("0.250 0.250 0.250 0.249\n", "", FINE_MEME), "expected 1 rows, got 0 and the end of the file"),
        (damaged("w= 1\n", "\n", FINE_MEME), "record M2, line 18: expected the width as w= NUMBER"),
        (damaged("w= 1\n", "w= 0\n", FINE_MEME), "record M2, line 18: expected a width of 1 to 100, got 0"),
        (damaged("alength= 4 w= 2", "alength= 20 w= 2", FINE_MEME), "line 12: expected alength= 4, got 20"),
        (FINE_MEME + "MOTIF M3\n", "line 20: expected a letter-probability matrix after 'MOTIF M3'"),
        (damaged("MOTIF M1 first motif", "", FINE_MEME), "line 12: expected a MOTIF line before the matrix"),
        (damaged("MOTIF M2", "MOTIF M1", FINE_MEME), "record M1, line 17: expected each id once, it is on line 9"),
        ("MEME version 4\n", "expected at least one motif, got none"),
    ],
)
def test_damaged_files(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        read_motifs(path)
    assert str(path) in str(caught.value)


def test_missing_and_truncated_files(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_motifs(tmp_path / "absent.jaspar")
    with pytest.raises(ValueError, match="truncated"):
        read_motifs(written(tmp_path, gzip.compress(RAW.encode() * 50)[:-12]))


def test_matrices_made_by_hand_are_checked_too():
    for counts in ((), ((1, 2, 3),), ((1, 2, 3, -1),), ((1, math.nan, 1, 1),), ((0, 0, 0, 0),)):
        with pytest.raises(ValueError, match="motif M"):
            CountMatrix("M", "M", counts)


def test_log_odds_by_hand():
    """Column 1: (7 + 0.25) / (8 + 1) = 0.805556 against 0.25 is 1.688056 bits, 1728.57 units."""
    motif = motif_from_counts(CountMatrix("M", "M", ((7, 1, 0, 0),)), p_value=0.25)
    assert motif.scores[0, :4].tolist() == [1729, -868, -3246, -3246]
    assert (motif.threshold, motif.p_value) == (-867, 0.25)
    at_gc = motif_from_counts(CountMatrix("M", "M", ((7, 1, 0, 0),)), p_value=0.3, gc=0.4, pseudocount=2)
    expected = [
        math.log2((count + 2 * q) / 10 / q) for count, q in zip((7, 1, 0, 0), (0.3, 0.2, 0.2, 0.3), strict=True)
    ]
    assert at_gc.scores[0, :4].tolist() == [round(score * UNITS_PER_BIT) for score in expected]
    assert at_gc.p_value == pytest.approx(0.3)


matrices = st.lists(st.tuples(*[st.integers(0, 40)] * 4).filter(any), min_size=1, max_size=5).map(
    lambda counts: CountMatrix("M", "M", tuple(counts))
)
gc_contents = st.sampled_from([0.5, 0.41, 0.7])


def chance_by_enumeration(scores, gc):
    """Score and probability of every k-mer."""
    probabilities = background(gc)
    totals, chances = [], []
    for kmer in itertools.product(range(4), repeat=len(scores)):
        totals.append(sum(int(scores[place, base]) for place, base in enumerate(kmer)))
        chances.append(math.prod(probabilities[base] for base in kmer))
    return np.array(totals), np.array(chances)


@settings(deadline=None)
@given(matrices, gc_contents, st.floats(0.001, 1))
def test_threshold_against_every_kmer(matrix, gc, p_value):
    loosest = motif_from_counts(matrix, p_value=1, gc=gc)
    totals, chances = chance_by_enumeration(loosest.scores, gc)

    def chance_of(score):
        return chances[totals >= score].sum()

    for score in {*totals.tolist(), totals.min() - 1, totals.max() + 1}:
        assert loosest.distribution.p_value(score) == pytest.approx(chance_of(score), abs=1e-12)
    if chance_of(totals.max()) > p_value:
        with pytest.raises(ValueError, match="cannot be reached"):
            motif_from_counts(matrix, p_value, gc=gc)
        return
    motif = motif_from_counts(matrix, p_value, gc=gc)
    assert chance_of(motif.threshold) <= p_value + 1e-12
    assert motif.p_value == pytest.approx(chance_of(motif.threshold), abs=1e-12)
    assert motif.threshold == totals.min() or chance_of(motif.threshold - 1) > p_value - 1e-12


def test_rounding_of_scores_is_bounded():
    motif = motif_from_counts(TATA_BOX, p_value=1e-3)
    shares = (np.array(TATA_BOX.counts) + 0.25) / (np.array(TATA_BOX.counts).sum(axis=1, keepdims=True) + 1)
    exact = np.log2(shares / 0.25)
    assert np.abs(motif.scores[:, :4] / UNITS_PER_BIT - exact).max() <= 0.5 / UNITS_PER_BIT


def test_p_values_that_cannot_be():
    with pytest.raises(ValueError, match=re.escape("motif POL002.1: p-value 1e-06 cannot be reached: even the best")):
        motif_from_counts(INR, 1e-6)
    for p_value in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError, match="expected a p-value above 0"):
            motif_from_counts(INR, p_value)
    for pseudocount in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="expected a pseudocount"):
            motif_from_counts(INR, 0.01, pseudocount=pseudocount)
    for gc in (0, 1, math.nan):
        with pytest.raises(ValueError, match="expected a GC content"):
            motif_from_counts(INR, 0.01, gc=gc)
    with pytest.raises(ValueError, match="raise the pseudocount"):
        score_distribution(np.array([[0, 1 << 24, 0, 0]]), background(0.5))


def test_trimming_keeps_what_lies_between_informative_columns():
    assert motif_from_counts(TATA_BOX.trimmed(0.2), 1e-3).consensus == "STATAAAWR"
    flat = (5.0, 5.0, 5.0, 5.0)
    sharp = (9.0, 0.0, 0.0, 0.0)
    matrix = CountMatrix("M", "M", (flat, sharp, flat, sharp, flat, flat))
    assert matrix.trimmed(1).counts == (sharp, flat, sharp)
    assert matrix.trimmed(0) == matrix
    with pytest.raises(ValueError, match="no column has 3 bits"):
        matrix.trimmed(3)


@pytest.mark.parametrize("letters", ["TATAWA", "CCAAT", "GGGCGG", "YYANWYY", "n" + "".join(BASES_OF_LETTER)])
@pytest.mark.parametrize("gc", [0.5, 0.41])
def test_iupac_says_what_a_regular_expression_says(letters, gc):
    motif = motif_from_iupac(letters, gc)
    pattern = re.compile("(?=" + "".join(f"[{BASES_OF_LETTER[letter]}]" for letter in letters.upper()) + ")")
    rng = np.random.default_rng(5)
    chosen = [BASES_OF_LETTER[letter] for letter in letters.upper()]
    matches = ["".join(rng.choice(list(bases)) for bases in chosen) for _ in range(20)]
    text = "".join("".join(rng.choice(list("ACGT"), 15)) + match for match in matches)
    hits = scan(vocab.encode(text), motif)
    assert hits.start[~hits.is_reverse].tolist() == [match.start() for match in pattern.finditer(text)]
    assert len(hits.start) >= 20
    q = dict(zip("ACGT", background(gc), strict=True))
    chance = math.prod(sum(q[base] for base in bases) for bases in chosen)
    assert motif.p_value == pytest.approx(chance)
    assert set(hits.score.tolist()) == {motif.threshold}
    assert motif.threshold / UNITS_PER_BIT == pytest.approx(-math.log2(chance), abs=len(letters) / 2048)


@pytest.mark.parametrize("letters", ["", "TATAZ", "TA-TA", "NNN", "A" * 101])
def test_iupac_refuses(letters):
    with pytest.raises(ValueError, match="expected"):
        motif_from_iupac(letters)


def test_core_promoter_files_agree(shared_data):
    folder = shared_data / "data" / "motifs"
    counts = {matrix.motif_id: matrix for matrix in read_motifs(folder / "core_promoter.jaspar")}
    for matrix in (TATA_BOX, CCAAT_BOX, GC_BOX, INR):
        assert counts[matrix.motif_id] == matrix
    probabilities = read_motifs(folder / "core_promoter.meme")
    assert [matrix.motif_id for matrix in probabilities] == list(counts)
    assert len(counts) == 25
    for matrix in probabilities:
        assert np.allclose(matrix.frequencies(), counts[matrix.motif_id].frequencies(), atol=1e-6)


def test_files_of_another_shape_are_told_apart(shared_data):
    with pytest.raises(ValueError, match=r"expected 4 columns as in the row above|expected 4 rows"):
        read_motifs(shared_data / "data" / "motifs" / "JASPAR2022_vertebrates.gimme.pfm")
