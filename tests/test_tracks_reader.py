"""Files of others: broken, hostile or just different."""

import gzip
import io
import zipfile

import numpy as np
import pyBigWig
import pytest

from ldarnet.genome.intervals import Contig
from ldarnet.tracks import TrackError, open_track, open_writer

NAN = float("nan")


@pytest.fixture
def track_of(tmp_path):
    def make(content, name="t.bedGraph"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return make


def test_bedgraph_of_others(track_of):
    text = 'browser position chr1\r\ntrack type=bedGraph name="a b"\n# note\n\n'
    text += "chr2 0 2 .5\r\nchr2\t3\t5\t-1e-3\nchr1 1 2 7"
    for path in (track_of(text), track_of(gzip.compress(text.encode()), "t.bedGraph.gz")):
        with open_track(path) as track:
            assert track.contigs == (Contig("chr2", 5), Contig("chr1", 2))
            expected = np.array([0.5, 0.5, NAN, -1e-3, -1e-3], np.float32)
            for start in range(6):
                for end in range(start, 6):
                    np.testing.assert_array_equal(track.values("chr2", start, end), expected[start:end])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "chr1 0 2 1\nchr1 1 3 1",
            "line 2: expected sorted lines that do not overlap, got start 1 after end 2 on chr1",
        ),
        (
            "chr1 0 2 1\nchr2 0 1 1\nchr1 3 4 1",
            "line 3: expected the lines of a contig together, got chr1 again",
        ),
        ("chr1 0 2", "line 1: expected contig, start, end and value, got 'chr1 0 2'"),
        ("chr1 0 2 x", "line 1: expected contig, start, end and value, got 'chr1 0 2 x'"),
        ("chr1 2 2 1", r"line 1: expected 0 <= start < end and a finite value, got 2-2 1\.0"),
        ("chr1 -1 2 1", "line 1: expected 0 <= start < end and a finite value, got -1-2"),
        ("chr1 0 2 nan", "line 1: expected 0 <= start < end and a finite value, got 0-2 nan"),
        ("chr1 0 2 1e39", "line 1: expected 0 <= start < end and a finite value"),
        (f"chr1 0 {2**63} 1", "line 1: expected 0 <= start < end and a finite value"),
        ("# only\n", r"expected bedGraph lines \(contig start end value\), got none"),
        (gzip.compress(b"chr1 0 2 1\n", mtime=0)[:-9], "the gzip stream is cut short or damaged"),
        (gzip.compress(b"chr1 0 2 1\n", mtime=0)[:12] + b"\xff" * 30, "the gzip stream is cut short or damaged"),
    ],
)
def test_broken_bedgraph_says_where(track_of, text, message):
    with pytest.raises(TrackError, match=rf"t\.bedGraph:? ?{message}"):
        open_track(track_of(text))


def test_bigwig_of_another_writer(tmp_path):
    with pyBigWig.open(str(tmp_path / "t.bw"), "w") as other:
        other.addHeader([("chr1", 10), ("chrEmpty", 4)])
        other.addEntries(["chr1", "chr1"], [1, 6], ends=[3, 7], values=[0.5, 2.0])
    with open_track(tmp_path / "t.bw") as track:
        assert track.contigs == (Contig("chr1", 10), Contig("chrEmpty", 4))
        expected = [NAN, 0.5, 0.5, NAN, NAN, NAN, 2, NAN, NAN, NAN]
        np.testing.assert_array_equal(track.values("chr1", 0, 10), expected)
        assert np.isnan(track.values("chrEmpty", 0, 4)).all()


def test_what_is_no_bigwig(track_of):
    with pytest.raises(TrackError, match="expected a bigWig, which starts with 26fc8f88, got 3e636872"):
        open_track(track_of(b">chr1\nACGT\n", "t.bw"))
    with pytest.raises(TrackError, match="got nothing"):
        open_track(track_of(b"", "t.bw"))
    with pytest.raises(TrackError, match="starts as a bigWig, but is cut short or damaged"):
        open_track(track_of(bytes.fromhex("26fc8f88"), "t.bw"))


@pytest.mark.parametrize("part", [20, 80, 120, 300, 0.3, 0.7])
def test_bigwig_cut_short(tmp_path, track_of, part):
    with open_writer(tmp_path / "whole.bw", [Contig("chr1", 99_999)]) as writer:
        writer.write("chr1", 0, np.random.default_rng(0).random(99_999, dtype=np.float32))
        writer.commit()
    content = (tmp_path / "whole.bw").read_bytes()
    num_bytes = part if part > 1 else int(part * len(content))
    with pytest.raises(TrackError, match=r"t\.bw: starts as a bigWig, but is cut short or damaged"):
        open_track(track_of(content[:num_bytes], "t.bw"))


def npz_of(**members):
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in members.items():
                archive.writestr(f"{name}.npy", content)
        return file.getvalue()


def npy_of(values):
    with io.BytesIO() as file:
        np.save(file, values)
        return file.getvalue()


def test_npz_of_others(track_of, tmp_path):
    np.savez_compressed(tmp_path / "t.npz", chr1=np.array([0.5, NAN]), chr2=np.ones(3, np.float16))
    with open_track(tmp_path / "t.npz") as track:
        assert track.contigs == (Contig("chr1", 2), Contig("chr2", 3))
        np.testing.assert_array_equal(track.values("chr2", 1, 3), np.ones(2, np.float32))
        np.testing.assert_array_equal(track.values("chr1", 0, 2), [0.5, NAN])
    np.testing.assert_array_equal(np.load(tmp_path / "t.npz")["chr1"], [0.5, NAN])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "expected an .npz, got something that is no zip archive"),
        (npz_of(chr1=b"text"), r"chr1\.npy is no readable numpy array"),
        (
            npz_of(chr1=npy_of(np.ones((2, 2)))),
            r"expected chr1\.npy to be floats of one dimension, got float64 \(2, 2\)",
        ),
        (npz_of(chr1=npy_of(np.array(["a"]))), r"expected chr1\.npy to be floats of one dimension, got <U1"),
        (npz_of(chr1=npy_of(np.ones(9))[:-8]), r"chr1\.npy holds 64 bytes of values; expected 72"),
        (npz_of(), "expected one array per contig, got none"),
    ],
)
def test_what_is_no_npz_track(track_of, content, message):
    with pytest.raises(TrackError, match=message):
        open_track(track_of(content, "t.npz"))


def test_npz_with_a_flipped_bit(track_of):
    content = bytearray(npz_of(chr1=npy_of(np.ones(9000))))
    content[content.rindex(b"\xf0\x3f")] ^= 1
    with (
        open_track(track_of(bytes(content), "t.npz")) as track,
        pytest.raises(TrackError, match=r"chr1\.npy is damaged .Bad CRC-32"),
    ):
        track.values("chr1", 0, 9)


@pytest.mark.parametrize("suffix", [".bw", ".npz", ".bedGraph"])
def test_asking_for_what_is_not_there(tmp_path, suffix):
    with open_writer(tmp_path / f"t{suffix}", [Contig("chr1", 9)]) as writer:
        writer.write("chr1", 0, np.ones(9, np.float32))
        writer.commit()
    with open_track(tmp_path / f"t{suffix}") as track:
        with pytest.raises(ValueError, match="no contig '1' among the 1 of this track: chr1"):
            track.values("1", 0, 1)
        for start, end in ((-1, 2), (3, 2), (5, 10)):
            with pytest.raises(ValueError, match=f"expected bases of chr1 within 0-9, got {start}-{end}"):
                track.values("chr1", start, end)
        assert track.values("chr1", 9, 9).shape == (0,)


def test_files_that_hold_no_track(tmp_path):
    with pytest.raises(TrackError, match="BED holds chunks, not values"):
        open_track(tmp_path / "t.bed")
    with pytest.raises(TrackError, match="no track format has the suffix of"):
        open_track(tmp_path / "t.wig")
    with pytest.raises(FileNotFoundError, match=r"t\.npz"):
        open_track(tmp_path / "t.npz")
