"""How much a few labelled sequences per class say: nearest neighbours and linear heads on fixed states."""

from typing import Literal, NamedTuple

import numpy as np
import torch

from ldarnet.finetune.metrics import metrics
from ldarnet.finetune.probe import States, solve

Method = Literal["nearest-neighbours", "linear"]

SHOTS = (16, 64, 256)
PENALTY = 0.1
"""Of the linear heads, on standardised states; nothing is chosen, for there is no validation set to choose on."""


class FewShot(NamedTuple):
    """One method with so many examples per class."""

    method: Method
    num_per_class: int
    num_draws: int
    mean: dict[str, float]
    """Metrics on the test set, means over the draws."""
    sd: dict[str, float]
    """Their standard deviations over the draws (n - 1); NaN for one draw."""


def few_shot(
    train: States,
    test: States,
    *,
    shots: tuple[int, ...] = SHOTS,
    num_draws: int = 10,
    num_neighbours: int = 5,
    seed: int = 0,
) -> list[FewShot]:
    """Both methods at every number of examples per class, on the whole test set; classification only.

    Examples are drawn from `train` without replacement, anew for every draw; both methods see the same. Raises
    ValueError where a class has fewer examples than asked for.
    """
    classes, counts = np.unique(train.labels, return_counts=True)
    if num_draws < 1 or num_neighbours < 1 or not shots or min(shots) < 1:
        raise ValueError(f"expected 1 or more, got draws {num_draws}, neighbours {num_neighbours}, shots {shots}")
    if max(shots) > counts.min():
        rarest = int(classes[counts.argmin()])
        raise ValueError(
            f"expected {max(shots)} or more examples of every class, got {counts.min()} of class {rarest}; "
            "ask for fewer shots"
        )
    results = []
    for num in shots:
        found: dict[Method, list[dict[str, float]]] = {"nearest-neighbours": [], "linear": []}
        for draw in range(num_draws):
            rng = np.random.default_rng((seed, num, draw))
            index = np.concatenate([rng.choice(np.flatnonzero(train.labels == each), num, False) for each in classes])
            few = States(train.states[index], train.labels[index])
            near = nearest_scores(few, test.states, num_neighbours, len(classes))
            head, _ = solve(few, "classification", PENALTY)
            found["nearest-neighbours"].append(metrics(test.labels, near, "classification"))
            found["linear"].append(metrics(test.labels, head.scores_of(test.states), "classification"))
        results += [_summary(method, num, figures) for method, figures in found.items()]
    return results


def nearest_scores(few: States, states: np.ndarray, num_neighbours: int, num_classes: int) -> np.ndarray:
    """Share of each class [n, classes] among the nearest of a few examples, by distance of states that are
    standardised as the few are; of as many neighbours as there are, at most.
    """
    mean, scale = few.states.mean(0), few.states.std(0)
    scale = np.where(scale > 0, scale, np.inf)
    known, asked = (torch.from_numpy((part - mean) / scale) for part in (few.states, states))
    nearest = torch.cdist(asked, known).topk(min(num_neighbours, len(known)), dim=1, largest=False).indices
    return np.eye(num_classes, dtype=np.float32)[few.labels[nearest.numpy()]].mean(1)


def _summary(method: Method, num: int, figures: list[dict[str, float]]) -> FewShot:
    table = {name: np.array([each[name] for each in figures]) for name in figures[0]}
    mean = {name: float(values.mean()) for name, values in table.items()}
    sd = {name: float(values.std(ddof=1)) if len(values) > 1 else float("nan") for name, values in table.items()}
    return FewShot(method, num, len(figures), mean, sd)
