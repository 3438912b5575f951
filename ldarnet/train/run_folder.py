"""The folder of a training run: checkpoints that are whole or not there, and a log that goes on where they do.

    settings.json    log.jsonl    curves.png    model.safetensors    checkpoints/step-00001234.safetensors

A checkpoint is one safetensors file. Its metadata holds the step, the plain values and a checksum of all of them and
of every stored tensor, so that no change in what is read back goes unnoticed. One process at a time may write here.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import safetensors
import safetensors.torch
from torch import Tensor

from ldarnet.own_format import tensors_sha256
from ldarnet.plain_json import plain
from ldarnet.provenance import CheckpointError
from ldarnet.tracks.atomic import whole_file
from ldarnet.train.progress import read_log

FORMAT = "ldarnet-run-1"
_PARTS = (
    *("checkpoints/.step-*.part", ".model*.safetensors.*.part"),
    *(".log.jsonl.*.part", ".settings.json.*.part", ".curves.png.*.part"),
)
_CHECKPOINT = re.compile(r"step-(\d{8}|[1-9]\d{8,17})\.safetensors", re.ASCII)


class Saved(NamedTuple):
    """A checkpoint read back."""

    step: int
    """Steps done when it was written."""
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


class RunFolder:
    """One run's files; a context manager that holds the folder's lock.

    The folder is made where it is missing, and what killed runs left half-written in it is removed. With
    `is_writer` false (every rank but the first) it is only read, without the lock. Raises OSError where another
    process writes there or the folder cannot be made.
    """

    def __init__(self, path: Path, keep_checkpoints: int = 3, *, is_writer: bool = True) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.settings_file = path / "settings.json"
        self.log_file = path / "log.jsonl"
        self.curves_file = path / "curves.png"
        self.model_file = path / "model.safetensors"
        self._keep_checkpoints = keep_checkpoints
        self._lock: BinaryIO | None = None
        if is_writer:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path)
            for pattern in _PARTS:
                for part in path.glob(pattern):
                    part.unlink()

    def save(self, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        """Write a checkpoint, then delete those that are too old. Any dtype; `meta` is JSON-able.

        Raises OSError where it cannot be written; the checkpoints before are then untouched.
        """
        path = self._checkpoint(step)
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        metadata = {"format": FORMAT, "step": str(step), "meta": json.dumps(dict(meta))}
        metadata["sha256"] = tensors_sha256(whole, metadata)
        try:
            _write_whole(path, safetensors.torch.save(whole, metadata))
        except OSError as error:
            message = f"cannot write the checkpoint {path} ({error.strerror}); those before it are kept"
            raise OSError(error.errno, message) from error
        steps = self._steps()
        # Steps beyond this one are those that `latest` passed over as damaged.
        kept = [each for each in steps if each <= step][-self._keep_checkpoints :]
        for old in set(steps) - set(kept):
            self._checkpoint(old).unlink()
        return path

    def latest(self, warn: Callable[[str], None]) -> Saved | None:
        """The newest checkpoint that is whole, None where there is none; each damaged one is warned about.

        Raises CheckpointError where there are only damaged ones.
        """
        steps = self._steps()
        for step in reversed(steps):
            try:
                return _read(self._checkpoint(step), step)
            except CheckpointError as error:
                warn(f"passed over: {error}")
        if steps:
            raise CheckpointError(
                f"{self.checkpoints}: expected a checkpoint to go on from, got only damaged ones ({len(steps)}); "
                "delete them to start over, or choose another folder"
            )
        return None

    def write_settings(self, text: str) -> None:
        """Replace settings.json. Raises OSError."""
        _write_whole(self.settings_file, text.encode())

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to log.jsonl; a number that is not finite becomes null."""
        try:
            with self.log_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(plain(dict(record))) + "\n")
        except OSError as error:
            raise OSError(error.errno, f"cannot write {self.log_file} ({error.strerror})") from error

    def rewind_log(self, step: int) -> int:
        """Drop what was logged after this step, and a half-written end; returns how many records went.

        To be called before the first `log` of a process. Raises ValueError where the file is not a log.
        """
        if not self.log_file.exists():
            return 0
        records = read_log(self.log_file)
        kept = [record for record in records if record["step"] <= step]
        _write_whole(self.log_file, "".join(json.dumps(record) + "\n" for record in kept).encode())
        return len(records) - len(kept)

    def close(self) -> None:
        """Let another process write here."""
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:08d}.safetensors"

    def _steps(self) -> list[int]:
        """Steps with a checkpoint, whole or not, in ascending order."""
        matches = (_CHECKPOINT.fullmatch(path.name) for path in self.checkpoints.glob("step-*"))
        return sorted(int(match[1]) for match in matches if match)


def _read(path: Path, step: int) -> Saved:
    damaged = f"the checkpoint {path} is damaged"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            is_whole = metadata.pop("sha256", "") == tensors_sha256(stored, metadata)
            # Copies: what safetensors hands out is the file itself, and changes when someone writes to it.
            tensors = {name: tensor.clone() for name, tensor in stored.items()}
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{damaged} ({error})") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path} ({error.strerror or error})") from None
    if not is_whole:
        raise CheckpointError(f"{damaged} (wrong checksum)")
    found = metadata.get("format"), metadata.get("step")
    if found != (FORMAT, str(step)):
        raise CheckpointError(f"{path} is another file renamed: expected {FORMAT} of step {step}, got {found}")
    try:
        return Saved(step, tensors, dict(json.loads(metadata.get("meta", ""))))
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected a JSON object beside its tensors ({error})") from None


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is either the old one or the new one, whatever happens; raises OSError."""
    with whole_file(path) as file:
        file.write(data)
    folder = os.open(path.parent, os.O_RDONLY)
    with suppress(OSError):  # where a file system cannot, the name survives a killed process but not a power cut
        os.fsync(folder)
    os.close(folder)


def _locked(folder: Path) -> BinaryIO:
    """An open lock file; the system drops the lock of a process that dies."""
    file = (folder / ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            message = f"another process is training in {folder}; wait for it or choose another folder"
            raise BlockingIOError(error.errno, message) from None
        raise
    return file
