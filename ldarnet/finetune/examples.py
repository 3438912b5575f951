"""Labelled sequences as arrays: made, checked, turned round, put into batches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.finetune.settings import Task

POOL_BATCHES = 50
"""Sequences are sorted by length among so many batches: little padding, and an order that is still random."""


class Examples(NamedTuple):
    """Labelled sequences."""

    ids: np.ndarray
    """uint8 [n, L]: bases, then PAD."""
    lengths: np.ndarray
    """int [n]: bases of each, 1..L."""
    labels: np.ndarray
    """int64 [n] classes, bool [n, k] of a multi-label task, or float32 [n] of a regression."""

    def take(self, index: np.ndarray) -> "Examples":
        """Those with these numbers."""
        return Examples(self.ids[index], self.lengths[index], self.labels[index])

    def reverse_complement(self) -> "Examples":
        """The opposite strands, padding still on the right."""
        column = self.lengths[:, None] - 1 - np.arange(self.ids.shape[1])
        turned = vocab.COMPLEMENT[np.take_along_axis(self.ids, np.maximum(column, 0), axis=1)]
        return self._replace(ids=np.where(column >= 0, turned, np.uint8(vocab.PAD)))


class Cropped(NamedTuple):
    """Examples, and how many of them were longer than allowed."""

    examples: Examples
    num_cropped: int


def make_examples(sequences: Sequence[np.ndarray], labels: np.ndarray, max_bp: int) -> Cropped:
    """Ids (uint8, one array per sequence) and labels as `Examples`; of longer ones the middle `max_bp` are kept."""
    full = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    if full.size == 0:
        raise ValueError("expected sequences, got none")
    if full.min() < 1:
        raise ValueError(f"sequence {int(full.argmin()) + 1} has no bases")
    lengths = np.minimum(full, max_bp)
    ids = np.full((len(full), int(lengths.max())), vocab.PAD, dtype=np.uint8)
    for row, sequence, length, skipped in zip(ids, sequences, lengths, (full - lengths) // 2, strict=True):
        row[:length] = sequence[skipped : skipped + length]
    return Cropped(Examples(ids, lengths, labels), int((full > max_bp).sum()))


def num_outputs(labels: np.ndarray, task: Task) -> int:
    """Width of the head that the labels of a training set call for: classes, labels, or 1.

    Raises ValueError where classes are not 0..k-1, each with an example, or labels are not what the task says.
    """
    if task == "regression":
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.floating):
            raise ValueError(f"regression: expected float labels [n], got {labels.dtype} {labels.shape}")
        return 1
    if task == "multilabel":
        if labels.ndim != 2 or labels.dtype != np.bool_:
            raise ValueError(f"multilabel: expected bool labels [n, k], got {labels.dtype} {labels.shape}")
        return int(labels.shape[1])
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"classification: expected whole-number labels [n], got {labels.dtype} {labels.shape}")
    found = np.unique(labels)
    if len(found) < 2 or not np.array_equal(found, np.arange(len(found))):
        raise ValueError(
            f"expected classes 0..k-1, two or more and each with a sequence, got {', '.join(map(str, found[:20]))}"
        )
    return len(found)


def check_examples(examples: Examples, task: Task, *, name: str, num_classes: int | None = None) -> int:
    """The width of the head, or ValueError for a split that cannot be used; `num_classes` is that of the training set.

    A split other than the training set may lack a class, but not hold another one.
    """
    ids, lengths, labels = examples
    if not len(ids):
        raise ValueError(f"{name}: expected labelled sequences, got none")
    if ids.ndim != 2 or ids.dtype != np.uint8 or len(ids) != len(lengths) or len(ids) != len(labels):
        shapes = f"ids {ids.dtype} {ids.shape}, lengths {lengths.shape}, labels {labels.shape}"
        raise ValueError(f"{name}: expected uint8 ids [n, L], lengths [n], labels [n, ...], got {shapes}")
    if int(lengths.min()) < 1 or int(lengths.max()) > ids.shape[1]:
        raise ValueError(f"{name}: expected lengths 1..{ids.shape[1]}, got {lengths.min()}..{lengths.max()}")
    try:
        if num_classes is None:
            return num_outputs(labels, task)
        if task != "classification":
            found = num_outputs(labels, task)
            if found != num_classes:
                raise ValueError(f"expected {num_classes} labels per sequence, got {found}")
        elif labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(f"expected classes 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return num_classes


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Numbers of the sequences of every batch of an epoch: each once, sequences of a batch of like length."""
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    pool = POOL_BATCHES * batch_size
    pools = [order[start : start + pool] for start in range(0, len(order), pool)]
    in_order = [part[np.argsort(lengths[part], kind="stable")] for part in pools]
    batches = [part[start : start + batch_size] for part in in_order for start in range(0, len(part), batch_size)]
    return [batches[number] for number in rng.permutation(len(batches))]


def batches_by_length(lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Numbers of the sequences in batches of like length, the longest first, of about `max_tokens` bases each."""
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, max_tokens // int(lengths[order[start]]))
        batches.append(order[start : start + size])
        start += size
    return batches
