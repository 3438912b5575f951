"""From files to a comparison and back to files: what `ldarnet compare` calls."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ldarnet.genome import Genome, Interval, open_genome, parse_regions
from ldarnet.tracks.formats import format_of
from ldarnet_analysis.annotations import read_annotation
from ldarnet_analysis.compare import Comparison
from ldarnet_analysis.compare_report import write_comparison
from ldarnet_analysis.compare_request import CompareRequest
from ldarnet_analysis.motif_files import read_motifs
from ldarnet_analysis.motifs import CountMatrix
from ldarnet_analysis.panel import read_panel
from ldarnet_analysis.panel_sites import PanelSites, annotated_sites
from ldarnet_analysis.promoter_presets import MATRIX_PRESETS
from ldarnet_analysis.records import read_records
from ldarnet_analysis.result_files import write_results
from ldarnet_analysis.segment_build import Sources, Training, build_segmenters, open_tracks
from ldarnet_analysis.segment_specs import SegmenterSpec, parse_segmenter

_PACKAGES = ("ldarnet", "numpy", "pandas", "scipy", "matplotlib", "tokenizers")


def compare_files(request: CompareRequest, say: Callable[[str], None]) -> str:
    """Make the comparison that is asked for, write tables, figures and report, and return a line about it.

    Raises ValueError for bad input, and where no segmenter could be run.
    """
    _check(request)
    request.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        genome = stack.enter_context(open_genome(request.fasta))
        notes = list(genome.notes)
        regions = _regions(request.regions, genome)
        training = _training(request, genome, regions, stack)
        sites = _sites(request, genome, notes)
        sources = Sources(genome, training, sites, request.seed)
        specs = request.segmenters or _default_segmenters(sources)
        built = open_tracks(request.tracks, genome, stack)
        for spec in specs:
            if spec.kind in ("bpe", "entropy") and training is not None:
                say(f"{spec.name}: fitting")
            built += build_segmenters([spec], sources)
        comparison = Comparison(
            genome=genome,
            regions=regions,
            built=built,
            shuffled=[spec for spec in specs if spec.kind == "shuffled"],
            matrices=_matrices(request.motif_file),
            motif_p=request.motif_p,
            sites=sites,
            rate=request.rate,
            block_bp=request.block_bp,
            seed=request.seed,
            say=say,
            notes=notes,
            cuts_folder=_cuts_folder(request),
            cuts_format=request.cuts_format or "",
        )
        tables, used = comparison.run()
        record = _record(request, genome, regions, training, comparison, used)
    write_results(request.out, tables, record)
    write_comparison(request.out, tables, record)
    num_ok = int((tables["segmenters"]["status"] != "not run").sum())
    num_all = len(tables["segmenters"])
    return f"{request.out}: {num_ok} of {num_all} segmenters compared; open {request.out}/report.html"


def _check(request: CompareRequest) -> None:
    named = [track.path for track in request.tracks]
    for path in (request.fasta, *named, request.annotation, request.records, request.train_fasta, request.motif_file):
        if path is not None and not path.is_file():
            raise ValueError(f"no such file: {path}")
    names = [track.name for track in request.tracks] + [spec.name for spec in request.segmenters]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"expected every segmenter once, got {', '.join(repeated)} again: give NAME=FILE")


def _regions(spec: str | None, genome: Genome) -> tuple[Interval, ...]:
    if spec is None:
        return tuple(Interval(name, 0, length_bp) for name, length_bp in genome.contigs)
    return parse_regions(spec, genome.contigs).intervals


def _training(
    request: CompareRequest, genome: Genome, regions: Sequence[Interval], stack: ExitStack
) -> Training | None:
    """What is fitted on; ValueError where it shares bases with the regions, as far as contigs of one name tell."""
    if request.train_fasta is None and request.train_regions is None:
        return None
    other = genome if request.train_fasta is None else stack.enter_context(open_genome(request.train_fasta))
    training = Training(other, _regions(request.train_regions, other))
    same = set(genome.contigs) & set(other.contigs)
    for chrom, start, end in training.regions:
        for region in regions:
            shared_bp = min(end, region.end) - max(start, region.start)
            if region.chrom == chrom and shared_bp > 0 and chrom in {name for name, _ in same}:
                raise ValueError(f"train regions share {shared_bp:,} bp of {chrom} with the regions compared")
    return training


def _sites(request: CompareRequest, genome: Genome, notes: list[str]) -> PanelSites | None:
    if request.annotation is None:
        return None
    records = None if request.records is None else read_records(request.records)
    panel = read_panel(request.panel, request.motif_file)
    sites = annotated_sites(read_annotation(request.annotation), genome, panel, records=records)
    notes += sites.notes
    # the panel's only: what the finders left under their own names is said there
    sites.missing = {entry.name: sites.missing[entry.name] for entry in panel if entry.name in sites.missing}
    return sites


def _default_segmenters(sources: Sources) -> tuple[SegmenterSpec, ...]:
    """All that can be made of what is given."""
    texts = ["fixed:4", "kmer:6"]
    texts += ["bpe:512", "entropy:5"] if sources.training is not None else []
    texts += ["random"]
    texts += ["annotation:exon", "annotation:CDS"] if sources.sites is not None else []
    return tuple(map(parse_segmenter, texts))


def _matrices(path: Path | None) -> tuple[CountMatrix, ...]:
    if path is not None:
        return tuple(read_motifs(path))
    presets = [(entry.motif, entry.min_bits) for entry in MATRIX_PRESETS]
    return tuple(matrix.trimmed(min_bits) for matrix, min_bits in presets if isinstance(matrix, CountMatrix))


def _cuts_folder(request: CompareRequest) -> Path | None:
    if request.cuts_format is None:
        return None
    format_of(request.cuts_format)  # raises for one that there is not, before anything is computed
    folder = request.out / "cuts"
    folder.mkdir(exist_ok=True)
    return folder


def _record(
    request: CompareRequest,
    genome: Genome,
    regions: Sequence[Interval],
    training: Training | None,
    comparison: Comparison,
    used: dict[str, object],
) -> dict[str, Any]:
    inputs = {"fasta": request.fasta, "annotation": request.annotation, "records": request.records}
    inputs |= {"train_fasta": request.train_fasta, "motifs": request.motif_file}
    inputs |= {f"track {track.name}": track.path for track in request.tracks}
    num_train_bp = sum(end - start for _, start, end in training.regions) if training else 0
    return {
        "command": list(request.command),
        "versions": {name: _version(name) for name in _PACKAGES},
        "inputs": {key: {"name": path.name, "sha256": _sha256(path)} for key, path in inputs.items() if path},
        "settings": {
            "regions": f"{len(regions):,} of {sum(end - start for _, start, end in regions):,} bp",
            "train_regions": f"{num_train_bp:,} bp",
            "panel": request.panel,
            "motif_p": request.motif_p,
            "motifs": [matrix.motif_id for matrix in comparison.matrices],
            "seed": request.seed,
            **used,
        },
        "contigs": len(genome.contigs),
        "notes": comparison.notes,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
