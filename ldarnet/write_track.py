"""One run of `ldarnet boundaries`: check everything, compute, write whole files and their sidecars."""

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from ldarnet import __version__
from ldarnet.boundaries import DEFAULT_BATCH_TOKENS, Stretch, TrackSettings, default_settings, shows_cuts
from ldarnet.census import Census, take_census
from ldarnet.checkpoint import load_model
from ldarnet.data.names import find_genome
from ldarnet.devices import pick_device
from ldarnet.genome import Genome, Regions, Shard, open_genome, parse_regions
from ldarnet.journal import Journal, journal_path
from ldarnet.model import LDARNet
from ldarnet.model.cpu_precision import multiplies_bfloat16
from ldarnet.processes import Others, Process, num_threads_of, this_process, wait_for_all
from ldarnet.shards import Covered
from ldarnet.sidecar import contig_record, versions, without_value, write_sidecar
from ldarnet.track_outputs import TrackOutputs
from ldarnet.track_request import RequestError, TrackRequest, check_request
from ldarnet.track_run import TrackRun
from ldarnet.tracks import STDOUT, format_of

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


def write_track(request: TrackRequest, *, say: Say) -> TrackSummary | None:
    """Write the boundary track of a FASTA to every output, each with a sidecar `<out>.json`.

    `say` receives sentences for the user. Raises RequestError, GenomeError, TrackError, CheckpointError, ValueError
    or OSError; then no half-written file is left, and what was computed stays in a journal for `resume`. Of several
    processes that torchrun started, the first writes and the others return None.
    """
    started = datetime.now(UTC)
    check_request(request)
    process = this_process(request)
    if process.number > 1:
        compute_share(request, process)
        return None
    with ExitStack() as stack:
        job = stack.enter_context(_job(request, process, say))
        say(_announcement(job))
        if request.dtype == "bfloat16" and job.device.type == "cpu" and not multiplies_bfloat16():
            say("this CPU has no instruction for bfloat16 products: float32 is faster here")
        others = stack.enter_context(Others())
        journal = stack.enter_context(_kept_journal(request, process, job.fingerprint(process.share), say))
        outputs = stack.enter_context(TrackOutputs(request, job.genome))
        num_resumed = journal.num_batches if journal else 0
        if process.count > 1 and not process.by_torchrun:
            if not request.resume or request.or_start_over:
                # Lest one is followed before its process empties it.
                _drop_journals_but(request.outputs[0], process)
            others.start(request, process, compute_share)
        wait_for_all(process)
        run = job.run(process.share)
        began = time.perf_counter()
        covered = Covered()
        values = chain(run.stretches(journal), *_values_of_others(request, job, run, process, others))
        for stretch in _with_progress(values, job.census, request):
            others.check()
            outputs.write(stretch)
            covered.add(stretch)
        seconds = time.perf_counter() - began
        num_values = outputs.num_values
        if request.shard is None and job.settings.stage == 0:
            possible = job.census.num_possible
            assert num_values == possible, f"{num_values} values for {possible} bases"
        outputs.commit()
        num_computed = run.num_computed_bases if process.count == 1 else covered.num_bases
        summary = TrackSummary(
            outputs=request.outputs,
            num_contigs=len(covered.spans),
            num_bases=covered.num_bases,
            num_values=num_values,
            seconds=seconds,
            bases_per_second=num_computed / max(seconds, 1e-9),
            num_resumed_batches=num_resumed,
        )
        record = _sidecar(request, process, job, summary, started)
        record |= covered.record(request.shard, job.census, num_values)
        for out in request.all_outputs:
            if out != STDOUT:
                write_sidecar(out, record)
        return summary


def compute_share(request: TrackRequest, process: Process) -> None:
    """Compute the share of a process that is not the first: its batches go into its journal, and nowhere else."""
    with ExitStack() as stack:
        job = stack.enter_context(_job(request, process, _silent))
        journal = stack.enter_context(_kept_journal(request, process, job.fingerprint(process.share), _silent))
        wait_for_all(process)
        for _ in job.run(process.share).stretches(journal):
            process.check_parent()


@dataclass(frozen=True)
class _Job:
    """What every process of a run has to know: the files, and all that decides the values."""

    request: TrackRequest
    genome: Genome
    census: Census
    regions: Regions | None
    model: LDARNet
    settings: TrackSettings
    device: torch.device

    def run(self, shard: Shard | None) -> TrackRun:
        return TrackRun(self.model, self.genome, self.settings, self.regions and self.regions.intervals, shard)

    def fingerprint(self, shard: Shard | None) -> dict[str, Any]:
        assert self.model.provenance is not None
        contigs = [[c.name, c.length_bp, c.md5] for c in self.census.contigs]
        return {
            "ldarnet": __version__,
            "model": self.model.provenance.sha256,
            "fasta": _sha256(contigs),
            "regions": self.regions and _sha256([list(r) for r in self.regions.intervals]),
            "device": self.device.type,  # another kind of device rounds differently
            "shard": shard and str(shard),
            **asdict(self.settings),
        }


@contextmanager
def _job(request: TrackRequest, process: Process, say: Say) -> Iterator[_Job]:
    device = pick_device(process.device)
    if (num_threads := num_threads_of(process, request.num_threads)) is not None:
        torch.set_num_threads(num_threads)  # the compiled kernels follow it
    with open_genome(find_genome(request.fasta)) as genome:
        for note in genome.notes:
            say(note)
        regions = _regions(request, genome, say)
        census = take_census(genome, regions.intervals if regions else None)
        if census.num_iupac_bp:
            say(f"{genome.name}: {census.num_iupac_bp:,} IUPAC codes are read as N")
        model = load_model(request.model, device=device, random_weights=request.random_weights)
        if not shows_cuts(model) and any(format_of(request.format or out) == "bed" for out in request.outputs):
            raise RequestError(
                f"--out: {request.model} cuts on a grid whatever its router's probability, so that the track does not "
                "say where chunks start; expected .bw, .bedGraph or .npz, got .bed"
            )
        yield _Job(request, genome, census, regions, model, _settings(request, model, device), device)


def _values_of_others(
    request: TrackRequest, job: _Job, run: TrackRun, process: Process, others: Others
) -> Iterator[Iterator[Stretch]]:
    for number in range(2, process.count + 1):
        other = process.numbered(number)
        assert other.share is not None, "several processes share a run"
        path = journal_path(request.outputs[0], other.journal_suffix)
        records = Journal.follow(path, job.fingerprint(other.share), partial(others.wait, number))
        yield run.followed(other.share, records)


def _silent(message: str) -> None:
    """The first process has said it."""


def _with_progress(stretches: Iterable[Stretch], census: Census, request: TrackRequest) -> Iterator[Stretch]:
    """The same stretches; on a terminal a bar shows bases/s and what is left."""
    is_hidden = None if request.show_progress else True  # None: hidden unless stderr is a terminal
    with tqdm(total=census.num_bases, unit="base", unit_scale=True, file=sys.stderr, disable=is_hidden) as bar:
        for stretch in stretches:
            yield stretch
            bar.update(stretch.values.shape[-1])


@contextmanager
def _kept_journal(
    request: TrackRequest, process: Process, fingerprint: dict[str, Any], say: Say
) -> Iterator[Journal | None]:
    """The journal of the first output; a failure gets a note that says how to go on.

    On success the first process removes it, and those of the others.
    """
    first = request.outputs[0]
    if first == STDOUT:
        yield None
        return
    path = journal_path(first, process.journal_suffix)
    was_there = path.exists()
    if (
        request.resume
        and not request.or_start_over
        and not was_there
        and (found := _journals_of_other_counts(first, process))
    ):
        names = ", ".join(each.name for each in found)
        raise ValueError(
            f"{first}: the unfinished run there had another number of processes ({names}); resume with as many, "
            "or start over without --resume"
        )
    with Journal.open(path, fingerprint, resume=request.resume, or_start_over=request.or_start_over) as journal:
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
        if process.number == 1:
            journal.remove()
            for other in _journals(first):
                other.unlink(missing_ok=True)


def _drop_journals_but(out: Path, process: Process) -> None:
    for path in _journals(out):
        if path.name != journal_path(out, process.journal_suffix).name:
            path.unlink(missing_ok=True)


def _journals_of_other_counts(out: Path, process: Process) -> list[Path]:
    """Journals that a run of another number of processes left."""
    ours = {journal_path(out, process.numbered(i).journal_suffix).name for i in range(1, process.count + 1)}
    return [path for path in _journals(out) if path.name not in ours]


def _journals(out: Path) -> list[Path]:
    """All journals of an output, whatever number of processes they are of."""
    name = journal_path(out).name
    pattern = re.compile(re.escape(name) + r"(\.\d+-of-\d+)?")
    return sorted(path for path in out.parent.iterdir() if pattern.fullmatch(path.name))


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
    return DEFAULT_BATCH_TOKENS if device.type == "cpu" else 262_144


def _announcement(job: _Job) -> str:
    model, census, settings = job.model, job.census, job.settings
    assert model.provenance is not None
    device = job.request.device if "," in job.request.device else job.device
    name = model.provenance.name
    return (
        f"{job.genome.name}: {census.num_contigs:,} contigs, {census.num_bases:,} bases; model {name}, "
        f"strand {settings.strand}, window {settings.window_bp}, halo {settings.halo_bp}, {settings.dtype} on {device}"
    )


def _sha256(facts: list[list[Any]]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _sidecar(
    request: TrackRequest, process: Process, job: _Job, summary: TrackSummary, started: datetime
) -> dict[str, Any]:
    assert job.model.provenance is not None
    regions = job.regions.intervals if job.regions else None
    device = request.device if "," in request.device else str(job.device)
    return {
        "command": list(request.command),
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "model": asdict(job.model.provenance),
        "fasta": {"name": job.genome.name, "contigs": contig_record(job.census)},
        "regions": [f"{r.chrom}:{r.start}-{r.end}" for r in regions] if regions else None,
        "settings": {**asdict(job.settings), "device": device, "padding": job.model.padding},
        "processes": process.count,
        "outputs": [str(out) for out in summary.outputs],
        "deviation_output": request.deviation_out and str(request.deviation_out),
        "bases": summary.num_bases,
        "values": summary.num_values,
        "without_value": without_value(job.census, summary.num_values),
        "notes": list(job.genome.notes),
        "batches_from_an_earlier_run": summary.num_resumed_batches,
        "seconds": round(summary.seconds, 3),
        "bases_per_second": round(summary.bases_per_second),
    }
