"""Views: addresses they go into and come back from, and how they are moved."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.genome import Contig
from ldarnet_app.view import (
    MAX_SPAN_BP,
    MIN_SPAN_BP,
    ValueRange,
    View,
    centered,
    fitted,
    located,
    moved,
    view_from_query,
    view_of_locus,
    zoomed,
)

CONTIGS = (Contig("chr1", 5_000_000), Contig("chr2:100-1099", 1_000), Contig("tiny", 7))
LABELS = ("plus", "minus, smoothed", "50%:a")

views = st.builds(
    View,
    chrom=st.sampled_from([contig.name for contig in CONTIGS]),
    start=st.integers(-100, 5_000_100),
    end=st.just(0),
    flipped=st.booleans(),
    overlaid=st.booleans(),
    tracks=st.none() | st.lists(st.sampled_from(LABELS), unique=True).map(tuple),
    ranges=st.lists(st.sampled_from(LABELS), unique=True).map(
        lambda labels: tuple(ValueRange(label, -0.25, 0.1 * (1 + i)) for i, label in enumerate(labels))
    ),
)
spans = st.integers(1, 3_000_000)


def _view(view: View, span_bp: int) -> View:
    return fitted(replace(view, end=view.start + span_bp), CONTIGS)


@given(views, spans)
def test_a_view_comes_back_from_its_address(view: View, span_bp: int) -> None:
    view = _view(view, span_bp)
    assert view_from_query(view.to_query(), CONTIGS, LABELS) == view


@given(views, spans, st.floats(-1, 1).filter(bool), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_views_stay_on_their_contig(view: View, span_bp: int, share: float, factor: float) -> None:
    view = _view(view, span_bp)
    length = dict(CONTIGS)[view.chrom]
    for each in (view, moved(view, share, CONTIGS), zoomed(view, factor, CONTIGS)):
        assert 0 <= each.start < each.end <= length
        assert min(MIN_SPAN_BP, length) <= each.span_bp <= MAX_SPAN_BP


def test_moving_goes_to_the_readers_right_on_both_strands() -> None:
    view = View("chr1", 1_000, 2_000)
    assert moved(view, 0.25, CONTIGS) == replace(view, start=1_250, end=2_250)
    flipped = replace(view, flipped=True)
    assert moved(flipped, 0.25, CONTIGS) == replace(flipped, start=750, end=1_750)


def test_zooming_in_and_out_comes_back() -> None:
    view = View("chr1", 1_000, 1_080)
    assert zoomed(zoomed(view, 0.5, CONTIGS), 2, CONTIGS) == view


@pytest.mark.parametrize("span_bp", [20, 21])
def test_centering_puts_the_cut_in_the_middle(span_bp: int) -> None:
    view = centered(View("chr1", 0, span_bp), 3_000, CONTIGS)
    assert (view.start + view.end) // 2 == 3_000
    assert view.span_bp == span_bp


@pytest.mark.parametrize(
    ("text", "locus"),
    [
        (" chr1:1,000-2,000 ", "chr1:1000-2000"),
        ("1:1000-2000", "chr1:1000-2000"),
        ("chr1:1000", "chr1:800-1200"),
        ("chr2:100-1099", "chr2:100-1099:0-1000"),
        ("chr2:100-1099:10-60", "chr2:100-1099:10-60"),
        ("tiny", "tiny:0-7"),
        ("tiny:2-3", "tiny:0-7"),
    ],
)
def test_loci_as_people_write_them(text: str, locus: str) -> None:
    assert view_of_locus(text, CONTIGS).locus == locus


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr9:1-2", "no contig 'chr9'; the contigs are chr1, chr2:100-1099, tiny"),
        ("chr1:a-b", "expected chrom:start-end with whole numbers"),
        ("chr1:20-10", "expected start < end"),
        ("chr1:6,000,000-6,000,100", "lies outside chr1, which has 5,000,000 bases"),
        ("chr1:-20--10", "lies outside chr1"),
        ("", "no contig ''"),
        ("x\0y:1-2", "no contig"),
    ],
)
def test_what_is_no_locus_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        located(text, CONTIGS)


def test_a_locus_past_the_edge_is_cut_off_with_a_note() -> None:
    view, note = located("chr1:4999000-5000100", CONTIGS)
    assert view.locus == "chr1:4999000-5000000"
    assert "reaches past the edge of chr1, which has 5,000,000 bases" in note


def test_a_locus_too_wide_shows_its_middle_with_a_note() -> None:
    view, note = located("chr1", CONTIGS)
    assert view.locus == "chr1:1500000-3500000"
    assert "its middle" in note


def test_an_address_never_names_a_file(tmp_path: Path) -> None:
    bed = tmp_path / "regions.bed"
    bed.write_text("chr1\t100\t200\n")
    with pytest.raises(ValueError, match="no contig"):
        view_from_query({"locus": str(bed)}, CONTIGS, LABELS)
    with pytest.raises(ValueError, match="no track '/etc/passwd'; the tracks are plus"):
        view_from_query({"locus": "chr1:0-100", "tracks": "/etc/passwd"}, CONTIGS, LABELS)


@pytest.mark.parametrize("ranges", ["plus:1:0", "plus:nan:1", "plus:0", "plus:a:b", "plus:0:inf", "nobody:0:1"])
def test_ranges_of_an_address_are_checked(ranges: str) -> None:
    with pytest.raises(ValueError, match=r"expected track:low:high|no track 'nobody'"):
        view_from_query({"locus": "chr1:0-100", "ranges": ranges}, CONTIGS, LABELS)


def test_messages_quote_little_of_a_long_address() -> None:
    with pytest.raises(ValueError, match="no contig") as error:
        located("x" * 100_000, CONTIGS)
    assert len(str(error.value)) < 200
