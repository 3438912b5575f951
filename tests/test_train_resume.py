"""A run that is killed, stopped or damaged at any moment goes on as if nothing had happened, to the last bit."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numba import njit

from ldarnet import vocab
from ldarnet.checkpoint import load_model
from ldarnet.model.cpu_gradients import gated_norm_gradient
from ldarnet.train import command as train_command
from ldarnet.train import loop
from ldarnet.train.curves import draw_curves
from ldarnet.train.progress import read_log

from .command_line import letters, run
from .training_runs import (
    arguments,
    assert_same_run,
    curve,
    draw_nothing,
    finish,
    is_saving,
    last_saved,
    saved_steps,
    start,
    wait_for,
    write_genome,
)

DECAYED = {"num_steps": 60, "save_every": 1}
SHARDS = ("0.jsonl", "1.jsonl", "2.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data for all tests; every test has runs of its own there."""
    folder = tmp_path_factory.mktemp("training")
    write_genome(folder)
    for number, name in enumerate(SHARDS):
        records = [json.dumps({"sequence": letters(seed, 640)}) for seed in range(9 * number, 9 * number + 9)]
        (folder / name).write_text("\n".join(records))
    return folder


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    monkeypatch.setattr(loop, "draw_curves", draw_nothing)


@pytest.fixture(scope="module")
def whole(folder):
    """A run without interruption, 30 steps."""
    return trained(arguments(folder, out="whole/run"))


def trained(command):
    """The folder of a run in this process."""
    ended = run(*command, command="train")
    assert ended.exit_code == 0, ended.stderr
    return out_of(command)


def out_of(command):
    return Path(command[command.index("--out") + 1])


def kill_at_random(process, out, rng):
    """SIGKILL after a few more steps: as soon as a save has begun, or at any moment. Whether it fell into a save."""
    goal = max(saved_steps(out), default=0) + rng.integers(1, 5)
    assert wait_for(lambda: max(saved_steps(out), default=0) >= goal, process)
    if rng.random() < 0.5:
        wait_for(lambda: is_saving(out), process, poll_seconds=0)
    else:
        time.sleep(rng.uniform(0, 0.05))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return is_saving(out)


def assert_unmoved_by_kills(folder, num_kills, num_inside_a_save, name, *more, **options):
    expected = trained(arguments(folder, *more, out=f"{name}-whole/run", **options))
    command = arguments(folder, *more, out=f"{name}-killed/run", **options)
    out, output, rng = out_of(command), folder / "words.txt", np.random.default_rng(num_kills)
    (out / "checkpoints").mkdir(parents=True)
    inside = []
    while len(inside) < num_kills or sum(inside) < num_inside_a_save:
        inside.append(kill_at_random(start(command, output), out, rng))
    ended = finish(start(command, output), output)
    assert ended.exit_code == 0, ended.text
    assert "going on after step" in ended.text
    assert_same_run(out, expected)
    assert len(curve(out)) >= 9


def test_killed_a_few_times_the_run_is_the_same(folder):
    assert_unmoved_by_kills(folder, 3, 0, "few", **DECAYED)


@pytest.mark.slow
def test_killed_many_times_the_run_is_the_same(folder):
    intervals = ("--intervals", str(folder / "tiny.bed"))
    assert_unmoved_by_kills(folder, 12, 3, "many", *intervals, **DECAYED, valid_every=4, num_valid_windows=4)


@pytest.mark.slow
def test_killed_many_times_a_run_over_shards_is_the_same(folder):
    assert_unmoved_by_kills(folder, 12, 3, "shards", **DECAYED, data=("--shards", *SHARDS))


def test_a_truncated_checkpoint_is_passed_over_with_a_warning(folder, whole):
    out = folder / "truncated" / "run"
    shutil.copytree(whole, out)
    (out / "model.safetensors").unlink()
    newest = out / "checkpoints" / "step-00000030.safetensors"
    os.truncate(newest, newest.stat().st_size - 1)
    ended = run(*arguments(folder, out="truncated/run"), command="train")
    assert ended.exit_code == 0
    assert f"passed over: the checkpoint {newest} is damaged" in ended.stderr
    assert "going on after step 20 of 30" in ended.stderr
    assert_same_run(out, whole)


def test_a_run_stopped_by_the_clock_goes_on(folder):
    options = {"num_steps": 8, "log_every": 3}
    expected = trained(arguments(folder, out="clock-whole/run", **options))
    command = arguments(folder, out="clock/run", max_seconds=1e-9, **options)
    for step in range(1, 8):
        ended = run(*command, command="train")
        assert ended.exit_code == 0
        assert f"stopped after step {step} of 8; the same command goes on from here" in ended.stderr
        assert saved_steps(out_of(command))[-1] == step
        assert not (out_of(command) / "model.safetensors").exists()
    assert_same_run(trained(command), expected)
    seconds = [record["seconds"] for record in read_log(out_of(command) / "log.jsonl")]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_asked_to_stop_saves_and_goes_on(folder, whole, monkeypatch, number):
    before = signal.getsignal(number)
    command = arguments(folder, out=f"asked-{number}/run")
    with monkeypatch.context() as patch:
        patch.setattr(train_command, "say", lambda line: signal.raise_signal(number) if "step 7/" in line else None)
        ended = run(*command, command="train")
    assert ended.exit_code == 128 + number
    assert saved_steps(out_of(command)) == [7]
    assert signal.getsignal(number) == before
    if number == signal.SIGTERM:
        assert_same_run(trained(command), whole)


def test_an_ignored_signal_stays_ignored(folder, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(train_command, "say", lambda line: signal.raise_signal(signal.SIGHUP))
    try:
        trained(arguments(folder, out="nohup/run", num_steps=2))
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_finished_run_says_so_and_makes_its_model_again(folder, whole, monkeypatch):
    monkeypatch.setattr(loop, "draw_curves", draw_curves)
    out = folder / "finished" / "run"
    shutil.copytree(whole, out)
    expected = {path.name: path.read_bytes() for path in out.glob("*.*")}
    (out / "model.safetensors").unlink()
    ended = run(*arguments(folder, out="finished/run", data=("--fasta", "gone/tiny.fa")), command="train")
    assert ended.exit_code == 0
    assert f"{out}: the run is finished, all 30 steps are done" in ended.stderr
    assert f"ldarnet boundaries --fasta x.fa --out probs.bw --model {out}/model.safetensors" in ended.stderr
    assert "loss" not in ended.stderr
    assert (out / "curves.png").stat().st_size > 10_000
    assert {name: (out / name).read_bytes() for name in expected} == expected


def test_the_model_is_the_one_of_the_last_checkpoint(whole):
    saved = last_saved(whole)
    for name, prefix in (("model", "model/"), ("model-average", "average/")):
        state = load_model(whole / f"{name}.safetensors").state_dict()
        assert all(tensor.equal(saved.tensors[prefix + key]) for key, tensor in state.items())
    assert load_model(whole / "model.safetensors").config.context_bp == 64


def test_shards_are_gone_through_without_a_gap(folder):
    data = ("--shards", *SHARDS)
    expected = trained(arguments(folder, out="stream/run", data=data, num_steps=6))
    command = arguments(folder, out="stream-stopped/run", data=data, num_steps=6, max_seconds=1e-9)
    for _ in range(6):
        trained(command)
    assert_same_run(out_of(command), expected)


def test_validation_does_not_change_the_training(folder):
    intervals = ("--intervals", str(folder / "tiny.bed"))
    plain = trained(arguments(folder, *intervals, out="plain/run", num_steps=5, valid_every=5, num_valid_windows=1))
    seen = trained(arguments(folder, *intervals, out="seen/run", num_steps=5, valid_every=2))
    assert last_saved(plain).tensors["model/head.weight"].equal(last_saved(seen).tensors["model/head.weight"])
    valid = [record for record in read_log(seen / "log.jsonl") if "valid" in record]
    assert [record["step"] for record in valid] == [2, 4, 5]
    assert sorted(valid[0]["valid"]["tables"]) == ["composition", "flank3", "flank5", "markov5"]


def test_the_alarm_goes_on_counting(folder, monkeypatch):
    # Next to no token is cut where nearly all should be, and nothing makes the router change.
    options = {"tokens_per_chunk": [1.001], "ratio_weight": 0, "learning_rate": 1e-9, "num_steps": 7, "log_every": 1}
    command = arguments(folder, out="alarm/run", max_seconds=1e-9, **options)
    rang = ["ALARM: the router of stage 0" in run(*command, command="train").stderr for _ in range(7)]
    assert rang == [False, False, False, False, True, False, False]


def test_fixed_cuts_are_no_reason_for_an_alarm(folder):
    command = arguments(
        folder, "--set=model.cuts=fixed", "--set=model.cut_every=1", out="fixed/run", num_steps=6, log_every=1
    )
    assert "ALARM" not in run(*command, command="train").stderr
    assert [record["cut_share"] for record in curve(out_of(command))] == [[1.0]] * 6


def test_tensorboard_has_every_record_once(folder):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    command = arguments(folder, out="board/run", tensorboard=True, log_every=1, num_steps=4, max_seconds=1e-9)
    for _ in range(4):
        trained(command)
    events = accumulators.EventAccumulator(str(out_of(command) / "tensorboard"))
    events.Reload()
    logged = {record["step"]: record["loss"] for record in read_log(out_of(command) / "log.jsonl")}
    assert {event.step: event.value for event in events.Scalars("loss")} == pytest.approx(logged)
    assert len(events.Scalars("loss")) == 4
    assert "cut_share/0" in events.Tags()["scalars"]


def test_norms_of_the_parts_make_up_that_of_the_gradient(folder):
    out = trained(arguments(folder, out="norms/run", clip_norm=0.1, num_steps=2, log_every=1))
    for record in curve(out):
        parts = record["grad_norm_per_stage"]
        assert sorted(parts) == ["decoder", "encoder", "inner", "router"]
        assert record["grad_norm"] > 0.1
        assert sum(norm**2 for norm in parts.values()) == pytest.approx(record["grad_norm"] ** 2, rel=1e-5)


def test_letters_that_are_unknown_are_never_masked(folder, monkeypatch):
    from ldarnet.train import examples

    seen = []
    mask = examples.mask_letters
    monkeypatch.setattr(
        examples, "mask_letters", lambda ids, *rest: seen.append((ids, mask(ids, *rest))) or seen[-1][1]
    )
    (folder / "n.fa").write_text(">c\n" + "".join(letter + "ACGTT" for letter in letters(5, 200, "NACGT")))
    trained(arguments(folder, out="unknown/run", data=("--fasta", "n.fa"), num_steps=4))
    ids, masked = (np.concatenate(each) for each in zip(*((ids, m.labels) for ids, m in seen), strict=True))
    assert (ids == vocab.N).any()
    assert (masked[ids == vocab.N] == -100).all()
    assert 0.1 < (masked[ids < vocab.N] != -100).mean() < 0.2


def test_two_stages_in_bfloat16_go_on(folder):
    shape = {
        "layout": ["m1", ["m1", ["m1"], "m1"], "m1"],
        "d_model": [16, 16, 32],
        **{name: [2, 2, 2] for name in ("num_heads", "rotary_dim", "attention_window")},
        "d_intermediate": [0, 0, 0],
    }
    words = [f"--set=model.{key}={json.dumps(value)}" for key, value in shape.items()]
    options = {"num_steps": 3, "log_every": 2, "tokens_per_chunk": [3, 2], "dtype": "bfloat16"}
    expected = trained(arguments(folder, *words, out="nested/run", **options))
    for _ in range(3):
        stopped = trained(arguments(folder, *words, out="nested-stopped/run", **options, max_seconds=1e-9))
    assert_same_run(stopped, expected)
    assert [len(record["cut_share"]) for record in curve(expected)] == [2, 2]
    assert max(record["letter_loss"] for record in curve(expected)) < 3


@njit
def compiled_array(width):
    return np.empty(width, dtype=np.float32)


def test_gradients_do_not_depend_on_where_arrays_lie():
    rng, width, seen = np.random.default_rng(0), 32, set()
    values = rng.normal(size=(4, width)).astype(np.float32)
    for _ in range(1000):
        # The kernel's own arrays come to lie in gaps between those that it is given.
        memory = [(torch.empty(width).numpy(), compiled_array(width)) for _ in range(30)]
        y, z, weight, grad = (memory[i][0] for i in rng.permutation(30)[:4])
        for array, value in zip((y, z, weight, grad), values, strict=True):
            array[:] = value
        for i in rng.permutation(30)[: rng.integers(6, 30)]:
            memory[i] = memory[i][:1]
        scale, eps = np.float32(0.5), np.float32(1e-5)
        dy, dz, dweight = (
            np.zeros(shape, dtype=np.float32) for shape in ((1, 1, 1, width), (1, 1, width), (1, 1, width))
        )
        inputs = y.reshape(1, 1, 1, width), z.reshape(1, 1, width), weight.reshape(1, width), scale, eps
        gated_norm_gradient(0, 1, *inputs, grad.reshape(1, 1, width), dy, dz, dweight)
        seen.add((dy.tobytes(), dz.tobytes(), dweight.tobytes()))
    assert len(seen) == 1
