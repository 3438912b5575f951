"""Folds: the same for all, disjoint, with every class in each, and equal sequences together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.evaluate.folds import FoldPlan, plan_folds
from ldarnet.vocab import decode, encode, reverse_complement
from tests.evaluation_files import letters, task_data


def made_up(num=60, splits=("train", "dev", "test"), seed=0):
    rng = np.random.default_rng(seed)
    return task_data(
        [letters(rng, 12) for _ in range(num)],
        [i // len(splits) % 2 for i in range(num)],
        [splits[i % len(splits)] for i in range(num)],
    )


@given(
    num=st.integers(24, 60),
    num_folds=st.integers(2, 5),
    splits=st.sampled_from([("train", "test"), ("train", "dev", "test"), ("dev", "test"), ("test",), ("train",)]),
)
def test_parts_are_disjoint_and_cover_everything(num, num_folds, splits):
    data = made_up(num, splits)
    is_crossed = "train" not in splits or "test" not in splits
    plan = plan_folds(data, max(num_folds, 3) if is_crossed else num_folds)
    tested = []
    for fold in range(plan.num_folds):
        parts = plan.parts(fold)
        together = np.concatenate(parts)
        assert len(together) == num == len(set(together.tolist()))
        assert all(set(data.labels[part]) == {0, 1} for part in parts)
        assert np.array_equal(parts.test, np.flatnonzero(data.splits == "test")) or is_crossed
        tested += parts.test.tolist()
    assert not is_crossed or sorted(tested) == list(range(num))
    valid = np.concatenate([plan.parts(fold).valid for fold in range(plan.num_folds)])
    assert len(valid) == len(set(valid.tolist())), "each is used for validation once"


def test_classes_are_spread_evenly():
    plan = plan_folds(made_up(200, ("dev", "test")), 5)
    folds, labels = np.array(plan.fold_of), made_up(200, ("dev", "test")).labels
    counts = np.array([[np.sum((folds == fold) & (labels == label)) for fold in range(5)] for label in (0, 1)])
    assert np.ptp(counts) == 0


@given(st.permutations(range(30)))
def test_the_order_of_files_does_not_matter(order):
    data = made_up(30, ("dev",))
    shuffled = data.__class__(
        data.task, [data.sequences[i] for i in order], data.labels[list(order)], data.splits, (), data.missing
    )
    folds = plan_folds(data, 3).fold_of
    assert tuple(folds[i] for i in order) == plan_folds(shuffled, 3).fold_of


def test_equal_sequences_and_other_strands_stay_together():
    data = made_up(40, ("dev",))
    texts = [decode(sequence) for sequence in data.sequences]
    turned = [decode(reverse_complement(encode(text))) for text in texts[:10]]
    more = task_data([*texts, *texts[:10], *turned], [*data.labels, *data.labels[:10], *data.labels[:10]], ["dev"] * 60)
    folds = plan_folds(more, 4).fold_of
    assert folds[:10] == folds[40:50] == folds[50:60]


def test_published_splits_are_kept():
    data = made_up(60)
    plan = plan_folds(data, 1)
    parts = plan.parts(0)
    assert plan.scheme == "published"
    assert [set(data.splits[part]) for part in parts] == [{"train"}, {"dev"}, {"test"}]
    held_out = plan_folds(made_up(60, ("train", "test")), 1).parts(0)
    assert len(held_out.valid) == 3 and len(held_out.test) == 30


def test_settings_are_chosen_on_the_folds_own_validation_where_parts_change_roles():
    crossed, fixed = plan_folds(made_up(60, ("dev", "test")), 3), plan_folds(made_up(60), 3)
    assert [crossed.choosing_fold(fold) for fold in range(3)] == [0, 1, 2]
    assert [fixed.choosing_fold(fold) for fold in range(3)] == [0, 0, 0]
    chosen_on = fixed.parts(fixed.choosing_fold(2)).valid
    assert not set(chosen_on.tolist()) & set(fixed.parts(2).test.tolist())


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(ValueError, match="only dev and test are here, which takes --folds 3 or more, got 2"):
        plan_folds(made_up(60, ("dev", "test")), 2)
    rare = task_data(["ACGTACGT", "ACGTACGA", "TTTTACGG", "CCCCACGG", "GAGAGAGC"], [0, 0, 0, 0, 1], ["dev"] * 5)
    with pytest.raises(ValueError, match=r"class 1 has 1 different sequences, too few for 3 folds; fold \d would have"):
        plan_folds(rare, 3)


@pytest.mark.parametrize(("lacking", "num_folds"), [("test", 3), ("test", 1), ("dev", 1)])
def test_a_split_without_a_class_is_refused(lacking, num_folds):
    splits = ["train"] * 20 + ["dev"] * 20 + ["test"] * 20
    texts = [letters(np.random.default_rng(i), 30) for i in range(60)]
    data = task_data(texts, [0 if split == lacking else i % 2 for i, split in enumerate(splits)], splits)
    with pytest.raises(ValueError, match=f"no sequence of class 1 in the {lacking} split"):
        plan_folds(data, num_folds)


def test_the_manifest_says_everything(tmp_path):
    import json

    plan = plan_folds(made_up(30), 3)
    values = json.loads(plan.to_json())
    assert values.pop("how").startswith("train (and dev) are cut into folds")
    assert FoldPlan(**values | {"fold_of": tuple(values["fold_of"])}) == plan
    other = plan_folds(made_up(30, seed=1), 3)
    assert other.data_sha256 != plan.data_sha256 and other.sha256() != plan.sha256()
