"""A model that runs on pasted sequences: loaded once, one inference at a time, same values as the command's."""

import importlib.util
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar

import numpy as np

from ldarnet.genome import Contig, plan_windows

Strand = Literal["+", "-", "both-mean"]
STRANDS: tuple[Strand, ...] = ("+", "-", "both-mean")
BATCH_TOKENS = 4096
RESULTS_KEPT = 48

R = TypeVar("R")
Report = Callable[[int, int], None]

_one_at_a_time = Lock()
"""Held while any model computes: compiled CPU kernels must not be entered by two threads at once."""


def can_run() -> bool:
    """Whether torch, which models need, is installed."""
    return importlib.util.find_spec("torch") is not None


class LiveModel:
    """A loaded model and its latest results; may be shared by threads.

    `source` is anything that `ldarnet.load_model` takes; raises its errors.
    """

    def __init__(self, source: str) -> None:
        import ldarnet

        self._model: Any = ldarnet.load_model(source, device="auto")
        with _one_at_a_time, tempfile.TemporaryDirectory(prefix="ldarnet-") as folder:
            # The settings of a track say which window and halo the model comes with.
            probe = ldarnet.boundary_track(_write_fasta(Path(folder), ["AC"]), model=self._model)
        assert self._model.provenance is not None
        self.source = source
        self.name: str = self._model.provenance.name
        self.sha256: str = self._model.provenance.sha256
        self.window_bp, self.halo_bp = probe.settings.window_bp, probe.settings.halo_bp
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._kept_lock = Lock()

    def values(self, sequence: str, strand: Strand, report: Report) -> np.ndarray:
        """float32 [length]: the probability of a cut left of each base, unrounded; NaN at base 0 and N.

        Windows and halo are those of `ldarnet-boundaries` on a FASTA that holds this sequence alone.
        """
        return self.kept((sequence, strand), lambda: self._compute(sequence, strand, report))

    def _compute(self, sequence: str, strand: Strand, report: Report) -> np.ndarray:
        windows = list(plan_windows(Contig("sequence", len(sequence)), self.window_bp, self.halo_bp))
        pieces = self.window_values([sequence[w.start : w.end] for w in windows], strand, report)
        cores = [v[w.core_start - w.start : w.core_end - w.start] for v, w in zip(pieces, windows, strict=True)]
        return np.concatenate(cores)

    def window_values(self, windows: Sequence[str], strand: Strand, report: Report) -> list[np.ndarray]:
        """Values of windows of letters, each read on its own: float32 [its length].

        `report` is called between batches, not while the model is held: it may raise to stop the work.
        """
        import ldarnet

        # As many to a batch as the command takes, so that even the last bits of the values are the command's.
        num_batch = max(1, BATCH_TOKENS // max(map(len, windows)))
        values: list[np.ndarray] = []
        report(0, len(windows))
        with tempfile.TemporaryDirectory(prefix="ldarnet-") as folder:
            for first in range(0, len(windows), num_batch):
                fasta = _write_fasta(Path(folder), windows[first : first + num_batch])
                with _one_at_a_time:
                    track = ldarnet.boundary_track(
                        fasta,
                        model=self._model,
                        strand=strand,
                        window_bp=self.window_bp,
                        halo_bp=self.halo_bp,
                        batch_tokens=BATCH_TOKENS,
                    )
                values += [track.values(name, 0, length_bp) for name, length_bp in track.contigs]
                report(len(values), len(windows))
        return values

    def has(self, key: Hashable) -> bool:
        """Whether a result is kept."""
        with self._kept_lock:
            return key in self._kept

    def kept(self, key: Hashable, compute: Callable[[], R]) -> R:
        """A result of this model, computed where it is not among the last RESULTS_KEPT; not to be changed."""
        with self._kept_lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        result = compute()
        with self._kept_lock:
            self._kept[key] = result
            while len(self._kept) > RESULTS_KEPT:
                self._kept.popitem(last=False)
        return result


def _write_fasta(folder: Path, sequences: Sequence[str]) -> Path:
    path = folder / "windows.fa"
    path.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
    return path
