import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from ldarnet.journal import Journal, journal_path

FINGERPRINT = {"model": "abc", "window": 4096, "strand": ["+", "-"]}
BATCHES = [(index, np.arange(2 * n, dtype=np.float32).reshape(2, n) + index) for index, n in ((4, 3), (2, 0), (9, 1))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".out.bw.resume"


def write(path, batches=BATCHES):
    """Write a journal; the size of the file after the fingerprint and after each batch."""
    with Journal.open(path, FINGERPRINT, resume=False) as journal:
        sizes = [path.stat().st_size]
        for index, values in batches:
            journal.append(index, values)
            sizes.append(path.stat().st_size)
    return sizes


def assert_holds(journal, batches):
    found = list(journal.replay())
    assert [index for index, _ in found] == [index for index, _ in batches]
    for (_, values), (_, expected) in zip(found, batches, strict=True):
        np.testing.assert_array_equal(values, expected)
        assert values.shape == expected.shape
        assert values.dtype == np.float32
    assert journal.num_batches == len(batches)


def test_the_journal_lies_hidden_beside_the_output(tmp_path):
    assert journal_path(tmp_path / "out.bw") == tmp_path / ".out.bw.resume"


def test_batches_come_back_in_order_and_more_can_follow(path):
    write(path)
    with Journal.open(path, FINGERPRINT, resume=True) as journal:
        assert journal.is_resumed
        assert_holds(journal, BATCHES)
        journal.append(10, BATCHES[0][1])
        assert_holds(journal, [*BATCHES, (10, BATCHES[0][1])])
    with Journal.open(path, dict(reversed(FINGERPRINT.items())), resume=True) as journal:
        assert_holds(journal, [*BATCHES, (10, BATCHES[0][1])])
        journal.remove()
    assert not path.exists()


def test_nothing_to_resume_starts_afresh(path):
    with Journal.open(path, FINGERPRINT, resume=True) as journal:
        assert not journal.is_resumed
        assert_holds(journal, [])
        journal.append(1, BATCHES[0][1])
        assert not journal.is_resumed


def test_without_resume_an_old_journal_is_emptied(path):
    write(path)
    with Journal.open(path, {"other": 1}, resume=False) as journal:
        assert not journal.is_resumed
        assert_holds(journal, [])
    with Journal.open(path, {"other": 1}, resume=True) as journal:
        assert_holds(journal, [])


def test_cut_at_any_byte_only_whole_batches_remain(path):
    sizes = write(path)
    content = path.read_bytes()
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        with Journal.open(path, FINGERPRINT, resume=True) as journal:
            num_whole = max(0, sum(end <= size for end in sizes) - 1)
            assert_holds(journal, BATCHES[:num_whole])
            assert journal.is_resumed == (num_whole > 0)
            assert journal.num_dropped_bytes == size - (sizes[num_whole] if size >= sizes[0] else 0)
            journal.append(7, BATCHES[0][1])
        with Journal.open(path, FINGERPRINT, resume=True) as journal:
            assert_holds(journal, [*BATCHES[:num_whole], (7, BATCHES[0][1])])


def test_a_flipped_byte_is_never_read_as_data(path):
    sizes = write(path)
    content = path.read_bytes()
    for place in range(sizes[0], len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with Journal.open(path, FINGERPRINT, resume=True) as journal:
            assert_holds(journal, BATCHES[: sum(end <= place for end in sizes) - 1])


def test_a_damaged_fingerprint_starts_afresh_and_says_how_much_is_lost(path):
    sizes = write(path)
    content = bytearray(path.read_bytes())
    content[sizes[0] - 2] ^= 1
    path.write_bytes(content)
    with Journal.open(path, FINGERPRINT, resume=True) as journal:
        assert not journal.is_resumed
        assert journal.num_dropped_bytes == len(content)


def test_other_settings_are_named_and_the_journal_is_kept(path):
    write(path)
    content = path.read_bytes()
    other = {"model": "abc", "window": 8192, "dtype": "bfloat16"}
    with pytest.raises(ValueError, match="is of a run with other settings") as caught:
        Journal.open(path, other, resume=True)
    assert str(caught.value).splitlines()[1:] == [
        '  dtype: not given then, "bfloat16" now',
        '  strand: ["+", "-"] then, not given now',
        "  window: 4096 then, 8192 now",
    ]
    assert path.read_bytes() == content


@pytest.mark.parametrize("resume", [True, False])
def test_a_file_that_is_no_journal_is_left_alone(path, resume):
    path.write_text("my notes")
    with pytest.raises(ValueError, match="is not a journal of ldarnet; move it away"):
        Journal.open(path, FINGERPRINT, resume=resume)
    assert path.read_text() == "my notes"


def test_values_of_another_shape_or_type_are_refused(path):
    with Journal.open(path, FINGERPRINT, resume=False) as journal:
        with pytest.raises(ValueError, match=r"expected float32 values \[channels, n\], got float64 \(1, 2\)"):
            journal.append(0, np.zeros((1, 2)))
        with pytest.raises(ValueError, match=r"got float32 \(2,\)"):
            journal.append(0, np.zeros(2, np.float32))
        assert_holds(journal, [])


def test_a_second_writer_is_refused_while_the_first_lives(path):
    with Journal.open(path, FINGERPRINT, resume=False) as journal:
        journal.append(*BATCHES[0])
        for resume in (True, False):
            with pytest.raises(OSError, match="another process is writing the journal"):
                Journal.open(path, FINGERPRINT, resume=resume)
        assert_holds(journal, BATCHES[:1])
    Journal.open(path, FINGERPRINT, resume=True).close()


def test_a_killed_process_leaves_its_batches_and_no_lock(path):
    script = """
import sys, time
from pathlib import Path
import numpy as np
from ldarnet.journal import Journal
journal = Journal.open(Path(sys.argv[1]), {"a": 1}, resume=False)
journal.append(5, np.ones((1, 4), np.float32))
print("written", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"written\n"
        with pytest.raises(OSError, match="another process is writing"):
            Journal.open(path, {"a": 1}, resume=True)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    with Journal.open(path, {"a": 1}, resume=True) as journal:
        assert_holds(journal, [(5, np.ones((1, 4), np.float32))])


def test_a_failed_write_keeps_the_batches_before(path, monkeypatch):
    script = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from ldarnet.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with Journal.open(Path(sys.argv[1]), {"a": 1}, resume=False) as journal:
    journal.append(5, np.ones((1, 4), np.float32))
    try:
        journal.append(6, np.ones((1, 400), np.float32))
    except OSError as error:
        print(error)
    journal.append(7, np.ones((1, 4), np.float32))
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "could not write the journal" in done.stdout
    assert "(File too large); the batches before are kept" in done.stdout
    with Journal.open(path, {"a": 1}, resume=True) as journal:
        one = np.ones((1, 4), np.float32)
        assert_holds(journal, [(5, one), (7, one)])
        assert journal.num_dropped_bytes == 0


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        Journal.open(tmp_path / "missing" / "j", FINGERPRINT, resume=False)


def test_a_journal_removed_between_opening_and_locking_is_made_anew(path, monkeypatch):
    path.write_bytes(b"")
    real_open, calls = os.open, []

    def open_and_lose(*args):
        descriptor = real_open(*args)
        if not calls:
            path.unlink()
        calls.append(args)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    with Journal.open(path, FINGERPRINT, resume=True) as journal:
        journal.append(*BATCHES[0])
    assert len(calls) == 2
    assert path.stat().st_size > 0
