"""The best linear head on fixed states: a convex problem, solved, its penalty chosen on validation."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.finetune.examples import num_outputs
from ldarnet.finetune.head import Head
from ldarnet.finetune.metrics import metrics
from ldarnet.finetune.settings import FineTuneSettings, Task

MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-6


class States(NamedTuple):
    """Pooled states with their labels."""

    states: np.ndarray
    """float32 [n, width]"""
    labels: np.ndarray
    """As in `Examples`."""


class FittedHead(NamedTuple):
    """A head, and what led to it."""

    head: Head
    history: list[dict[str, Any]]
    """Per penalty, the largest first: `epoch` (1..), `penalty`, `train_loss` (without the penalty), `valid`
    (metrics, and `loss`), `seconds`."""
    best_epoch: int
    """The number of the one chosen."""


def fit_head(train: States, valid: States, settings: FineTuneSettings) -> FittedHead:
    """The best of the linear heads that minimise loss + penalty / 2 * |weights|^2 on standardised states.

    Of penalties that validate the same, the largest is chosen. Raises ValueError for labels that do not fit the task.
    """
    history: list[dict[str, Any]] = []
    heads: list[Head] = []
    weights: Tensor | None = None
    for number, penalty in enumerate(sorted(settings.penalties, reverse=True), start=1):
        started = time.monotonic()
        head, weights = solve(train, settings.task, penalty, start=weights)
        heads.append(head)
        history.append(
            {
                "epoch": number,
                "penalty": penalty,
                "train_loss": head_loss(head, train),
                "valid": evaluate_head(head, valid),
                "seconds": time.monotonic() - started,
            }
        )
    ranked = [goodness(record["valid"], settings) for record in history]
    best = max(range(len(ranked)), key=lambda i: (ranked[i], -i))
    return FittedHead(heads[best], history, best + 1)


def solve(train: States, task: Task, penalty: float, *, start: Tensor | None = None) -> tuple[Head, Tensor]:
    """The head that minimises the penalised loss, and its weights on standardised states, to start a next one from."""
    mean, scale = train.states.mean(0, dtype=np.float64), train.states.std(0, dtype=np.float64)
    # A state that never changes says nothing; at its own scale it would not become a number.
    scale[scale < 1e-6 * max(1.0, float(np.abs(mean).max()))] = np.inf
    x = torch.from_numpy((train.states - mean) / scale)
    width, outputs = x.shape[1], num_outputs(train.labels, task)
    head = Head(width, outputs, task)
    head.measure(train.labels)
    x = F.pad(x, (0, 1), value=1.0)  # the last weight is the bias, which is not penalised
    if task == "regression":
        found = _ridge(x, train.labels, head, penalty)
    else:
        found = _minimise(x, torch.from_numpy(train.labels), head, penalty, start)
    weight, bias = found[:-1] / torch.from_numpy(scale)[:, None], found[-1]
    with torch.no_grad():
        head.linear.weight.copy_(weight.t())
        head.linear.bias.copy_(bias - torch.from_numpy(mean) @ weight)
    return head, found


def head_loss(head: Head, data: States) -> float:
    """Mean loss of a head on states."""
    device = head.linear.weight.device
    with torch.no_grad():
        outputs = head(torch.from_numpy(data.states).to(device))
        return float(head.loss(outputs, torch.from_numpy(data.labels).to(device)))


def evaluate_head(head: Head, data: States) -> dict[str, float]:
    """Metrics of a head on states, and `loss`."""
    return {**metrics(data.labels, head.scores_of(data.states), head.task), "loss": head_loss(head, data)}


def goodness(valid: dict[str, float], settings: FineTuneSettings) -> tuple[float, float]:
    """What is to be made large: the figure that settings select by, and of equal ones the smaller loss.

    A figure that is not defined counts as the worst.
    """
    assert settings.select_by is not None, "set when settings are made"
    figure = -valid["loss"] if settings.select_by == "loss" else valid[settings.select_by]
    return (-np.inf if np.isnan(figure) else figure), (-np.inf if np.isnan(valid["loss"]) else -valid["loss"])


def _ridge(x: Tensor, labels: np.ndarray, head: Head, penalty: float) -> Tensor:
    y = (torch.from_numpy(labels).double() - head.label_mean) / head.label_scale
    penalties = torch.full((x.shape[1],), penalty / 2, dtype=torch.float64)
    penalties[-1] = 0
    return torch.linalg.lstsq(x.t() @ x / len(x) + penalties.diag(), (x.t() @ y / len(x))[:, None]).solution


def _minimise(x: Tensor, labels: Tensor, head: Head, penalty: float, start: Tensor | None) -> Tensor:
    shape = (x.shape[1], head.linear.out_features)
    weights = (torch.zeros(shape, dtype=torch.float64) if start is None else start.clone()).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=MAX_ITERATIONS,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _loss(head.task, x @ weights, labels) + penalty / 2 * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach()


def _loss(task: Task, outputs: Tensor, labels: Tensor) -> Tensor:
    if task == "multilabel":
        return F.binary_cross_entropy_with_logits(outputs, labels.double())
    return F.cross_entropy(outputs, labels.long())
