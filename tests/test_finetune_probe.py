"""Linear heads on fixed states: the optimum, the choice of a penalty, and what few examples say."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.finetune import FineTuneSettings, States, few_shot, fit_head, metrics
from ldarnet.finetune.few_shot import nearest_scores
from ldarnet.finetune.probe import solve


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads on a busy machine wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def states_of(num, *, seed=0, task="classification", distance=1.5, width=6):
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.arange(num) % 3)
    centres = np.random.default_rng(99).normal(size=(3, width)) * distance
    states = (rng.normal(size=(num, width)) + centres[classes]).astype(np.float32) * 7 + 100
    states[:, 0] = 5  # says nothing
    if task == "regression":
        return States(states, (states[:, 1] * 3 + 1000 + rng.normal(size=num)).astype(np.float32))
    return States(states, np.eye(3, dtype=bool)[classes] if task == "multilabel" else classes.astype(np.int64))


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_no_small_step_from_the_solution_is_better(task):
    data, penalty = states_of(90, task=task), 0.03
    head, _ = solve(data, task, penalty)
    scale = torch.from_numpy(data.states.std(0))

    def objective():
        with torch.no_grad():
            loss = head.double().loss(
                head.linear(torch.from_numpy(data.states).double()), torch.from_numpy(data.labels)
            )
            return float(loss + penalty / 2 * (head.linear.weight * scale).square().sum())

    least = objective()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        step = torch.randn(head.linear.weight.shape, generator=generator).double() * 0.01 / scale.clamp(min=1e-3)
        step[:, 0] = 0
        with torch.no_grad():
            head.linear.weight += step
            head.linear.bias -= step @ torch.from_numpy(data.states.mean(0)).double()
        assert objective() > least - 1e-9
        with torch.no_grad():
            head.linear.weight -= step
            head.linear.bias += step @ torch.from_numpy(data.states.mean(0)).double()


@settings(deadline=None, max_examples=10)
@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_units_of_the_states_do_not_matter(scale, shift):
    data, test = states_of(60), states_of(30, seed=1)
    moved, other = (States((each.states * scale + shift).astype(np.float32), each.labels) for each in (data, test))
    scores = solve(data, "classification", 0.1)[0].scores_of(test.states)
    np.testing.assert_allclose(solve(moved, "classification", 0.1)[0].scores_of(other.states), scores, atol=2e-3)


def test_the_penalty_is_the_one_that_validates_best():
    told = FineTuneSettings(mode="probe", penalties=(1e-6, 1e-2, 100.0), select_by="loss")
    train, valid = states_of(24, distance=0.4, width=20), states_of(300, seed=1, distance=0.4, width=20)
    head, history, best = fit_head(train, valid, told)
    losses = [record["valid"]["loss"] for record in history]
    assert [record["penalty"] for record in history] == [100.0, 1e-2, 1e-6]
    assert best == 1 + int(np.argmin(losses))
    assert losses[0] < losses[2]  # too little data to go without
    found = metrics(valid.labels, head.scores_of(valid.states), "classification")
    assert found["mcc"] == history[best - 1]["valid"]["mcc"]


def test_a_regression_is_solved_in_units_of_its_labels():
    test = states_of(50, seed=1, task="regression")
    head, _ = solve(states_of(200, task="regression"), "regression", 1e-6)
    assert np.abs(head.scores_of(test.states)[:, 0] - test.labels).mean() < 1.5


def test_the_nearest_have_the_vote():
    few = States(np.array([[0.0], [1.0], [10.0], [11.0]], np.float32), np.array([0, 0, 1, 1]))
    scores = nearest_scores(few, np.array([[0.4], [6.0], [20.0]], np.float32), 3, 2)
    np.testing.assert_allclose(scores[:, 1], [1 / 3, 2 / 3, 2 / 3])


def test_more_examples_say_more_and_draws_are_repeatable():
    train, test = states_of(600, distance=0.6), states_of(300, seed=1, distance=0.6)
    results = few_shot(train, test, shots=(4, 64), num_draws=5)
    assert [(r.method, r.num_per_class) for r in results] == [
        ("nearest-neighbours", 4),
        ("linear", 4),
        ("nearest-neighbours", 64),
        ("linear", 64),
    ]
    for few, many in zip(results[:2], results[2:], strict=True):
        assert many.mean["mcc"] > few.mean["mcc"] + 0.05
        assert many.sd["mcc"] < few.sd["mcc"]
    assert few_shot(train, test, shots=(4, 64), num_draws=5) == results
    assert few_shot(train, test, shots=(64, 4), num_draws=5)[2:] == results[:2]
    assert few_shot(train, test, shots=(4,), num_draws=5, seed=1) != results[:2]


def test_mean_and_deviation_are_those_of_the_draws():
    train, test = states_of(60, distance=0.6), states_of(90, seed=1, distance=0.6)
    whole = few_shot(train, test, shots=(20,), num_draws=3)  # all there are: every draw is the same
    assert whole[1].sd["auroc"] == pytest.approx(0, abs=1e-3)
    single = few_shot(train, test, shots=(4,), num_draws=1)[1]
    assert math.isnan(single.sd["mcc"])
    assert single.num_draws == 1


def test_too_few_examples_of_a_class_are_told():
    with pytest.raises(ValueError, match="expected 64 or more examples of every class, got 10 of class 0"):
        few_shot(states_of(30), states_of(30), shots=(4, 64))
