"""bigWig against two independent readers: pyBigWig (libBigWig, C) and pybigtools (Rust)."""

import numpy as np
import pybigtools
import pyBigWig
import pytest

from ldarnet.genome.intervals import Contig
from ldarnet.tracks import TrackError, open_writer, zoom


def write(path, contigs, pieces):
    with open_writer(path, contigs) as track:
        for chrom, start, values in pieces:
            track.write(chrom, start, np.asarray(values, np.float32))
        track.commit()


def read_both(path, chrom, start, end):
    with pyBigWig.open(str(path)) as track:
        first = track.values(chrom, start, end, numpy=True)
    with pybigtools.open(str(path)) as track:
        second = track.values(chrom, start, end, fillna=None)
    np.testing.assert_array_equal(first, np.asarray(second, np.float32))
    return first


@pytest.mark.parametrize("num_contigs", [1, 256, 257, 20_000, 70_000])
def test_many_contigs_with_names_out_of_order(tmp_path, num_contigs):
    names = [f"scaffold_{(7919 * number) % num_contigs}" for number in range(num_contigs)]
    contigs = [Contig(name, 1 + number % 5) for number, name in enumerate(names)]
    marked = [0, num_contigs // 2, num_contigs - 1]
    pieces = [(names[i], contigs[i].length_bp - 1, [(i + 1) / 2**17]) for i in sorted(set(marked))]
    write(tmp_path / "t.bw", contigs, pieces)
    with pyBigWig.open(str(tmp_path / "t.bw")) as track:
        assert list(track.chroms().items()) == [tuple(contig) for contig in contigs]
    with pybigtools.open(str(tmp_path / "t.bw")) as track:
        assert track.chroms() == dict(contigs)
    for i in marked:
        values = read_both(tmp_path / "t.bw", *(names[i], 0, contigs[i].length_bp))
        assert values[-1] == np.float32((i + 1) / 2**17)
        assert np.isnan(values[:-1]).all()


def test_every_contig_with_values_is_found_through_the_index(tmp_path):
    contigs = [Contig(f"c{number}", 3) for number in range(3000, 0, -1)]
    write(tmp_path / "t.bw", contigs, [(name, 1, [int(name[1:]), 0.5]) for name, _ in contigs])
    with pyBigWig.open(str(tmp_path / "t.bw")) as first, pybigtools.open(str(tmp_path / "t.bw")) as second:
        for name, _ in contigs:
            expected = [np.nan, int(name[1:]), 0.5]
            np.testing.assert_array_equal(first.values(name, 0, 3), expected)
            np.testing.assert_array_equal(second.values(name, 0, 3, fillna=None), expected)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    values = np.random.default_rng(0).beta(0.3, 0.8, 700_001).astype(np.float32)
    values[0] = np.nan
    values[200_000:290_000] = np.nan
    values[400_000:450_000:3] = np.nan
    path = tmp_path_factory.mktemp("bigwig") / "t.bw"
    write(path, [Contig("chr1", values.size), Contig("chr2", 50)], [("chr1", 0, values), ("chr2", 49, [1])])
    return path, values


def test_header_sums_the_whole_file(dense):
    path, values = dense
    present = np.append(values[~np.isnan(values)], 1).astype(np.float64)
    with pybigtools.open(str(path)) as track:
        summary = track.info()["summary"]
    assert summary["basesCovered"] == present.size
    assert summary["min"] == present.min()
    assert summary["max"] == present.max()
    assert summary["sum"] == pytest.approx(present.sum(), rel=1e-6)
    assert summary["std"] == pytest.approx(present.std(), rel=1e-4)


@pytest.mark.parametrize("kind", ["mean", "min", "max", "coverage"])
def test_zoom_levels_tell_what_the_values_tell(dense, kind):
    path, values = dense
    bins = values[: 85 * 8192].reshape(85, 8192)  # wide enough to be read from the level of 4,096 bp
    end = bins.size
    with np.errstate(all="ignore"):
        has_value = ~np.isnan(bins)
        expected = {
            "mean": np.nansum(bins, axis=1, dtype=np.float64) / has_value.sum(axis=1),
            "min": np.where(has_value, bins, np.inf).min(axis=1),
            "max": np.where(has_value, bins, -np.inf).max(axis=1),
            "coverage": has_value.mean(axis=1),
        }[kind]
    with pyBigWig.open(str(path)) as track:
        assert track.header()["nLevels"] == len(zoom.reductions_bp(values.size)) == 7
        found = np.array(track.stats("chr1", 0, end, type=kind, nBins=len(bins), exact=False), dtype=float)
    filled = has_value.all(axis=1)
    assert filled.sum() > 50
    np.testing.assert_allclose(found[filled], expected[filled], rtol=1e-5)
    empty = ~has_value.any(axis=1)
    assert empty.any()
    assert (np.isnan(found[empty]) | (found[empty] == 0)).all()


def test_zoom_records_against_the_plain_way():
    rng = np.random.default_rng(2)
    values = np.where(rng.random(64 * 300 + 9) < 0.02, rng.random(64 * 300 + 9), np.nan).astype(np.float32)
    records = zoom.merge(zoom.summarize(3, 64 * 5, values), 256)
    assert len(np.unique(records["start"] // 256)) == len(records)
    positions = 64 * 5 + np.arange(values.size)
    for record in records:
        of_bin = (positions // 256 == record["start"] // 256) & ~np.isnan(values)
        assert record["start"] == positions[of_bin][0]
        assert record["end"] == positions[of_bin][-1] + 1
        assert record["num_values"] == of_bin.sum()
        assert (record["min"], record["max"]) == (values[of_bin].min(), values[of_bin].max())
        assert record["sum"] == pytest.approx(values[of_bin].sum(), rel=1e-6)
        assert record["sum_squares"] == pytest.approx(np.square(values[of_bin]).sum(), rel=1e-6)
    assert records["num_values"].sum() == np.count_nonzero(~np.isnan(values))


def test_sparse_values_do_not_cost_a_block_each(tmp_path):
    sparse = np.full(200_000, np.nan, np.float32)
    sparse[::7] = 0.5
    write(tmp_path / "t.bw", [Contig("chr1", sparse.size)], [("chr1", 0, sparse)])
    np.testing.assert_array_equal(read_both(tmp_path / "t.bw", "chr1", 0, sparse.size), sparse)
    assert (tmp_path / "t.bw").stat().st_size < 8 * sparse.size / 7


def test_a_contig_too_long_for_the_format(tmp_path):
    with pytest.raises(TrackError, match=r"at most 4,294,967,295 bp, x has 4,294,967,296: choose \.bedGraph\.gz"):
        open_writer(tmp_path / "t.bw", [Contig("x", 2**32)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length_bp", [2**31 - 1, 2**32 - 1])
def test_the_last_base_of_the_longest_contigs(tmp_path, length_bp):
    write(tmp_path / "t.bw", [Contig("x", length_bp)], [("x", 1, [0.25]), ("x", length_bp - 1, [0.75])])
    if length_bp < 2**31:  # pybigtools reads no further
        np.testing.assert_array_equal(read_both(tmp_path / "t.bw", "x", length_bp - 2, length_bp), [np.nan, 0.75])
    with pyBigWig.open(str(tmp_path / "t.bw")) as track:
        np.testing.assert_array_equal(track.values("x", length_bp - 2, length_bp), [np.nan, 0.75])


def test_a_file_damaged_before_its_rename_is_refused(tmp_path):
    with open_writer(tmp_path / "t.bw", [Contig("chr1", 100_000)]) as track:
        track.write("chr1", 0, np.random.default_rng(0).random(100_000, dtype=np.float32))
        close = track._out.close

        def close_and_cut():
            close()
            with track._out.part.open("r+b") as part:
                part.seek(300_000)  # in the block that is read back
                part.write(bytes(5000))

        track._out.close = close_and_cut
        with pytest.raises(TrackError, match=r"could not write .*t\.bw: what was written"):
            track.commit()
    assert list(tmp_path.iterdir()) == []
