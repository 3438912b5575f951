"""Fine-tuning a model on labelled sequences: which weights are trained, on what, and what comes out."""

import copy
import hashlib
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ldarnet.devices import pick_device
from ldarnet.finetune.epochs import Epochs
from ldarnet.finetune.examples import Examples, check_examples
from ldarnet.finetune.head import Head
from ldarnet.finetune.low_rank import add_low_rank, merge_low_rank
from ldarnet.finetune.predict import autocast, in_batches, on_device, pool, pooled_states
from ldarnet.finetune.probe import States, fit_head
from ldarnet.finetune.settings import FineTuneSettings
from ldarnet.model import LDARNet
from ldarnet.own_format import tensors_sha256
from ldarnet.train.run_folder import RunFolder

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fitted:
    """A model with its head, as of the best epoch."""

    model: LDARNet
    """The body, trained or as it was: an ordinary model, in eval mode."""
    head: Head
    settings: FineTuneSettings
    history: list[dict[str, Any]]
    """Per epoch: `epoch` (1..), `train_loss`, `valid` (metrics, and `loss`), `learning_rate`, `seconds`; of a probe
    see `FittedHead`."""
    best_epoch: int
    """0 where a run was stopped before its first epoch ended."""
    is_finished: bool
    """False where `max_seconds` ended the run; with a folder, the same call goes on."""


def fit(
    model: LDARNet,
    train: Examples,
    valid: Examples,
    settings: FineTuneSettings,
    folder: Path | None = None,
    *,
    say: Say = lambda message: None,
) -> Fitted:
    """Fit a head, and as the mode says a body, to `train`; the best epoch on `valid` is kept. `model` stays as it is.

    With a folder, a run that was killed goes on there and gives the same weights, bit for bit on a CPU; a finished one
    is only read. A probe takes one pass over the sequences and starts anew. Raises ValueError for examples that do not
    fit the task and a folder with another run, `Diverged` (a ValueError), and OSError.
    """
    deadline = time.monotonic() + (settings.max_seconds or math.inf)
    num_outputs = check_examples(train, settings.task, name="the training set")
    check_examples(valid, settings.task, name="the validation set", num_classes=num_outputs)
    model.config.check_reads_dna()
    device = pick_device(settings.device)
    fingerprint = _fingerprint(model, train, valid) if folder is not None else ""
    body = copy.deepcopy(model).to(device).eval()
    trainable = {name: parameter.requires_grad for name, parameter in body.named_parameters()}
    head = Head(body.config.d_model[0], num_outputs, settings.task, seed=settings.seed)
    head.measure(train.labels)
    with ExitStack() as opened:
        files = None if folder is None else opened.enter_context(RunFolder(folder, keep_checkpoints=2))
        if settings.mode == "probe":
            return _probe(body, train, valid, settings, files, say)
        head.to(device)
        network = nn.ModuleDict({"body": body, "head": head})
        body.head.requires_grad_(False)  # letters are not asked for
        if settings.mode == "lora":
            add_low_rank(body, settings.rank, settings.seed)
        if settings.mode == "frozen":
            body.requires_grad_(False)
        source = _Pooled if settings.mode == "frozen" else _Sequences
        learned, watched = (source(body, head, each, settings) for each in (train, valid))
        progress = Epochs(network, head, learned, watched, settings, files, fingerprint, say).go_on(deadline)
    merge_low_rank(body)
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(trainable[name])
    return Fitted(body, head, settings, progress.history, progress.best_epoch, progress.is_finished)


class _Sequences:
    """Outputs of a head on a body that is run each time."""

    def __init__(self, body: LDARNet, head: Head, examples: Examples, settings: FineTuneSettings) -> None:
        self._body, self._head, self._examples, self._settings = body, head, examples, settings
        self.lengths, self.labels = examples.lengths, examples.labels

    def outputs(self, index: np.ndarray) -> Tensor:
        device = self._head.linear.weight.device
        with autocast(self._settings, device):
            states = pool(self._body, *on_device(self._examples, index, device))
        return self._head(states)

    def all_outputs(self) -> Tensor:
        outputs = in_batches(self._body, self._examples, self._settings, self._head)
        return torch.from_numpy(outputs).to(self._head.linear.weight.device)


class _Pooled:
    """Outputs of a head on states that a fixed body gave once, when they are first asked for."""

    def __init__(self, body: LDARNet, head: Head, examples: Examples, settings: FineTuneSettings) -> None:
        self._body, self._head, self._examples, self._settings = body, head, examples, settings
        self.lengths, self.labels = examples.lengths, examples.labels

    def outputs(self, index: np.ndarray) -> Tensor:
        return self._head(self._states[torch.from_numpy(index)])

    @torch.no_grad()
    def all_outputs(self) -> Tensor:
        return self._head(self._states)

    @cached_property
    def _states(self) -> Tensor:
        states = pooled_states(self._body, self._examples, self._settings)
        return torch.from_numpy(states).to(self._head.linear.weight.device)


def _probe(
    body: LDARNet, train: Examples, valid: Examples, settings: FineTuneSettings, files: RunFolder | None, say: Say
) -> Fitted:
    learned, watched = (States(pooled_states(body, each, settings), each.labels) for each in (train, valid))
    head, history, best = fit_head(learned, watched, settings)
    if files is not None:
        if files.latest(say) is not None:
            raise ValueError(f"{files.path}: holds a run of another kind, which a probe does not go on; choose another")
        files.rewind_log(0)
    for record in history:
        if files is not None:
            files.log({"step": record["epoch"], **record})
    chosen = history[best - 1]
    say(f"penalty {chosen['penalty']:g}: validation {settings.select_by} {chosen['valid'][settings.select_by]:.4f}")
    return Fitted(body, head.to(pick_device(settings.device)), settings, history, best, is_finished=True)


def _fingerprint(model: LDARNet, *splits: Examples) -> str:
    """Of everything besides the settings that decides the outcome."""
    digest = hashlib.sha256(tensors_sha256(_on_cpu(model), {"config": model.config.to_json()}).encode())
    for part in (array for split in splits for array in split):
        digest.update(f"{part.dtype} {part.shape}".encode())
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _on_cpu(model: LDARNet) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in model.state_dict().items()}
