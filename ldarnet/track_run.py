"""The values of a run, in the order of the genome: computed, taken from a journal, or from other processes."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ldarnet.boundaries import BatchRunner, RegionFilter, Stretch, TrackSettings, planned_batches
from ldarnet.genome import Batch, Genome, Interval, Shard, shard_batches
from ldarnet.journal import Journal
from ldarnet.model import LDARNet


class TrackRun:
    """One run, or one shard of it."""

    num_computed_bases: int
    """Bases that went through the model in this process."""

    def __init__(
        self,
        model: LDARNet,
        genome: Genome,
        settings: TrackSettings,
        regions: Sequence[Interval] | None,
        shard: Shard | None = None,
    ) -> None:
        self._runner = BatchRunner(model, genome, settings)
        self._plan = lambda: planned_batches(genome, settings, regions)
        self._batches = self._batches_of(shard)
        self._filter = RegionFilter(regions)
        self.num_computed_bases = 0

    def stretches(self, journal: Journal | None) -> Iterator[Stretch]:
        """Every value asked for, once: from the journal as far as it goes, then from the model."""
        done = journal.replay() if journal and journal.is_resumed else iter(())
        num_left = journal.num_batches if journal else 0
        for _ in range(num_left):
            yield from self._recorded(next(self._batches), next(done))
        for batch, stretches in self._computed():
            values = np.concatenate([s.values for s in stretches], axis=1)
            self.num_computed_bases += values.shape[1]
            if journal:
                journal.append(batch.index, values)
            for stretch in stretches:
                yield from self._filter.parts(stretch)

    def _computed(self) -> Iterator[tuple[Batch, list[Stretch]]]:
        """The batches that are left, in order; where the device works by itself, it has the next one already."""
        begun: deque[tuple[Batch, Callable[[], list[Stretch]]]] = deque()
        for batch in self._batches:
            begun.append((batch, self._runner.begin(batch)))
            if len(begun) > self._runner.runs_ahead:
                first, values = begun.popleft()
                yield first, values()
        for last, values in begun:
            yield last, values()

    def followed(self, shard: Shard, records: Iterator[tuple[int, np.ndarray]]) -> Iterator[Stretch]:
        """The values of another shard, from the records of its journal as they come."""
        for batch in self._batches_of(shard):
            yield from self._recorded(batch, next(records))

    def _batches_of(self, shard: Shard | None) -> Iterator[Batch]:
        return self._plan() if shard is None else shard_batches(self._plan, shard)

    def _recorded(self, batch: Batch, record: tuple[int, np.ndarray]) -> Iterator[Stretch]:
        """The parts asked for of a batch, from its values in one piece."""
        index, values = record
        assert index == batch.index, f"journal holds batch {index} where {batch.index} comes next"
        sizes = [w.core_end - w.core_start for w in batch.windows]
        pieces = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        for window, piece in zip(batch.windows, pieces, strict=True):
            yield from self._filter.parts(Stretch(window.chrom, window.core_start, piece))
