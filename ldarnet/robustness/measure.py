"""Every test on every window, model by model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ldarnet.genome import Genome, Interval
from ldarnet.model import LDARNet
from ldarnet.robustness.arithmetic_tests import padding, precision
from ldarnet.robustness.between_models import between_models
from ldarnet.robustness.edit_tests import edits
from ldarnet.robustness.loci import LocusBatch, locus_batches
from ldarnet.robustness.reader import Reader, Reading
from ldarnet.robustness.sequence_tests import masks, plain, reverse_complement, shifts
from ldarnet.robustness.tally import Measured, Tally

_Test = Callable[[Reader, LocusBatch, Reading, Tally], None]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Two measurements with equal settings, models and FASTA give the same numbers."""

    window_bp: int
    max_shift_bp: int
    seed: int
    batch_size: int
    """Windows that are read together."""


def measure(
    models: dict[str, LDARNet],
    genome: Genome,
    intervals: Sequence[Interval],
    settings: Settings,
    *,
    show_progress: bool = False,
) -> list[Measured]:
    """The measures of every model by name on loci of window and largest shift, then of models against each other."""
    found: list[Measured] = []
    readings: dict[str, Reading] = {}
    for name, model in models.items():
        reader, tally = Reader(model), Tally(name, len(intervals))
        tests = _tests_that_run(reader, settings.window_bp, tally)
        kept: list[Reading] = []
        batches = locus_batches(genome, intervals, settings.window_bp, settings.batch_size, settings.seed)
        with tqdm(total=len(intervals), unit="window", desc=name, disable=None if show_progress else True) as bar:
            for batch in batches:
                base = reader.read(batch.window)
                kept.append(base)
                plain(batch, base, tally)
                for test in tests:
                    test(reader, batch, base, tally)
                bar.update(len(batch.ids))
        readings[name] = Reading(*(np.concatenate(each) for each in zip(*kept, strict=True)))
        found += tally.measured()
    return found + between_models(readings, settings.seed)


def _tests_that_run(reader: Reader, window_bp: int, tally: Tally) -> list[_Test]:
    tests: list[_Test] = [reverse_complement, shifts]
    if reader.model.config.is_causal:
        tally.not_run("mask.changed", "a causal model is never shown [MASK]: it predicts the next base instead")
    else:
        tests.append(masks)
    tests.append(edits)
    if reason := _no_bfloat16(reader, window_bp):
        tally.not_run("bfloat16.equal", reason)
    else:
        tests.append(precision)
    return [*tests, padding]


def _no_bfloat16(reader: Reader, window_bp: int) -> str:
    """Why bfloat16 cannot be used here; empty where it can."""
    try:
        reader.read(np.zeros((1, window_bp), dtype=np.uint8), dtype="bfloat16")
    except (RuntimeError, NotImplementedError) as error:
        return f"bfloat16 is not supported here: {str(error).splitlines()[0]}"
    return ""
