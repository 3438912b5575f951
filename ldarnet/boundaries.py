"""Model x window plan -> track: the probability of a cut at every base of a genome."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

from ldarnet import stitch, vocab
from ldarnet.devices import pick_device, to_device, to_host
from ldarnet.genome import Batch, Contig, Genome, Interval, Window, open_genome, plan_batches, select_batches
from ldarnet.model import LDARNet
from ldarnet.model.attention import Span
from ldarnet.tracks import TrackError, format_of, open_writer, round_values

Strand = Literal["+", "-", "both-mean"]
STRANDS: tuple[Strand, ...] = ("+", "-", "both-mean")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
DEFAULT_BATCH_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """How a track is computed. Two runs with equal settings, model and FASTA give the same values."""

    window_bp: int
    halo_bp: int
    strand: Strand = "+"
    stage: int = 0
    dtype: str = "float32"
    batch_tokens: int = DEFAULT_BATCH_TOKENS
    decimals: int = 4

    def __post_init__(self) -> None:
        if self.strand not in STRANDS:
            raise ValueError(f"--strand: expected one of {', '.join(STRANDS)}, got {self.strand!r}")
        if self.dtype not in DTYPES:
            raise ValueError(f"--dtype: expected one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if self.decimals < 0 or self.stage < 0:
            raise ValueError(f"--decimals and --stage: expected 0 or more, got {self.decimals} and {self.stage}")


class Stretch(NamedTuple):
    """Values of consecutive bases: float32 [channels, num_bases], NaN = no value.

    Channel 0 is the track; channel 1, for both strands, the standard deviation of the two.
    """

    chrom: str
    start: int
    values: np.ndarray


def default_settings(model: LDARNet, *, window_bp: int | None = None, halo_bp: int | None = None) -> tuple[int, int]:
    """Window and halo in bases: the training context, and a quarter of the window (measured in docs/windows.md)."""
    window = model.config.context_bp if window_bp is None else window_bp
    return window, max(1, window // 4) if halo_bp is None else halo_bp


def shows_cuts(model: LDARNet) -> bool:
    """Whether a track of the model is above 0.5 where chunks start, and nowhere else.

    Not that of a model that cuts by a rule and gives those cuts the probability of a router ("fixed-4-soft").
    """
    return model.config.cut_prob != "router"


def planned_batches(
    genome: Genome, settings: TrackSettings, regions: Sequence[Interval] | None = None
) -> Iterator[Batch]:
    """The batches of the whole FASTA, or those that regions need, whole and with their place in the plan."""
    batches = plan_batches(genome.contigs, settings.window_bp, settings.halo_bp, settings.batch_tokens)
    return batches if regions is None else select_batches(batches, regions)


class BatchRunner:
    """Runs the encoder and the routers on batches of windows."""

    runs_ahead: bool
    """Whether `begin` returns before the values are there."""

    def __init__(self, model: LDARNet, genome: Genome, settings: TrackSettings) -> None:
        model.config.check_reads_dna()
        if settings.stage >= model.config.num_stages:
            stages = model.config.num_stages
            names = "1 stage" if stages == 1 else f"{stages} stages"
            raise ValueError(f"--stage {settings.stage}: the model has {names}, counted from 0")
        self._model, self._genome, self._settings = model, genome, settings
        self._device = next(model.parameters()).device
        self.runs_ahead = self._device.type == "cuda"

    def run(self, batch: Batch) -> list[Stretch]:
        """The values of the cores of a batch, in order. Windows whose core is all N are not computed."""
        return self.begin(batch)()

    def begin(self, batch: Batch) -> Callable[[], list[Stretch]]:
        """Start on a batch; what is returned waits for the values. On a GPU the caller need not wait in between."""
        bases = [self._genome.ids(w.chrom, w.start, w.end) for w in batch.windows]
        known = [bool((_core(ids, w) != vocab.N).any()) for ids, w in zip(bases, batch.windows, strict=True)]
        wanted = [ids for ids, is_known in zip(bases, known, strict=True) if is_known]
        cores = [
            (w.core_start - w.start, w.core_end - w.start)
            for w, is_known in zip(batch.windows, known, strict=True)
            if is_known
        ]
        computed = self._begin_values(wanted, cores) if wanted else list

        def stretches() -> list[Stretch]:
            values = iter(computed())
            return [
                self._stretch(window, ids, next(values) if is_known else None)
                for ids, window, is_known in zip(bases, batch.windows, known, strict=True)
            ]

        return stretches

    def _stretch(self, window: Window, ids: np.ndarray, values: np.ndarray | None) -> Stretch:
        """The core of a window, without values at N, rounded."""
        if values is None:
            num_channels = 2 if self._settings.strand == "both-mean" else 1
            values = np.full((num_channels, len(ids)), np.nan, dtype=np.float32)
        else:
            values = stitch.without_unknown_bases(values, ids)
        return Stretch(window.chrom, window.core_start, round_values(_core(values, window), self._settings.decimals))

    def _begin_values(self, windows: list[np.ndarray], cores: list[Span]) -> Callable[[], list[np.ndarray]]:
        """Later: per window float32 [channels, length], of which the core alone counts."""
        strand = self._settings.strand
        forward = turned = None
        if strand != "+":
            turned_cores = [stitch.span_on_reverse_complement(c, len(w)) for c, w in zip(cores, windows, strict=True)]
            turned = self._begin_strand([vocab.reverse_complement(w) for w in windows], turned_cores)
        if strand != "-":
            forward = self._begin_strand(windows, cores)

        def values() -> list[np.ndarray]:
            reverse = [] if turned is None else [stitch.from_reverse_complement(v) for v in turned()]
            if forward is None:
                return [v[None] for v in reverse]
            if turned is None:
                return [v[None] for v in forward()]
            return [np.stack(stitch.mean_of_strands(f, r)) for f, r in zip(forward(), reverse, strict=True)]

        return values

    def _begin_strand(self, windows: list[np.ndarray], cores: list[Span]) -> Callable[[], list[np.ndarray]]:
        """Later: per window float32 [length]."""
        lengths = [len(w) for w in windows]
        ids = np.full((len(windows), max(lengths)), vocab.PAD, dtype=np.uint8)
        for row, window in zip(ids, windows, strict=True):
            row[: len(window)] = window
        tokens = to_device(torch.from_numpy(ids), self._device)
        valid = None
        if min(lengths) < max(lengths):
            valid = to_device(torch.arange(max(lengths)) < torch.tensor(lengths)[:, None], self._device)
        try:
            with torch.inference_mode(), self._precision():
                num_stages = self._settings.stage + 1
                routing = self._model.boundaries(tokens, valid, max_stages=num_stages, span=_union(cores)).routing
                tables = to_host([t for r in routing for t in (r.raw_prob.float(), r.cut)])
        except torch.cuda.OutOfMemoryError:
            given = self._settings.batch_tokens
            raise ValueError(f"--batch-tokens {given}: too many for the memory of {self._device}, try half") from None

        def values() -> list[np.ndarray]:
            arrays = tables()
            probs, cuts = arrays[::2], arrays[1::2]
            return [
                stitch.values_at_cuts([p[i] for p in probs], [c[i] for c in cuts], length, self._settings.stage)
                for i, length in enumerate(lengths)
            ]

        return values

    def _precision(self) -> AbstractContextManager[object]:
        if self._settings.dtype == "float32":
            return nullcontext()
        return torch.autocast(self._device.type, DTYPES[self._settings.dtype])


def _union(spans: Sequence[Span]) -> Span:
    """From the first start to the last end."""
    return min(first for first, _ in spans), max(last for _, last in spans)


def _core(array: np.ndarray, window: Window) -> np.ndarray:
    """The core of a window along the last axis."""
    return array[..., window.core_start - window.start : window.core_end - window.start]


class RegionFilter:
    """Keeps of every stretch the parts that regions (merged, sorted) cover; everything where there are none."""

    def __init__(self, regions: Sequence[Interval] | None) -> None:
        self._spans: dict[str, tuple[list[int], list[int]]] | None = None
        if regions is not None:
            self._spans = {}
            for chrom, start, end in regions:
                starts, ends = self._spans.setdefault(chrom, ([], []))
                starts.append(start)
                ends.append(end)

    def parts(self, stretch: Stretch) -> Iterator[Stretch]:
        """The covered parts, in order."""
        if self._spans is None:
            yield stretch
            return
        chrom, first, values = stretch
        starts, ends = self._spans.get(chrom, ([], []))
        last = first + values.shape[-1]
        for i in range(bisect_right(ends, first), bisect_left(starts, last)):
            low, high = max(starts[i], first), min(ends[i], last)
            yield Stretch(chrom, low, values[:, low - first : high - first])


@dataclass(frozen=True)
class BoundaryTrack:
    """A track held in memory: `data[chrom]` is float32 [length], NaN = no value."""

    contigs: tuple[Contig, ...]
    data: dict[str, np.ndarray]
    settings: TrackSettings
    seconds: float = field(default=0.0, compare=False)
    shows_cuts: bool = True
    """Whether chunks start where the probability is above 0.5; see `shows_cuts`."""

    def values(self, chrom: str, start: int, end: int) -> np.ndarray:
        """float32 [end - start]: the probability of a cut left of each base; NaN = no value."""
        if chrom not in self.data:
            raise ValueError(f"no contig {chrom!r}; there are {', '.join(list(self.data)[:8])}")
        if not 0 <= start <= end <= len(self.data[chrom]):
            raise ValueError(f"expected 0 <= start <= end <= {len(self.data[chrom])} in {chrom}, got {start}, {end}")
        return self.data[chrom][start:end].copy()

    def write(self, path: str | Path, *, format: str | None = None) -> None:
        """Write the track in the format its suffix names (.bw, .bedGraph[.gz], .npz, .bed for chunks).

        Raises TrackError, also for .bed where the track does not say which bases a chunk has.
        """
        if format_of(Path(path) if format is None else format) == "bed":
            self._check_chunks(path)
        strand = self.settings.strand if self.settings.strand in "+-" else "."
        with open_writer(Path(path), self.contigs, format=format, strand=strand) as writer:
            for chrom, values in self.data.items():
                writer.write(chrom, 0, values)
            writer.commit()

    def _check_chunks(self, path: str | Path) -> None:
        if not self.shows_cuts:
            raise TrackError(
                f"{path}: the model cuts by a rule whatever its router's probability, so that the track does not say "
                "where chunks start; expected .bw, .bedGraph or .npz"
            )
        if self.settings.stage > 0:
            raise TrackError(
                f"{path}: a track of stage {self.settings.stage} has no values inside chunks and does not say where N "
                "ends one; `ldarnet boundaries`, which has the genome, writes them"
            )


def boundary_track(
    fasta: str | Path,
    *,
    model: str | Path | LDARNet = "default",
    window_bp: int | None = None,
    halo_bp: int | None = None,
    strand: Strand = "+",
    stage: int = 0,
    device: str = "auto",
    dtype: str = "float32",
    batch_tokens: int = DEFAULT_BATCH_TOKENS,
    decimals: int = 0,
) -> BoundaryTrack:
    """The boundary track of a FASTA, 4 bytes a base in memory; genomes larger than that go through the command.

    `model` is anything `ldarnet.load_model` takes, or a loaded model (then `device` is where it is).
    """
    if not isinstance(model, LDARNet):
        from ldarnet.checkpoint import load_model

        model = load_model(model, device=pick_device(device))
    window, halo = default_settings(model, window_bp=window_bp, halo_bp=halo_bp)
    settings = TrackSettings(
        window_bp=window,
        halo_bp=halo,
        strand=strand,
        stage=stage,
        dtype=dtype,
        batch_tokens=batch_tokens,
        decimals=decimals,
    )
    began = time.perf_counter()
    with open_genome(fasta) as genome:
        data = {c.name: np.full(c.length_bp, np.nan, dtype=np.float32) for c in genome.contigs}
        runner = BatchRunner(model, genome, settings)
        for batch in planned_batches(genome, settings):
            for chrom, start, values in runner.run(batch):
                data[chrom][start : start + values.shape[-1]] = values[0]
        seconds = time.perf_counter() - began
        return BoundaryTrack(genome.contigs, data, settings, seconds, shows_cuts(model))


if __name__ == "__main__":  # torchrun --nproc-per-node=2 -m ldarnet.boundaries --fasta x.fa --out probs.bw
    from ldarnet.cli import boundaries_main

    boundaries_main()
