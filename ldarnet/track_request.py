"""What `ldarnet boundaries` is asked for, and what can be said against it before any work is done."""

from dataclasses import dataclass
from pathlib import Path

from ldarnet.genome import Shard
from ldarnet.sidecar import sidecar_path
from ldarnet.tracks import STDOUT, TrackError, check_target, format_of
from ldarnet.tracks.atomic import check_inputs_stay, check_place


class RequestError(ValueError):
    """Options that are wrong, or do not go together, whatever the files hold."""


@dataclass(frozen=True, kw_only=True)
class TrackRequest:
    """What the command was asked for; None = the default of the model."""

    fasta: str
    outputs: tuple[Path, ...]
    model: str = "default"
    format: str | None = None
    deviation_out: Path | None = None
    """Where the standard deviation of the two strands goes; needs strand "both-mean"."""
    regions: str | None = None
    strand: str = "+"
    window_bp: int | None = None
    halo_bp: int | None = None
    stage: int = 0
    device: str = "auto"
    dtype: str = "float32"
    batch_tokens: int | None = None
    num_threads: int | None = None
    shard: Shard | None = None
    """The share of the batches that is computed; `ldarnet merge` puts the tracks of all shards together."""
    resume: bool = False
    or_start_over: bool = False
    """Whether to start over, rather than to refuse, where the run to resume is one of other settings."""
    decimals: int = 4
    random_weights: bool = False
    show_progress: bool = True
    command: tuple[str, ...] = ()

    @property
    def all_outputs(self) -> tuple[Path, ...]:
        """The tracks, and that of the deviation last."""
        return (*self.outputs, self.deviation_out) if self.deviation_out else self.outputs


def check_request(request: TrackRequest) -> None:
    """Raise RequestError for options that cannot be meant, TrackError for outputs that cannot be written."""
    _check_options(request)
    for out in request.all_outputs:
        check_target(out, format=None if out == request.deviation_out else request.format)
        if out != STDOUT:
            check_place(sidecar_path(out))
    written = [path for out in request.all_outputs if out != STDOUT for path in (out, sidecar_path(out))]
    inputs = (("--fasta", request.fasta), ("--regions", request.regions), ("--model", request.model))
    check_inputs_stay(written, inputs)


def _check_options(request: TrackRequest) -> None:
    if not request.outputs:
        raise RequestError("--out: expected at least one file")
    if STDOUT in request.all_outputs:
        if len(request.all_outputs) > 1:
            raise RequestError("--out -: standard output cannot be combined with other outputs")
        if request.format is None:
            raise RequestError("--out -: there is no suffix to tell the format; add one, such as --format bedGraph")
        if request.resume:
            raise RequestError("--resume needs a file, got --out -")
    _check_formats(request)
    written = [path.resolve() for out in request.all_outputs for path in (out, sidecar_path(out))]
    for path in written:
        if written.count(path) > 1:
            raise RequestError(f"--out: {path.name} would be written twice; give every output a name of its own")
    if request.shard and any(format_of(request.format or out) == "bed" for out in request.outputs):
        raise RequestError("--shard: chunks reach across shards; write a .bw of each and let merge write the .bed")
    if request.deviation_out and request.strand != "both-mean":
        raise RequestError(f"--deviation-out needs --strand both-mean, got --strand {request.strand}")


def _check_formats(request: TrackRequest) -> None:
    try:
        for out in request.outputs:
            format_of(out if request.format is None else request.format)
        of_deviation = format_of(request.deviation_out) if request.deviation_out else None
    except TrackError as error:
        raise RequestError(str(error)) from None
    if of_deviation == "bed":
        raise RequestError(f"--deviation-out: a deviation has no chunks; expected .bw, .bedGraph or .npz, got "
                           f"{request.deviation_out}")  # fmt: skip
