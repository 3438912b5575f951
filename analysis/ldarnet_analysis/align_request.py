"""What a user asks of `ldarnet align`; no heavy import, so that the command line can check options with it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class AlignRequest:
    """Files and choices of one analysis; None means the default said in the command's help."""

    out: Path
    track: Path | None = None
    fasta: Path | None = None
    annotation: Path | None = None
    track_minus: Path | None = None
    panel: str | None = None
    """A name or a TOML file; None: `default`, or of aligned sequences the anchors as one class, and motifs."""
    motif_file: Path | None = None
    rungs: tuple[str, ...] | None = None
    sites: Path | None = None
    anchor: str = "start"
    aligned: Path | None = None
    anchor_index: int | None = None
    records: Path | None = None
    avoid: tuple[Path, ...] = ()
    repeats: Path | None = None
    lookup_track: Path | None = None
    lookup_track_minus: Path | None = None
    lookup_fasta: Path | None = None
    pool: str = "uniform"
    flank_bp: int = 200
    seed: int = 1
    force: bool = False
    figure_width: str = "one-column"
    command: tuple[str, ...] = ()
