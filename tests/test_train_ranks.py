"""Runs of two processes: the same as one that takes twice as many micro-batches, and never one without the other."""

import resource
import subprocess
import sys
import time
from functools import partial

import pytest
import torch

from ldarnet.train import loop

from .command_line import run
from .training_runs import (
    arguments,
    assert_same_run,
    curve,
    draw_nothing,
    finish,
    last_saved,
    run_ranks,
    saved_steps,
    start_ranks,
    wait_for,
    write_genome,
)

STEPS = {"num_steps": 50, "tokens_per_step": 1024, "log_every": 1}
SHORT = {"num_steps": 8, "tokens_per_step": 1024, "log_every": 3}


@pytest.fixture(scope="module", autouse=True)
def without_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "draw_curves", draw_nothing)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    write_genome(folder)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    """One process with an accumulation of four."""
    assert run(*arguments(folder, out="alone/run", **STEPS), command="train").exit_code == 0
    return folder / "alone" / "run"


def assert_close_runs(out, other):
    """Losses and gradients of every step within 1e-4, and the weights they lead to."""
    found, expected = curve(out), curve(other)
    assert [record["step"] for record in found] == [record["step"] for record in expected]
    for name in ("loss", "letter_loss", "grad_norm", "learning_rate"):
        values = [[record[name] for record in records] for records in (found, expected)]
        torch.testing.assert_close(*map(torch.tensor, values), rtol=0, atol=1e-4)
    saved, reference = last_saved(out), last_saved(other)
    assert saved.meta["draws"] == reference.meta["draws"]
    for name, tensor in reference.tensors.items():
        if name.startswith(("model/", "average/")):
            torch.testing.assert_close(saved.tensors[name], tensor, rtol=0, atol=2e-4)


def test_torchrun_trains_as_one_process_does(folder, alone):
    command = arguments(folder, out="torchrun/run", **STEPS)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ldarnet.train"]
    ended = subprocess.run([sys.executable, *torchrun, *command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("step 50/50") == 1
    assert_close_runs(folder / "torchrun" / "run", alone)


@pytest.mark.slow
def test_sharded_weights_train_as_whole_ones_do_and_go_on(folder, alone):
    options = {**STEPS, "parallel": "fsdp", "save_every": 20}
    stopped = start_ranks([arguments(folder, out="fsdp/run", **options)] * 2, folder)
    out = folder / "fsdp" / "run"
    assert wait_for(lambda: saved_steps(out)[-1:] == [20], stopped[0][0])
    for process, _ in stopped:
        process.kill()
        process.join()
    for ended in run_ranks([arguments(folder, out="fsdp/run", **options)] * 2, folder):
        assert ended.exit_code == 0, ended.text
    assert_close_runs(out, alone)


def test_a_killed_run_of_two_ranks_is_the_same_to_the_last_bit(folder):
    for ended in run_ranks([arguments(folder, out="pair/run", **SHORT)] * 2, folder):
        assert ended.exit_code == 0, ended.text
    command = arguments(folder, out="pair-killed/run", save_every=1, **SHORT)
    out = folder / "pair-killed" / "run"
    (first, _), (second, second_words) = start_ranks([command] * 2, folder)
    assert wait_for(lambda: len(saved_steps(out)) > 1, first)
    first.kill()
    assert finish(second, second_words).exit_code == 1  # does not wait for one that is gone
    for ended in run_ranks([command] * 2, folder):
        assert ended.exit_code == 0, ended.text
    assert_same_run(out, folder / "pair" / "run")


def test_a_run_goes_on_with_another_number_of_ranks(folder, alone):
    options = {**STEPS, "max_seconds": 1e-9}
    for num_ranks in (2, 1, 4):
        for ended in run_ranks([arguments(folder, out="changing/run", **options)] * num_ranks, folder):
            assert ended.exit_code == 0, ended.text
    out = folder / "changing" / "run"
    assert saved_steps(out)[-1] == 3
    assert last_saved(out).meta["draws"]["position"] == 3 * 1024 // 64
    for record, expected in zip(curve(out), curve(alone)[:3], strict=True):
        assert record["loss"] == pytest.approx(expected["loss"], abs=1e-5)


def limit_file_size(num_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


def test_a_full_disk_of_the_first_rank_ends_all(folder):
    started = time.monotonic()
    command = arguments(folder, out="full/run", **SHORT, save_every=2)
    first, second = run_ranks([command] * 2, folder, partial(limit_file_size, 20_000))
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert "step-00000002.safetensors (File too large)" in first.text
    assert "rank 1 of 2 stops: another one failed, and says why" in second.text
    assert time.monotonic() - started < 60


def test_a_failure_of_another_rank_ends_the_first(folder):
    good = arguments(folder, out="other/run", **SHORT)
    bad = arguments(folder, out="other/run", data=("--fasta", "missing.fa"), **SHORT)
    first, second = run_ranks([good, bad], folder)
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert "missing.fa" in second.text
    assert "rank 0 of 2 stops: another one failed, and says why" in first.text


def test_ranks_must_see_the_same_checkpoints(folder):
    run(*arguments(folder, out="mine/run", **SHORT, max_seconds=1e-9), command="train")
    here, there = (arguments(folder, out=out, **SHORT) for out in ("mine/run", "yours/run"))
    first, second = run_ranks([here, there], folder)
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert "rank 0 finds a checkpoint of step 1 and another one that of step 0" in first.text
    assert "rank 1 finds a checkpoint of step 0 and another one that of step 1" in second.text
