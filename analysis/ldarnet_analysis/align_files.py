"""From files to an analysis and back to files: what `ldarnet align` calls."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Genome, open_genome
from ldarnet.tracks import open_track
from ldarnet_analysis.align import Analysis
from ldarnet_analysis.align_request import AlignRequest
from ldarnet_analysis.align_settings import ALL_RUNGS, Settings
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.annotations import read_annotation
from ldarnet_analysis.bed import read_bed_features
from ldarnet_analysis.control_rules import Landmarks
from ldarnet_analysis.designed_rungs import RunModel
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.given_sites import read_aligned, read_bed_sites
from ldarnet_analysis.json_object import read_object
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.panel import JUNCTION_WINDOW, PANELS, PanelEntry, aligned_panel, default_panel, read_panel
from ldarnet_analysis.panel_sites import PanelSites, aligned_sites, annotated_sites
from ldarnet_analysis.placing import on_contigs
from ldarnet_analysis.records import read_records
from ldarnet_analysis.repeats import read_soft_mask
from ldarnet_analysis.results import draw_results

PACKAGES = ("ldarnet", "numpy", "pandas", "scipy", "matplotlib", "pyranges", "logomaker")
LINE_BP = 80
_PLACE = ["chrom", "cut", "strand"]
_ANY_TSS = PanelEntry("any TSS", "TSS", JUNCTION_WINDOW)


def align_files(request: AlignRequest, say: Callable[[str], None], run_model: RunModel | None = None) -> str:
    """Make the analysis that is asked for, write tables, figures and report, and return a line about it.

    Raises ValueError for bad input, and if nothing at all could be tested.
    """
    if request.lookup_track is not None and request.lookup_fasta is None:
        raise ValueError("--lookup-track needs --lookup-fasta, the genome that it is of")
    if request.lookup_track is not None and (request.lookup_track_minus is None) != (request.track_minus is None):
        raise ValueError("--lookup-track and --lookup-track-minus: expected one for each of --track and --track-minus")
    if request.lookup_track is None and request.lookup_track_minus is not None:
        raise ValueError("--lookup-track-minus needs --lookup-track")
    inputs = (request.track, request.track_minus, request.fasta, request.annotation, request.sites, request.repeats)
    for path in (*inputs, request.lookup_track, request.lookup_track_minus, request.lookup_fasta):
        if path is not None and not path.is_file():
            raise ValueError(f"no such file: {path}")
    _refuse_without_effect(request)
    panel = _panel(request)
    settings = _settings(request)
    if request.sites is None:
        settings.check_panel(panel)
    records = None if request.records is None else read_records(request.records)
    request.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        aligned, fasta = _write_aligned(request) if request.aligned else (None, request.fasta)
        assert fasta is not None, "the command checks it"
        if aligned is not None:
            _check_flank(aligned, panel, request.flank_bp)
        genome = stack.enter_context(open_genome(fasta))
        track = request.track
        if track is None:
            assert run_model is not None, "the command checks it"
            track = request.out / "aligned.bw"
            run_model(fasta, track)
        sites, panel = _sites(request, genome, aligned, panel, records)
        annotated, avoided_tss = _to_avoid(request, genome, panel, records, sites)
        repeats = _repeats(request, fasta, genome, sites.notes)
        for note in sites.notes:
            say(note)
        analysis = Analysis(
            panel=panel,
            sites=sites,
            genome=genome,
            track=track,
            track_minus=request.track_minus,
            out=request.out,
            settings=settings,
            facts=_facts(request, genome, track, fasta),
            say=say,
            lookups=_lookups(request),
            landmarks=Landmarks(repeats=repeats),
            annotated=annotated,
            avoided_tss=avoided_tss,
            run_model=run_model,
        )
        tests = analysis.run()
    draw_results(request.out, request.figure_width)
    num_ok = int((tests["status"] == "ok").sum())
    return f"{request.out}: {num_ok} of {len(tests)} tests made; open {request.out}/report.html"


def _panel(request: AlignRequest) -> tuple[PanelEntry, ...]:
    if request.panel is None and request.aligned is not None:
        return aligned_panel()
    return read_panel(request.panel or "default", request.motif_file)


def _check_flank(aligned: AlignedSequences, panel: Sequence[PanelEntry], flank_bp: int) -> None:
    """ValueError where no sequence reaches beyond the flank on both sides of its anchor, if anchors are sites."""
    if all(entry.motif is not None for entry in panel):
        return
    longest = max(
        min(anchor, contig.length_bp - anchor) for contig, anchor in zip(aligned.contigs, aligned.anchors, strict=True)
    )
    if longest < flank_bp + 1:
        raise ValueError(
            f"--flank {flank_bp}: expected sequences with {flank_bp + 1:,} bases or more on either side of the anchor, "
            f"got at most {longest:,}"
        )


def _refuse_without_effect(request: AlignRequest) -> None:
    """ValueError for options that the choice of sites leaves without any effect."""
    given = {
        "--panel": request.panel is not None,
        "--motifs": request.motif_file is not None,
        "--records": request.records is not None,
        "--avoid": bool(request.avoid),
        "--fasta": request.fasta is not None,
    }
    if request.sites is not None:
        idle = ["--panel", "--motifs"] + (["--records"] if not request.avoid else [])
        _refuse_given(given, idle, "--sites, which are a class of their own on the contigs of the FASTA")
    elif request.aligned is not None:
        _refuse_given(given, ["--records", "--avoid", "--fasta"], "--aligned, whose sequences are the contigs")
    if request.sites is None and (request.panel or "default") in PANELS:
        _refuse_given(given, ["--motifs"], "a panel that is no file, whose entries would name their matrices")


def _refuse_given(given: dict[str, bool], idle: list[str], choice: str) -> None:
    if without_effect := [option for option in idle if given[option]]:
        raise ValueError(f"no effect of {', '.join(without_effect)} with {choice}: leave it out")


def _settings(request: AlignRequest) -> Settings:
    # Aligned sequences are short: windows of designs reach as far as the profile, not farther.
    window = {"design_window_bp": 2 * request.flank_bp} if request.aligned else {}
    return Settings(
        rungs=request.rungs or ALL_RUNGS,
        flank_bp=request.flank_bp,
        seed=request.seed,
        pool=request.pool,  # type: ignore[arg-type]
        force=request.force,
        **window,
    )


def _write_aligned(request: AlignRequest) -> tuple[AlignedSequences, Path]:
    """The aligned sequences, and a FASTA of them beside the results, which model and genome code can read."""
    assert request.aligned is not None and request.anchor_index is not None, "the command checks it"
    aligned = read_aligned(request.aligned, request.anchor_index)
    fasta = request.out / "aligned.fa"
    with fasta.open("w") as file:
        for contig in aligned.contigs:
            letters = vocab.decode(aligned.ids(contig.name, 0, contig.length_bp))
            file.write(f">{contig.name}\n")
            file.writelines(letters[i : i + LINE_BP] + "\n" for i in range(0, len(letters), LINE_BP))
    return aligned, fasta


def _sites(
    request: AlignRequest,
    genome: Genome,
    aligned: AlignedSequences | None,
    panel: tuple[PanelEntry, ...],
    records: pd.DataFrame | None,
) -> tuple[PanelSites, tuple[PanelEntry, ...]]:
    if aligned is not None:
        return aligned_sites(aligned, panel), panel
    if request.sites is not None:
        name = request.sites.name.partition(".")[0]
        dropped = Dropped()
        anchor: Any = request.anchor
        sites = read_bed_sites(request.sites, anchor, name, contigs=genome.contigs, dropped=dropped)
        notes = [f"{request.sites.name}: {dropped}"]
        return PanelSites(by_class={name: sites}, notes=notes), (PanelEntry(name, "given", JUNCTION_WINDOW),)
    assert request.annotation is not None, "the command checks it"
    annotation = read_annotation(request.annotation)
    return annotated_sites(annotation, genome, panel, records=records), panel


def _to_avoid(
    request: AlignRequest,
    genome: Genome,
    panel: tuple[PanelEntry, ...],
    records: pd.DataFrame | None,
    sites: PanelSites,
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Places that no control may be, those of the panel and of the annotations to avoid, and the TSS of the latter.

    With sites of one's own the default panel is what is looked for in those annotations. What was found is noted.
    """
    tables = list(sites.by_class.values())
    wanted = default_panel() if request.sites is not None else panel
    all_tss = []
    for path in request.avoid:
        more = annotated_sites(read_annotation(path), genome, (*wanted, _ANY_TSS), records=records)
        found = list(more.by_class.values())
        if more.tss is not None:
            all_tss.append(more.tss)
        num = len(pd.concat([table[_PLACE] for table in found]).drop_duplicates()) if found else 0
        if not num:
            raise ValueError(f"--avoid {path}: expected sites on the genome, got none: {_reasons(more)}")
        sites.notes.append(f"{path.name}: {num:,} sites are avoided by controls")
        tables += found
    places = pd.concat([table[_PLACE] for table in tables]).drop_duplicates(ignore_index=True) if tables else None
    return places, pd.concat(all_tss, ignore_index=True) if all_tss else None


def _reasons(sites: PanelSites) -> str:
    return "; ".join(sorted(set(sites.missing.values()))) or "; ".join(sites.notes)


def _repeats(request: AlignRequest, fasta: Path, genome: Genome, notes: list[str]) -> pd.DataFrame | None:
    """The repeats on the genome (chrom, start, end), those elsewhere counted in a note; None where there are none."""
    if request.repeats is not None:
        dropped = Dropped()
        table = read_bed_features(request.repeats)[["chrom", "start", "end"]]
        table = on_contigs(table, genome.contigs, name=str(request.repeats), what="repeats", dropped=dropped)
        notes.append(f"{request.repeats.name}: {dropped}")
        return table
    if fasta.suffix == ".2bit":
        return None
    found = read_soft_mask(fasta)
    return found if len(found) else None


def _lookups(request: AlignRequest) -> tuple[KmerLookup, KmerLookup | None] | None:
    if request.lookup_track is None:
        return None
    assert request.lookup_fasta is not None, "checked before"
    with open_genome(request.lookup_fasta) as genome:
        with open_track(request.lookup_track) as track:
            plus = KmerLookup.fit(track, genome)
        if request.lookup_track_minus is None:
            return plus, None
        with open_track(request.lookup_track_minus) as track:
            return plus, KmerLookup.fit(track, genome)


def _facts(request: AlignRequest, genome: Genome, track: Path, fasta: Path) -> dict[str, Any]:
    inputs = {
        "track": track,
        "track_minus": request.track_minus,
        "fasta": fasta,
        "annotation": request.annotation,
        "sites": request.sites,
        "aligned": request.aligned,
        "lookup_track": request.lookup_track,
        "lookup_track_minus": request.lookup_track_minus,
    }
    facts: dict[str, Any] = {
        "command": list(request.command),
        "versions": {name: version(name) for name in PACKAGES},
        "inputs": {
            name: {"name": path.name, "sha256": _sha256(path)} for name, path in inputs.items() if path is not None
        },
        "contigs": len(genome.contigs),
    }
    sidecar = track.with_name(f"{track.name}.json")
    if sidecar.is_file():
        record = read_object(sidecar, "ldarnet boundaries")
        facts["track_sidecar"] = {key: record.get(key) for key in ("model", "settings", "versions")}
    return facts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
