"""One run of `ldarnet boundaries`: check everything, compute, write whole files and their sidecars."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
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
    pick_device,
    planned_batches,
)
from ldarnet.checkpoint import load_model
from ldarnet.genome import Batch, Genome, GenomeError, Interval, Regions, open_genome, parse_regions
from ldarnet.journal import Journal, journal_path
from ldarnet.model import LDARNet
from ldarnet.tracks import STDOUT, TrackError, TrackWriter, check_target, open_writer

PACKAGES = ("torch", "numpy", "numba", "biopython", "pyBigWig", "safetensors")


@dataclass(frozen=True, kw_only=True)
class TrackRequest:
    """What the command was asked for; None = the default of the model."""

    fasta: str
    outputs: tuple[Path, ...]
    model: str = "default"
    format: str | None = None
    deviation_out: Path | None = None
    """Where the standard deviation of the two strands goes; needs strand "both-mean"."""
    regions: str | None = None
    strand: str = "+"
    window_bp: int | None = None
    halo_bp: int | None = None
    stage: int = 0
    device: str = "auto"
    dtype: str = "float32"
    batch_tokens: int | None = None
    num_threads: int | None = None
    resume: bool = False
    decimals: int = 4
    random_weights: bool = False
    show_progress: bool = True
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrackSummary:
    """What a finished run did."""

    outputs: tuple[Path, ...]
    num_contigs: int
    num_bases: int
    """Bases whose value was asked for: the whole FASTA, or the regions."""
    num_values: int
    seconds: float
    bases_per_second: float
    num_resumed_batches: int = 0


@dataclass
class _Counts:
    """What has no value, and why."""

    n_bp: int = 0
    iupac_bp: int = 0
    contig_starts: int = 0
    contigs: list[dict[str, Any]] = field(default_factory=list)


def write_track(request: TrackRequest, *, say: Callable[[str], None]) -> TrackSummary:
    """Write the boundary track of a FASTA to every output, each with a sidecar `<out>.json`.

    `say` receives sentences for the user. Raises GenomeError, TrackError, CheckpointError, ValueError or OSError;
    then nothing is left under the names of the outputs, and what was computed stays in a journal for `resume`.
    """
    started = datetime.now(UTC)
    _check_request(request)
    device = pick_device(request.device)
    _set_threads(request.num_threads)
    with ExitStack() as stack:
        genome = stack.enter_context(open_genome(request.fasta))
        for note in genome.notes:
            say(note)
        regions = _regions(request, genome, say)
        counts = _survey(genome, regions.intervals if regions else None)
        model = load_model(request.model, device=device, random_weights=request.random_weights)
        settings = _settings(request, model, device)
        say(_announcement(genome, model, settings, device))

        first = request.outputs[0]
        journal = None
        if first != STDOUT:
            fingerprint = _fingerprint(request, model, settings, counts, regions)
            path = journal_path(first)
            if not request.resume and path.exists():
                say(f"{first}: an unfinished run is there and is started over; --resume would have continued it")
            journal = stack.enter_context(Journal.open(path, fingerprint, resume=request.resume))
            if request.resume and not journal.is_resumed:
                say(f"{first}: nothing to resume, starting from the beginning")

        strand = settings.strand if settings.strand in "+-" else "."
        writers = [
            stack.enter_context(open_writer(out, genome.contigs, format=request.format, strand=strand))
            for out in request.outputs
        ]
        if request.deviation_out:
            writers.append(stack.enter_context(open_writer(request.deviation_out, genome.contigs)))

        began = time.perf_counter()
        num_bases = _num_bases(genome, regions)
        run = _Run(model, genome, settings, regions.intervals if regions else None, journal)
        num_resumed = journal.num_batches if journal else 0
        with tqdm(
            total=num_bases,
            unit="base",
            unit_scale=True,
            file=sys.stderr,
            disable=None if request.show_progress else True,
        ) as bar:
            for stretch in run.stretches():
                for i, writer in enumerate(writers):
                    channel = 1 if request.deviation_out and i == len(writers) - 1 else 0
                    writer.write(stretch.chrom, stretch.start, stretch.values[channel])
                bar.update(stretch.values.shape[-1])
        seconds = time.perf_counter() - began
        _check_complete(writers[0], counts, settings, regions)
        for writer in writers:
            writer.commit()
        summary = TrackSummary(
            request.outputs,
            len(genome.contigs),
            num_bases,
            writers[0].num_values,
            seconds,
            num_bases / max(seconds, 1e-9),
            num_resumed,
        )
        record = _sidecar(request, genome, model, settings, device, counts, regions, summary, started)
        for out in (*request.outputs, *([request.deviation_out] if request.deviation_out else [])):
            if out != STDOUT:
                _write_json(out.with_name(f"{out.name}.json"), record)
        if journal:
            journal.remove()
        return summary


class _Run:
    """Stretches in the order of the genome, from the journal as far as it goes, then from the model."""

    def __init__(
        self,
        model: LDARNet,
        genome: Genome,
        settings: TrackSettings,
        regions: Sequence[Interval] | None,
        journal: Journal | None,
    ) -> None:
        self._runner = BatchRunner(model, genome, settings)
        self._batches = planned_batches(genome, settings, regions)
        self._filter = RegionFilter(regions)
        self._journal = journal

    def stretches(self) -> Iterator[Stretch]:
        """Every value asked for, once."""
        done = self._journal.replay() if self._journal and self._journal.is_resumed else iter(())
        left = self._journal.num_batches if self._journal else 0
        for batch in self._batches:
            if left:
                index, values = next(done)
                assert index == batch.index, f"journal holds batch {index} where {batch.index} comes next"
                stretches = _divide(batch, values)
                left -= 1
            else:
                stretches = self._runner.run(batch)
                if self._journal:
                    self._journal.append(batch.index, np.concatenate([s.values for s in stretches], axis=1))
            for stretch in stretches:
                yield from self._filter.parts(stretch)


def _divide(batch: Batch, values: np.ndarray) -> list[Stretch]:
    """The stretches of a batch, from its values in one piece."""
    sizes = [w.core_end - w.core_start for w in batch.windows]
    pieces = np.split(values, np.cumsum(sizes)[:-1], axis=1)
    return [Stretch(w.chrom, w.core_start, piece) for w, piece in zip(batch.windows, pieces, strict=True)]


def _check_request(request: TrackRequest) -> None:
    if not request.outputs:
        raise ValueError("--out: expected at least one file")
    outputs = [*request.outputs, *([request.deviation_out] if request.deviation_out else [])]
    if len({out.resolve() for out in outputs}) < len(outputs):
        raise ValueError("--out: the same file is named twice")
    if STDOUT in outputs and len(outputs) > 1:
        raise ValueError("--out -: standard output cannot be combined with other outputs")
    if request.deviation_out and request.strand != "both-mean":
        raise ValueError(f"--deviation-out needs --strand both-mean, got --strand {request.strand}")
    if request.resume and STDOUT in outputs:
        raise ValueError("--resume needs a file, got --out -")
    for out in request.outputs:
        check_target(out, format=request.format)
    if request.deviation_out:
        check_target(request.deviation_out)
    if request.fasta != "-" and any(_same_file(request.fasta, out) for out in outputs):
        raise TrackError(f"{request.fasta} is both --fasta and an output")


def _same_file(fasta: str, out: Path) -> bool:
    try:
        return Path(fasta).samefile(out)
    except OSError:
        return False


def _set_threads(num_threads: int | None) -> None:
    if num_threads is None:
        return
    import numba

    torch.set_num_threads(num_threads)
    numba.set_num_threads(min(num_threads, numba.get_num_threads()))


def _regions(request: TrackRequest, genome: Genome, say: Callable[[str], None]) -> Regions | None:
    if request.regions is None:
        return None
    regions = parse_regions(request.regions, genome.contigs)
    if regions.num_merged:
        say(f"{request.regions}: {regions.num_merged} overlapping or touching regions were merged")
    return regions


def _survey(genome: Genome, regions: Sequence[Interval] | None) -> _Counts:
    """Checksums and gaps of the contigs that the run touches; GenomeError where no base can have a value."""
    touched = {r.chrom for r in regions} if regions is not None else {c.name for c in genome.contigs}
    counts = _Counts()
    num_valued = 0
    for contig in genome.contigs:
        if contig.name not in touched:
            counts.contigs.append({"name": contig.name, "length": contig.length_bp, "md5": None})
            continue
        survey = genome.survey(contig.name)
        starts_with_base = not (len(survey.n_runs) and survey.n_runs[0][0] == 0)
        counts.n_bp += survey.num_n_bp
        counts.iupac_bp += survey.num_iupac_bp
        counts.contig_starts += starts_with_base
        num_valued += contig.length_bp - survey.num_n_bp - survey.num_iupac_bp - starts_with_base
        counts.contigs.append({"name": contig.name, "length": contig.length_bp, "md5": survey.md5})
    if num_valued == 0:
        raise GenomeError(
            f"{genome.name}: no base can have a value: {len(touched)} contigs hold {counts.n_bp + counts.iupac_bp:,} "
            "N and no base with another before it"
        )
    return counts


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


def _num_bases(genome: Genome, regions: Regions | None) -> int:
    if regions is None:
        return sum(c.length_bp for c in genome.contigs)
    return sum(r.end - r.start for r in regions.intervals)


def _check_complete(writer: TrackWriter, counts: _Counts, settings: TrackSettings, regions: Regions | None) -> None:
    """A whole-genome track of stage 0 has a value at every base but N and the first of each contig."""
    if regions is None and settings.stage == 0:
        lengths = sum(c["length"] for c in counts.contigs)
        expected = lengths - counts.n_bp - counts.iupac_bp - counts.contig_starts
        assert writer.num_values == expected, f"{writer.num_values} values for {expected} bases"


def _announcement(genome: Genome, model: LDARNet, settings: TrackSettings, device: torch.device) -> str:
    assert model.provenance is not None
    total = sum(c.length_bp for c in genome.contigs)
    return (
        f"{genome.name}: {len(genome.contigs):,} contigs, {total:,} bases; model {model.provenance.name}, "
        f"strand {settings.strand}, window {settings.window_bp}, halo {settings.halo_bp}, {settings.dtype} on {device}"
    )


def _fingerprint(
    request: TrackRequest, model: LDARNet, settings: TrackSettings, counts: _Counts, regions: Regions | None
) -> dict[str, Any]:
    assert model.provenance is not None
    intervals = [list(r) for r in regions.intervals] if regions else None
    contigs = [[c["name"], c["length"], c["md5"]] for c in counts.contigs]
    return {
        "ldarnet": __version__,
        "model": model.provenance.sha256,
        "fasta": hashlib.sha256(json.dumps(contigs).encode()).hexdigest(),
        "regions": intervals and hashlib.sha256(json.dumps(intervals).encode()).hexdigest(),
        **asdict(settings),
    }


def _sidecar(
    request: TrackRequest,
    genome: Genome,
    model: LDARNet,
    settings: TrackSettings,
    device: torch.device,
    counts: _Counts,
    regions: Regions | None,
    summary: TrackSummary,
    started: datetime,
) -> dict[str, Any]:
    assert model.provenance is not None
    return {
        "command": list(request.command),
        "started": started.isoformat(timespec="seconds"),
        "versions": {"ldarnet": __version__, "python": sys.version.split()[0], **_versions()},
        "model": asdict(model.provenance),
        "fasta": {"name": genome.name, "contigs": counts.contigs},
        "regions": [f"{r.chrom}:{r.start}-{r.end}" for r in regions.intervals] if regions else None,
        "settings": {**asdict(settings), "device": str(device), "padding": model.padding},
        "outputs": [str(out) for out in summary.outputs],
        "values": summary.num_values,
        "without_value": {
            "N": counts.n_bp,
            "IUPAC code read as N": counts.iupac_bp,
            "first base of a contig": counts.contig_starts,
        },
        "notes": list(genome.notes),
        "batches_from_an_earlier_run": summary.num_resumed_batches,
        "seconds": round(summary.seconds, 3),
        "bases_per_second": round(summary.bases_per_second),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def _write_json(path: Path, record: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(record, indent=2) + "\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
