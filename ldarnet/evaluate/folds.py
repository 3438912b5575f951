"""Folds: which sequences are trained on, chosen with, and tested on. The same for every model, whatever the order.

Sequences that are equal, or reverse complements, stay together, and classes are spread evenly.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.evaluate.locate import TaskData

Scheme = Literal["fixed test", "published", "cross-validation"]

HELD_OUT_PARTS = 10
"""Where a task has no dev split and is run once, one part of so many is held out of train."""
SCHEMES: dict[Scheme, str] = {
    "fixed test": "train (and dev) are cut into folds, each once used for validation; every fold is scored on the test "
    "split",
    "published": "one run with the published splits",
    "cross-validation": "no train split is here: all sequences are cut into folds, each once used for testing and the "
    "next for validation",
}


class Parts(NamedTuple):
    """Numbers of the sequences of one fold, ascending."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class FoldPlan:
    """How the sequences of a task are divided."""

    task: str
    scheme: Scheme
    num_folds: int
    fold_of: tuple[int, ...]
    """Fold of each sequence, -1 for those of a fixed test split."""
    data_sha256: str
    seed: int = 0

    def parts(self, fold: int) -> Parts:
        """What fold 0..num_folds-1 trains on, chooses with and tests on."""
        folds = np.array(self.fold_of)
        is_test = folds == (fold if self.scheme == "cross-validation" else -1)
        valid_fold = (fold + 1) % self.num_folds if self.scheme == "cross-validation" else fold
        is_valid = folds == valid_fold
        return Parts(*(np.flatnonzero(each) for each in (~is_test & ~is_valid, is_valid, is_test)))

    def choosing_fold(self, fold: int) -> int:
        """The fold on whose validation part settings are chosen for `fold`: its own where parts change their role."""
        return fold if self.scheme == "cross-validation" else 0

    def to_json(self) -> str:
        """The manifest that is written beside results."""
        values: dict[str, Any] = asdict(self) | {"how": SCHEMES[self.scheme]}
        return json.dumps(values, sort_keys=True) + "\n"

    def sha256(self) -> str:
        """Digest of the manifest."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def plan_folds(data: TaskData, num_folds: int, *, seed: int = 0) -> FoldPlan:
    """Divide a task: its splits as published for `num_folds` 1, else folds of what is no fixed test split.

    Without a train split everything is cross-validated. Raises ValueError where a fold would lack a class, and for
    numbers of folds that the splits at hand do not allow.
    """
    task, here = data.task, data.split_names
    if "train" not in here or "test" not in here:
        if num_folds < 3:
            raise ValueError(
                f"{task.name}: only {' and '.join(here)} are here, which takes --folds 3 or more, got {num_folds}"
            )
        folds = spread_folds(data, np.ones(len(data.labels), dtype=bool), num_folds, seed)
        return FoldPlan(task.name, "cross-validation", num_folds, tuple(folds.tolist()), data.sha256(), seed)
    check_classes(data, ("test", "dev") if num_folds == 1 else ("test",))
    if num_folds == 1:
        return _published(data, seed)
    folds = spread_folds(data, data.splits != "test", num_folds, seed)
    return FoldPlan(task.name, "fixed test", num_folds, tuple(folds.tolist()), data.sha256(), seed)


def check_classes(data: TaskData, splits: Sequence[str]) -> None:
    """ValueError where a published split that is used as it is lacks a class: figures on it would say nothing."""
    for split in splits:
        counts = np.bincount(data.labels[data.splits == split], minlength=data.task.num_classes)
        if split in data.split_names and (counts == 0).any():
            absent = int(np.flatnonzero(counts == 0)[0])
            raise ValueError(
                f"{data.task.name}: no sequence of class {absent} in the {split} split; expected all "
                f"{data.task.num_classes} classes"
            )


def _published(data: TaskData, seed: int) -> FoldPlan:
    """Validation is fold 0 and train fold 1, so that the roles are those of `FoldPlan.parts`."""
    if "dev" in data.split_names:
        is_valid = data.splits == "dev"
    else:
        is_valid = spread_folds(data, data.splits == "train", HELD_OUT_PARTS, seed) == 0
    folds = np.where(data.splits == "test", -1, np.where(is_valid, 0, 1))
    return FoldPlan(data.task.name, "published", 1, tuple(folds.tolist()), data.sha256(), seed)


def spread_folds(data: TaskData, is_in: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """Fold 0..num_folds-1 of every sequence that is in, -1 for the others.

    What a sequence is decides where it goes, not its place in a file.
    """
    groups: dict[bytes, list[int]] = {}
    for number in np.flatnonzero(is_in):
        groups.setdefault(canonical(data.sequences[number]), []).append(int(number))
    order = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}:".encode() + key).digest())
    counts = np.zeros((data.task.num_classes, num_folds), dtype=np.int64)
    folds = np.full(len(data.labels), -1, dtype=np.int64)
    for key in order:
        members = groups[key]
        label = data.labels[members[0]]
        fold = min(range(num_folds), key=lambda each: (counts[label, each], counts[:, each].sum(), each))
        folds[members] = fold
        np.add.at(counts[:, fold], data.labels[members], 1)
    if (counts == 0).any():
        label, fold = (int(each) for each in np.argwhere(counts == 0)[0])
        raise ValueError(
            f"{data.task.name}: class {label} has {counts[label].sum()} different sequences, too few for "
            f"{num_folds} folds; fold {fold} would have none. Use fewer --folds"
        )
    return folds


def canonical(sequence: np.ndarray) -> bytes:
    """The smaller of a sequence and its reverse complement, as bytes: equal for both strands."""
    return min(sequence.tobytes(), vocab.reverse_complement(sequence).tobytes())
