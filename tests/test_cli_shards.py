"""One genome in shards or in several processes: the bytes are those of one run."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet import write_track
from ldarnet.genome import Batch, Shard, parse_shard, shard_batches
from ldarnet.journal import Journal, journal_path
from ldarnet.processes import Process
from tests.command_line import letters, names, run, save_tiny, spawn, write_fasta


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fasta")
    return write_fasta(folder / "x.fa", a=letters(1, 3000), b=letters(2, 1500, "ACGTN"), c="ACG", d=letters(3, 700))


@pytest.fixture(scope="module")
def basics(fasta, model):
    return "--fasta", fasta, "--model", model, "--batch-tokens", 256


@pytest.fixture(scope="module")
def whole(tmp_path_factory, basics):
    """Bytes of a run of one process, and its sidecar."""
    out = tmp_path_factory.mktemp("whole") / "x.bw"
    assert run(*basics, "--out", out).exit_code == 0
    return out.read_bytes(), json.loads(out.with_name("x.bw.json").read_text())


@pytest.fixture(scope="module")
def parts(tmp_path_factory, basics):
    folder = tmp_path_factory.mktemp("parts")
    paths = [folder / f"part{number}.bw" for number in (1, 2, 3, 4)]
    for number, path in enumerate(paths, 1):
        done = run(*basics, "--out", path, "--shard", f"{number}/4")
        assert done.exit_code == 0, done.stderr
    return paths


def merge(*args):
    return run(*args, command="merge")


def batches(num):
    return lambda: iter([Batch(i, ()) for i in range(num)])


@given(st.integers(1, 200), st.integers(1, 12), st.integers(1, 5))
def test_shards_are_consecutive_about_equal_and_nest(num, count, num_processes):
    if num < count:
        with pytest.raises(ValueError, match=f"there are {num} batches to share out"):
            shard_batches(batches(num), Shard(1, count))
        return
    dealt = [[b.index for b in shard_batches(batches(num), Shard(i, count))] for i in range(1, count + 1)]
    assert list(chain(*dealt)) == list(range(num))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    if num >= count * num_processes:
        inner = [
            [b.index for b in shard_batches(batches(num), Shard(k, count * num_processes))]
            for k in range(1, num_processes + 1)
        ]
        assert list(chain(*inner)) == dealt[0]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2", "", "1.0/4"])
def test_a_shard_is_a_number_of_a_count(basics, tmp_path, text):
    with pytest.raises(ValueError, match="expected i/n with i from 1 to n"):
        parse_shard(text)
    if text:
        done = run(*basics, "--out", tmp_path / "x.bw", "--shard", text)
        assert done.exit_code == 2 and "expected i/n" in done.stderr


def test_merged_shards_are_the_whole_run(tmp_path, parts, whole):
    done = merge(*reversed(parts), "--out", tmp_path / "x.bw", "--out", tmp_path / "x.bed")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "x.bw").read_bytes() == whole[0]
    record = json.loads((tmp_path / "x.bw.json").read_text())
    for key in ("model", "fasta", "settings", "bases", "values", "without_value", "regions", "versions"):
        assert record[key] == whole[1][key], key
    assert record["merged_from"] == [path.name for path in parts] and "shard" not in record
    assert (tmp_path / "x.bed").stat().st_size > 0


def test_a_shard_says_what_it_holds(parts):
    records = [json.loads(path.with_name(path.name + ".json").read_text()) for path in parts]
    assert [record["shard"] for record in records] == ["1/4", "2/4", "3/4", "4/4"]
    assert sum(record["bases"] for record in records) == records[0]["whole"]["bases"] == 5203
    for record in records:
        assert record["bases"] == record["values"] + sum(record["without_value"].values())


@pytest.mark.parametrize("suffix", [".bedGraph", ".bedGraph.gz", ".npz"])
def test_shards_in_other_formats_are_merged_too(tmp_path, basics, suffix):
    """Those of a bedGraph end at their last line, and lack contigs that other shards hold."""
    assert run(*basics, "--out", tmp_path / f"x{suffix}").exit_code == 0
    pieces = [tmp_path / f"p{number}{suffix}" for number in (1, 2, 3, 4)]
    for number, path in enumerate(pieces, 1):
        assert run(*basics, "--out", path, "--shard", f"{number}/4").exit_code == 0
    done = merge(*pieces, "--out", tmp_path / f"y{suffix}")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / f"y{suffix}").read_bytes() == (tmp_path / f"x{suffix}").read_bytes()


def test_an_output_of_a_merge_is_named_once(tmp_path, parts):
    done = merge(*parts, "--out", tmp_path / "x.bw", "--out", tmp_path / "." / "x.bw")
    assert done.exit_code == 1 and "is given twice" in done.stderr
    assert names(tmp_path) == []


def change(path, folder, **changes):
    """A copy of a part whose sidecar says something else."""
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    record = json.loads(path.with_name(path.name + ".json").read_text())
    for key, value in changes.items():
        *outer, last = key.split(".")
        place = record
        for name in outer:
            place = place[name]
        place[last] = value
    copy.with_name(copy.name + ".json").write_text(json.dumps(record))
    return copy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.sha256": "0" * 64}, "are not of one run: model.sha256 differs"),
        ({"fasta.contigs": []}, "are not of one run: fasta.contigs differs"),
        ({"settings.window_bp": 99}, "are not of one run: settings.window_bp differs (256 and 99)"),
        ({"versions.ldarnet": "0.0"}, "are not of one run: versions.ldarnet differs"),
        ({"shard": "2/5"}, "is shard 2/5"),
        ({"shard": "1/4"}, "shard 1/4 is given twice"),
        ({"shard": None}, "names none (made without --shard?)"),
        ({"shard": "second"}, "lacks or garbles"),
        ({"covers": [["a"]]}, "lacks or garbles"),
        ({"covers": []}, "expected the"),
        ({"values": 7}, "expected the 7 values of its sidecar"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(tmp_path, parts, changes, message):
    other = change(parts[1], tmp_path, **changes)
    done = merge(parts[0], other, *parts[2:], "--out", tmp_path / "x.bw")
    assert done.exit_code == 1
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "x.bw").exists()


def test_what_is_missing_is_named(tmp_path, parts):
    out = tmp_path / "x.bw"
    assert "expected all 4 shards, got 2: missing 2, 4" in merge(parts[0], parts[2], "--out", out).stderr
    (tmp_path / "alone.bw").write_bytes(parts[0].read_bytes())
    assert "there is no alone.bw.json beside it" in merge(tmp_path / "alone.bw", "--out", out).stderr
    (tmp_path / "alone.bw.json").write_text("[1")
    assert "expected the sidecar of a track" in merge(tmp_path / "alone.bw", "--out", out).stderr
    cut = change(parts[1], tmp_path)
    cut.write_bytes(cut.read_bytes()[:-900])
    assert merge(parts[0], cut, *parts[2:], "--out", out).exit_code == 1
    assert "would be overwritten" in merge(*parts, "--out", parts[0]).stderr
    assert not out.exists()


def test_two_shards_with_the_same_base_are_refused(tmp_path, parts):
    copy = change(parts[0], tmp_path, shard="2/4")
    done = merge(parts[0], copy, *parts[2:], "--out", tmp_path / "x.bw")
    assert "has a value in another shard too" in done.stderr


def test_requests_that_cannot_be_shared(tmp_path, basics, fasta, model):
    done = run(*basics, "--out", tmp_path / "x.bed", "--shard", "1/2")
    assert done.exit_code == 2 and "chunks reach across shards" in done.stderr
    done = run("--fasta", "-", "--model", model, "--out", tmp_path / "x.bw", "--device", "cpu,cpu")
    assert done.exit_code == 2 and "standard input cannot be read by several processes" in done.stderr
    done = run(*basics, "--out", tmp_path / "x.bw", "--shard", "1/5000")
    assert done.exit_code == 1 and "batches to share out, use at most" in done.stderr
    assert names(tmp_path) == []


def test_two_processes_write_the_bytes_of_one(tmp_path, basics, whole):
    done = run(*basics, "--out", tmp_path / "x.bw", "--device", "cpu,cpu")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "x.bw").read_bytes() == whole[0]
    assert json.loads((tmp_path / "x.bw.json").read_text())["processes"] == 2
    assert names(tmp_path) == ["x.bw", "x.bw.json"]


def test_two_processes_may_be_told_to_resume_where_nothing_is(tmp_path, basics, whole):
    done = run(*basics, "--out", tmp_path / "x.bw", "--device", "cpu,cpu", "--resume")
    assert done.exit_code == 0, done.stderr
    assert "nothing to resume" in done.stderr
    assert (tmp_path / "x.bw").read_bytes() == whole[0]


def test_what_another_process_left_is_not_followed(tmp_path, basics, whole):
    """A run starts over beside a journal of process 2 that an earlier run with other settings left."""
    fingerprint = {"settings": "others"}
    with Journal.open(journal_path(tmp_path / "x.bw", ".2-of-2"), fingerprint, resume=False) as left:
        left.append(0, np.zeros((1, 5), dtype=np.float32))
    done = run(*basics, "--out", tmp_path / "x.bw", "--device", "cpu,cpu")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "x.bw").read_bytes() == whole[0]


def test_journals_of_as_many_processes_are_not_foreign(tmp_path):
    for suffix in ("", ".1-of-2", ".2-of-2", ".2-of-3"):
        journal_path(tmp_path / "x.bw", suffix).touch()
    foreign = write_track._journals_of_other_counts(tmp_path / "x.bw", Process(2, 2, "cpu"))
    assert [path.name for path in foreign] == [
        journal_path(tmp_path / "x.bw", suffix).name for suffix in ("", ".2-of-3")
    ]


def test_a_process_that_fails_says_why(tmp_path, basics):
    done = run(*basics, "--out", tmp_path / "x.bw", "--device", "cpu,cuda:7")
    assert done.exit_code == 1
    assert "process 2: --device cuda:7" in done.stderr
    assert not (tmp_path / "x.bw").exists()
    # What the first process has computed is kept, and goes on with as many processes only.
    done = run(*basics, "--out", tmp_path / "x.bw", "--resume")
    assert done.exit_code == 1 and "had another number of processes" in done.stderr


@pytest.mark.slow
def test_torchrun_writes_the_bytes_of_one(tmp_path, basics, whole):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "ldarnet.boundaries", *map(str, basics), "--device", "cpu", "--out", str(tmp_path / "x.bw")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.bw").read_bytes() == whole[0]
    assert names(tmp_path) == ["x.bw", "x.bw.json"]


@pytest.mark.slow
def test_two_processes_go_on_after_being_killed(tmp_path, basics, whole):
    """kill -9 of the first process at random moments; the other ends by itself, and the bytes come out the same."""
    rng = np.random.default_rng(5)
    out = tmp_path / "x.bw"
    for attempt in range(30):
        options = [*basics, "--out", out, "--device", "cpu,cpu", *(["--resume"] if attempt else [])]
        if not any(path.name.startswith(".x.bw.resume") for path in tmp_path.iterdir()):
            options = [option for option in options if option != "--resume"]
        process = spawn(*options, preexec_fn=os.setsid)
        try:
            process.wait(timeout=None if attempt >= 6 else 2.0 + 8 * rng.random())
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(1)
            continue
        assert process.returncode == 0, process.stderr.read()
        break
    assert out.read_bytes() == whole[0]
    assert names(tmp_path) == ["x.bw", "x.bw.json"]


def test_a_process_that_dies_without_a_word_is_named(tmp_path, basics, monkeypatch):
    monkeypatch.setattr(write_track, "compute_share", die)
    done = run(*basics, "--out", tmp_path / "x.bw", "--device", "cpu,cpu")
    assert done.exit_code == 1
    assert "process 2: it ended with status 3" in done.stderr and not (tmp_path / "x.bw").exists()


def die(request, process):
    os._exit(3)
