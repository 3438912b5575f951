"""`ldarnet align`: options to one analysis, its files, and a summary of its tests."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ldarnet.console import friendly_errors, say


class AnchorOption(StrEnum):
    """--anchor"""

    START = "start"
    END = "end"
    CENTER = "center"


class PoolOption(StrEnum):
    """--pool"""

    uniform = "uniform"
    bedtools = "bedtools"


class ColumnsOption(StrEnum):
    """--figure-width"""

    one_column = "one-column"
    two_columns = "two-columns"


def align_command(
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and report.", metavar="FOLDER")],
    track: Annotated[
        Path | None, typer.Option(help="Boundary track, as ldarnet-boundaries writes it.", metavar="FILE")
    ] = None,
    fasta: Annotated[Path | None, typer.Option(help="The genome the track is of.", metavar="FILE|NAME")] = None,
    annotation: Annotated[
        Path | None,
        typer.Option(
            help="Transcripts (GTF, GFF3, BED12) or introns (BED6), gzip or not; or a name such as gencode.",
            metavar="FILE|NAME",
        ),
    ] = None,
    track_minus: Annotated[
        Path | None, typer.Option(help="Track of the - strand, read at sites on it.", metavar="FILE")
    ] = None,
    panel: Annotated[
        str | None,
        typer.Option(
            help="default, transcripts, or a TOML file of site classes. [default: default; of --aligned the anchors "
            "and motifs]",
            metavar="NAME|TOML",
        ),
    ] = None,
    motifs: Annotated[
        Path | None, typer.Option(help="Matrices (JASPAR, MEME) that the panel refers to.", metavar="FILE")
    ] = None,
    controls: Annotated[
        str | None, typer.Option(help="Rungs of the null ladder, with commas. [default: all]", metavar="LIST")
    ] = None,
    sites: Annotated[
        Path | None, typer.Option(help="Own sites as BED, instead of an annotation's.", metavar="BED")
    ] = None,
    anchor: Annotated[AnchorOption, typer.Option(help="Which edge of an interval of --sites.")] = AnchorOption.START,
    aligned: Annotated[
        Path | None,
        typer.Option(help="Sequences aligned at an anchor (FASTA or text), instead of --fasta.", metavar="FILE"),
    ] = None,
    anchor_index: Annotated[
        int | None, typer.Option(help="The anchor of --aligned: the cut left of this base (0-based).", metavar="N")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            help="Table contig, chrom, start, end, strand: where the FASTA's contigs lie on the annotation's.",
            metavar="TSV",
        ),
    ] = None,
    avoid: Annotated[
        list[Path] | None,
        typer.Option(help="Further annotations whose sites no control may be; may be repeated.", metavar="FILE"),
    ] = None,
    repeats: Annotated[
        Path | None, typer.Option(help="Repeats (BED). [default: lower-case letters of the FASTA]", metavar="BED")
    ] = None,
    lookup_track: Annotated[
        Path | None,
        typer.Option(help="Fit the k-mer look-up on this track; default: cross-fitted on --track.", metavar="FILE"),
    ] = None,
    lookup_track_minus: Annotated[Path | None, typer.Option(help="The same for --track-minus.", metavar="FILE")] = None,
    lookup_fasta: Annotated[Path | None, typer.Option(help="The genome of --lookup-track.", metavar="FILE")] = None,
    pool: Annotated[
        PoolOption, typer.Option(help="Where random and matched controls come from; bedtools = its shuffle.")
    ] = PoolOption.uniform,
    model: Annotated[
        str | None,
        typer.Option(help="Model for rungs that need new sequences read (the track's own).", metavar="NAME|FILE|ID"),
    ] = None,
    flank: Annotated[int, typer.Option(min=10, help="Bases shown and matched to each side of a site.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Test controls that are out of balance too.")] = False,
    figure_width: Annotated[ColumnsOption, typer.Option(help="Of the figures.")] = ColumnsOption.one_column,
) -> None:
    """Boundaries around sites against a ladder of controls: tables, figures and an offline report.

    Sites come from --annotation, --sites or --aligned. Every claim is tested against controls that share the letters
    around the site; a rung that cannot be tested is listed with the reason.
    """
    from ldarnet_analysis.align_request import AlignRequest  # light: no pandas yet

    if sum(each is not None for each in (annotation, sites, aligned)) != 1:
        raise typer.BadParameter("expected one of --annotation, --sites and --aligned")
    if (aligned is None) != (anchor_index is None):
        raise typer.BadParameter("--aligned and --anchor-index go together", param_hint="--anchor-index")
    if aligned is None and (track is None or fasta is None):
        raise typer.BadParameter("expected --track and --fasta", param_hint="--track")
    if aligned is not None and track is None and model is None:
        raise typer.BadParameter("--aligned needs a --track of these sequences, or a --model to make it")
    with friendly_errors():
        from ldarnet.data.names import find_annotation, find_file, find_genome

        genome = None if fasta is None else str(fasta)
        fasta = Path(find_genome(genome)) if genome else None
        annotation = annotation and find_annotation(annotation, genome)
        avoid = [find_annotation(each, genome) for each in avoid or ()]
        motifs = motifs and find_file(motifs)
        lookup_fasta = lookup_fasta and Path(find_genome(str(lookup_fasta)))
        try:
            from ldarnet_analysis.align_files import align_files
        except ImportError as error:
            raise ValueError(f"the analysis needs more packages ({error}): pip install 'ldarnet[analysis]'") from None
        request = AlignRequest(
            out=out,
            track=track,
            fasta=fasta,
            annotation=annotation,
            track_minus=track_minus,
            panel=panel,
            motif_file=motifs,
            rungs=tuple(controls.split(",")) if controls else None,
            sites=sites,
            anchor=anchor.value,
            aligned=aligned,
            anchor_index=anchor_index,
            records=records,
            avoid=tuple(avoid),
            repeats=repeats,
            lookup_track=lookup_track,
            lookup_track_minus=lookup_track_minus,
            lookup_fasta=lookup_fasta,
            pool=pool.value,
            flank_bp=flank,
            seed=seed,
            force=force,
            figure_width=figure_width.value,
            command=tuple(sys.argv),
        )
        summary = align_files(request, say, model_runner(model, track) if model else None)
    say(summary)


def model_runner(model: str, track: Path | None) -> Callable[[Path, Path], None]:
    """A function that writes the track of a FASTA with a model, read as the given track was.

    That is window, halo, stage and dtype. Sequences are read on their sense strand, or on both where the track is the
    mean of both. Raises CheckpointError at once for a model that cannot be loaded, and ValueError for one that the
    record beside the track says it is not of.
    """
    from ldarnet.checkpoint import load_model
    from ldarnet.sidecar import sidecar_path
    from ldarnet.write_track import TrackRequest, write_track

    # loaded to find out that it can be, before hours of work
    provenance = load_model(model).provenance
    assert provenance is not None, "loaded models have one"
    settings: dict[str, Any] = {}
    if track is not None and sidecar_path(track).is_file():
        record = _track_record(sidecar_path(track))
        theirs = record["model"].get("sha256")
        if theirs is not None and theirs != provenance.sha256:
            raise ValueError(
                f"--model {model} is not the model of {track}: its sha256 is {provenance.sha256}, and its record "
                f"{track.name}.json names {record['model'].get('name')} with {theirs}"
            )
        settings = record["settings"]

    def run(fasta: Path, out: Path) -> None:
        write_track(
            TrackRequest(
                fasta=str(fasta),
                outputs=(out,),
                model=model,
                strand="both-mean" if settings.get("strand") == "both-mean" else "+",
                window_bp=settings.get("window_bp"),
                halo_bp=settings.get("halo_bp"),
                stage=settings.get("stage") or 0,
                dtype=settings.get("dtype") or "float32",
                command=tuple(sys.argv),
            ),
            say=say,
        )

    return run


def _track_record(path: Path) -> dict[str, Any]:
    """The record of a track, with `model` and `settings`; ValueError, naming the file, for anything else in it."""
    from ldarnet_analysis.json_object import read_object

    record = read_object(path, "ldarnet boundaries")
    for key, kinds in _RECORDED.items():
        if not isinstance(record.setdefault(key, {}), dict):
            raise ValueError(f"{path}: expected a JSON object under {key!r}, got {type(record[key]).__name__}")
        for name, kind in kinds.items():
            value = record[key].get(name)
            if value is not None and type(value) is not kind:
                raise ValueError(f"{path}: expected {name} of {key} to be of type {kind.__name__}, got {value!r}")
    return record


_RECORDED: dict[str, dict[str, type]] = {
    "model": {"sha256": str},
    "settings": {"strand": str, "window_bp": int, "halo_bp": int, "stage": int, "dtype": str},
}
