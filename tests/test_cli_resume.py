"""Runs that are stopped, killed or fail: what they leave, what they say, and how they go on."""

import json
import os
import random
import re
import signal
import time

import pytest

from ldarnet.boundaries import BatchRunner
from tests.command_line import letters, names, read_values, run, save_tiny, spawn, write_fasta

NUM_BATCHES = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def basics(tmp_path, model):
    fasta = write_fasta(tmp_path / "x.fa", a=letters(1, 2000), b=letters(2, 1000, "ACGTN"), c="ACG")
    return "--fasta", fasta, "--model", model, "--batch-tokens", 256


@pytest.fixture
def whole(tmp_path, basics):
    """Bytes of an uninterrupted run."""
    (tmp_path / "whole").mkdir()
    assert run(*basics, "--out", tmp_path / "whole" / "x.bw").exit_code == 0
    return (tmp_path / "whole" / "x.bw").read_bytes()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def after_batches(monkeypatch, num_batches, action):
    """`action` happens instead of the batch of this number."""
    original = BatchRunner.begin
    count = iter(range(10**6))

    def begin_batch(self, batch):
        if next(count) == num_batches:
            action()
        return original(self, batch)

    monkeypatch.setattr(BatchRunner, "begin", begin_batch)


def fail():
    raise OSError(5, "Input/output error")


STOPPED = {
    "Ctrl-C": (lambda: os.kill(os.getpid(), signal.SIGINT), 130, "stopped by SIGINT"),
    "SIGTERM": (lambda: os.kill(os.getpid(), signal.SIGTERM), 143, "stopped by SIGTERM"),
    "SIGHUP": (lambda: os.kill(os.getpid(), signal.SIGHUP), 129, "stopped by SIGHUP"),
    "failure": (fail, 1, "error: [Errno 5] Input/output error"),
}


@pytest.mark.parametrize("how", STOPPED)
def test_a_stopped_run_says_how_to_go_on_and_does(folder, basics, whole, monkeypatch, how):
    action, status, message = STOPPED[how]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with monkeypatch.context() as patched:
        after_batches(patched, 9, action)
        stopped = run(*basics, "--out", folder / "x.bw")
    assert stopped.exit_code == status
    assert stopped.stderr.splitlines()[-2:] == [
        message,
        f"9 finished batches are kept in {folder / '.x.bw.resume'}: the same command with --resume goes on from there",
    ]
    assert names(folder) == [".x.bw.resume"]
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    resumed = run(*basics, "--out", folder / "x.bw", "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert f"{folder / 'x.bw'}: going on after 9 finished batches" in resumed.stderr
    assert (folder / "x.bw").read_bytes() == whole
    assert names(folder) == ["x.bw", "x.bw.json"]
    record = json.loads((folder / "x.bw.json").read_text())
    assert record["batches_from_an_earlier_run"] == 9


def test_the_speed_told_is_that_of_this_run(folder, basics, monkeypatch):
    with monkeypatch.context() as patched:
        after_batches(patched, NUM_BATCHES - 2, fail)
        run(*basics, "--out", folder / "x.bw")
    run(*basics, "--out", folder / "x.bw", "--resume")
    record = json.loads((folder / "x.bw.json").read_text())
    assert record["batches_from_an_earlier_run"] == NUM_BATCHES - 2
    assert record["bases_per_second"] * record["seconds"] < record["bases"] / 3


def test_stopped_before_the_first_batch(folder, basics, monkeypatch):
    after_batches(monkeypatch, 0, lambda: os.kill(os.getpid(), signal.SIGINT))
    stopped = run(*basics, "--out", folder / "x.bw")
    assert stopped.exit_code == 130
    assert stopped.stderr.endswith("stopped by SIGINT\n")
    assert names(folder) == []


def test_standard_output_has_no_journal_to_speak_of(tmp_path, basics, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path)
    after_batches(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = run(*basics, "--out", "-", "--format", "bedGraph")
    assert stopped.exit_code == 143
    assert stopped.stdout == ""
    assert "--resume" not in stopped.stderr
    assert names(tmp_path) == before


def test_kill_9_at_random_moments(folder, basics, whole):
    journal = folder / ".x.bw.resume"
    slowly = """
import time
from ldarnet.boundaries import BatchRunner
original = BatchRunner.begin
BatchRunner.begin = lambda self, batch: (time.sleep(0.03), original(self, batch))[1]
"""
    moments = sorted(random.Random(7).sample(range(500, 11_000), 2))
    for moment_bytes in moments:
        process = spawn(*basics, "--out", folder / "x.bw", "--resume", prelude=slowly)
        deadline = time.monotonic() + 60
        while process.poll() is None and (not journal.exists() or journal.stat().st_size < moment_bytes):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        said = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, said
        assert not (folder / "x.bw").exists()
    assert any(name.endswith(".part") for name in names(folder)), "the dead runs left parts"
    resumed = run(*basics, "--out", folder / "x.bw", "--resume")
    num_before = int(re.search(r"going on after (\d+) finished batches", resumed.stderr)[1])
    assert 0 < num_before < NUM_BATCHES
    assert (folder / "x.bw").read_bytes() == whole
    assert names(folder) == ["x.bw", "x.bw.json"], "what the dead runs left is gone"


CHANGES = {
    "halo_bp": ["--halo", 60],
    "window_bp": ["--window", 200],
    "strand": ["--strand", "-"],
    "decimals": ["--decimals", 0],
    "batch_tokens": ["--batch-tokens", 512],
    "dtype": ["--dtype", "bfloat16"],
    "regions": ["--regions", "a"],
}


def test_other_settings_are_refused_by_name(tmp_path, folder, basics, whole, monkeypatch):
    with monkeypatch.context() as patched:
        after_batches(patched, 5, fail)
        run(*basics, "--out", folder / "x.bw")
    resume = (*basics, "--out", folder / "x.bw", "--resume")
    for key, flags in CHANGES.items():
        result = run(*resume, *flags)
        assert result.exit_code == 1
        assert "is of a run with other settings; resume with the same ones, or start over" in result.stderr
        assert re.search(rf"^  {key}: .* then, .* now$", result.stderr, re.MULTILINE)
    other_model = save_tiny(tmp_path, name="other")
    other_fasta = write_fasta(tmp_path / "y.fa", a=letters(9, 2000), b=letters(2, 1000, "ACGTN"), c="ACG")
    changed = run(*resume, "--fasta", other_fasta)
    assert re.search(r"^  fasta: \"\w+\" then, \"\w+\" now$", changed.stderr, re.MULTILINE)
    assert names(folder) == [".x.bw.resume"]
    assert run(*resume, "--model", other_model).exit_code == 0, "the same weights under another name"
    assert (folder / "x.bw").read_bytes() == whole


def test_a_run_of_other_settings_may_be_started_over(folder, basics, whole, monkeypatch):
    with monkeypatch.context() as patched:
        after_batches(patched, 5, fail)
        run(*basics, "--out", folder / "x.bw", "--strand", "-")
    resume = (*basics, "--out", folder / "x.bw", "--resume", "--or-start-over")
    assert run(*resume).exit_code == 0
    assert (folder / "x.bw").read_bytes() == whole
    with monkeypatch.context() as patched:
        after_batches(patched, 5, fail)
        run(*basics, "--out", folder / "x.bw")
    result = run(*resume)
    assert result.exit_code == 0 and "going on after 5 finished batches" in result.stderr
    assert (folder / "x.bw").read_bytes() == whole
    assert run(*basics, "--out", folder / "x.bw", "--or-start-over").exit_code == 2


def test_nothing_to_resume(folder, basics, whole):
    result = run(*basics, "--out", folder / "x.bw", "--resume")
    assert result.exit_code == 0
    assert f"{folder / 'x.bw'}: nothing to resume, starting from the beginning" in result.stderr
    assert (folder / "x.bw").read_bytes() == whole
    assert names(folder) == ["x.bw", "x.bw.json"]


def test_starting_over_is_told(folder, basics, whole, monkeypatch):
    with monkeypatch.context() as patched:
        after_batches(patched, 5, fail)
        run(*basics, "--out", folder / "x.bw")
    result = run(*basics, "--out", folder / "x.bw")
    assert result.exit_code == 0
    assert "an unfinished run was there and is started over; --resume would have continued it" in result.stderr
    assert (folder / "x.bw").read_bytes() == whole
    assert names(folder) == ["x.bw", "x.bw.json"]


def test_two_runs_of_one_output(folder, basics, monkeypatch):
    rival = []
    after_batches(monkeypatch, 3, lambda: rival.append(run(*basics, "--out", folder / "x.bw")))
    first = run(*basics, "--out", folder / "x.bw")
    assert first.exit_code == 0, first.stderr
    assert rival[0].exit_code == 1
    assert "another process is writing the journal" in rival[0].stderr
    assert "started over" not in rival[0].stderr
    assert names(folder) == ["x.bw", "x.bw.json"]


def test_a_failed_run_leaves_the_older_track(folder, basics, monkeypatch):
    run(*basics, "--out", folder / "x.bw", "--strand", "-")
    before = read_values(folder / "x.bw", "a")
    after_batches(monkeypatch, 5, fail)
    assert run(*basics, "--out", folder / "x.bw").exit_code == 1
    assert (read_values(folder / "x.bw", "a")[1:] == before[1:]).all()
    assert names(folder) == [".x.bw.resume", "x.bw", "x.bw.json"]


def test_a_device_that_runs_ahead_gives_the_same(folder, basics, whole, monkeypatch):
    """What a GPU does: the next batch is begun before the values of the last are taken."""
    begun, ahead, original = [], [], BatchRunner.begin

    def begin(self, batch):
        self.runs_ahead = True
        begun.append(batch.index)
        values = original(self, batch)

        def finish():
            ahead.append(begun[-1] - batch.index)
            return values()

        return finish

    monkeypatch.setattr(BatchRunner, "begin", begin)
    assert run(*basics, "--out", folder / "x.bw").exit_code == 0
    assert len(begun) > 10
    assert ahead == [1] * (len(begun) - 1) + [0]
    assert (folder / "x.bw").read_bytes() == whole
