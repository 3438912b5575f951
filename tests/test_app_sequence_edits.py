"""Edits, and which base is which after them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("streamlit")

from ldarnet_app.charts.sequence_parts import letters
from ldarnet_app.edits import MOTIFS, Edit, align, along, apply_edits, changed_cuts, parse_edits
from ldarnet_app.pages.sequence_edits import _columns
from ldarnet_app.theme import LIGHT

SEQUENCE = "ACGTACGTAC"
NAN = np.nan


def edited(text, sequence=SEQUENCE):
    return apply_edits(sequence, parse_edits(text, sequence))


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("A4G", "ACGTGCGTAC"),
        ("a4g", "ACGTGCGTAC"),
        ("AC4T", "ACGTTGTAC"),
        ("del0", "CGTACGTAC"),
        ("del2-5", "ACCGTAC"),
        ("ins0TT", "TTACGTACGTAC"),
        ("ins10UU", "ACGTACGTACTT"),
        ("put1TTT", "ATTTACGTAC"),
        ("A4G, del8-10\nins1 T", "ATCGTGCGT"),
        ("", SEQUENCE),
    ],
)
def test_edits_as_written(text, after):
    assert edited(text) == after


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A5G", "expected A at base 5, the sequence has C; positions count from 0, so that A is at 4"),
        ("A3G", "expected A at base 3, the sequence has T$"),
        ("A40G", "the sequence has none"),
        ("del8-12", "within 0-10 .* got 12"),
        ("del5-5", "start < end"),
        ("ins11A", "got 11"),
        ("put8TTTT", "got 12"),
        ("A4A", "changes nothing"),
        ("put0ACG", "changes nothing"),
        ("ins3R", "is no edit; expected A120G"),
        ("../../etc/passwd", "is no edit"),
        ("del2-6,ins4A", "two edits meet at base 4"),
        ("ins4A,ins4C", "two edits meet at base 4"),
        ("del0-9", "2 to 50,000 bases after the edits, got 1"),
    ],
)
def test_wrong_edits_are_said(text, message):
    with pytest.raises(ValueError, match=message):
        parse_edits(text, SEQUENCE)


def test_presets_are_bases():
    assert all(set(motif) <= set("ACGT") for motif in MOTIFS.values())


@st.composite
def edits_of(draw):
    sequence = draw(st.text("ACGT", min_size=6, max_size=40))
    places = sorted(draw(st.lists(st.integers(0, len(sequence)), min_size=2, max_size=8, unique=True)))
    pairs = zip(places[::2], places[1::2], strict=False)
    return sequence, [Edit(start, end, draw(st.text("ACGT", max_size=5))) for start, end in pairs]


@given(edits_of())
def test_alignment_holds_every_base_of_both_once_and_pairs_those_kept(drawn):
    sequence, edits = drawn
    after = apply_edits(sequence, edits)
    alignment = align(len(sequence), edits)
    for index, length in ((alignment.before, len(sequence)), (alignment.after, len(after))):
        assert index[index >= 0].tolist() == list(range(length))
    assert not ((alignment.before < 0) & (alignment.after < 0)).any()
    outside = [all(not start <= i < end for start, end, _ in edits) for i in range(len(sequence))]
    for old, new in zip(alignment.before.tolist(), alignment.after.tolist(), strict=True):
        if old >= 0 and outside[old]:
            assert sequence[old] == after[new]


def test_cuts_gained_and_lost_by_the_base_right_of_them():
    before = np.array([NAN, 0.9, 0.1, 0.9, 0.1, 0.5], dtype=np.float32)
    # Base 1 is deleted, two bases come left of base 4.
    after = np.array([NAN, 0.8, 0.1, 0.9, 0.1, 0.2, 0.6], dtype=np.float32)
    alignment = align(6, [Edit(1, 2, ""), Edit(4, 4, "GG")])
    assert np.isnan(along(after, alignment.after)[1])
    assert [(c.change, c.before, c.after) for c in changed_cuts(before, after, alignment)] == [
        ("lost with the bases deleted", 1, None),
        ("gained", 2, 1),
        ("lost", 3, 2),
        ("gained in the bases inserted", None, 3),
        ("gained", 5, 6),
    ]


@pytest.mark.parametrize(
    ("text", "length", "first", "last"),
    [
        ("ins400" + "A" * 200, 400, 400, 600),
        ("ins200" + "A" * 200, 400, 200, 400),
        ("ins0TT", 10, 0, 2),
        ("C5T", 10, 5, 6),
    ],
)
def test_an_edit_is_drawn_where_its_bases_stand(text, length, first, last):
    sequence = "ACGT" * (length // 4) + "AC" * (length % 4 // 2)
    edits = parse_edits(text, sequence)
    alignment = align(len(sequence), edits)
    found = _columns(edits, alignment)
    assert found[0] == first and found[1] >= last


def test_no_letters_where_a_side_has_none():
    assert letters([], np.empty(0, dtype=np.int64), np.empty(0), LIGHT, 1) == []
