"""Where a model's weights come from, and the error for those that cannot be had."""

from dataclasses import dataclass


class CheckpointError(ValueError):
    """A model that cannot be loaded; the message says which file or hub id and why."""


@dataclass(frozen=True)
class Provenance:
    """Origin of the weights, as written into every sidecar."""

    name: str
    source: str
    """Path, hub id, or "random weights, seed N"."""
    sha256: str
    """Of the file, or of the tensors where the weights are random."""
    notes: dict[str, str]
    """Free text stored with the weights: training data, licence, what it must not be used for."""
