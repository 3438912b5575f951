"""The files an explorer shows: named on its command line, and by nothing else."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrackFile:
    """One boundary track. `strand` is that of its sidecar (`+`, `-`, `both-mean`), or None where there is none."""

    label: str
    path: Path
    strand: str | None = None


@dataclass(frozen=True)
class Inputs:
    """What `ldarnet explore` was asked to show. Pages open these files only, never a path out of a URL or an upload."""

    tracks: tuple[TrackFile, ...]
    fasta: Path
    annotation: Path | None = None
    results: Path | None = None
    model: str = "default"

    def to_json(self) -> str:
        """One line for the server process's command line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Inputs":
        """The inputs that `to_json` wrote."""
        fields = json.loads(text)
        tracks: Sequence[dict[str, str | None]] = fields.pop("tracks")
        return cls(
            tracks=tuple(TrackFile(str(t["label"]), Path(str(t["path"])), t["strand"]) for t in tracks),
            fasta=Path(fields["fasta"]),
            annotation=Path(fields["annotation"]) if fields["annotation"] else None,
            results=Path(fields["results"]) if fields["results"] else None,
            model=fields["model"],
        )
