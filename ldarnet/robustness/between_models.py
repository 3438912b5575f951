"""Models (seeds, checkpoints) against each other, on the same windows."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from ldarnet.robustness import agreement
from ldarnet.robustness.reader import Reading
from ldarnet.robustness.tally import Measured, Tally

_MODELS = 7
ONE_MODEL = "only one model was given: pass --model once more"


def between_models(readings: Mapping[str, Reading], seed: int) -> list[Measured]:
    """Every pair of models, then all of them; of one model, a row that says why there is nothing."""
    num_windows = len(next(iter(readings.values())).cut)
    rows = slice(0, num_windows)
    if len(readings) < 2:
        alone = Tally(next(iter(readings)), num_windows)
        alone.not_run("models.within", ONE_MODEL)
        return alone.measured()
    found = []
    for (name, mine), (other_name, other) in combinations(readings.items(), 2):
        pair = Tally(f"{name} and {other_name}", num_windows)
        for tolerance in agreement.TOLERANCES_BP:
            pair.add("models.within", tolerance, rows, agreement.within(mine.cut, other.cut, tolerance))
        dice = [np.random.default_rng((seed, _MODELS, row)) for row in range(num_windows)]
        pair.add("models.correlation", None, rows, agreement.correlation(mine.prob, other.prob, dice))
        found += pair.measured()
    together = Tally(f"all {len(readings)} models", num_windows)
    together.add("models.all", None, rows, agreement.cut_by_all(np.stack([each.cut for each in readings.values()])))
    return found + together.measured()
