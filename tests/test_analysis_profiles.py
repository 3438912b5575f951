"""Values around sites, held to a reading of one value at a time and to deepTools."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome import Contig, open_genome, reverse_cut
from ldarnet.stitch import from_reverse_complement
from ldarnet.tracks import TrackError, open_track, open_writer
from ldarnet_analysis.heatmaps import (
    cluster_rows,
    load_matrix,
    order_by_cluster,
    order_by_column,
    order_by_mean,
    save_matrix,
)
from ldarnet_analysis.profiles import (
    CutCounts,
    check_same_assembly,
    count_cuts,
    hard_cuts,
    has_cut,
    num_valid,
    profile_matrix,
    summarise,
)

NAN = float("nan")


class ArrayTrack:
    """A track in memory that counts how often it is read."""

    def __init__(self, **arrays):
        self.arrays = arrays
        self.contigs = [Contig(name, len(values)) for name, values in arrays.items()]
        self.num_reads = 0

    def values(self, chrom, start, end):
        assert 0 <= start < end <= len(self.arrays[chrom])
        self.num_reads += 1
        return self.arrays[chrom][start:end]


def values_with_gaps(length_bp, rng):
    values = rng.random(length_bp, dtype=np.float32)
    values[0] = NAN
    values[rng.random(length_bp) < 0.1] = NAN
    return values


def table(*rows):
    return pd.DataFrame(rows, columns=["chrom", "cut", "strand"])


def slow_matrix(track, sites, offsets, track_minus=None):
    """One value at a time, as the convention is written."""
    matrix = np.full((len(sites), len(offsets)), np.nan, dtype=np.float32)
    for i, (chrom, cut, strand) in enumerate(sites[["chrom", "cut", "strand"]].itertuples(index=False)):
        read = track_minus if strand == "-" and track_minus is not None else track
        for j, offset in enumerate(offsets):
            place = cut + offset if strand == "+" else cut - offset
            if 0 <= place < len(read.arrays[chrom]):
                matrix[i, j] = read.arrays[chrom][place]
    return matrix


sites_of_two_contigs = st.lists(
    st.one_of(
        st.tuples(st.just("chr1"), st.integers(0, 300), st.sampled_from("+-")),
        st.tuples(st.just("chr2"), st.integers(0, 9), st.sampled_from("+-")),
    ),
    min_size=1,
    max_size=40,
)
some_offsets = st.sets(st.integers(-25, 25), min_size=1, max_size=30).map(sorted)


@given(sites_of_two_contigs, some_offsets, st.booleans(), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_every_value_is_the_one_the_convention_names(rows, offsets, two_tracks, seed):
    rng = np.random.default_rng(seed)
    track, other = (ArrayTrack(chr2=values_with_gaps(9, rng), chr1=values_with_gaps(300, rng)) for _ in range(2))
    track_minus = other if two_tracks else None
    # the index of a table that was cut out of another one must not matter
    sites = table(*rows).set_index(pd.Index(rng.permutation(len(rows))))
    matrix = profile_matrix(track, sites, np.array(offsets), track_minus)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, slow_matrix(track, sites, offsets, track_minus))


def test_far_and_near_windows_are_read_in_few_blocks():
    rng = np.random.default_rng(0)
    track = ArrayTrack(a=values_with_gaps(3_000_000, rng), b=values_with_gaps(3_000_000, rng))
    sites = pd.DataFrame(
        {"chrom": rng.choice(["a", "b"], 3000), "cut": rng.integers(0, 3_000_001, 3000), "strand": "-"}
    )
    offsets = np.arange(-50, 51)
    matrix = profile_matrix(track, sites, offsets)
    some = sites.iloc[::30]
    np.testing.assert_array_equal(matrix[::30], slow_matrix(track, some, offsets))
    assert track.num_reads < 1500

    lonely = table(("a", 10, "+"), ("a", 2_900_000, "+"), ("a", 10, "+"))
    track.num_reads = 0
    profile_matrix(track, lonely, offsets)
    assert track.num_reads == 2


@given(sites_of_two_contigs.map(lambda rows: [row for row in rows if row[0] == "chr1"] or [("chr1", 7, "-")]))
@settings(deadline=None)
def test_the_reverse_complement_has_the_same_profiles(rows):
    values = values_with_gaps(300, np.random.default_rng(1))
    sites = table(*rows)
    turned = sites.assign(
        cut=reverse_cut(sites["cut"].to_numpy(), 300), strand=sites["strand"].map({"+": "-", "-": "+"})
    )
    offsets = np.arange(-20, 21)
    # cut 300 of one strand is cut 0 of the other, which never has a value: offsets of it are NaN on both
    np.testing.assert_array_equal(
        profile_matrix(ArrayTrack(chr1=values), sites, offsets),
        profile_matrix(ArrayTrack(chr1=from_reverse_complement(values)), turned, offsets),
    )


@pytest.fixture(scope="module")
def deeptools(golden_dir, tmp_path_factory):
    """deepTools' matrices (benchmarks/deeptools_golden.py), and the track and sites they were made of."""
    with np.load(golden_dir / "deeptools_profile.npz") as golden:
        content = dict(golden)
    path = tmp_path_factory.mktemp("deeptools") / "track.bw"
    arrays = {name.removeprefix("values_"): content[name] for name in content if name.startswith("values_")}
    with open_writer(path, [Contig(name, len(values)) for name, values in arrays.items()]) as writer:
        for name, values in arrays.items():
            writer.write(name, 0, values)
        writer.commit()
    sites = pd.DataFrame({name: content[name] for name in ("chrom", "cut", "strand")})
    with open_track(path) as track:
        yield content, track, sites


def test_equals_deeptools_when_each_cut_is_given_as_one_base(deeptools):
    golden, track, sites = deeptools
    assert "--referencePoint TSS -bs 1 " in json.loads(str(golden["about"]))["command"]
    assert set(sites["strand"]) == {"+", "-"} and np.isnan(golden["matrix"]).any()
    matrix = profile_matrix(track, sites, golden["offsets"])
    np.testing.assert_allclose(matrix, golden["matrix"], rtol=0, atol=1e-6, equal_nan=True)


def test_a_tss_on_the_minus_strand_given_to_deeptools_as_its_base_is_one_off(deeptools):
    golden, track, sites = deeptools
    ours = profile_matrix(track, sites, golden["offsets"])
    is_minus = (sites["strand"] == "-").to_numpy()
    of_bases = golden["matrix_of_bases"]
    np.testing.assert_allclose(of_bases[~is_minus], ours[~is_minus], rtol=0, atol=1e-6, equal_nan=True)
    np.testing.assert_allclose(of_bases[is_minus, :-1], ours[is_minus, 1:], rtol=0, atol=1e-6, equal_nan=True)
    assert (of_bases[is_minus] != ours[is_minus]).all(axis=0).any()


def test_sites_that_do_not_fit_the_track_are_refused():
    track = ArrayTrack(chr1=np.zeros(10, np.float32))
    offsets = np.arange(3)
    with pytest.raises(ValueError, match=r"do not fit the track ArrayTrack: .*chr7.*chr1"):
        profile_matrix(track, table(("chr1", 3, "+"), ("chr7", 3, "+")), offsets)
    with pytest.raises(ValueError, match=r"row 1: expected a cut in 0\.\.10 of chr1, got 11"):
        profile_matrix(track, table(("chr1", 10, "+"), ("chr1", 11, "-")), offsets, track)
    with pytest.raises(ValueError, match=r"expected strand '\+' or '-', got '\.'"):
        profile_matrix(track, table(("chr1", 3, ".")), offsets)
    with pytest.raises(ValueError, match="expected at least one site"):
        profile_matrix(track, table(), offsets)
    for wrong in (
        np.array([1, 1]),
        np.array([2, 1], dtype=np.uint8),
        np.array([]),
        np.array([0.0, 1.0]),
        np.array([[1, 2]]),
    ):
        with pytest.raises(ValueError, match="expected offsets as increasing whole numbers"):
            profile_matrix(track, table(("chr1", 3, "+")), wrong)


def test_a_bedgraph_does_not_say_where_a_contig_ends(tmp_path):
    path, fasta = tmp_path / "t.bedGraph", tmp_path / "g.fa"
    path.write_text("chr1\t2\t5\t0.5\n")
    fasta.write_text(">chr1\nACGTACGTAC\n>chr2\nACG\n")
    with open_track(path) as track, open_genome(fasta) as genome:
        np.testing.assert_array_equal(
            profile_matrix(track, table(("chr1", 8, "-")), np.arange(6)), [[NAN] * 4 + [0.5] * 2]
        )
        assert check_same_assembly(track, genome) == ("chr1",)
    path.write_text("chr1\t2\t11\t0.5\n")
    with open_track(path) as track, open_genome(fasta) as genome, pytest.raises(ValueError, match="differ in length"):
        check_same_assembly(track, genome)


def test_a_track_of_another_assembly_is_refused(tmp_path):
    fasta = tmp_path / "g.fa"
    fasta.write_text(">chr1\nACGT\n>chr2\nACG\n>chr3\nAC\n")
    values = {length: np.zeros(length, np.float32) for length in range(6)}
    with open_genome(fasta) as genome:
        assert check_same_assembly(ArrayTrack(chr2=values[3], other=values[5], chr1=values[4]), genome) == (
            "chr1",
            "chr2",
        )
        message = r"differ in length: chr1 \(5 bp in the track, 4 bp in the FASTA\), chr3 \(1 bp in the track, 2 bp"
        with pytest.raises(ValueError, match=message):
            check_same_assembly(ArrayTrack(chr1=values[5], chr2=values[3], chr3=values[1]), genome)
        with pytest.raises(ValueError, match=r"g\.fa share no contig: the track has 1, 2, FASTA chr1, chr2, chr3"):
            check_same_assembly(ArrayTrack(**{"1": values[4], "2": values[3]}), genome)


def test_a_bigwig_that_is_cut_short_is_an_error(tmp_path):
    rng = np.random.default_rng(2)
    whole, cut_short = tmp_path / "whole.bw", tmp_path / "short.bw"
    with open_writer(whole, [Contig("chr1", 200_000)]) as writer:
        writer.write("chr1", 0, rng.random(200_000, dtype=np.float32))
        writer.commit()
    content = whole.read_bytes()
    sites = table(("chr1", 1000, "+"), ("chr1", 199_000, "-"))
    for num_bytes in (70, len(content) // 2, len(content) * 9 // 10):
        cut_short.write_bytes(content[:num_bytes])
        with pytest.raises(TrackError, match=r"short\.bw.*(cut short|damaged)"), open_track(cut_short) as track:
            profile_matrix(track, sites, np.arange(-50, 51))


def test_summaries_leave_gaps_out():
    matrix = np.array([[1, NAN, NAN, 5], [2, 4, NAN, NAN], [6, 8, NAN, NAN]], dtype=np.float32)
    np.testing.assert_array_equal(num_valid(matrix), [3, 2, 0, 1])
    np.testing.assert_allclose(summarise(matrix), [3, 6, NAN, 5])
    np.testing.assert_allclose(summarise(matrix, "median"), [2, 6, NAN, 5])
    np.testing.assert_allclose(summarise(matrix, "sd"), [np.sqrt(7), np.sqrt(8), NAN, NAN])
    many = np.random.default_rng(3).permutation(np.array([-1e6, *range(1, 9), 1e6, NAN]))[:, None].repeat(70, axis=1)
    np.testing.assert_allclose(summarise(many.astype(np.float32), "trimmed"), np.full(70, 4.5))
    with pytest.raises(ValueError, match="expected a statistic out of mean, median, sd, trimmed, got 'mode'"):
        summarise(matrix, "mode")


def test_the_mean_of_many_float32_is_exact():
    matrix = np.full((3_000_000, 1), 0.1, dtype=np.float32)
    assert summarise(matrix)[0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_hard_cuts_beside_gaps_are_unknown():
    offsets = np.arange(-2, 3)
    matrix = np.array(
        [[0, 0.9, 0.5, 0, 0], [0, 0, 0.51, 0, 0], [0, 0, 0, 0, 0.7], [NAN, 0.9, 0, 0, 0], [0, NAN, 0.9, 0, 0]],
        dtype=np.float32,
    )
    np.testing.assert_array_equal(hard_cuts(matrix)[0], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(has_cut(matrix, offsets), [0, 1, 0, 0, 1])
    np.testing.assert_array_equal(has_cut(matrix, offsets, within_bp=1), [1, 1, 0, 1, NAN])
    np.testing.assert_array_equal(has_cut(matrix, offsets, at=1, within_bp=1), [0, 1, 1, 0, 1])
    assert count_cuts(matrix, offsets, within_bp=1) == CutCounts(3, 4)
    assert count_cuts(matrix, offsets, within_bp=1).rate == 0.75 and np.isnan(CutCounts(0, 0).rate)
    for at, within_bp in ((0, 3), (2, 1), (0, -1)):
        with pytest.raises(ValueError, match=r"within the offsets -2\.\.2"):
            has_cut(matrix, offsets, at, within_bp)


def test_orders_put_missing_rows_last():
    offsets = np.arange(-1, 2)
    matrix = np.array([[9, 1, NAN], [9, NAN, NAN], [9, 3, 1], [0, NAN, 2]], dtype=np.float32)
    np.testing.assert_array_equal(order_by_mean(matrix, offsets, (0, 1)), [2, 3, 0, 1])
    sites = pd.DataFrame({"score": [2.0, NAN, 1.0, 2.0]}, index=[7, 7, 8, 9])
    np.testing.assert_array_equal(order_by_column(sites, "score"), [2, 0, 3, 1])
    np.testing.assert_array_equal(order_by_column(sites, "score", descending=True), [0, 3, 2, 1])
    np.testing.assert_array_equal(order_by_cluster(np.array([1, 0, -1, 1]), np.array([3, 2, 1, 0])), [1, 3, 0, 2])
    with pytest.raises(ValueError, match=r"expected a window within the offsets -1\.\.1, got 5\.\.9"):
        order_by_mean(matrix, offsets, (5, 9))
    with pytest.raises(ValueError, match="expected a column of the sites to sort by, got 'rank'"):
        order_by_column(sites, "rank")


def test_clusters_find_shapes_and_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(5)
    shapes = np.array([[1, 0, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0.9, 0.9, 0.9, 0.9, 0.9]])
    truth = rng.integers(0, 3, 300)
    matrix = (shapes[truth] + rng.normal(0, 0.05, (300, 5))).astype(np.float32)
    matrix[np.arange(0, 300, 4), rng.integers(0, 5, 75)] = NAN
    matrix[:2, 1:4] = NAN
    truth[:2] = -1
    clusters = cluster_rows(matrix, 3, seed=1)
    # from the highest mean down: the plateau, then the two peaks, whose means are nearly equal
    assert (clusters.labels[truth == 2] == 0).all() and (clusters.labels[:2] == -1).all()
    assert len(set(zip(truth, clusters.labels, strict=True))) == 4
    assert (np.diff(clusters.profiles.mean(axis=1)) < 0).all()
    np.testing.assert_allclose(clusters.profiles[0], shapes[2], atol=0.05)
    turned = cluster_rows(matrix[::-1], 3, seed=99)
    np.testing.assert_array_equal(turned.labels[::-1], clusters.labels)


def test_clusters_that_cannot_be_made():
    alike = np.ones((5, 3), dtype=np.float32)
    with pytest.raises(ValueError, match="5 rows do not fall into 2 clusters"):
        cluster_rows(alike, 2)
    alike[2:] = NAN
    with pytest.raises(
        ValueError, match="expected 1 to 2 clusters of the 2 rows with at least 50% of their values, got 3"
    ):
        cluster_rows(alike, 3)
    assert cluster_rows(alike, 1).labels.tolist() == [0, 0, -1, -1, -1]


@pytest.fixture
def saved():
    matrix = np.array([[0.5, NAN, 0.50003], [0, 1, NAN]], dtype=np.float32)
    return matrix, np.arange(-1, 2), np.array(["donor:chr1:5:+", "α"]), {"track": "a.bw", "seed": 0}


def test_a_matrix_comes_back_as_it_was(tmp_path, saved):
    matrix, offsets, site_ids, provenance = saved
    save_matrix(tmp_path / "m.npz", *saved)
    loaded = load_matrix(tmp_path / "m.npz")
    np.testing.assert_array_equal(loaded.matrix, matrix)
    np.testing.assert_array_equal(loaded.offsets, offsets)
    np.testing.assert_array_equal(loaded.site_ids, site_ids)
    assert loaded.provenance == provenance and loaded.matrix.dtype == np.float32
    first = (tmp_path / "m.npz").read_bytes()
    save_matrix(tmp_path / "m.npz", matrix, offsets, list(site_ids), provenance)
    assert (tmp_path / "m.npz").read_bytes() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": np.zeros((2, 3))}, "expected a matrix of finite float32"),
        ({"matrix": np.full((2, 3), np.inf, np.float32)}, "expected a matrix of finite float32"),
        ({"offsets": np.array([0, 2, 1])}, "expected 3 increasing int64 offsets"),
        ({"offsets": np.arange(4)}, "expected 3 increasing int64 offsets"),
        ({"site_ids": np.array(["a", "a"])}, "one id for each of 2 rows, got 2 ids, 1 of them different"),
        ({"site_ids": np.array(["a"])}, "one id for each of 2 rows, got 1 ids"),
        ({"provenance": {"p": NAN}}, "JSON"),
    ],
)
def test_parts_that_do_not_fit_are_not_written(tmp_path, saved, change, message):
    parts = dict(zip(("matrix", "offsets", "site_ids", "provenance"), saved, strict=True))
    with pytest.raises(ValueError, match=message):
        save_matrix(tmp_path / "m.npz", **{**parts, **change})
    assert not list(tmp_path.iterdir())


def npz(**members):
    content = io.BytesIO()
    np.savez(content, **members)
    return content.getvalue()


def promising_header():
    """An .npz whose matrix says it has 10^12 rows, and holds none."""
    content = io.BytesIO(npz(offsets=np.arange(3), site_ids=np.array(["a"]), provenance=np.array("{}")))
    with zipfile.ZipFile(content, "a") as archive, archive.open("matrix.npy", "w") as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 3)}
        np.lib.format.write_array_header_1_0(member, header)
    return content.getvalue()


GOOD = {
    "matrix": np.zeros((1, 2), np.float32),
    "offsets": np.arange(2),
    "site_ids": np.array(["a"]),
    "provenance": np.array("{}"),
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "File is not a zip file"),
        (npz(**GOOD)[:-30], "File is not a zip file"),
        (npz(matrix=GOOD["matrix"]), "no item named 'offsets.npy'"),
        (
            npz(**{**GOOD, "site_ids": np.array(["a"], dtype=object)}),
            "expected site_ids as U with 1 dimensions, got object",
        ),
        (npz(**{**GOOD, "matrix": np.zeros((1, 2))}), "expected matrix as <f4 with 2 dimensions, got float64"),
        (npz(**{**GOOD, "offsets": np.array([1, 0])}), "expected 2 increasing int64 offsets"),
        (npz(**{**GOOD, "provenance": np.array("[1]")}), "provenance is no JSON object but list"),
        (npz(**{**GOOD, "provenance": np.array("{")}), "Expecting property name"),
        (promising_header(), "matrix holds 0 bytes, which do not fit"),
    ],
)
def test_files_that_are_no_matrix_say_so(tmp_path, content, message):
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"m\.npz: expected a profile matrix as \.npz, got: .*{message}"):
        load_matrix(path)


def test_a_missing_matrix_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_matrix(tmp_path / "none.npz")
