"""Small labelled sets that a tiny model learns, as arrays and as files."""

import numpy as np

from ldarnet import vocab
from ldarnet.checkpoint import random_model
from ldarnet.config import ModelConfig
from ldarnet.finetune import FineTuneSettings, make_examples

TINY = ModelConfig(
    layout=("m1", ("m1",), "m1"),
    d_model=(16, 32),
    d_intermediate=(0, 0),
    num_heads=(2, 2),
    rotary_dim=(8, 8),
    attention_window=(15, -1),
    d_state=8,
    head_dim=16,
    context_bp=64,
)


def tiny_model(seed=3):
    """A random body whose states differ between sequences."""
    model = random_model(TINY, seed=seed)
    model.embedding.weight.data *= 20
    return model


def settings(**changes):
    return FineTuneSettings(**{"device": "cpu", "learning_rate": 1e-2, "batch_size": 16, "max_epochs": 3, **changes})


def sequences_of(classes, num_bp, rng):
    """Ids of sequences in which G and C are the commoner the larger the class: from a tenth to nine tenths."""
    share = 0.1 + 0.8 * classes / classes.max()
    is_gc = [rng.random(length) < p for p, length in zip(share, num_bp, strict=True)]
    strong, weak = [vocab.C, vocab.G], [vocab.A, vocab.T]
    return [np.where(gc, rng.choice(strong, len(gc)), rng.choice(weak, len(gc))).astype(np.uint8) for gc in is_gc]


def toy(num=48, *, seed=0, num_classes=2, shortest=32, longest=32, task="classification"):
    """Examples whose label is told by their G and C."""
    rng = np.random.default_rng(seed)
    classes = np.arange(num) % num_classes
    sequences = sequences_of(classes, rng.integers(shortest, longest + 1, num), rng)
    if task == "regression":
        labels = np.array([1000 + 50 * np.isin(ids, (vocab.C, vocab.G)).mean() for ids in sequences], dtype=np.float32)
    elif task == "multilabel":
        labels = np.stack([classes > 0, classes == 0], axis=1)
    else:
        labels = classes.astype(np.int64)
    return make_examples(sequences, labels, 1 << 20).examples


def write_csv(path, examples, order=("sequence", "label")):
    """The examples as a table with these columns."""
    rows = [",".join(order)]
    for ids, length, label in zip(*examples, strict=True):
        fields = {"sequence": vocab.decode(ids[:length]), "label": str(label), "split": "x"}
        rows.append(",".join(fields[name] for name in order))
    path.write_text("\n".join(rows) + "\n")
    return path
