"""Figures of predictions: values known by hand, laws, and what goes wrong where batches are averaged."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.finetune.metrics import auroc, average_precision, macro_f1, matthews, metrics, ranks


def two_columns(p):
    p = np.asarray(p, dtype=float)
    return np.stack([1 - p, p], axis=1)


def test_figures_of_a_small_set_are_those_worked_out_by_hand():
    labels = np.array([0, 0, 1, 1])
    found = metrics(labels, two_columns([0.1, 0.6, 0.35, 0.8]), "classification")
    # predicted 0 1 0 1: one of each kind of outcome
    assert found["mcc"] == 0.0
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == 0.5
    assert found["auroc"] == 0.75  # 3 of 4 pairs in order: .8>.1, .8>.6, .35>.1
    assert found["auprc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)  # hits at ranks 1 and 3


def test_matthews_is_the_textbook_formula_for_two_classes():
    tn, fp, fn, tp = 50, 7, 11, 32
    by_hand = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert matthews(np.array([[tn, fp], [fn, tp]])) == pytest.approx(by_hand, rel=1e-12)


def test_matthews_of_three_classes_is_the_correlation_of_indicators():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    predicted[:80] = true[:80]
    x, y = np.eye(3)[true], np.eye(3)[predicted]
    x, y = x - x.mean(0), y - y.mean(0)
    table = np.zeros((3, 3), dtype=int)
    np.add.at(table, (true, predicted), 1)
    assert matthews(table) == pytest.approx((x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum()), rel=1e-12)


def test_matthews_is_zero_where_one_class_is_always_predicted():
    assert matthews(np.array([[5, 0], [3, 0]])) == 0.0


def test_macro_f1_leaves_out_classes_that_do_not_occur():
    assert macro_f1(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]])) == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_average_precision_takes_equal_scores_together():
    assert average_precision(np.array([True, False, True, False]), np.ones(4)) == 0.5


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_auroc_is_the_share_of_pairs_in_order(pairs):
    positive = np.array([each[0] for each in pairs])
    scores = np.array([each[1] for each in pairs], dtype=float)
    won = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    found = auroc(positive, scores)
    assert math.isnan(found) if not won else found == pytest.approx(np.mean(won))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=30))
def test_ranks_count_those_below_and_share_among_equals(values):
    values = np.array(values)
    expected = [(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values]
    assert ranks(values).tolist() == expected


def test_a_mean_over_batches_of_an_unshuffled_set_is_another_number():
    """A test file lists one class after the other: in every batch Matthews is 0, over all it is not."""
    labels = np.repeat([0, 1], 32)
    scores = two_columns(np.concatenate([np.linspace(0, 0.55, 32), np.linspace(0.45, 1, 32)]))
    whole = metrics(labels, scores, "classification")
    batches = [metrics(labels[i : i + 16], scores[i : i + 16], "classification") for i in range(0, 64, 16)]
    assert whole["mcc"] > 0.8
    assert np.mean([each["mcc"] for each in batches]) == 0.0
    assert all(math.isnan(each["auroc"]) for each in batches)
    shuffled = np.random.default_rng(0).permutation(64)
    assert metrics(labels[shuffled], scores[shuffled], "classification") == pytest.approx(whole)


def test_figures_of_several_labels_are_means_over_the_labels():
    labels = np.array([[True, False], [False, False], [True, True], [False, True]])
    scores = np.array([[0.9, 0.2], [0.1, 0.4], [0.8, 0.3], [0.5, 0.7]])
    found = metrics(labels, scores, "multilabel")
    assert found["accuracy"] == (3 / 4 + 3 / 4) / 2  # 0.5 counts as predicted
    assert found["auroc"] == (1.0 + 3 / 4) / 2


def test_figures_of_a_regression():
    labels = np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    found = metrics(labels, np.array([[1.0], [4.0], [9.0], [16.0]]), "regression")
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(25 / math.sqrt(5 * 129))
    assert found["mse"] == (0 + 4 + 36 + 144) / 4
    assert math.isnan(metrics(labels, np.ones((4, 1)), "regression")["pearson"])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.full((2, 2), np.nan), "2 rows"),
        (np.zeros((3, 2)), "of 2 labels"),
        (np.zeros((2, 1)), r"classes 0\.\.0"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        metrics(np.array([0, 1]), scores, "classification")
