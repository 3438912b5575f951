"""`ldarnet explore`: tracks, genes and results in the browser, as a figure, or for other browsers."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ldarnet import __version__
from ldarnet.console import Stopped, friendly_errors, say

if TYPE_CHECKING:
    from ldarnet_app.inputs import Inputs, TrackFile
    from ldarnet_app.view import View


def explore_command(
    track: Annotated[
        list[str] | None,
        typer.Option(help="Boundary track, or label=FILE; may be repeated.", metavar="[LABEL=]FILE"),
    ] = None,
    fasta: Annotated[Path | None, typer.Option(help="The genome the tracks are of.", metavar="FILE")] = None,
    annotation: Annotated[
        Path | None, typer.Option(help="Genes (GTF, GFF3, BED); gzip or not.", metavar="FILE")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Results of ldarnet align.", metavar="FOLDER")] = None,
    model: Annotated[
        str, typer.Option(help="Model for sequences tried in the browser.", metavar="NAME|FILE|ID")
    ] = "default",
    demo: Annotated[bool, typer.Option("--demo", help="Show a small made-up genome; needs no other option.")] = False,
    locus: Annotated[
        str | None, typer.Option(help="Where to start: chr or chr:a-b (0-based, half-open).", metavar="chr:a-b")
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Start with the reverse complement.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Start with the tracks in one panel.")] = False,
    tracks: Annotated[
        str | None, typer.Option(help="Labels of the tracks to start with, with commas. [default: all]", metavar="LIST")
    ] = None,
    ranges: Annotated[
        str | None,
        typer.Option(help="Axes of tracks to start with, as label:low:high, with commas.", metavar="LIST"),
    ] = None,
    figure: Annotated[
        list[Path] | None,
        typer.Option(help="Draw --locus as .svg, .png or .pdf and open no browser; may be repeated.", metavar="FILE"),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write an IGV session and a UCSC track hub and open no browser.", metavar="FOLDER"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="[default: the first free one from 8501]", metavar="N")
    ] = None,
    address: Annotated[
        str, typer.Option(help="Where the server listens; others than the default let other machines in.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser; print the address only.")] = False,
) -> None:
    """Look at tracks in the browser: loci, aggregates of results, sequences of your own, and how it was made.

    The files are checked first; the server is for this machine only and fetches nothing from outside. Ctrl-C ends it.
    """
    if demo and (track or fasta or annotation or results):
        raise typer.BadParameter("--demo brings its own files", param_hint="--demo")
    if not demo and (not track or fasta is None):
        raise typer.BadParameter("expected --track and --fasta, or --demo", param_hint="--track")
    if figure and locus is None:
        raise typer.BadParameter("--figure needs --locus", param_hint="--figure")
    with friendly_errors():
        from ldarnet_app.server import require_packages, serve

        require_packages()
        from ldarnet_app.checks import check_inputs

        inputs = _demo_inputs(model) if demo else _inputs(track or [], fasta, annotation, results, model)
        for note in check_inputs(inputs):
            say(f"note: {note}")
        options = {
            "flip": "1" if flip else None,
            "overlay": "1" if overlay else None,
            "tracks": tracks,
            "ranges": ranges,
        }
        view = None if locus is None else _start(inputs, locus, options)
        if figure or export:
            _write(inputs, view, figure or [], export)
            return
        try:
            serve(inputs, view, say=say, port=port, address=address, opens_browser=not no_browser)
        except Stopped:
            raise
        except KeyboardInterrupt:
            say("explorer stopped")


def _inputs(
    tracks: list[str], fasta: Path | None, annotation: Path | None, results: Path | None, model: str
) -> "Inputs":
    """Absolute paths: the server may run elsewhere."""
    from ldarnet_app.inputs import Inputs

    assert fasta is not None, "the command checks it"
    from ldarnet.data.names import find_annotation, find_genome

    annotation = annotation and find_annotation(annotation, str(fasta))
    fasta = Path(find_genome(str(fasta)))
    if model.endswith((".safetensors", ".pt", ".pth")) and ":" not in model:
        if not Path(model).is_file():
            raise ValueError(f"{model}: expected a model file, there is no such file")
        model = str(Path(model).absolute())
    return Inputs(
        tracks=tuple(_track_file(text) for text in tracks),
        fasta=fasta.absolute(),
        annotation=annotation.absolute() if annotation is not None else None,
        results=results.absolute() if results is not None else None,
        model=model,
    )


def _track_file(text: str) -> "TrackFile":
    """A path, or label=path; a file whose name holds a = is taken for what it is."""
    from ldarnet_app.command_line import default_label
    from ldarnet_app.inputs import TrackFile

    label, separator, name = text.partition("=")
    if not separator or Path(text).exists():
        label, name = default_label(Path(text)), text
    path = Path(name).absolute()
    return TrackFile(label, path, _strand(path))


def _strand(track: Path) -> str | None:
    """As the file beside the track says; a sidecar that cannot be read says nothing here."""
    from ldarnet.sidecar import sidecar_path

    try:
        strand = json.loads(sidecar_path(track).read_text())["settings"]["strand"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return strand if strand in ("+", "-", "both-mean") else None


def _start(inputs: "Inputs", locus: str, options: Mapping[str, str | None]) -> "View":
    """The view that the options name; a note where it had to be moved into its contig."""
    from ldarnet.genome import open_genome
    from ldarnet_app.sources.tracks import all_tracks
    from ldarnet_app.view import located, view_from_query

    query = {"locus": locus, **{name: value for name, value in options.items() if value is not None}}
    with open_genome(inputs.fasta) as genome:
        if note := located(locus, genome.contigs).note:
            say(f"note: {note}")
        return view_from_query(query, genome.contigs, [each.label for each in all_tracks(inputs)])


def _write(inputs: "Inputs", view: "View | None", figures: list[Path], export: Path | None) -> None:
    from ldarnet_app.rendering import MIME_TYPES, write_figure

    for path in figures:
        if path.suffix.lower().removeprefix(".") not in MIME_TYPES:
            raise ValueError(f"{path}: expected a figure as .svg, .png or .pdf")
    if figures:
        from ldarnet_app.locus_figure import locus_figure
        from ldarnet_app.theme import LIGHT

        assert view is not None, "the command checks it"
        drawn = locus_figure(inputs, view, LIGHT)
        for path in figures:
            write_figure(drawn, path)
            say(f"{path}: {view.locus}, {path.stat().st_size:,} bytes")
    if export is not None:
        from ldarnet_app.export import export_files

        for line in export_files(inputs, export, view):
            say(line)


def _demo_inputs(model: str) -> "Inputs":
    """The demo genome and its track, made once and kept in the cache folder."""
    import platformdirs

    from ldarnet.demo import write_demo
    from ldarnet.write_track import TrackRequest, write_track
    from ldarnet_app.inputs import Inputs, TrackFile

    digest = hashlib.sha256((Path(__file__).parent / "weights" / "default.safetensors").read_bytes()).hexdigest()[:8]
    root = Path(os.environ.get("LDARNET_CACHE") or platformdirs.user_cache_dir("ldarnet"))
    folder = root / f"demo-{__version__}-{digest}"
    files, track = write_demo(folder), folder / "probs.bw"
    if not track.exists():
        say(f"making the boundary track of the demo genome, once, into {folder}")
        write_track(TrackRequest(fasta=str(files.fasta), outputs=(track,), command=tuple(sys.argv)), say=say)
    return Inputs((TrackFile("probs", track, "+"),), files.fasta, files.gtf, None, model)
