"""The files of one run: every stretch goes to all of them, and they get their names together at the end."""

import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ldarnet import vocab
from ldarnet.background import Background
from ldarnet.boundaries import Stretch
from ldarnet.genome import Genome
from ldarnet.track_request import TrackRequest
from ldarnet.tracks import STDOUT, TrackError, TrackWriter, format_of, open_writer


class TrackOutputs:
    """Writers of all outputs of a request, to be used in a `with` statement; without `commit` nothing is left."""

    num_values: int
    """Bases with a value so far."""

    def __init__(self, request: TrackRequest, genome: Genome) -> None:
        self.num_values = 0
        self._request, self._genome = request, genome
        self._writers: list[TrackWriter] = []
        self._holds_chunks = [format_of(request.format or out) == "bed" for out in request.outputs]
        self._files = ExitStack()
        strand = request.strand if request.strand in "+-" else "."
        with ExitStack() as opened:
            for out in request.all_outputs:
                _remove_dead_parts(out)
                format = None if out == request.deviation_out else request.format
                self._writers.append(
                    opened.enter_context(open_writer(out, genome.contigs, format=format, strand=strand))
                )
            self._files = opened.pop_all()
        self._background = Background()

    def write(self, stretch: Stretch) -> None:
        """Add the values of consecutive bases; stretches come in the order of the genome.

        Files are written in the background: an error of one is raised at a later call.
        """
        values = stretch.values[0]
        self.num_values += int(np.count_nonzero(~np.isnan(values)))
        for writer, is_bed in zip(self._writers, self._holds_chunks, strict=False):
            joined = self._joined(stretch) if is_bed and self._request.stage > 0 else values
            self._background.call(writer.write, stretch.chrom, stretch.start, joined)
        if self._request.deviation_out:
            self._background.call(self._writers[-1].write, stretch.chrom, stretch.start, stretch.values[1])

    def commit(self) -> None:
        """Give every file its name. Raises TrackError where no base has a value, or a file cannot be finished."""
        self._background.finish()
        if self.num_values == 0:
            raise TrackError(
                f"no base has a value: --stage {self._request.stage} has one only where a chunk of the stage before "
                "starts (on both strands, for both-mean), which is nowhere here"
            )
        for writer in self._writers:
            writer.finish()
        for writer in self._writers:
            writer.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._background.stop()
        finally:  # a second Ctrl-C may come while what is queued is still written
            self._files.close()

    def _joined(self, stretch: Stretch) -> np.ndarray:
        """The track of a later stage with "no cut" for "no value", which would tear the chunks of a BED apart."""
        chrom, start, values = stretch.chrom, stretch.start, stretch.values[0]
        is_inside = self._genome.ids(chrom, start, start + len(values)) != vocab.N
        if start == 0:
            is_inside[0] = False
        return np.where(np.isnan(values) & is_inside, np.float32(0), values)


def _remove_dead_parts(out: Path) -> None:
    """Remove what a killed run of this output left; the lock on the journal says that none is alive."""
    if out == STDOUT:
        return
    target = out.resolve()
    name = re.compile(rf"\.{re.escape(target.name)}(\.json)?\.\d+\.part")
    for path in target.parent.iterdir():
        if name.fullmatch(path.name):
            path.unlink(missing_ok=True)
