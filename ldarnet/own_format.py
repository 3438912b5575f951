"""Our model files: safetensors with configuration, notes and a checksum inside."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short_repr

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ldarnet.config import ModelConfig
from ldarnet.model import LDARNet
from ldarnet.provenance import CheckpointError
from ldarnet.published import as_float32
from ldarnet.tracks.atomic import TrackError, whole_file

FORMAT = "ldarnet-1"


def save_model(
    model: LDARNet, path: Path, notes: Mapping[str, str] | None = None, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write weights, configuration and notes as one safetensors file, beside the target and then renamed.

    The same model and notes give the same bytes. Raises TrackError where the file cannot be written, and ValueError
    for weights too large for `dtype`.
    """
    state = {name: tensor.detach().to(dtype).cpu().contiguous() for name, tensor in model.state_dict().items()}
    if too_large := [name for name, tensor in state.items() if not bool(tensor.isfinite().all())]:
        raise ValueError(f"{path}: {too_large[0]!r} has weights that are no finite numbers in {dtype}")
    metadata = {
        "format": FORMAT,
        "config": model.config.to_json(),
        "notes": json.dumps(dict(notes or {}), sort_keys=True),
    }
    metadata["sha256"] = tensors_sha256(state, metadata)
    try:
        with whole_file(path) as file:
            file.write(_in_order(safetensors.torch.save(state, metadata)))
    except OSError as error:
        raise TrackError(f"cannot write {path}: {error.strerror}") from None


def _in_order(data: bytes) -> bytes:
    """The same safetensors file with its header sorted: the library writes the metadata in random order."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def tensors_sha256(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Checksum of named tensors and of what is said about them; safetensors has none of its own."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name, tensor in sorted(state.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_own(path: Path) -> tuple[ModelConfig, dict[str, Tensor], dict[str, str]]:
    """Configuration, state dict (float32) and notes of one of our files. Raises CheckpointError."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            if metadata.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path} is a safetensors file of another model family: its metadata says format "
                    f"{short_repr(metadata.get('format'))}, expected {FORMAT!r}"
                )
            config = ModelConfig.from_json(metadata.get("config", ""))
            notes = _as_notes(metadata.get("notes", "{}"))
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checksum = metadata.pop("sha256", None)
        if checksum is not None and checksum != tensors_sha256(stored, metadata):
            raise CheckpointError(f"{path} is damaged (wrong checksum); download it again")
        # Copies: what safetensors hands out is the file itself, and changes or crashes when someone writes to it.
        return config, {name: as_float32(name, tensor) for name, tensor in stored.items()}, notes
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is not a complete safetensors file ({error}); download it again") from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _as_notes(text: str) -> dict[str, str]:
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict) or not all(isinstance(value, str) for value in notes.values()):
        raise ValueError(f"expected notes that are a JSON object of texts, got {short_repr(text)}")
    return notes
