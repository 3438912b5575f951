"""The folder of a run under everything that happens to folders: kills, full disks, rotten bytes, two runs at once."""

import json
import multiprocessing
import os
import resource
import signal
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.provenance import CheckpointError
from ldarnet.train.progress import read_log
from ldarnet.train.run_folder import RunFolder

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.test_train_run_folder"])  # a child then starts without importing torch

MIXED = {
    "float": torch.tensor([1.5, float("nan"), -0.0, float("inf")]),
    "double": torch.tensor(1 / 3, dtype=torch.float64),
    "half": torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).half(),
    "brain": torch.randn(5, generator=torch.Generator().manual_seed(1)).bfloat16(),
    "count": torch.tensor([2**62 + 1, -5]),
    "small": torch.tensor([[-3]], dtype=torch.int32),
    "random": torch.get_rng_state()[:33],
    "flag": torch.tensor([True, False]),
    "empty": torch.empty(0, 4),
    "turned": torch.arange(6.0).reshape(2, 3).T,
}
META = {"draws": {"position": 2**60, "seed": [1, None]}, "settings": '{"é": "\\n"}', "rate": 0.1}


def quiet(message):
    pytest.fail(f"an unexpected warning: {message}")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        as_bytes = [t.contiguous().flatten().view(torch.uint8) for t in (found[name], tensor)]
        assert torch.equal(*as_bytes)


def names(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "x"


def save(out, *steps, keep=3):
    with RunFolder(out, keep) as folder:
        for step in steps:
            path = folder.save(step, MIXED | {"step": torch.tensor(step)}, META | {"step": step})
    return path


def test_every_kind_of_tensor_comes_back_bit_for_bit(out):
    save(out, 7)
    with RunFolder(out) as folder:
        saved = folder.latest(quiet)
    assert saved.step == 7
    assert_same(saved.tensors, MIXED | {"step": torch.tensor(7)})
    assert saved.meta == META | {"step": 7}


def test_nothing_saved_is_none(out):
    with RunFolder(out) as folder:
        assert folder.latest(quiet) is None


def test_the_last_few_are_kept(out):
    save(out, 5, 90, 100_000_000, 7_000_000_000, keep=3)
    assert names(out) == [
        "step-00000090.safetensors",
        "step-100000000.safetensors",
        "step-7000000000.safetensors",
    ]
    assert RunFolder(out, is_writer=False).latest(quiet).step == 7_000_000_000


def test_what_is_read_is_no_view_of_the_file(out):
    path = save(out, 1)
    saved = RunFolder(out, is_writer=False).latest(quiet)
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(bytes(len(content)))
    assert_same(saved.tensors, MIXED | {"step": torch.tensor(1)})


def refused(path):
    """What is said about a damaged newest checkpoint; the one before it must be used."""
    warnings = []
    saved = RunFolder(path.parents[1], is_writer=False).latest(warnings.append)
    assert saved.step == 1
    (warning,) = warnings
    return warning


def test_cut_off_at_any_byte_the_one_before_is_used(out):
    path = save(out, 1, 2)
    size = path.stat().st_size
    for shorter in (size + 1, *reversed(range(size))):
        os.truncate(path, shorter)
        assert f"passed over: the checkpoint {path} is damaged" in refused(path)


def test_a_changed_bit_in_any_byte_is_noticed(out):
    path = save(out, 1, 2)
    content = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            os.pwrite(file.fileno(), bytes([byte ^ 1 << place % 8]), place)
            assert f"passed over: the checkpoint {path} is damaged" in refused(path)
            os.pwrite(file.fileno(), bytes([byte]), place)
    with RunFolder(out) as folder:
        assert folder.latest(quiet).step == 2


def test_a_renamed_checkpoint_is_not_taken_for_another_step(out):
    path = save(out, 1, 2)
    path.write_bytes(path.with_name("step-00000001.safetensors").read_bytes())
    assert "is another file renamed: expected ldarnet-run-1 of step 2" in refused(path)


def test_only_damaged_ones_are_an_error_and_stay(out):
    save(out, 1, 2)
    for path in (out / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    warnings = []
    with RunFolder(out) as folder, pytest.raises(CheckpointError, match=r"got only damaged ones \(2\)"):
        folder.latest(warnings.append)
    assert [str(path) in warning for path, warning in zip(sorted(out.glob("*/step*")), warnings[::-1], strict=True)]
    assert len(names(out)) == 2


def test_a_damaged_one_never_costs_a_good_one(out):
    path = save(out, 1, 2, 3)
    path.write_bytes(b"")
    with RunFolder(out, 1) as folder:
        assert folder.latest(lambda warning: None).step == 2
        folder.save(2, MIXED, {"again": True})
        assert names(out) == ["step-00000002.safetensors"]
        assert folder.latest(quiet).meta == {"again": True}


def save_until_killed(out, reports):
    folder = RunFolder(out, 2)
    saved = folder.latest(reports.send)
    step = 0 if saved is None else saved.step
    while True:
        step += 1
        folder.log({"step": step})
        folder.save(step, {"x": torch.full((1 << 18,), step)}, {"step": step})
        reports.send(step)


def test_killed_at_any_moment_the_last_save_that_returned_is_there(out):
    num_kills = num_inside_a_save = last_step = 0
    pauses = torch.Generator().manual_seed(0)
    while num_kills < 10 or num_inside_a_save < 3:
        assert num_kills < 100, "no kill fell into a save"
        reports, child_end = SERVER.Pipe(duplex=False)
        process = SERVER.Process(target=save_until_killed, args=(out, child_end), daemon=True)
        process.start()
        child_end.close()
        assert reports.recv() == last_step + 1  # it went on where the one before was killed
        time.sleep(0.03 * float(torch.rand(1, generator=pauses)))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        num_kills += 1
        reported = last_step + 1
        while reports.poll():
            try:
                reported = reports.recv()
            except EOFError:
                break
        num_inside_a_save += bool(list((out / "checkpoints").glob(".*.part")))
        with RunFolder(out, 2) as folder:
            saved = folder.latest(quiet)
            folder.rewind_log(saved.step)
        assert reported <= saved.step <= reported + 1
        assert torch.equal(saved.tensors["x"], torch.full((1 << 18,), saved.step))
        assert saved.meta == {"step": saved.step}
        assert not list((out / "checkpoints").glob(".*"))
        assert [record["step"] for record in read_log(out / "log.jsonl")] == list(range(1, saved.step + 1))
        last_step = saved.step


def save_on_a_full_disk(out, limit, answer):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with RunFolder(out, 1) as folder:
        try:
            folder.save(2, {"x": torch.zeros(1 << 16)}, {})
        except OSError as error:
            answer.send(str(error))
        try:
            folder.log({"step": 2, "text": "x" * limit})
        except OSError as error:
            answer.send(str(error))


def test_a_full_disk_costs_nothing_but_the_new_checkpoint(out):
    old = save(out, 1)
    content = old.read_bytes()
    answers, child_end = SERVER.Pipe(duplex=False)
    process = SERVER.Process(target=save_on_a_full_disk, args=(out, 100_000, child_end))
    process.start()
    child_end.close()  # one that is left open here would be waited on for ever
    process.join()
    path = out / "checkpoints" / "step-00000002.safetensors"
    assert f"cannot write the checkpoint {path} (File too large); those before it are kept" in answers.recv()
    assert f"cannot write {out}/log.jsonl (File too large)" in answers.recv()
    assert [each for each in (out / "checkpoints").iterdir()] == [old]
    assert old.read_bytes() == content
    with RunFolder(out) as folder:
        assert folder.rewind_log(1) == 0
        assert (out / "log.jsonl").read_bytes() == b""


def test_one_writer_at_a_time(out):
    with RunFolder(out) as folder:
        folder.save(1, MIXED, META)
        with pytest.raises(BlockingIOError, match=f"another process is training in {out}; wait for it"):
            RunFolder(out)
        assert RunFolder(out, is_writer=False).latest(quiet).step == 1  # the other ranks of the same run
    with RunFolder(out):
        pass


def test_half_written_files_of_killed_runs_are_removed_and_no_others(out):
    save(out, 1)
    mine = [out / ".log.jsonl.9.part", out / ".model.safetensors.9.part", out / "checkpoints" / ".step-2.9.part"]
    other = [out / ".probs.bw.9.part", out / "notes.txt"]
    for path in (*mine, *other):
        path.touch()
    RunFolder(out, is_writer=False)
    assert all(path.exists() for path in mine)
    with RunFolder(out):
        assert not any(path.exists() for path in mine)
        assert all(path.exists() for path in other)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(OSError, match=str(tmp_path / "x")):
        RunFolder(tmp_path / "x")


RECORDS = [
    {"step": 10, "loss": 1.25, "cut_share": [0.25]},
    {"step": 20, "loss": 0.1 + 0.2, "name": "é"},
    {"step": 20, "valid": {"loss": 1e-9}},
    {"step": 30, "loss": 1},
]


def test_a_log_goes_on_after_the_step_resumed_from(out):
    with RunFolder(out) as folder:
        assert folder.rewind_log(5) == 0
        for record in RECORDS:
            folder.log(record)
        assert read_log(folder.log_file) == RECORDS
        assert folder.rewind_log(30) == 0
        assert folder.rewind_log(20) == 1
        folder.log({"step": 25})
        assert read_log(folder.log_file) == [*RECORDS[:3], {"step": 25}]


def test_cut_off_at_any_byte_a_log_keeps_its_whole_records(out, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # hundreds of them take their time
    with RunFolder(out) as folder:
        for record in RECORDS:
            folder.log(record)
        content = folder.log_file.read_bytes()
        ends = [place for place in range(len(content)) if content[place] == ord("\n")]
        for size in range(len(content) + 1):
            folder.log_file.write_bytes(content[:size])
            folder.rewind_log(99)
            folder.log({"step": 99})
            assert read_log(folder.log_file) == [*RECORDS[: sum(end <= size for end in ends)], {"step": 99}]


@pytest.mark.parametrize("line", ["", "x", "[1]", '{"loss": 1}', '{"step": "1"}', '{"step": true}', "[" * 100_000])
def test_a_strange_line_inside_a_log_is_named(out, line):
    with RunFolder(out) as folder:
        folder.log_file.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
        with pytest.raises(ValueError, match=r"log\.jsonl, line 2: expected a JSON object with a whole number 'step'"):
            folder.rewind_log(5)


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.floats() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_log_lines_are_json_that_every_reader_knows(tmp_path_factory, value):
    def refuse(name):
        pytest.fail(f"{name} is not JSON")

    with RunFolder(tmp_path_factory.mktemp("run")) as folder:
        folder.log({"step": 1, "value": value})
        (line,) = folder.log_file.read_text().splitlines()
    json.loads(line, parse_constant=refuse)


def test_settings_are_replaced_whole(out):
    with RunFolder(out) as folder:
        folder.write_settings('{"a": 1}')
        folder.write_settings('{"b": 2}')
        assert folder.settings_file.read_text() == '{"b": 2}'
    assert sorted(path.name for path in out.iterdir()) == [".lock", "checkpoints", "settings.json"]
