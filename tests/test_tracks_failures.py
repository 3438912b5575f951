"""A run that fails leaves no file under the target's name, no litter, and says why."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ldarnet.genome.intervals import Contig
from ldarnet.tracks import STDOUT, TrackError, check_target, open_writer, round_values

CONTIGS = [Contig("chr1", 3_000_000)]
SUFFIXES = (".bw", ".npz", ".bedGraph", ".bedGraph.gz", ".bed", ".bed.gz")
VALUES = round_values(np.random.default_rng(0).random(150_000, dtype=np.float32), 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_target_appears_with_commit_and_not_before(tmp_path, suffix):
    target = tmp_path / f"t{suffix}"
    target.write_text("old")
    with open_writer(target, CONTIGS) as track:
        track.write("chr1", 1, VALUES[:1000])
        assert target.read_text() == "old"
        part = next(file for file in tmp_path.iterdir() if file != target)
        assert part.name == f".t{suffix}.{os.getpid()}.part"
        track.commit()
    assert [file.name for file in tmp_path.iterdir()] == [target.name]
    assert target.read_bytes() != b"old"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_finished_file_waits_for_its_name(tmp_path, suffix):
    target = tmp_path / f"t{suffix}"
    target.write_text("old")
    with open_writer(target, CONTIGS) as track:
        track.write("chr1", 1, VALUES[:1000])
        track.finish()
        assert target.read_text() == "old"
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"], "finished, but never committed"
    with open_writer(target, CONTIGS) as track:
        track.write("chr1", 1, VALUES[:1000])
        track.finish()
        track.commit()
    with open_writer(tmp_path / f"once{suffix}", CONTIGS) as once:
        once.write("chr1", 1, VALUES[:1000])
        once.commit()
    assert target.read_bytes() == (tmp_path / f"once{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_leaving_without_commit_leaves_nothing(tmp_path, suffix, error):
    (tmp_path / f"t{suffix}").write_text("old")

    def run():
        with open_writer(tmp_path / f"t{suffix}", CONTIGS) as track:
            track.write("chr1", 1, VALUES)
            if error:
                raise error

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_new_file_has_the_permissions_of_one(tmp_path):
    before = os.umask(0o027)
    try:
        with open_writer(tmp_path / "t.bw", CONTIGS) as track:
            track.write("chr1", 1, VALUES[:10])
            track.commit()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t.bw").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.bw").symlink_to(tmp_path / "real" / "t.bw")
    with open_writer(tmp_path / "link.bw", CONTIGS) as track:
        track.write("chr1", 1, VALUES[:10])
        track.commit()
    assert (tmp_path / "link.bw").is_symlink()
    assert [file.name for file in (tmp_path / "real").iterdir()] == ["t.bw"]


def test_targets_that_cannot_be_written_are_known_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "folder.bw").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.bw")
    for name, message in {
        "missing/t.bw": "folder .*missing does not exist",
        "file/t.bw": "file is not a folder",
        "folder.bw": "it is a folder; expected the name of a file",
        "pipe.bw": r"not a regular file \(for standard output use -\)",
        "t.wig": "no track format has the suffix of",
    }.items():
        for attempt in (check_target, lambda path: open_writer(path, CONTIGS)):
            with pytest.raises(TrackError, match=message):
                attempt(tmp_path / name)
    monkeypatch.setattr(os, "access", lambda *args: False)
    with pytest.raises(TrackError, match="no permission to write in folder"):
        check_target(tmp_path / "t.bw")
    with pytest.raises(TrackError, match=r"cannot write .*: File name too long"):
        monkeypatch.undo()
        open_writer(tmp_path / f"{'x' * 250}.bw", CONTIGS)


_UNDER_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from ldarnet.tracks import TrackError, open_writer, round_values
from ldarnet.genome.intervals import Contig
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
values = round_values(np.random.default_rng(0).random(150_000, dtype=np.float32), 3)
try:
    with open_writer(Path(sys.argv[1]), [Contig("chr1", 400_000)]) as track:
        track.write("chr1", 1, values)
        track.commit()
except TrackError as error:
    print(error)
else:
    print("written")
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_at_any_moment_is_an_error_without_a_file(tmp_path, suffix):
    with open_writer(tmp_path / f"whole{suffix}", [Contig("chr1", 400_000)]) as track:
        track.write("chr1", 1, VALUES)
        track.commit()
    size = (tmp_path / f"whole{suffix}").stat().st_size
    target = tmp_path / f"t{suffix}"
    for limit, expected in ((0, "error"), (size // 2, "error"), (size - 1, "error"), (size, "written")):
        done = subprocess.run(
            [sys.executable, "-c", _UNDER_A_LIMIT, str(target), str(limit)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), limit
        if expected == "written":
            assert done.stdout == "written\n"
            assert target.stat().st_size == size
        else:
            assert done.stdout.startswith(f"could not write {target}: file too large, ")
            assert "bytes written so far; nothing was left under that name" in done.stdout
            assert [file.name for file in tmp_path.iterdir()] == [f"whole{suffix}"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_device_without_space_names_the_reason(tmp_path, suffix):
    with open_writer(tmp_path / f"t{suffix}", CONTIGS) as track:
        os.dup2(os.open("/dev/full", os.O_WRONLY), track._out.file.fileno())
        with pytest.raises(TrackError, match=r"could not write .*: no space left on device, [\d,]+ bytes written"):
            for start in range(0, 3_000_000 - VALUES.size, VALUES.size):
                track.write("chr1", start, VALUES)
            track.commit()
    assert list(tmp_path.iterdir()) == []


def test_standard_output_gets_the_bytes_of_the_file(tmp_path, capfdbinary):
    for path, options in ((tmp_path / "t.bw", {}), (STDOUT, {"format": "bigWig"})):
        with open_writer(path, CONTIGS, **options) as track:
            track.write("chr1", 1, VALUES[:1000])
            track.commit()
    assert capfdbinary.readouterr().out == (tmp_path / "t.bw").read_bytes()


def test_standard_output_needs_a_format():
    with pytest.raises(TrackError, match="standard output has no suffix to tell the format; give one"):
        check_target(STDOUT)


def test_a_closed_pipe_is_one_clear_error(tmp_path):
    script = """
import numpy as np
from ldarnet.genome.intervals import Contig
from ldarnet.tracks import STDOUT, open_writer
with open_writer(STDOUT, [Contig("chr1", 500_000)], format="bedGraph") as track:
    track.write("chr1", 1, np.random.default_rng(0).random(400_000, dtype=np.float32))
    track.commit()
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.read(5) == b"chr1\t"
        process.stdout.close()
        message = process.stderr.read().decode()
    assert message.count("Error: ") == 2  # the pipe's own, and ours raised from it
    assert "standard output was closed by its reader before the whole track was written" in message
    assert "Exception ignored" not in message
    assert list(tmp_path.iterdir()) == []
