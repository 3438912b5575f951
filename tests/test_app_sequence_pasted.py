"""Sequences as people paste them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet_app.pasted import MAX_BP, decode_upload, parse_sequence


def test_lower_case_u_iupac_numbers_and_spaces_are_changed_and_counted():
    name, sequence, notes = parse_sequence("  1 acgu ACGR\n 61 NTTT\n")
    assert (name, sequence) == ("sequence", "ACGTACGNNTTT")
    assert notes == (
        "2 numbers removed",
        "3 spaces removed",
        "4 lower-case letters read as capitals",
        "1 U read as T",
        "1 IUPAC code read as N, which has no value",
        "1 N kept; N has no value",
    )


def test_plain_sequence_needs_no_note():
    assert parse_sequence("ACGT\r\nACGT\r\n").notes == ()


def test_fasta_header_gives_the_name():
    assert parse_sequence("\ufeff\n>seq1 some text\nACGT\nAC").sequence == "ACGTAC"
    assert parse_sequence(">seq1 some text\nACGT").name == "seq1"


def test_genbank_record():
    text = "LOCUS       AB1  12 bp DNA\nDEFINITION  a gene\nORIGIN      \n        1 acgtac gtacgt\n//\n"
    name, sequence, notes = parse_sequence(text)
    assert (name, sequence, notes[0]) == ("AB1", "ACGTACGTACGT", "1 number removed")
    with pytest.raises(ValueError, match="no ORIGIN"):
        parse_sequence("LOCUS       AB1\nDEFINITION  a gene\n")
    with pytest.raises(ValueError, match="2 GenBank records"):
        parse_sequence(text + text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got none"),
        (">a\n\n", "got none"),
        (" 12 \n", "got none"),
        (">a\nACGT\n>b\nACGT", "2 FASTA records"),
        ("ACGT\n>a\nACGT", "below other text"),
        ("MKLVEFAGHW", r"protein \('L' is letter 2 "),
        ("MKVHGSTAWDRNKMSSVVYY", "protein"),
        ("ACGT-ACGT", "'-' is letter 4 .*gaps"),
        ("ACGT@ACGT", "'@' is letter 4"),
        ("ACGTéACGT", "'é' is letter 4"),
        ("NNNN", "none: base 0 and N"),
        ("A", "none: base 0 and N"),
        ("ANN", "none: base 0 and N"),
    ],
)
def test_what_is_no_sequence_is_said(text, message):
    with pytest.raises(ValueError, match=message):
        parse_sequence(text)


def test_length_limit_is_of_bases():
    numbered = "\n".join(f"{i} {'acgt' * 10}" for i in range(1, MAX_BP, 40))
    assert len(parse_sequence(numbered).sequence) == MAX_BP
    with pytest.raises(ValueError, match=f"at most {MAX_BP:,} bases, got {MAX_BP + 1:,}"):
        parse_sequence(numbered + "a")


def test_uploads_are_text_of_limited_size():
    assert decode_upload(b"\xef\xbb\xbf>a\nACGT") == ">a\nACGT"
    for data, message in (
        (b"\x1f\x8b\x08\x00", "unpack it first"),
        (b"\x89PNG\r\n\xff", "binary"),
        (b"AC\0GT", "binary"),
        (b"A" * (2 << 20), "at most 1 MB, got 2.0 MB"),
    ):
        with pytest.raises(ValueError, match=message):
            decode_upload(data)


@given(st.text(max_size=200))
def test_any_text_gives_bases_or_a_message(text):
    try:
        pasted = parse_sequence(text)
    except ValueError as error:
        assert str(error)
    else:
        assert set(pasted.sequence) <= set("ACGTN")
        assert parse_sequence(pasted.sequence).sequence == pasted.sequence
