"""A genome: contigs, and the bases of any stretch of them as ids."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from ldarnet.genome.errors import GenomeError
from ldarnet.genome.intervals import Contig
from ldarnet.genome.names import list_names
from ldarnet.genome.survey import ContigSurvey

BLOCK_BP = 1 << 18
NUM_BLOCKS_KEPT = 8


class Bases(Protocol):
    """Where the bases of a genome lie; contigs go by their place in the genome."""

    @property
    def contigs(self) -> Sequence[Contig]:
        """All contigs, in the order of the file."""

    def ids(self, contig: int, start: int, end: int) -> np.ndarray:
        """The ids (uint8) of bases start..end-1, which are inside the contig."""

    def survey(self, contig: int) -> ContigSurvey:
        """Checksum and gaps of one contig."""

    def close(self) -> None:
        """Give back files; may be called twice."""


class Genome:
    """An open genome, to be used in a `with` statement.

    `name` is the file's name, `contigs` are in the order of the file, `notes` are sentences that the user
    should read. Bases are read in blocks, a few of which are kept, so that windows taken in order cost
    little; threads and forked processes may share it.
    """

    def __init__(self, name: str, bases: Bases, notes: Sequence[str] = ()) -> None:
        self.name = name
        self.contigs = tuple(bases.contigs)
        self.notes = tuple(notes)
        self._bases = bases
        self._number_of = {contig.name: i for i, contig in enumerate(self.contigs)}
        self._blocks: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def ids(self, chrom: str, start: int, end: int) -> np.ndarray:
        """The ids (uint8 [end - start], the caller's own) of the bases start..end-1 of a contig.

        Raises GenomeError for an unknown contig, for bases outside it, and if the file was changed meanwhile.
        """
        contig = self._contig(chrom)
        length_bp = self.contigs[contig].length_bp
        if not 0 <= start <= end <= length_bp:
            raise GenomeError(f"{self.name}: expected 0 <= start <= end <= {length_bp} in {chrom}, got {start}..{end}")
        ids = np.empty(end - start, dtype=np.uint8)
        with self._lock:
            for number in range(start // BLOCK_BP, -(-end // BLOCK_BP)):
                offset = number * BLOCK_BP
                low, high = max(start, offset), min(end, offset + BLOCK_BP)
                ids[low - start : high - start] = self._block(contig, number)[low - offset : high - offset]
        return ids

    def survey(self, chrom: str) -> ContigSurvey:
        """Checksum and gaps of a contig; memory stays flat however long it is."""
        contig = self._contig(chrom)
        with self._lock:
            return self._bases.survey(contig)

    def close(self) -> None:
        """Close the file and remove temporary copies; may be called twice."""
        self._blocks.clear()
        self._bases.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _contig(self, chrom: str) -> int:
        if chrom not in self._number_of:
            names = list_names([contig.name for contig in self.contigs])
            raise GenomeError(f"{self.name}: no contig {chrom!r}; the contigs are {names}")
        return self._number_of[chrom]

    def _block(self, contig: int, number: int) -> np.ndarray:
        key = (contig, number)
        block = self._blocks.get(key)
        if block is None:
            start = number * BLOCK_BP
            end = min(start + BLOCK_BP, self.contigs[contig].length_bp)
            block = self._blocks[key] = self._bases.ids(contig, start, end)
            if len(self._blocks) > NUM_BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(key)
        return block
