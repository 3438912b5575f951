"""Fine-tuning: what is learned, what is left alone, what does not depend on how a run was cut or batched."""

import copy
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from ldarnet import vocab
from ldarnet.finetune import Examples, FineTuneSettings, check_examples, fit, make_examples, metrics, predict
from ldarnet.finetune.epochs import Epochs
from ldarnet.finetune.examples import batches_by_length, epoch_batches
from ldarnet.finetune.predict import pooled_states
from ldarnet.train.progress import read_log
from ldarnet.train.run_folder import RunFolder
from ldarnet.train.trainer import Diverged

from .labelled_sequences import settings, tiny_model, toy
from .training_runs import SERVER, wait_for

TRAIN, VALID, TEST = toy(48, seed=0), toy(24, seed=1), toy(40, seed=2)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(fitted):
    return {**fitted.model.state_dict(), **{f"head.{k}": v for k, v in fitted.head.state_dict().items()}}


def assert_same(fitted, other):
    a, b = weights(fitted), weights(other)
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name
    assert untimed(fitted.history) == untimed(other.history)
    assert fitted.best_epoch == other.best_epoch


def untimed(history):
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]


@pytest.mark.parametrize("mode", ["full", "lora", "frozen", "probe"])
def test_a_task_is_learned_and_the_model_given_stays_as_it_was(mode):
    model = tiny_model()
    before = copy.deepcopy(model.state_dict())
    fitted = fit(model, TRAIN, VALID, settings(mode=mode, max_epochs=12))
    assert metrics(TEST.labels, predict(fitted, TEST), "classification")["mcc"] > 0.6
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    changed = {name for name, tensor in fitted.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert fitted.model.state_dict().keys() == before.keys()
    if mode in ("frozen", "probe"):
        assert not changed
    elif mode == "lora":
        assert changed == {name for name in before if name.endswith(("proj.weight", "residual.weight"))}
    else:
        assert "stage.encoder.layers.0.mixer.A_log" in changed
        assert "head.weight" not in changed  # the letters' own
    assert all(p.requires_grad for p in fitted.model.parameters())


@pytest.mark.parametrize(("task", "figure"), [("multilabel", "auroc"), ("regression", "pearson")])
@pytest.mark.parametrize("mode", ["full", "frozen", "probe"])
def test_other_tasks_are_learned(task, figure, mode):
    train, valid, test = (toy(48, seed=seed, task=task) for seed in range(3))
    fitted = fit(tiny_model(), train, valid, settings(mode=mode, task=task, max_epochs=12))
    scores = predict(fitted, test)
    assert metrics(test.labels, scores, task)[figure] > 0.7
    if task == "regression":  # in the units of the labels, far from 0
        assert abs(scores.mean() - test.labels.mean()) < 10


def test_three_classes_are_learned():
    train, valid, test = (toy(60, seed=seed, num_classes=3, longest=60) for seed in range(3))
    fitted = fit(tiny_model(), train, valid, settings(mode="probe"))
    scores = predict(fitted, test)
    assert scores.shape == (60, 3)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-5)
    assert metrics(test.labels, scores, "classification")["mcc"] > 0.6


def test_training_the_head_on_stored_states_is_training_it_on_a_body_that_is_held_fixed():
    model = tiny_model()
    stored = fit(model, TRAIN, VALID, settings(mode="frozen"))
    model.requires_grad_(False)
    run = fit(model, TRAIN, VALID, settings(mode="full"))
    torch.testing.assert_close(stored.head.state_dict(), run.head.state_dict(), rtol=1e-4, atol=1e-6)
    assert [r["valid"]["mcc"] for r in stored.history] == [r["valid"]["mcc"] for r in run.history]


def test_the_best_epoch_is_kept_and_patience_ends_the_run():
    told = settings(mode="frozen", learning_rate=0.5, max_epochs=40, patience=3)
    fitted = fit(tiny_model(), TRAIN, VALID, told)
    figures = [(record["valid"]["mcc"], -record["valid"]["loss"]) for record in fitted.history]
    assert fitted.best_epoch == 1 + max(range(len(figures)), key=lambda i: figures[i])
    assert len(figures) == min(40, fitted.best_epoch + 3)
    found = metrics(VALID.labels, predict(fitted, VALID), "classification")
    assert found["mcc"] == pytest.approx(figures[fitted.best_epoch - 1][0])


def test_the_rate_falls_where_validation_no_longer_rises():
    told = settings(mode="frozen", learning_rate=1e-9, max_epochs=8, patience=8, plateau_patience=1, select_by="auroc")
    constant = TRAIN._replace(ids=np.zeros_like(TRAIN.ids)), VALID._replace(ids=np.zeros_like(VALID.ids))
    fitted = fit(tiny_model(), *constant, told)
    rates = [record["learning_rate"] / 1e-9 for record in fitted.history]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] <= 0.25


def test_every_stop_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    told = settings(max_epochs=3, save_every_seconds=0.0)
    whole = fit(tiny_model(), TRAIN, VALID, told)

    class Killed(Exception):
        pass

    advance = Epochs._advance
    for num_steps in (1, 4, 7):  # in the middle of epochs of 3 batches, and after their end
        left = [num_steps]

        def until_killed(self, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return advance(self)

        monkeypatch.setattr(Epochs, "_advance", until_killed)
        with pytest.raises(Killed):
            fit(tiny_model(), TRAIN, VALID, told, tmp_path / str(num_steps))
        monkeypatch.setattr(Epochs, "_advance", advance)
        said = []
        assert_same(fit(tiny_model(), TRAIN, VALID, told, tmp_path / str(num_steps), say=said.append), whole)
        assert f"after {num_steps:,} batches" in said[0]
        assert untimed(read_log(tmp_path / str(num_steps) / "log.jsonl")) == untimed(whole.history)


LONG = settings(max_epochs=12, patience=12, save_every_seconds=0.0)


def _fit_long(folder):
    torch.set_num_threads(1)
    fit(tiny_model(), TRAIN, VALID, LONG, folder)


def test_a_killed_process_leaves_a_folder_that_goes_on(tmp_path):
    SERVER.set_forkserver_preload(["tests.training_server"])
    process = SERVER.Process(target=_fit_long, args=(tmp_path,))
    process.start()
    assert wait_for(lambda: any((tmp_path / "checkpoints").glob("step-*[1-9].safetensors")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert 1 <= RunFolder(tmp_path, is_writer=False).latest(print).step < 36
    assert_same(fit(tiny_model(), TRAIN, VALID, LONG, tmp_path), fit(tiny_model(), TRAIN, VALID, LONG))


def test_every_epoch_is_logged_once_wherever_a_run_is_cut_off(tmp_path, monkeypatch):
    told = settings(max_epochs=3, save_every_seconds=0.0, mode="frozen")
    whole = fit(tiny_model(), TRAIN, VALID, told)

    class Killed(Exception):
        pass

    def killed(*arguments):
        raise Killed

    for number, method in enumerate(("save", "log")):
        folder = tmp_path / str(number)
        fit(tiny_model(), TRAIN, VALID, replace(told, max_seconds=1e-9), folder)
        with monkeypatch.context() as patch:  # where the first epoch ends
            patch.setattr(Epochs, "_end_epoch", ending_in(patch, RunFolder, method, killed))
            with pytest.raises(Killed):
                fit(tiny_model(), TRAIN, VALID, told, folder)
        assert_same(fit(tiny_model(), TRAIN, VALID, told, folder), whole)
        assert untimed(read_log(folder / "log.jsonl")) == untimed(whole.history)


def ending_in(patch, owner, method, instead, end_epoch=Epochs._end_epoch):
    """The end of an epoch, after which a method of another class is replaced."""

    def ended(self, valid):
        end_epoch(self, valid)
        patch.setattr(owner, method, instead)

    return ended


def test_a_run_out_of_time_stops_and_goes_on(tmp_path):
    told = settings(max_seconds=1e-9)
    stopped = fit(tiny_model(), TRAIN, VALID, told, tmp_path)
    assert not stopped.is_finished
    assert stopped.best_epoch == 0
    whole = fit(tiny_model(), TRAIN, VALID, settings(), tmp_path)
    assert whole.is_finished
    assert_same(whole, fit(tiny_model(), TRAIN, VALID, settings()))


def test_a_finished_run_is_only_read(tmp_path, monkeypatch):
    whole = fit(tiny_model(), TRAIN, VALID, settings(), tmp_path)
    monkeypatch.setattr(Epochs, "_advance", lambda self: pytest.fail("it trained"))
    assert_same(fit(tiny_model(), TRAIN, VALID, settings(), tmp_path), whole)


def test_a_folder_of_another_run_is_refused(tmp_path):
    fit(tiny_model(), TRAIN, VALID, settings(max_epochs=1, mode="frozen"), tmp_path)
    with pytest.raises(ValueError, match=r"learning_rate was 0.01, now 0.02"):
        fit(tiny_model(), TRAIN, VALID, settings(max_epochs=1, mode="frozen", learning_rate=0.02), tmp_path)
    with pytest.raises(ValueError, match="other sequences, labels or weights"):
        fit(tiny_model(), TRAIN, TEST, settings(max_epochs=1, mode="frozen"), tmp_path)
    with pytest.raises(ValueError, match="other sequences, labels or weights"):
        fit(tiny_model(seed=4), TRAIN, VALID, settings(max_epochs=1, mode="frozen"), tmp_path)


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(Diverged, match=r"epoch 1, batch 2.*learning rate below 1e\+38"):
        fit(tiny_model(), TRAIN, VALID, settings(learning_rate=1e38))


def test_both_strands_are_averaged_on_request():
    fitted = fit(tiny_model(), TRAIN, VALID, settings(max_epochs=1))
    both = replace(fitted, settings=replace(fitted.settings, reverse_complement_at_test=True))
    examples = toy(10, seed=5, shortest=20, longest=40)
    turned = examples.reverse_complement()
    expected = (predict(fitted, examples) + predict(fitted, turned)) / 2
    assert np.abs(predict(fitted, examples) - predict(fitted, turned)).max() > 1e-3
    np.testing.assert_allclose(predict(both, examples), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predict(both, turned), expected, rtol=1e-5, atol=1e-6)


def test_a_strand_is_turned_round_without_its_padding():
    examples = toy(20, seed=1, shortest=1, longest=9)
    turned = examples.reverse_complement()
    for ids, other, length in zip(examples.ids, turned.ids, examples.lengths, strict=True):
        assert other[:length].tolist() == vocab.reverse_complement(ids[:length]).tolist()
        assert (other[length:] == vocab.PAD).all()
    assert np.array_equal(turned.reverse_complement().ids, examples.ids)


def test_states_do_not_depend_on_the_batch_and_come_in_the_order_given():
    model, examples = tiny_model(), toy(12, seed=4, shortest=1, longest=50)
    states = pooled_states(model, examples, settings())
    for number, (ids, length) in enumerate(zip(examples.ids, examples.lengths, strict=True)):
        with torch.no_grad():
            alone = model(torch.from_numpy(ids[None, :length])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(states[number], alone, rtol=1e-4, atol=1e-5)


def test_an_epoch_takes_every_sequence_once_with_little_padding():
    lengths = np.random.default_rng(0).integers(10, 1000, 999)
    batches = epoch_batches(lengths, 32, 0, 1)
    assert sorted(np.concatenate(batches)) == list(range(999))
    padded = sum(len(index) * lengths[index].max() for index in batches)
    assert padded < 1.1 * lengths.sum()
    other = epoch_batches(lengths, 32, 0, 2)
    assert not any(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))
    assert sorted(np.concatenate(batches_by_length(lengths, 4000))) == list(range(999))


def test_the_middle_of_long_sequences_is_kept():
    sequences = [np.arange(4, dtype=np.uint8), np.arange(3, dtype=np.uint8)]
    (ids, lengths, _), num = make_examples(sequences, np.array([0, 1]), 2)
    assert ids.tolist() == [[1, 2], [0, 1]]
    assert lengths.tolist() == [2, 2]
    assert num == 2


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        ([0, 2, 2], "classification", "classes 0..k-1.*got 0, 2"),
        ([1, 1, 1], "classification", "got 1"),
        ([0, 0, 0], "classification", "two or more"),
        ([0.0, 1.0, 2.0], "classification", "whole-number labels"),
        ([0, 1, 1], "regression", "float labels"),
        ([0, 1, 1], "multilabel", "bool labels"),
    ],
)
def test_labels_that_are_none_of_the_task_are_refused(labels, task, message):
    examples = Examples(TRAIN.ids[:3], TRAIN.lengths[:3], np.array(labels))
    with pytest.raises(ValueError, match=f"the training set: .*{message}"):
        check_examples(examples, task, name="the training set")


def test_a_class_that_training_does_not_know_and_an_empty_split_are_refused():
    with pytest.raises(ValueError, match=r"the validation set: expected classes 0\.\.1, got 0\.\.2"):
        fit(tiny_model(), TRAIN, toy(9, num_classes=3), settings())
    with pytest.raises(ValueError, match="the validation set: expected labelled sequences, got none"):
        fit(tiny_model(), TRAIN, VALID.take(np.arange(0)), settings())
    same = toy(8, task="regression")
    with pytest.raises(ValueError, match="all training labels are the same"):
        fit(tiny_model(), same._replace(labels=np.ones(8, np.float32)), same, settings(task="regression"))


@pytest.mark.parametrize(
    "wrong",
    [{"mode": "half"}, {"task": "guess"}, {"select_by": "pearson"}, {"batch_size": 0}, {"learning_rate": 0.0},
     {"plateau_factor": 2.0}, {"penalties": ()}, {"weight_decay": -1.0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FineTuneSettings(**wrong)
    assert FineTuneSettings.from_json(json.dumps(json.loads(FineTuneSettings().to_json()))) == FineTuneSettings()
