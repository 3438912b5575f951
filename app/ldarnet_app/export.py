"""One folder that other browsers open: genome and tracks once, an IGV session and a UCSC track hub that name them."""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pybigtools

from ldarnet.genome import Genome, open_genome
from ldarnet.tracks import format_of, open_track, open_writer
from ldarnet_app.igv_session import igv_session
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.theme import SERIES
from ldarnet_app.track_hub import hub_files
from ldarnet_app.twobit_writer import write_twobit
from ldarnet_app.view import View

GENOME_FILE = "genome.2bit"
START_BP = 10_000
_COPY_BP = 1 << 20


class ExportedTrack(NamedTuple):
    """A bigWig of the folder: its name for people and for files, its path from the folder, its axis, its colour."""

    label: str
    name: str
    path: str
    low: float
    high: float
    colour: str


def export_files(inputs: Inputs, folder: Path, view: View | None) -> list[str]:
    """Write the folder; what was written, a line each. Files of an earlier export are replaced.

    bigWigs and the annotation are hard links where the file system allows, else copies; other tracks become bigWigs.
    Raises ValueError or OSError for what cannot be written.
    """
    (folder / "tracks").mkdir(parents=True, exist_ok=True)
    with open_genome(inputs.fasta) as genome:
        write_twobit(genome, folder / GENOME_FILE)
        staged: list[Path] = []
        tracks = _export_tracks(inputs.tracks, genome, folder, staged)
        locus = view or _start_view(genome)
        num_contigs = len(genome.contigs)
    annotation = None
    if inputs.annotation is not None:
        annotation = f"tracks/{_plain(inputs.annotation.name)}"
        _stage(inputs.annotation, folder / annotation, staged)
    for target in staged:
        _part(target).replace(target)
        _part(target).unlink(missing_ok=True)  # where both were names of one file already, nothing was renamed
    texts = {"igv_session.xml": igv_session(GENOME_FILE, tracks, annotation, locus)}
    texts |= hub_files(_plain(inputs.fasta.name.partition(".")[0]), GENOME_FILE, tracks, locus)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    lines = [
        f"{folder / GENOME_FILE}: {num_contigs:,} contigs",
        *(f"{folder / track.path}: {track.label}" for track in tracks),
        f"{folder / 'igv_session.xml'}: open it in IGV 2.17 or later (File > Open Session)",
        f"{folder / 'hub.txt'}: put the folder on a web server, give its address to UCSC (My Data > Track Hubs)",
    ]
    if inputs.results is not None:
        lines.append("results and their residual track are not in it; give residual.bw as a --track to have it there")
    if annotation is not None:
        lines.append("the hub holds no genes, which UCSC takes as bigBed only; the IGV session does")
    return lines


def _export_tracks(
    files: tuple[TrackFile, ...], genome: Genome, folder: Path, staged: list[Path]
) -> list[ExportedTrack]:
    tracks: list[ExportedTrack] = []
    for number, each in enumerate(files):
        name = _plain(each.label)
        if name in {track.name for track in tracks}:
            name = f"{name}_{number + 1}"
        path = f"tracks/{name}.bw"
        if format_of(each.path) == "bigwig":
            _stage(each.path, folder / path, staged)
        else:
            _convert(each.path, _part(folder / path), genome)
            staged.append(folder / path)
        low, high = _axis(_part(folder / path))
        tracks.append(ExportedTrack(each.label, name, path, low, high, SERIES[number % len(SERIES)]))
    return tracks


def _part(target: Path) -> Path:
    """The name of a file until all are there: what is exported may lie in the folder, under the name of another."""
    return target.with_name(f".part.{target.name}")


def _stage(source: Path, target: Path, staged: list[Path]) -> None:
    part = _part(target)
    part.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), part)
    except OSError:
        shutil.copyfile(source, part)
    staged.append(target)


def _convert(source: Path, target: Path, genome: Genome) -> None:
    with open_track(source) as track, open_writer(target, genome.contigs) as writer:
        length_of = dict(track.contigs)
        for contig in genome.contigs:
            length_bp = min(contig.length_bp, length_of.get(contig.name, 0))
            for start in range(0, length_bp, _COPY_BP):
                end = min(start + _COPY_BP, length_bp)
                writer.write(contig.name, start, track.values(contig.name, start, end))
        writer.commit()


def _axis(bigwig: Path) -> tuple[float, float]:
    """0 to 1 for probabilities; a track that leaves this range, as residuals do, gets its own."""
    with pybigtools.open(str(bigwig)) as track:
        summary = track.info()["summary"]
    low, high = float(summary["min"]), float(summary["max"])
    return (0.0, 1.0) if low >= 0 and high <= 1 else (round(min(low, 0.0), 4), round(max(high, 0.0), 4))


def _start_view(genome: Genome) -> View:
    first = genome.contigs[0]
    return View(first.name, 0, min(START_BP, first.length_bp))


def _plain(name: str) -> str:
    """Letters, digits, `_`, `-` and `.` only: it goes into addresses and into files that split at blanks."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "file"
