"""Which suffix means which format, and the writer for each."""

from collections.abc import Sequence
from pathlib import Path

from ldarnet.genome.intervals import Contig
from ldarnet.tracks.atomic import STDOUT, TrackError, check_place
from ldarnet.tracks.bed import BedWriter
from ldarnet.tracks.bedgraph import BedGraphWriter
from ldarnet.tracks.bigwig import BigWigWriter
from ldarnet.tracks.npz import NpzWriter
from ldarnet.tracks.writer import TrackWriter

TRACK_FORMATS: dict[str, tuple[str, ...]] = {
    "bigwig": (".bw", ".bigWig"),
    "bedgraph": (".bedGraph", ".bg", ".bedGraph.gz", ".bg.gz"),
    "npz": (".npz",),
    "bed": (".bed", ".bed.gz"),
}
"""Format -> the suffixes that mean it, in any case."""


def format_of(path_or_suffix: Path | str) -> str:
    """Key of TRACK_FORMATS for a path, or for a suffix with or without its dot ("bw", "bedGraph.gz").

    Raises ValueError listing the accepted suffixes.
    """
    name = str(path_or_suffix)
    if isinstance(path_or_suffix, str) and not name.startswith(".") and "/" not in name:
        name = f".{name}"
    for track_format, suffixes in TRACK_FORMATS.items():
        if name.lower().endswith(tuple(suffix.lower() for suffix in suffixes)):
            return track_format
    accepted = ", ".join(suffix for suffixes in TRACK_FORMATS.values() for suffix in suffixes)
    raise TrackError(f"no track format has the suffix of {str(path_or_suffix)!r}; expected one of {accepted}")


def check_target(path: Path, *, format: str | None = None) -> None:
    """Raise TrackError where `open_writer` would fail, so that a command can say so before it computes."""
    _format_for(path, format)
    check_place(path)


def open_writer(path: Path, contigs: Sequence[Contig], *, format: str | None = None, strand: str = ".") -> TrackWriter:
    """A writer for the format of the path's suffix, or for `format` (a suffix) whatever the path is.

    `contigs` are all of the genome, in its order. Path("-") is standard output and needs `format`. `strand`
    goes into the last column of BED. Raises TrackError where nothing can be written there.
    """
    track_format = _format_for(path, format)
    gzipped = any(name.lower().endswith(".gz") for name in (path.name, format or ""))
    if track_format == "bigwig":
        return BigWigWriter(path, contigs)
    if track_format == "npz":
        return NpzWriter(path, contigs)
    if track_format == "bedgraph":
        return BedGraphWriter(path, contigs, gzipped=gzipped)
    return BedWriter(path, contigs, strand=strand, gzipped=gzipped)


def _format_for(path: Path, format: str | None) -> str:
    if format is not None:
        return format_of(format)
    if path == STDOUT:
        raise TrackError("standard output has no suffix to tell the format; give one, such as bedGraph")
    return format_of(path)
