"""What a fine-tuned model is on disk: the body as any model file, the head beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
import torch

from ldarnet.checkpoint import load_model
from ldarnet.devices import pick_device
from ldarnet.finetune.head import TASKS, Head
from ldarnet.finetune.settings import FineTuneSettings
from ldarnet.model import LDARNet
from ldarnet.own_format import save_model, tensors_sha256
from ldarnet.provenance import CheckpointError
from ldarnet.tracks.atomic import TrackError, whole_file

HEAD_FORMAT = "ldarnet-head-1"
BODY_FILE, HEAD_FILE = "model.safetensors", "head.safetensors"


class Loaded(NamedTuple):
    """A fine-tuned model read back, as `predict` takes it."""

    model: LDARNet
    head: Head
    settings: FineTuneSettings
    max_bp: int
    """Longer sequences were cropped to this."""


def save_fitted(
    folder: Path, model: LDARNet, head: Head, settings: FineTuneSettings, max_bp: int, notes: Mapping[str, str]
) -> None:
    """Write both files; `notes` go into the body's, which any command can read as a model. Raises TrackError."""
    save_model(model, folder / BODY_FILE, notes)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}
    record = {
        "format": HEAD_FORMAT,
        "task": head.task,
        "settings": settings.to_json(),
        "max_bp": str(max_bp),
        "body": _sha256(model),
    }
    record["sha256"] = tensors_sha256(state, record)
    try:
        with whole_file(folder / HEAD_FILE) as file:
            # One entry: the library writes several in random order, and the same head is to give the same bytes.
            file.write(safetensors.torch.save(state, {"head": json.dumps(record, sort_keys=True)}))
    except OSError as error:
        raise TrackError(f"cannot write {folder / HEAD_FILE}: {error.strerror}") from None


def load_fitted(folder: Path, *, device: str | torch.device = "cpu") -> Loaded:
    """The fine-tuned model in a folder. Raises CheckpointError where either file is missing, damaged or another's."""
    place = device if isinstance(device, torch.device) else pick_device(device)
    model = load_model(folder / BODY_FILE, device=place)
    path = folder / HEAD_FILE
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("head", "")
            state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        record = json.loads(text)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("format") != HEAD_FORMAT or record.get("task") not in TASKS:
        raise CheckpointError(f"{path}: expected a head of format {HEAD_FORMAT}, as `ldarnet finetune` writes it")
    if record.pop("sha256", "") != tensors_sha256(state, record):
        raise CheckpointError(f"{path} is damaged (wrong checksum)")
    if record["body"] != _sha256(model):
        raise CheckpointError(f"{path} belongs to another model than {folder / BODY_FILE}")
    settings = FineTuneSettings(**{**json.loads(record["settings"]), "device": str(place)})
    num_outputs, width = state["linear.weight"].shape
    head = Head(width, num_outputs, settings.task)
    head.load_state_dict(state)
    return Loaded(model, head.to(place), settings, int(record["max_bp"]))


def _sha256(model: LDARNet) -> str:
    return tensors_sha256({name: tensor.cpu() for name, tensor in model.state_dict().items()}, {})
