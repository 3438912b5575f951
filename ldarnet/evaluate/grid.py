"""Settings that are tried before folds are run; the choice is made on validation only."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, get_args

from ldarnet.finetune.settings import FineTuneSettings

GridName = Literal["none", "small", "published"]
GRID_NAMES: tuple[GridName, ...] = get_args(GridName)


@dataclass(frozen=True)
class Grid:
    """Learning rates and batch sizes, each with each."""

    learning_rates: tuple[float, ...]
    batch_sizes: tuple[int, ...]

    def settings(self, base: FineTuneSettings) -> list[FineTuneSettings]:
        """What is tried: `base` alone where there is nothing to choose."""
        return [
            replace(base, learning_rate=rate, batch_size=size)
            for rate, size in product(
                self.learning_rates or (base.learning_rate,), self.batch_sizes or (base.batch_size,)
            )
        ]


GRIDS: dict[str, Grid] = {
    "none": Grid((), ()),
    "small": Grid((1e-4, 3e-4, 1e-3), ()),
    # 9 x 4 as published. The batch sizes are those that published choices name; the learning rates, which cannot be
    # read there, are ours: three to a decade.
    "published": Grid((1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3), (64, 128, 256, 512)),
}


def grid_of(name: str, base: FineTuneSettings) -> list[FineTuneSettings]:
    """The settings of a grid. A probe, which chooses its penalty itself, has only its own.

    Raises ValueError for an unknown name, or a probe with a grid.
    """
    if name not in GRIDS:
        raise ValueError(f"--grid: expected one of {', '.join(GRID_NAMES)}, got {name!r}")
    if base.mode == "probe" and name != "none":
        raise ValueError("--grid: a probe has neither learning rate nor batch size; leave --grid at none")
    return GRIDS[name].settings(base)
