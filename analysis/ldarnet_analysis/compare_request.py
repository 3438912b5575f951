"""What a user asks of `ldarnet compare`; no heavy import, so that the command line can check options with it."""

from dataclasses import dataclass
from pathlib import Path

from ldarnet_analysis.segment_specs import SegmenterSpec, TrackSpec


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """Files and choices of one comparison; None means the default said in the command's help."""

    out: Path
    fasta: Path
    tracks: tuple[TrackSpec, ...] = ()
    segmenters: tuple[SegmenterSpec, ...] = ()
    regions: str | None = None
    train_regions: str | None = None
    train_fasta: Path | None = None
    annotation: Path | None = None
    records: Path | None = None
    panel: str = "default"
    motif_file: Path | None = None
    motif_p: float = 1e-4
    rate: float | None = None
    block_bp: int | None = None
    cuts_format: str | None = None
    seed: int = 1
    command: tuple[str, ...] = ()
