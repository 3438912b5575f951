"""Epochs of training with early stopping, which go on exactly where a killed process had saved them."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ldarnet.finetune.examples import epoch_batches
from ldarnet.finetune.head import Head
from ldarnet.finetune.metrics import metrics
from ldarnet.finetune.probe import goodness
from ldarnet.finetune.settings import FineTuneSettings
from ldarnet.train.optim import make_optimizer, set_rate
from ldarnet.train.run_folder import RunFolder
from ldarnet.train.trainer import Diverged

BETAS, EPS = (0.9, 0.999), 1e-8
CURRENT, BEST, OPTIMIZER = "current/", "best/", "optimizer/"


class Source(Protocol):
    """Where outputs of a head come from: sequences through a body, or states computed before."""

    lengths: np.ndarray
    labels: np.ndarray

    def outputs(self, index: np.ndarray) -> Tensor:
        """[B, k] of these examples, with gradients."""

    def all_outputs(self) -> Tensor:
        """[n, k] of all, without."""


@dataclass
class Progress:
    """Where a run stands, tensors apart; JSON-able."""

    step: int = 0
    epoch: int = 1
    batch: int = 0
    """Batches done of this epoch."""
    loss_sum: float = 0.0
    seconds: float = 0.0
    """Spent on this epoch."""
    rate: float = 0.0
    best_epoch: int = 0
    """0 = none was validated yet."""
    best: tuple[float, float] = (-math.inf, -math.inf)
    num_bad: int = 0
    """Epochs since the best."""
    num_bad_at_rate: int = 0
    """Epochs since the best, or since the learning rate was last lowered."""
    is_finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)


class Epochs:
    """A run over the parameters of `network` that can be trained; `go_on` trains to the end or the deadline."""

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        train: Source,
        valid: Source,
        settings: FineTuneSettings,
        folder: RunFolder | None,
        fingerprint: str,
        say: Callable[[str], None],
    ) -> None:
        self._head, self._train, self._valid = head, train, valid
        self._settings, self._folder, self._fingerprint, self._say = settings, folder, fingerprint, say
        self._trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
        depth = max(name.split(".").count("inner") for name in self._trained) + 2
        self._optimizer = make_optimizer(
            network, [1.0] * depth, betas=BETAS, eps=EPS, weight_decay=settings.weight_decay
        )
        self.progress = Progress(rate=settings.learning_rate)
        self._best: dict[str, Tensor] = {}
        self._planned: tuple[int, list[np.ndarray]] = (0, [])
        """An epoch and its batches."""
        if folder is not None:
            self._restore(folder)

    def go_on(self, deadline: float) -> Progress:
        """Train; afterwards the parameters are those of the best epoch (of the last step, where there is none)."""
        last_save = time.monotonic()
        while not self.progress.is_finished:
            if self._advance():
                self._tell()  # before it is saved: what was logged after the last save is dropped and logged again
            now = time.monotonic()
            is_over = now > deadline
            if self.progress.is_finished or is_over or now - last_save > self._settings.save_every_seconds:
                self._save()
                last_save = time.monotonic()
            if is_over:
                break
        with torch.no_grad():
            for name, tensor in self._best.items():
                self._trained[name].copy_(tensor)
        return self.progress

    def _advance(self) -> bool:
        """One batch, and after the last of an epoch its validation; whether there was one."""
        started, at = time.monotonic(), self.progress
        batches = self._batches_of(at.epoch)
        index = batches[at.batch]
        loss = self._step(index)
        at.step, at.batch, at.loss_sum = at.step + 1, at.batch + 1, at.loss_sum + loss * len(index)
        is_last = at.batch == len(batches)
        valid = self._validate() if is_last else {}
        at.seconds += time.monotonic() - started
        if is_last:
            self._end_epoch(valid)
        return is_last

    def _batches_of(self, epoch: int) -> list[np.ndarray]:
        if self._planned[0] != epoch:
            plan = epoch_batches(self._train.lengths, self._settings.batch_size, self._settings.seed, epoch)
            self._planned = epoch, plan
        return self._planned[1]

    def _step(self, index: np.ndarray) -> float:
        set_rate(self._optimizer, self.progress.rate)
        self._optimizer.zero_grad(set_to_none=True)
        outputs = self._train.outputs(index)
        loss = self._head.loss(outputs, torch.from_numpy(self._train.labels[index]).to(outputs.device))
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._trained.values(), self._settings.clip_norm)
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            raise Diverged(
                f"epoch {self.progress.epoch}, batch {self.progress.batch + 1}: the loss or its gradient is no longer "
                f"a number; a learning rate below {self._settings.learning_rate:g} usually helps"
            )
        self._optimizer.step()
        return value

    def _validate(self) -> dict[str, float]:
        return figures(self._head, self._valid.all_outputs(), self._valid.labels)

    def _end_epoch(self, valid: dict[str, float]) -> None:
        at, settings = self.progress, self._settings
        train_loss = at.loss_sum / len(self._train.lengths)
        record = {"epoch": at.epoch, "step": at.step, "learning_rate": at.rate, "train_loss": train_loss}
        at.history.append({**record, "valid": valid, "seconds": at.seconds})
        good = goodness(valid, settings)
        if at.best_epoch == 0 or good > tuple(at.best):
            at.best, at.best_epoch, at.num_bad, at.num_bad_at_rate = good, at.epoch, 0, 0
            self._best = {name: p.detach().clone() for name, p in self._trained.items()}
        else:
            at.num_bad, at.num_bad_at_rate = at.num_bad + 1, at.num_bad_at_rate + 1
            if at.num_bad_at_rate > settings.plateau_patience:
                at.rate, at.num_bad_at_rate = at.rate * settings.plateau_factor, 0
        at.is_finished = at.num_bad >= settings.patience or at.epoch == settings.max_epochs
        at.epoch, at.batch, at.loss_sum, at.seconds = at.epoch + 1, 0, 0.0, 0.0

    def _tell(self) -> None:
        record, settings = self.progress.history[-1], self._settings
        if self._folder is not None:
            self._folder.log(record)
        selected = record["valid"][settings.select_by]
        is_best = ", the best so far" if self.progress.best_epoch == record["epoch"] else ""
        self._say(
            f"epoch {record['epoch']}: train loss {record['train_loss']:.4f}, validation loss "
            f"{record['valid']['loss']:.4f}, {settings.select_by} {selected:.4f}{is_best} ({record['seconds']:.1f} s)"
        )

    def _save(self) -> None:
        if self._folder is None:
            return
        tensors: dict[str, Tensor] = {CURRENT + name: p for name, p in self._trained.items()}
        tensors |= {BEST + name: tensor for name, tensor in self._best.items()}
        for name, p in self._trained.items():
            tensors |= {f"{OPTIMIZER}{name}/{key}": value for key, value in self._optimizer.state.get(p, {}).items()}
        meta = {"progress": asdict(self.progress), "settings": self._settings.to_json(), "data": self._fingerprint}
        self._folder.save(self.progress.step, tensors, meta)

    def _restore(self, folder: RunFolder) -> None:
        saved = folder.latest(self._say)
        if saved is None:
            folder.rewind_log(0)
            return
        if not {"progress", "settings", "data"} <= saved.meta.keys():
            raise ValueError(f"{folder.path}: holds a run of another kind; choose another folder")
        earlier = FineTuneSettings.from_json(saved.meta["settings"])
        if changed := self._settings.differences(earlier):
            said = "; ".join(f"{name} was {then}, now {now}" for name, (then, now) in changed.items())
            raise ValueError(f"{folder.path}: holds a run with other settings ({said}); choose another folder")
        if saved.meta["data"] != self._fingerprint:
            raise ValueError(f"{folder.path}: holds a run on other sequences, labels or weights; choose another folder")
        folder.rewind_log(saved.step)
        progress = saved.meta["progress"]
        self.progress = Progress(**{**progress, "best": tuple(progress["best"])})
        with torch.no_grad():
            for name, p in self._trained.items():
                p.copy_(saved.tensors[CURRENT + name])
                prefix = f"{OPTIMIZER}{name}/"
                kept = {key.removeprefix(prefix): v for key, v in saved.tensors.items() if key.startswith(prefix)}
                if kept:
                    self._optimizer.state[p] = {key: value.to(p.device) for key, value in kept.items()}
        self._best = {
            name: saved.tensors[BEST + name].to(p.device)
            for name, p in self._trained.items()
            if BEST + name in saved.tensors
        }
        if not self.progress.is_finished:
            self._say(f"{folder.path}: going on in epoch {self.progress.epoch}, after {self.progress.step:,} batches")


def figures(head: Head, outputs: Tensor, labels: np.ndarray) -> dict[str, float]:
    """Metrics of outputs [n, k] over all of them, and their mean loss as `loss`."""
    with torch.no_grad():
        loss = float(head.loss(outputs, torch.from_numpy(labels).to(outputs.device)))
        scores = head.scores(outputs).cpu().numpy()
    return {**metrics(labels, scores, head.task), "loss": loss}
