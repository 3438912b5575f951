"""One run of `ldarnet finetune`: files in, a fitted model, its figures and its predictions out."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ldarnet.checkpoint import load_model
from ldarnet.finetune.examples import Examples, check_examples, make_examples
from ldarnet.finetune.few_shot import SHOTS, few_shot
from ldarnet.finetune.files import BODY_FILE, save_fitted
from ldarnet.finetune.fit import Fitted, fit
from ldarnet.finetune.labelled_files import Labelled, read_labelled
from ldarnet.finetune.metrics import metrics
from ldarnet.finetune.predict import pooled_states, predict
from ldarnet.finetune.probe import States
from ldarnet.finetune.settings import FineTuneSettings
from ldarnet.model import LDARNet
from ldarnet.plain_json import plain
from ldarnet.sidecar import versions
from ldarnet.tracks.atomic import write_text

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FineTuneRequest:
    """What the command was asked for."""

    model: str
    train: Path
    valid: Path
    out: Path
    settings: FineTuneSettings
    test: Path | None = None
    sequence_column: str = "sequence"
    label_column: str = "label"
    max_bp: int | None = None
    """None = the model's training context."""
    few_shot: bool = False
    random_weights: bool = False
    command: Sequence[str] = ()


@dataclass(frozen=True)
class _Split:
    name: str
    file: Labelled
    examples: Examples
    num_cropped: int


def run_finetune(request: FineTuneRequest, *, say: Say) -> dict[str, Any] | None:
    """Read, fit, write; the record of metrics.json, or None where `max_seconds` ended the run before it was done.

    The same request goes on where an earlier run of it stopped. Raises ValueError for bad input, and OSError.
    """
    started = time.monotonic()
    settings = request.settings
    model = load_model(request.model, random_weights=request.random_weights)
    max_bp = request.max_bp or model.config.context_bp
    splits = _read_splits(request, max_bp, say)
    train, valid = splits[0].examples, splits[1].examples
    request.out.mkdir(parents=True, exist_ok=True)
    try:
        fitted = fit(model, train, valid, settings, request.out, say=say)
    except KeyboardInterrupt as stop:
        stop.add_note(f"{request.out}: the same command goes on from what was saved last")
        raise
    if not fitted.is_finished:
        say(f"stopped after {settings.max_seconds:g} s, in epoch {len(fitted.history) + 1}; the same command goes on")
        return None
    record = _record(request, model, fitted, splits, max_bp)
    for split in splits[2:]:
        scores = predict(fitted, split.examples)
        record["test"] = metrics(split.examples.labels, scores, settings.task)
        write_text(request.out / "predictions.tsv", _predictions(split, scores, fitted))
    if request.few_shot:
        if request.test is None:
            say(f"few_shot.tsv: no --test was given, so its figures are those of {request.valid}")
        write_text(request.out / "few_shot.tsv", _few_shot_table(model, splits, settings))
    notes = model.provenance.notes if model.provenance else {}
    save_fitted(request.out, fitted.model, fitted.head, settings, max_bp, {**notes, **_notes(request, model)})
    record["seconds"] = round(time.monotonic() - started, 3)
    write_text(request.out / "metrics.json", json.dumps(plain(record), indent=2) + "\n")
    say(f"{request.out / BODY_FILE}: the body, a model like any other; the head lies beside it")
    return record


def _read_splits(request: FineTuneRequest, max_bp: int, say: Say) -> list[_Split]:
    """Training, validation and, where given, test set."""
    task, splits, num_outputs = request.settings.task, list[_Split](), None
    for name, path in (("train", request.train), ("valid", request.valid), ("test", request.test)):
        if path is None:
            continue
        file = read_labelled(path, task, sequence_column=request.sequence_column, label_column=request.label_column)
        examples, num_cropped = make_examples(file.sequences, file.labels, max_bp)
        num_outputs = check_examples(examples, task, name=str(path), num_classes=num_outputs)
        splits.append(_Split(name, file, examples, num_cropped))
        say(f"{path}: {_described(file, task)}")
        if num_cropped:
            say(f"{path}: {num_cropped:,} sequences are longer than {max_bp:,} bases; their middles are used")
        if task == "classification" and (absent := set(range(num_outputs)) - set(file.labels.tolist())):
            classes = ", ".join(map(str, sorted(absent)))
            if name == "valid":
                raise ValueError(
                    f"{path}: no sequence of class {classes}; expected some of every class of {request.train}"
                )
            say(f"{path}: no sequence of class {classes}; figures are those of the other classes")
    return splits


def _described(file: Labelled, task: str) -> str:
    lengths = [len(ids) for ids in file.sequences]
    span = f"{lengths[0]:,}" if min(lengths) == max(lengths) else f"{min(lengths):,} to {max(lengths):,}"
    text = f"{len(lengths):,} sequences of {span} bases"
    if task == "classification":
        classes, counts = np.unique(file.labels, return_counts=True)
        text += ", " + ", ".join(f"{count:,} of class {each}" for each, count in zip(classes, counts, strict=True))
    return text


def _record(
    request: FineTuneRequest, model: LDARNet, fitted: Fitted, splits: Sequence[_Split], max_bp: int
) -> dict[str, Any]:
    assert model.provenance is not None, "set when a model is loaded"
    best = fitted.history[fitted.best_epoch - 1]
    return {
        "command": list(request.command),
        "versions": versions(),
        "model": asdict(model.provenance),
        "settings": json.loads(fitted.settings.to_json()),
        "max_bp": max_bp,
        "splits": {
            split.name: {
                "file": split.file.path.name,
                "sequences": len(split.file.names),
                "cropped": split.num_cropped,
            }
            for split in splits
        },
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "seconds_per_epoch": float(np.mean([each["seconds"] for each in fitted.history])),
        "train_loss": best["train_loss"],
        "valid": best["valid"],
    }


def _notes(request: FineTuneRequest, model: LDARNet) -> dict[str, str]:
    """What the new body's file says of its making, besides what the old one's said."""
    origin, settings = model.provenance, request.settings
    assert origin is not None, "set when a model is loaded"
    return {
        "name": request.out.name,
        "fine-tuned from": f"{origin.name}, sha256 {origin.sha256}",
        "fine-tuned on": f"{request.train.name}, {settings.task}, mode {settings.mode}, seed {settings.seed}",
    }


def _predictions(split: _Split, scores: np.ndarray, fitted: Fitted) -> str:
    task, labels = fitted.settings.task, split.examples.labels
    lines = ["\t".join(["name", "label", *(f"score_{each}" for each in range(scores.shape[1]))])]
    for name, label, row in zip(split.file.names, labels, scores, strict=True):
        text = ",".join(str(int(each)) for each in label) if task == "multilabel" else f"{label}"
        lines.append("\t".join([name.replace("\t", " "), text, *(f"{score:.6g}" for score in row)]))
    return "\n".join(lines) + "\n"


def _few_shot_table(model: LDARNet, splits: Sequence[_Split], settings: FineTuneSettings) -> str:
    """Of the model as it came, on the last split."""
    learned, asked = (
        States(pooled_states(model, split.examples, settings), split.examples.labels)
        for split in (splits[0], splits[-1])
    )
    smallest = int(np.bincount(learned.labels).min())
    lines = ["method\texamples_per_class\tdraws\tmetric\tmean\tsd\tstatus"]
    for num in SHOTS:
        if num > smallest:
            lines.append(f"\t{num}\t0\t\t\t\tthe smallest class has {smallest} examples")
            continue
        for result in few_shot(learned, asked, shots=(num,), seed=settings.seed):
            lines += [
                f"{result.method}\t{num}\t{result.num_draws}\t{name}\t{mean:.6g}\t{result.sd[name]:.6g}\tok"
                for name, mean in result.mean.items()
            ]
    return "\n".join(lines) + "\n"
