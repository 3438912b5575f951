"""One run of `ldarnet boundaries`: check everything, compute, write whole files and their sidecars."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ldarnet import __version__
from ldarnet.boundaries import (
    BatchRunner,
    RegionFilter,
    Stretch,
    TrackSettings,
    default_settings,
    planned_batches,
)
from ldarnet.census import Census, take_census
from ldarnet.checkpoint import load_model
from ldarnet.devices import pick_device
from ldarnet.genome import Batch, Genome, Interval, Regions, open_genome, parse_regions
from ldarnet.journal import Journal, journal_path
from ldarnet.model import LDARNet
from ldarnet.sidecar import contig_record, versions, without_value, write_sidecar
from ldarnet.track_outputs import TrackOutputs
from ldarnet.track_request import RequestError, TrackRequest, check_request
from ldarnet.tracks import STDOUT

__all__ = ["RequestError", "TrackRequest", "TrackSummary", "default_batch_tokens", "write_track"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrackSummary:
    """What a finished run did."""

    outputs: tuple[Path, ...]
    num_contigs: int
    """Contigs with a base asked for."""
    num_bases: int
    """Bases whose value was asked for: the whole FASTA, or the regions."""
    num_values: int
    seconds: float
    bases_per_second: float
    """Of this run alone: bases from a journal do not count."""
    num_resumed_batches: int = 0


def write_track(request: TrackRequest, *, say: Say) -> TrackSummary:
    """Write the boundary track of a FASTA to every output, each with a sidecar `<out>.json`.

    `say` receives sentences for the user. Raises RequestError, GenomeError, TrackError, CheckpointError, ValueError
    or OSError; then no half-written file is left, and what was computed stays in a journal for `resume`.
    """
    started = datetime.now(UTC)
    check_request(request)
    device = pick_device(request.device)
    _set_threads(request.num_threads)
    with ExitStack() as stack:
        genome = stack.enter_context(open_genome(request.fasta))
        for note in genome.notes:
            say(note)
        regions = _regions(request, genome, say)
        intervals = regions.intervals if regions else None
        census = take_census(genome, intervals)
        if census.num_iupac_bp:
            say(f"{genome.name}: {census.num_iupac_bp:,} IUPAC codes are read as N")
        model = load_model(request.model, device=device, random_weights=request.random_weights)
        settings = _settings(request, model, device)
        run = _Run(model, genome, settings, intervals)
        say(_announcement(genome, census, model, settings, device))

        fingerprint = _fingerprint(model, settings, device, census, regions)
        journal = stack.enter_context(_kept_journal(request, fingerprint, say))
        num_resumed = journal.num_batches if journal else 0
        outputs = stack.enter_context(TrackOutputs(request, genome))
        began = time.perf_counter()
        for stretch in _with_progress(run.stretches(journal), census, request):
            outputs.write(stretch)
        seconds = time.perf_counter() - began
        num_values = outputs.num_values
        if settings.stage == 0:
            assert num_values == census.num_possible, f"{num_values} values for {census.num_possible} bases"
        outputs.commit()
        speed = run.num_computed_bases / max(seconds, 1e-9)
        summary = TrackSummary(
            request.outputs, census.num_contigs, census.num_bases, num_values, seconds, speed, num_resumed
        )
        record = _sidecar(request, genome, model, settings, device, census, regions, summary, started)
        for out in request.all_outputs:
            if out != STDOUT:
                write_sidecar(out, record)
        return summary


class _Run:
    """Stretches in the order of the genome, from a journal as far as it goes, then from the model."""

    def __init__(
        self, model: LDARNet, genome: Genome, settings: TrackSettings, regions: Sequence[Interval] | None
    ) -> None:
        self._runner = BatchRunner(model, genome, settings)
        self._batches = planned_batches(genome, settings, regions)
        self._filter = RegionFilter(regions)
        self.num_computed_bases = 0

    def stretches(self, journal: Journal | None) -> Iterator[Stretch]:
        """Every value asked for, once."""
        done = journal.replay() if journal and journal.is_resumed else iter(())
        num_left = journal.num_batches if journal else 0
        for batch in self._batches:
            if num_left:
                index, values = next(done)
                assert index == batch.index, f"journal holds batch {index} where {batch.index} comes next"
                stretches = _divide(batch, values)
                num_left -= 1
            else:
                stretches = self._runner.run(batch)
                values = np.concatenate([s.values for s in stretches], axis=1)
                self.num_computed_bases += values.shape[1]
                if journal:
                    journal.append(batch.index, values)
            for stretch in stretches:
                yield from self._filter.parts(stretch)


def _divide(batch: Batch, values: np.ndarray) -> list[Stretch]:
    """The stretches of a batch, from its values in one piece."""
    sizes = [w.core_end - w.core_start for w in batch.windows]
    pieces = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    return [Stretch(w.chrom, w.core_start, piece) for w, piece in zip(batch.windows, pieces, strict=True)]


def _with_progress(stretches: Iterable[Stretch], census: Census, request: TrackRequest) -> Iterator[Stretch]:
    """The same stretches; on a terminal a bar shows bases/s and what is left."""
    is_hidden = None if request.show_progress else True  # None: hidden unless stderr is a terminal
    with tqdm(total=census.num_bases, unit="base", unit_scale=True, file=sys.stderr, disable=is_hidden) as bar:
        for stretch in stretches:
            yield stretch
            bar.update(stretch.values.shape[-1])


@contextmanager
def _kept_journal(request: TrackRequest, fingerprint: dict[str, Any], say: Say) -> Iterator[Journal | None]:
    """The journal of the first output, removed on success; a failure gets a note that says how to go on."""
    first = request.outputs[0]
    if first == STDOUT:
        yield None
        return
    path = journal_path(first)
    was_there = path.exists()
    with Journal.open(path, fingerprint, resume=request.resume) as journal:
        if journal.is_resumed:
            say(f"{first}: going on after {journal.num_batches:,} finished batches")
        elif request.resume:
            say(f"{first}: nothing to resume, starting from the beginning")
        elif was_there:
            say(f"{first}: an unfinished run was there and is started over; --resume would have continued it")
        try:
            yield journal
        except BaseException as error:
            if journal.num_batches:
                error.add_note(
                    f"{journal.num_batches:,} finished batches are kept in {path}: the same command with --resume "
                    "goes on from there"
                )
            else:
                journal.remove()
            raise
        journal.remove()


def _set_threads(num_threads: int | None) -> None:
    if num_threads is not None:
        torch.set_num_threads(num_threads)  # the compiled kernels follow it


def _regions(request: TrackRequest, genome: Genome, say: Say) -> Regions | None:
    if request.regions is None:
        return None
    regions = parse_regions(request.regions, genome.contigs)
    if regions.num_merged:
        say(f"{request.regions}: {regions.num_merged:,} overlapping or touching regions were merged")
    return regions


def _settings(request: TrackRequest, model: LDARNet, device: torch.device) -> TrackSettings:
    window_bp, halo_bp = default_settings(model, window_bp=request.window_bp, halo_bp=request.halo_bp)
    tokens = request.batch_tokens or default_batch_tokens(device)
    return TrackSettings(
        window_bp=window_bp,
        halo_bp=halo_bp,
        strand=request.strand,  # type: ignore[arg-type]
        stage=request.stage,
        dtype=request.dtype,
        batch_tokens=tokens,
        decimals=request.decimals,
    )


def default_batch_tokens(device: torch.device) -> int:
    """Bases that go through the model at once: what a CPU's cache likes, or what keeps a GPU busy."""
    return 4096 if device.type == "cpu" else 262_144


def _announcement(genome: Genome, census: Census, model: LDARNet, settings: TrackSettings, device: torch.device) -> str:
    assert model.provenance is not None
    return (
        f"{genome.name}: {census.num_contigs:,} contigs, {census.num_bases:,} bases; model {model.provenance.name}, "
        f"strand {settings.strand}, window {settings.window_bp}, halo {settings.halo_bp}, {settings.dtype} on {device}"
    )


def _fingerprint(
    model: LDARNet, settings: TrackSettings, device: torch.device, census: Census, regions: Regions | None
) -> dict[str, Any]:
    assert model.provenance is not None
    contigs = [[c.name, c.length_bp, c.md5] for c in census.contigs]
    return {
        "ldarnet": __version__,
        "model": model.provenance.sha256,
        "fasta": hashlib.sha256(json.dumps(contigs).encode()).hexdigest(),
        "regions": regions and hashlib.sha256(json.dumps([list(r) for r in regions.intervals]).encode()).hexdigest(),
        "device": device.type,  # another kind of device rounds differently
        **asdict(settings),
    }


def _sidecar(
    request: TrackRequest,
    genome: Genome,
    model: LDARNet,
    settings: TrackSettings,
    device: torch.device,
    census: Census,
    regions: Regions | None,
    summary: TrackSummary,
    started: datetime,
) -> dict[str, Any]:
    assert model.provenance is not None
    return {
        "command": list(request.command),
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "model": asdict(model.provenance),
        "fasta": {"name": genome.name, "contigs": contig_record(census)},
        "regions": [f"{r.chrom}:{r.start}-{r.end}" for r in regions.intervals] if regions else None,
        "settings": {**asdict(settings), "device": str(device), "padding": model.padding},
        "outputs": [str(out) for out in summary.outputs],
        "deviation_output": request.deviation_out and str(request.deviation_out),
        "bases": summary.num_bases,
        "values": summary.num_values,
        "without_value": without_value(census, summary.num_values),
        "notes": list(genome.notes),
        "batches_from_an_earlier_run": summary.num_resumed_batches,
        "seconds": round(summary.seconds, 3),
        "bases_per_second": round(summary.bases_per_second),
    }
