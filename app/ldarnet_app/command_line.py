"""The command that shows, or draws, a view again."""

import shlex
from pathlib import Path

from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.view import View


def default_label(path: Path) -> str:
    """The file's name without what follows its first dot."""
    return path.name.partition(".")[0] or path.name


def command_line(inputs: Inputs, view: View | None = None) -> str:
    """`ldarnet explore` with these inputs, quoted for a shell; with a view, the figure of it."""
    words = ["ldarnet", "explore"]
    for track in inputs.tracks:
        words += ["--track", _track_argument(track)]
    words += ["--fasta", str(inputs.fasta)]
    if inputs.annotation is not None:
        words += ["--annotation", str(inputs.annotation)]
    if inputs.results is not None:
        words += ["--results", str(inputs.results)]
    if inputs.model != "default":
        words += ["--model", inputs.model]
    if view is not None:
        query = view.to_query()
        for name in ("locus", "tracks", "ranges"):
            if name in query:
                words += [f"--{name}", query[name]]
        words += ["--flip"] * view.flipped + ["--overlay"] * view.overlaid
        words += ["--figure", f"{file_stem(view.locus)}.svg"]
    return shlex.join(words)


def file_stem(name: str) -> str:
    """Names of contigs, classes and tracks may hold anything; those of files must not."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name) or "figure"


def _track_argument(track: TrackFile) -> str:
    is_default = track.label == default_label(track.path) and "=" not in str(track.path)
    return str(track.path) if is_default else f"{track.label}={track.path}"
