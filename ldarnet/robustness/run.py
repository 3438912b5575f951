"""One run of `ldarnet robustness`, up to what was measured: files and models in, sums per window out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ldarnet.boundaries import TrackSettings, default_settings
from ldarnet.checkpoint import load_model
from ldarnet.data.names import find_genome
from ldarnet.devices import pick_device
from ldarnet.genome import Genome, Interval, open_genome, parse_regions
from ldarnet.model import LDARNet
from ldarnet.robustness.consensus import check_consensus, check_cuts, write_consensus
from ldarnet.robustness.loci import Loci, draw_loci
from ldarnet.robustness.measure import Settings, measure
from ldarnet.robustness.tally import Measured
from ldarnet.sidecar import versions


@dataclass(frozen=True, kw_only=True)
class RobustnessRequest:
    """What the command was asked for; None = the default said in its help."""

    fasta: str
    models: tuple[str, ...] = ("default",)
    regions: str | None = None
    num_windows: int = 500
    window_bp: int | None = None
    max_shift_bp: int = 64
    seed: int = 0
    consensus: Path | None = None
    device: str = "auto"
    batch_tokens: int = 4096
    num_threads: int | None = None
    show_progress: bool = True
    command: tuple[str, ...] = ()


def run_robustness(request: RobustnessRequest, *, say: Callable[[str], None]) -> tuple[list[Measured], dict[str, Any]]:
    """What was measured, and the facts of the run for run.json; writes the consensus track where one is asked for.

    Raises ValueError or OSError for bad input: before anything is computed, where it can be seen before.
    """
    if request.consensus is not None:
        check_consensus(request.consensus, request.models, fasta=request.fasta, regions=request.regions)
    device = pick_device(request.device)
    models = load_models(request.models, device)
    if request.consensus is not None:
        check_cuts(request.consensus, models)
    window_bp = request.window_bp or min(model.config.context_bp for model in models.values())
    if not 1 <= request.max_shift_bp <= window_bp // 4:
        raise ValueError(
            f"--max-shift: expected 1 to {window_bp // 4}, a quarter of the window, got {request.max_shift_bp}"
        )
    with _opened(request, say) as (genome, regions), _threads(request.num_threads):
        wanted = regions or [Interval(contig.name, 0, contig.length_bp) for contig in genome.contigs]
        loci = draw_loci(genome, wanted, window_bp + request.max_shift_bp, request.num_windows, request.seed)
        say(_announcement(loci, request, window_bp, list(models)))
        settings = Settings(
            window_bp=window_bp,
            max_shift_bp=request.max_shift_bp,
            seed=request.seed,
            batch_size=max(1, request.batch_tokens // window_bp),
        )
        measured = measure(models, genome, loci.intervals, settings, show_progress=request.show_progress)
        facts = _facts(request, genome, models, loci, settings, device)
        if request.consensus is not None:
            track = _track_settings(models, window_bp, request.batch_tokens)
            num_cuts = write_consensus(request.consensus, models, genome, track, regions, request.command)
            say(f"{request.consensus}: {num_cuts:,} cuts that all {len(models)} models make")
            facts["consensus"] = {"file": request.consensus.name, "cuts": num_cuts}
    return measured, facts


def load_models(sources: Sequence[str], device: torch.device) -> dict[str, LDARNet]:
    """The models by name; one whose name is taken gets a number. Raises ValueError for models not of bases."""
    models: dict[str, LDARNet] = {}
    for source in sources:
        model = load_model(source, device=device)
        try:
            model.config.check_reads_dna()
        except ValueError as error:
            raise ValueError(f"--model {source}: {error}") from None
        assert model.provenance is not None
        name, number = model.provenance.name, 2
        while name in models:
            name, number = f"{model.provenance.name} ({number})", number + 1
        models[name] = model
    return models


@contextmanager
def _opened(
    request: RobustnessRequest, say: Callable[[str], None]
) -> Iterator[tuple[Genome, tuple[Interval, ...] | None]]:
    with open_genome(find_genome(request.fasta)) as genome:
        for note in genome.notes:
            say(note)
        regions = parse_regions(request.regions, genome.contigs) if request.regions else None
        if regions and regions.num_merged:
            say(f"{request.regions}: {regions.num_merged:,} overlapping or touching regions were merged")
        yield genome, regions and regions.intervals


@contextmanager
def _threads(num: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(num or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _track_settings(models: dict[str, LDARNet], window_bp: int, batch_tokens: int) -> TrackSettings:
    # One plan of windows for all models, so that their values come side by side.
    window, halo = default_settings(next(iter(models.values())), window_bp=window_bp)
    return TrackSettings(window_bp=window, halo_bp=halo, batch_tokens=batch_tokens)


def _announcement(loci: Loci, request: RobustnessRequest, window_bp: int, names: list[str]) -> str:
    drawn = f"{len(loci.intervals):,} windows of {window_bp} bases, seed {request.seed}"
    fewer = "" if len(loci.intervals) == request.num_windows else f" ({request.num_windows:,} were asked for)"
    unknown = f"; {loci.num_unknown:,} with N were left out" if loci.num_unknown else ""
    return f"{drawn}{fewer}, of {loci.num_possible:,} possible{unknown}; models {', '.join(names)}"


def _facts(
    request: RobustnessRequest,
    genome: Genome,
    models: dict[str, LDARNet],
    loci: Loci,
    settings: Settings,
    device: torch.device,
) -> dict[str, Any]:
    return {
        "command": list(request.command),
        "versions": versions(),
        "fasta": genome.name,
        "regions": request.regions and Path(request.regions).name,
        "models": {name: asdict(model.provenance) for name, model in models.items() if model.provenance is not None},
        "settings": {**asdict(settings), "device": str(device), "num_windows": request.num_windows},
        "windows": {"drawn": len(loci.intervals), "possible": loci.num_possible, "with_n": loci.num_unknown},
        "loci": [f"{each.chrom}:{each.start}-{each.end}" for each in loci.intervals],
    }
